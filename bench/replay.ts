import { BufferUsage, packUniforms, padded, readBack, storageBuffer } from "../src/gpu/buffers";
import type { Device } from "../src/gpu/device";
import type { Dispatch, Target } from "../src/gpu/dispatch";
import type { Recorded } from "../src/gpu/record";
import {
  type Node,
  notDifferentiable,
  type Op,
  type Operand,
  type Tensor,
} from "../src/graph/node";
import { size, type TensorType } from "../src/graph/shape";
import type { HostArray } from "../src/ops/sources";
import type { Storage } from "../src/schedule/places";
import { type Plan, plan } from "../src/schedule/plan";
import { hostArray } from "../src/schedule/variables";

/** An op without a gradient made of a shader of the bench's own, so that it is planned like others. */
export function shaderOp(
  name: string,
  result: TensorType,
  dispatches: (node: Node<null>, target: Target) => readonly Dispatch<Operand>[],
): Op<null> {
  return {
    name,
    shape: () => [result],
    dispatch: dispatches,
    gradient: notDifferentiable("it exists to be timed"),
  };
}

/** The planned dispatches of a graph on buffers of their own, to be encoded as often as one likes. */
export interface Replay {
  readonly recorded: readonly Recorded[];
  /** The present values of an output. */
  readonly read: (output: Tensor) => Promise<HostArray>;
  /** Frees the buffers. */
  readonly dispose: () => void;
}

// Where a uniform may begin in its buffer, bytes.
const ALIGNMENT = 256;
const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * Plans `outputs` for `target`, by default that of the device, as `compile` does, and records the
 * dispatches. An executable uploads and reads back with every run; this one runs kernels and nothing
 * else.
 * @param inputs Values of placeholders, asked for once the plan fits the device; those left out are zero.
 * @throws LimitError.
 */
export async function replay(
  device: Device,
  outputs: readonly Tensor[],
  inputs: () => Readonly<Record<string, HostArray>>,
  target = device.target,
): Promise<Replay> {
  const planned = plan(outputs, target);
  const { dispatches } = planned;
  const compiled = await Promise.all(
    dispatches.map(({ dispatch: d }) => device.pipelines.get(d.kernel, d.overrides)),
  );
  const buffers = allocate(device, planned, inputs());
  const uniforms: GPUBuffer[] = [];
  const range = (operand: Operand) => {
    const place = planned.places.get(operand);
    const buffer = place && buffers.get(place.storage);
    if (!buffer) throw new Error("internal: an operand has no buffer");
    const elements = "scratch" in operand ? operand.elements : size(operand.shape);
    return { buffer, offset: 4 * place.offset, size: padded(4 * elements) };
  };
  const recorded = dispatches.map(({ label, dispatch: d }, i): Recorded => {
    const { pipeline, layout } = compiled[i] as (typeof compiled)[number];
    const entries: GPUBindGroupEntry[] = d.kernel.bindings.map(({ name, binding }) => ({
      binding,
      resource: range(d.bind[name] as Operand),
    }));
    if (d.kernel.uniforms) {
      const bytes = packUniforms(d.kernel, d.uniforms);
      const usage = BufferUsage.UNIFORM | BufferUsage.COPY_DST;
      const buffer = device.createBuffer({ label, size: aligned(bytes.byteLength), usage });
      uniforms.push(buffer);
      device.gpu.queue.writeBuffer(buffer, 0, bytes);
      const resource = { buffer, offset: 0, size: bytes.byteLength };
      entries.push({ binding: d.kernel.uniforms.binding, resource });
    }
    const bindGroup = device.gpu.createBindGroup({ label, layout, entries });
    return { label, kernel: d.kernel.name, pipeline, bindGroup, grid: d.grid, flops: d.flops };
  });
  return {
    recorded,
    read: async (output) => {
      const [bytes] = await readBack(device, [{ ...range(output), size: 4 * size(output.shape) }]);
      return hostArray(output.dtype, bytes as ArrayBuffer);
    },
    dispose: () => device.destroyBuffers([...new Set([...buffers.values(), ...uniforms])]),
  };
}

/** Buffers of a plan: slots full of NaN, so that what a kernel leaves unwritten shows; inputs. */
function allocate(device: Device, planned: Plan, inputs: Readonly<Record<string, HostArray>>) {
  const buffers = new Map<Storage, GPUBuffer>();
  const make = (label: string, bytes: number, data?: HostArray): GPUBuffer => {
    const buffer = storageBuffer(device, label, bytes);
    if (data) device.gpu.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
    return buffer;
  };
  for (const { bytes, storages } of planned.slots) {
    const slab = storages.some((s) => s.dedicated);
    const nan = slab ? undefined : new Float32Array(bytes / 4).fill(Number.NaN);
    const buffer = make("slot", bytes, nan);
    for (const s of storages) buffers.set(s, buffer);
  }
  for (const s of planned.storages) {
    if (s.kind === "constant") buffers.set(s, make("constant", s.bytes, s.data));
    if (s.kind === "placeholder") {
      const name = s.placeholder ?? "";
      buffers.set(s, make(name, s.bytes, inputs[name]));
    }
  }
  return buffers;
}
