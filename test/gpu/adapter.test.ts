import { expect, test } from "vitest";
import { describe as described, nameOfAdapter } from "../../src/gpu/adapter";
import { hostOf } from "../../src/gpu/host";

test("the machine has a WebGPU adapter, and it adds", async ({ task }) => {
  const adapter = await navigator.gpu?.requestAdapter();
  expect(adapter, "no WebGPU adapter: the suite needs one and never skips").toBeTruthy();
  // The summary of `npm test` prints what it ran on.
  const { name, version } = hostOf();
  const on = nameOfAdapter(described((adapter as GPUAdapter).info));
  Object.assign(task.meta, { ranOn: `${name} ${version}: ${on}` });
  const device = await (adapter as GPUAdapter).requestDevice();
  const code = `
    @group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(4)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) { x[id.x] = x[id.x] + 1.5; }`;
  const pipeline = await device.createComputePipelineAsync({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
  });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const x = device.createBuffer({ size: 16, usage });
  const staging = device.createBuffer({
    size: 16,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(x, 0, new Float32Array([0, 1, 2, -4]));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: x } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(x, 0, staging, 0, 16);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  expect([...new Float32Array(staging.getMappedRange())]).toEqual([1.5, 2.5, 3.5, -2.5]);
  device.destroy();
});
