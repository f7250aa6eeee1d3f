/// <reference types="vite/types/importMeta.d.ts" />
import { BufferUsage, MAP_READ, storageBuffer } from "../src/gpu/buffers";
import type { Device } from "../src/gpu/device";
import { dispatch, type Target } from "../src/gpu/dispatch";
import type { KernelSource } from "../src/gpu/kernel-source";
import { encode } from "../src/gpu/record";
import { apply1, type Operand, type Tensor } from "../src/graph/node";
import { placeholder } from "../src/ops/sources";
import { type Replay, shaderOp } from "./replay";
import type { Timed } from "./measure";

/** The units of a roof. */
export type RoofUnit = "GFLOP/s" | "GB/s" | "G f32/s" | "µs";

/** One limit of an adapter, as a shader that does nothing but run into it. */
export interface RoofCase {
  readonly name: string;
  readonly unit: RoofUnit;
  /** Flops, bytes, values or dispatches of one run. */
  readonly work: number;
  readonly output: Tensor;
}

/** What a kernel can be bound by, from the measured roof cases. */
export interface Roof {
  /** GFLOP/s of the best multiply-add. */
  readonly fma: number;
  /** GB/s of the best way to read or copy storage. */
  readonly storage: number;
  /** Microseconds of one dispatch. */
  readonly dispatch: number;
}

/** A shader of the bench by file name, bound by names as its file has them. */
export function benchShader(file: string): KernelSource {
  const [kernel] = Object.values(shaders[file] ?? {});
  if (!kernel) throw new Error(`internal: no shader bench/${file}`);
  return kernel;
}

const shaders = import.meta.glob<Record<string, KernelSource>>(
  ["./roof/*.wgsl", "./ladder/*.wgsl"],
  { eager: true },
);

/** Workgroup size, workgroups and trips of each kind of shader. */
interface Setting {
  readonly fma: Launch;
  readonly shared: Launch;
  /** For buffers; trips follow from the elements. */
  readonly storage: Launch;
  /** Read, written or copied: beyond the caches of a GPU. */
  readonly elements: number;
}

type Launch = readonly [workgroup: number, workgroups: number, trips: number];

// A run should take some milliseconds on the slowest adapter of the class.
const SETTINGS: Readonly<Record<Target["adapter"], Setting>> = {
  software: { fma: [16, 64, 4096], shared: [64, 4, 512], storage: [16, 64, 0], elements: 2 ** 22 },
  gpu: {
    fma: [128, 8192, 1024],
    shared: [256, 1024, 512],
    storage: [128, 2048, 0],
    elements: 2 ** 25,
  },
};

/** All roof shaders, sized for a class of adapter. */
export function roofCases({ adapter, limits }: Target): RoofCase[] {
  const { fma, shared, storage, ...setting } = SETTINGS[adapter];
  const binding = 2 ** Math.floor(Math.log2(limits.maxStorageBufferBindingSize / 4));
  const n = Math.min(setting.elements, binding);
  const [workgroup, workgroups] = storage;
  const launch = (accesses: number): Launch => [
    workgroup,
    workgroups,
    n / workgroup / workgroups / accesses,
  ];
  const threads = ([size, groups]: Launch): number => size * groups;
  const flops = 64 * threads(fma) * fma[2];
  // Towards 1 and no further: neither infinite nor denormal.
  const affine = { scale: 0.999, shift: 0.001 };
  const tiny: Launch = [workgroup, 1, 1];
  return [
    shaderCase("fma, 8 scalars", "GFLOP/s", flops, "fma_scalar8", fma, 0, threads(fma), affine),
    shaderCase("fma, 2 vec4", "GFLOP/s", flops, "fma_vec4x2", fma, 0, threads(fma), affine),
    shaderCase("fma, 8 vec4", "GFLOP/s", flops, "fma_vec4x8", fma, 0, threads(fma), affine),
    shaderCase(
      "storage read, scalar",
      "GB/s",
      4 * n,
      "read_scalar",
      launch(8),
      n,
      threads(storage),
    ),
    shaderCase("storage read, vec4", "GB/s", 4 * n, "read_vec4", launch(32), n, threads(storage)),
    shaderCase("storage write, vec4", "GB/s", 4 * n, "write_vec4", launch(16), 0, n),
    shaderCase("storage copy, vec4", "GB/s", 8 * n, "copy_vec4", launch(16), n, n),
    shaderCase(
      "workgroup read, vec4",
      "G f32/s",
      32 * threads(shared) * shared[2],
      "workgroup_read",
      shared,
      0,
      threads(shared),
    ),
    shaderCase("dispatch", "µs", 1, "write_vec4", tiny, 0, 16 * workgroup),
  ];
}

function shaderCase(
  name: string,
  unit: RoofUnit,
  work: number,
  file: string,
  [workgroup, workgroups, trips]: Launch,
  reads: number,
  writes: number,
  uniforms: Readonly<Record<string, number>> = {},
): RoofCase {
  const x = reads > 0 ? placeholder("x", [reads]) : null;
  const op = shaderOp(name, { shape: [writes], dtype: "f32" }, (node) => [
    dispatch<Operand, string, string, string>(benchShader(`./roof/${file}.wgsl`), {
      bind: { ...(x && { x }), y: node.outputs[0] },
      uniforms,
      overrides: { WORKGROUP: workgroup, TRIPS: trips },
      grid: [workgroups, 1, 1],
      flops: unit === "GFLOP/s" ? work : 0,
      // Of workgroup_read also those that fill its tile.
      trips: trips + 1 + 257,
    }),
  ]);
  return { name, unit, work, output: apply1(op, null, ...(x ? [x] : [])) };
}

/** Work per time in the case's unit; of a dispatch, the time itself. */
export function roofValue({ unit, work }: RoofCase, milliseconds: number): number {
  return unit === "µs" ? (1000 * milliseconds) / work : work / milliseconds / 1e6;
}

/** The roof that the cases make, by name and value. */
export function roofOf(values: ReadonlyMap<string, number>): Roof {
  const best = (prefix: string): number =>
    Math.max(...[...values].map(([name, value]) => (name.startsWith(prefix) ? value : 0)));
  return {
    fma: best("fma"),
    storage: Math.max(best("storage read"), best("storage copy")),
    dispatch: values.get("dispatch") ?? 0,
  };
}

/** What a submit costs that reads 4 bytes back: the wall time from encoding to the mapped value. */
export function submitCase(
  device: Device,
  { recorded }: Replay,
): Timed & { readonly dispose: () => void } {
  const source = storageBuffer(device, "read-back source", 4);
  const staging = device.createBuffer({
    size: 4,
    usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
  });
  return {
    name: "submit and read back",
    sample: async () => {
      const began = performance.now();
      const encoder = device.gpu.createCommandEncoder();
      encode(encoder, recorded, 0, recorded.length);
      encoder.copyBufferToBuffer(source, 0, staging, 0, 4);
      device.gpu.queue.submit([encoder.finish()]);
      await device.answer(staging.mapAsync(MAP_READ), "bench");
      staging.unmap();
      return performance.now() - began;
    },
    dispose: () => device.destroyBuffers([source, staging]),
  };
}
