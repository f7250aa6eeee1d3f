import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { wgsl } from "../shaders/plugin.mjs";

// The GPU tests that Deno (naga, and Mesa's lavapipe where there is no GPU) runs as well.
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  plugins: [wgsl()],
  test: {
    name: "deno",
    include: ["test/gpu/{adapter,executable,long,long-loops}.test.ts"],
    environment: "node",
    pool: "forks",
    fileParallelism: false,
    testTimeout: 120_000,
  },
});
