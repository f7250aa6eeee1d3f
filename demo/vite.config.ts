import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { wgsl } from "../shaders/plugin.mjs";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  // Relative addresses: the built files work from any folder of any server.
  base: "./",
  plugins: [wgsl()],
  worker: { format: "es", plugins: () => [wgsl()] },
  build: { target: "es2022" },
});
