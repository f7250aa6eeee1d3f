// Imports carry their extension here, because Vite means to load its configuration natively.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { wgsl } from "../shaders/plugin.mjs";
import { chrome } from "./puppeteer.ts";
import { testAdapter } from "./test-adapter.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const isDeno = "Deno" in globalThis;

/**
 * What is left out on lavapipe, whose compiler takes half a second and more for a kernel, ten times
 * as long as SwiftShader's.
 */
const LONG = [
  "bake",
  "cells",
  "ending",
  "flat-generator",
  "ops",
  "recurrent",
  "recurrent-contract",
  "recurrent-init",
  "recurrent-scan",
  "recurrent-sequence",
  "scan",
  "scan-cases",
  "sequence-training",
  "trips",
  "variants",
  "wide-resnet",
].map((name) => `test/gpu/${name}.test.ts`);

/** The same tests in each runtime, whatever it can do: `npm test` compares the lists. */
const gpuTests = {
  include: ["test/gpu/**/*.test.ts"],
  testTimeout: 300_000,
  hookTimeout: 120_000,
  // One page or process for all files: a new one costs a second each, and compiles anew.
  isolate: false,
};

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
          ...gpuTests,
          name: "gpu",
          browser: {
            enabled: true,
            headless: true,
            ui: false,
            screenshotFailures: false,
            provider: chrome(testAdapter),
            instances: [{ browser: "chrome" }],
          },
        },
      },
      {
        root,
        plugins: [wgsl()],
        test: {
          ...gpuTests,
          // In whichever of the two runs Vitest.
          name: isDeno ? "gpu-deno" : "gpu-node",
          environment: "node",
          pool: "forks",
          maxWorkers: 1,
          exclude: process.env.HYPERLOOM_TESTS === "short" ? LONG : [],
          setupFiles: isDeno ? [] : ["test/node-globals.ts"],
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
