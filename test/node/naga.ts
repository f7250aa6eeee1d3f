/**
 * Run by Deno, whose WebGPU compiles with naga: makes a compute pipeline of every shader file named
 * on the command line, with its default overrides and under WebGPU's default limits, and prints one
 * JSON line each: `{ file }` before it starts (a compiler panic ends the process), then
 * `{ file, error }`. Exits with 3 where there is no adapter.
 */
import { readFileSync } from "node:fs";
import process from "node:process";

const adapter = await navigator.gpu?.requestAdapter();
if (!adapter) {
  console.error("Deno finds no WebGPU adapter; type: apt-get install -y mesa-vulkan-drivers");
  process.exit(3);
}
const requiredFeatures: GPUFeatureName[] = adapter.features.has("shader-f16") ? ["shader-f16"] : [];
const device = await adapter.requestDevice({ requiredFeatures });

for (const file of process.argv.slice(2)) {
  console.log(JSON.stringify({ file }));
  device.pushErrorScope("validation");
  let error: string | null = null;
  try {
    const module = device.createShaderModule({ code: readFileSync(file, "utf8") });
    await device.createComputePipelineAsync({
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
  } catch (reason) {
    error = String(reason);
  }
  error = (await device.popErrorScope())?.message ?? error;
  console.log(JSON.stringify({ file, error }));
}
process.exit(0);
