import { describe, expect, test } from "vitest";
import { BufferUsage, packUniforms, readBack, storageBuffer } from "../../src/gpu/buffers";
import type { Dispatch, Target } from "../../src/gpu/dispatch";
import { type Device, useDevice } from "../../src/gpu/device";
import type { KernelSource } from "../../src/gpu/kernel-source";
import {
  apply1,
  notDifferentiable,
  type Op,
  type Operand,
  type Tensor,
} from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { size } from "../../src/graph/shape";
import { reachable } from "../../src/graph/substitute";
import { mul } from "../../src/ops/elementwise";
import { sum } from "../../src/ops/reduce";
import { constantOp, placeholder } from "../../src/ops/sources";
import { gradient } from "../../src/schedule/gradient";
import { plan } from "../../src/schedule/plan";
import { allCases } from "../cases/all";

// Every dispatch states how many trips the loops of an invocation make at most, and the planner
// trusts it. Here the shaders count for themselves.

/**
 * The kernel with a counter at and in every loop, which so counts the pass that ends it too; the
 * highest value ends in one more binding.
 */
function counting(kernel: KernelSource): KernelSource {
  const binding =
    1 + Math.max(...kernel.bindings.map((b) => b.binding), kernel.uniforms?.binding ?? 0);
  const loops = kernel.code
    .replaceAll(/\/\/.*/g, "")
    .replaceAll(
      /\b((?:for|while) \([^{]*\)) \{/g,
      "trips_ += 1u; atomicMax(&most_, trips_); $1 { trips_ += 1u; atomicMax(&most_, trips_); ",
    );
  return {
    ...kernel,
    name: `${kernel.name}, counting`,
    code: `var<private> trips_: u32;
      @group(0) @binding(${binding}) var<storage, read_write> most_: atomic<u32>;\n${loops}`,
    bindings: [
      ...kernel.bindings,
      { name: "most_", binding, access: "read_write", type: "atomic<u32>" },
    ],
  };
}

/** The most trips that an invocation made, over operands of any content. */
async function count(device: Device, d: Dispatch<Operand>): Promise<number> {
  const kernel = counting(d.kernel);
  const { pipeline, layout } = await device.pipelines.get(kernel, d.overrides);
  const buffers = new Map<Operand, GPUBuffer>();
  const made: GPUBuffer[] = [];
  const own = (buffer: GPUBuffer): GPUBuffer => {
    made.push(buffer);
    return buffer;
  };
  const entries: GPUBindGroupEntry[] = [];
  const most = own(storageBuffer(device, "most", 4));
  for (const { name, binding } of kernel.bindings) {
    const operand = d.bind[name];
    let buffer = operand ? buffers.get(operand) : most;
    if (operand && !buffer) {
      const n = "scratch" in operand ? operand.elements : size(operand.shape);
      buffer = own(storageBuffer(device, name, 4 * n));
      buffers.set(operand, buffer);
      const constant = "node" in operand && operand.node.op.name === constantOp.name;
      const data = constant
        ? (operand.node.attrs as { readonly data: Uint32Array<ArrayBuffer> }).data
        : Float32Array.from(uniform(key(binding), n));
      device.gpu.queue.writeBuffer(buffer, 0, data);
    }
    entries.push({ binding, resource: { buffer: buffer as GPUBuffer } });
  }
  if (kernel.uniforms) {
    const bytes = packUniforms(kernel, d.uniforms);
    const usage = BufferUsage.UNIFORM | BufferUsage.COPY_DST;
    const buffer = own(device.createBuffer({ label: "uniforms", size: bytes.byteLength, usage }));
    device.gpu.queue.writeBuffer(buffer, 0, bytes);
    entries.push({ binding: kernel.uniforms.binding, resource: { buffer } });
  }
  const encoder = device.gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.gpu.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroups(...d.grid);
  pass.end();
  device.gpu.queue.submit([encoder.finish()]);
  const [bytes] = await readBack(device, [{ buffer: most, offset: 0, size: 4 }]);
  device.destroyBuffers(made);
  return new Uint32Array(bytes as ArrayBuffer)[0] as number;
}

/** What counting costs: atomics are slow on software adapters. */
function cost({ grid, trips }: Dispatch<Operand>): number {
  return grid[0] * grid[1] * grid[2] * (1 + trips);
}
const MOST_COST = 500;

const limits: Target["limits"] = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};

/** Of the dispatches of all cases and their gradients, some of each kernel that go round much. */
function dispatches(adapter: Target["adapter"]): Map<string, Dispatch<Operand>[]> {
  const target: Target = { adapter, limits, features: new Set() };
  const found = new Map<string, Map<string, Dispatch<Operand>>>();
  for (const c of allCases) {
    const x = c.inputs.map(({ shape, dtype }, k) => placeholder(`x${k}`, shape, dtype));
    const built = c.build(...x);
    const roots: Tensor[] = [...(Array.isArray(built) ? built : [built])];
    const wrt =
      c.gradients ?? c.inputs.flatMap(({ dtype = "f32" }, k) => (dtype === "f32" ? [k] : []));
    for (const y of wrt.length > 0 ? [...roots] : []) {
      const inputs = wrt.map((k) => x[k] as Tensor);
      roots.push(...gradient(sum(mul(y, placeholder("cot", y.shape))), inputs));
    }
    for (const d of reachable(roots).flatMap((node) => node.op.dispatch(node, target))) {
      const own = found.get(d.kernel.name) ?? new Map<string, Dispatch<Operand>>();
      found.set(d.kernel.name, own);
      const id = JSON.stringify(d.overrides);
      const before = own.get(id);
      const better =
        before && (cost(d) > MOST_COST ? cost(d) < cost(before) : d.trips > before.trips);
      if (!before || better || cost(before) > MOST_COST) own.set(id, d);
    }
  }
  const most = (own: Map<string, Dispatch<Operand>>): Dispatch<Operand>[] =>
    [...own.values()].sort((a, b) => cost(a) - cost(b)).slice(0, 2);
  return new Map([...found].map(([name, own]) => [name, most(own)]));
}

/** A device with a binding more than kernels may have. */
async function roomyDevice(): Promise<Device> {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("no adapter");
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const gpu = await adapter.requestDevice({
    requiredLimits: {
      maxStorageBuffersPerShaderStage: 9,
      maxStorageBufferBindingSize,
      maxBufferSize,
    },
  });
  return useDevice(gpu);
}

const roomy = roomyDevice();
// Overrides may leave a kernel without its loops, but not all kernels.
let counted = 0;
const targets = ["software", "gpu"] as const;
const found = new Map(targets.map((adapter) => [adapter, dispatches(adapter)]));

for (const [adapter, kernels] of found) {
  describe(`no invocation makes more trips than stated, kernels for ${adapter} adapters`, () => {
    for (const [name, some] of kernels) {
      test(name, async () => {
        const device = await roomy;
        for (const d of some) {
          const what = `${name} ${JSON.stringify(d.overrides)}`;
          const hasLoop = /\b(?:for|while|loop)\b/.test(d.kernel.code.replaceAll(/\/\/.*/g, ""));
          if (!hasLoop) {
            expect(d.trips, what).toBe(0);
            continue;
          }
          const trips = await count(device, d);
          expect(trips, what).toBeLessThanOrEqual(d.trips);
          if (trips > 0) counted++;
        }
      });
    }
  });
}

test("the kernels did count", () => {
  expect(counted).toBeGreaterThan(40);
});

describe("the planner", () => {
  const looping = (trips: number, longestLoop?: number): Op<null> => ({
    name: "looper",
    shape: (_, x) => [x as Tensor],
    gradient: notDifferentiable("it is for this test"),
    dispatch: (node) => [
      {
        kernel: {
          name: "long_kernel",
          code: "",
          entryPoint: "main",
          bindings: [{ name: "y", binding: 0, access: "read_write", type: "array<f32>" }],
          uniforms: null,
          overrides: {},
          workgroupSize: [1],
        },
        bind: { y: node.outputs[0] as Tensor },
        uniforms: {},
        overrides: {},
        grid: [1, 1, 1],
        flops: 0,
        trips,
        ...(longestLoop !== undefined && { longestLoop }),
      },
    ],
  });

  test("refuses loops of more than 32,768 trips and invocations of more than 65,535", () => {
    const target: Target = { adapter: "gpu", limits, features: new Set() };
    const planned = (trips: number, longest?: number) =>
      plan([apply1(looping(trips, longest), null, placeholder("x", [4]))], target);
    expect(planned(32_768).dispatches).toHaveLength(1);
    expect(planned(65_535, 32_768).dispatches).toHaveLength(1);
    expect(() => planned(32_769)).toThrow(/internal: looper: kernel long_kernel: .*32769 trips/);
    expect(() => planned(65_536, 100)).toThrow(/looper: kernel long_kernel: .*65536 loop trips/);
    expect(() => planned(Number.NaN)).toThrow(/long_kernel/);
  });
});
