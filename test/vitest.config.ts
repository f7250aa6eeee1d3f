// Imports carry their extension here, because Vite means to load its configuration natively.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { wgsl } from "../shaders/plugin.mjs";
import type { AdapterChoice } from "../src/cli/browser.ts";
import { chrome } from "./puppeteer.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const adapter = (process.env.HYPERLOOM_ADAPTER ?? "auto") as AdapterChoice;

export default defineConfig({
  root,
  test: {
    // Two cores and one adapter: files run one after another.
    fileParallelism: false,
    projects: [
      {
        root,
        plugins: [wgsl()],
        test: {
          name: "gpu",
          include: ["test/gpu/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One page for all files: a new one costs a second each.
          isolate: false,
          browser: {
            enabled: true,
            headless: true,
            ui: false,
            screenshotFailures: false,
            provider: chrome(adapter),
            instances: [{ browser: "chrome" }],
          },
        },
      },
      {
        root,
        plugins: [wgsl()],
        test: {
          name: "node",
          include: ["test/node/**/*.test.ts"],
          environment: "node",
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        root,
        test: {
          name: "package",
          include: ["test/package/**/*.test.ts"],
          environment: "node",
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
