/// <reference types="vite/client" />
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KernelSource } from "../../src/gpu/kernel-source";

const modules = import.meta.glob<Record<string, KernelSource>>("../../shaders/*.wgsl", {
  eager: true,
});
const kernels = Object.values(modules).flatMap((module) => Object.values(module));

let device: GPUDevice;
beforeAll(async () => {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("no WebGPU adapter");
  const optional: GPUFeatureName[] = ["subgroups", "shader-f16"];
  device = await adapter.requestDevice({
    requiredFeatures: optional.filter((feature) => adapter.features.has(feature)),
  });
});
afterAll(() => device.destroy());

test.each(kernels.map((kernel) => [kernel.name, kernel] as const))(
  "%s compiles without a message, with the layout that was reflected",
  async (_name, kernel) => {
    const lacking = /^enable subgroups;/m.test(kernel.code) && !device.features.has("subgroups");
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: kernel.code });
    const refusal = await device.popErrorScope();
    // A runtime without the feature has to say so.
    if (lacking) return expect(refusal?.message).toMatch(/subgroup/i);
    expect(refusal).toBeNull();
    const info = await module.getCompilationInfo();
    expect(info.messages.map(({ message }) => message)).toEqual([]);
    const entries = kernel.bindings.map(({ binding, access }) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: access === "read" ? ("read-only-storage" as const) : ("storage" as const) },
    }));
    const uniform = kernel.uniforms && {
      binding: kernel.uniforms.binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: "uniform" as const, minBindingSize: kernel.uniforms.size },
    };
    const group = device.createBindGroupLayout({
      entries: uniform ? [...entries, uniform] : entries,
    });
    await device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [group] }),
      compute: { module, entryPoint: kernel.entryPoint, constants: kernel.overrides },
    });
  },
);
