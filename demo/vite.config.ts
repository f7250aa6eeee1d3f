import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { wgsl } from "../shaders/plugin.mjs";
import { pageWeights } from "./weights.mjs";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The licence of the one library that the pages carry, beside them as it asks. */
const licences: Plugin = {
  name: "licences",
  apply: "build",
  generateBundle() {
    const folder = dirname(dirname(createRequire(import.meta.url).resolve("uplot")));
    const source = `uPlot, https://github.com/leeoniya/uPlot\n\n${readFileSync(join(folder, "LICENSE"), "utf8")}`;
    this.emitFile({ type: "asset", fileName: "licences.txt", source });
  },
};

/** The pages, by their entries' names. */
const pages = ["index", "spectrum", "dynamic", "family", "bench"];

export default defineConfig({
  root: here("."),
  // Relative addresses: the built files work from any folder of any server.
  base: "./",
  // The stored runs lie beside the pages.
  publicDir: here("films"),
  plugins: [wgsl(), licences, pageWeights()],
  worker: { format: "es", plugins: () => [wgsl()] },
  resolve: {
    // The longer name first: the first that fits is taken.
    alias: [
      { find: "hyperloom/data", replacement: here("../src/data/index.ts") },
      { find: "hyperloom/train", replacement: here("../src/train/index.ts") },
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
