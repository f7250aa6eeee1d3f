import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { wgsl } from "../shaders/plugin.mjs";
import { pageWeights } from "./weights.mjs";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The pages, by their entries' names. */
const pages = ["index", "spectrum", "dynamic", "family", "bench"];

export default defineConfig({
  root: here("."),
  // Relative addresses: the built files work from any folder of any server.
  base: "./",
  // The stored runs lie beside the pages.
  publicDir: here("films"),
  plugins: [wgsl(), pageWeights()],
  worker: { format: "es", plugins: () => [wgsl()] },
  resolve: {
    // The longer name first: the first that fits is taken.
    alias: [
      { find: "hyperloom/data", replacement: here("../src/data/index.ts") },
      { find: "hyperloom/gpu", replacement: here("../src/gpu/index.ts") },
      { find: "hyperloom", replacement: here("../src/index.ts") },
    ],
  },
  build: {
    target: "es2022",
    rollupOptions: {
      input: Object.fromEntries(pages.map((page) => [page, here(`${page}.html`)])),
    },
  },
});
