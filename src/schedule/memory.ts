import { BufferUsage, type BufferRange, packUniforms, padded, storageBuffer } from "../gpu/buffers";
import type { Device } from "../gpu/device";
import type { Pipeline } from "../gpu/pipelines";
import type { Recorded } from "../gpu/record";
import type { Operand, Tensor } from "../graph/node";
import { remembered } from "../graph/remembered";
import { size } from "../graph/shape";
import type { HostArray } from "../ops/sources";
import { type Iterations, offsetAt, type Place, type Storage } from "./places";
import { type Plan, replay } from "./plan";
import type { Variables } from "./variables";

// WebGPU's alignment of uniform and storage offsets.
const ALIGNMENT = 256;
const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

// TypeScript's view of a typed array over an ArrayBuffer, which writeBuffer asks for.
type Bytes = Float32Array<ArrayBuffer>;

const NOWHERE: Iterations = new Map();

/** The buffers of one plan on one device, and where in them each value lies. */
export class Memory {
  readonly #device: Device;
  readonly #plan: Plan;
  readonly #buffers = new Map<Storage, GPUBuffer>();
  readonly #owned: GPUBuffer[] = [];
  // Feeds lie in one buffer and arrive by one write: where each begins, in bytes.
  readonly #feedOffsets = new Map<Storage, number>();
  #feeds: { buffer: GPUBuffer; bytes: Uint8Array<ArrayBuffer> } | null = null;

  /**
   * Allocates everything that the plan asks for.
   * @param feeds the inputs that the executable fills itself at each step
   */
  constructor(device: Device, plan: Plan, variables: Variables, feeds: readonly Tensor[]) {
    this.#device = device;
    this.#plan = plan;
    try {
      this.#allocate(variables, feeds);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  #allocate(variables: Variables, feeds: readonly Tensor[]): void {
    const plan = this.#plan;
    for (const [k, slot] of plan.slots.entries()) {
      const buffer = this.#own(`slot ${k}`, slot.bytes);
      for (const s of slot.storages) this.#buffers.set(s, buffer);
    }
    let total = 0;
    for (const tensor of feeds) {
      const { storage } = this.#place(tensor);
      this.#feedOffsets.set(storage, total);
      total += aligned(storage.bytes);
    }
    if (total > 0) {
      const buffer = this.#own("feeds", total);
      for (const s of this.#feedOffsets.keys()) this.#buffers.set(s, buffer);
      this.#feeds = { buffer, bytes: new Uint8Array(total) };
    }
    for (const s of plan.storages) {
      if (s.variable) this.#buffers.set(s, variables.buffer(s.variable));
      if (this.#buffers.has(s) || s.kind === "slot") continue;
      const buffer = this.#own(s.placeholder ?? "constant", s.bytes);
      this.#buffers.set(s, buffer);
      const data = s.fill === undefined ? s.data : new Float32Array(s.bytes / 4).fill(s.fill);
      if (data) this.#device.gpu.queue.writeBuffer(buffer, 0, data as Bytes);
    }
  }

  /** Whether the plan uses a value at all. */
  has(operand: Operand): boolean {
    const place = this.#plan.places.get(operand);
    return place !== undefined && this.#buffers.has(place.storage);
  }

  /** Where a value lies, in bytes, at some iterations of the loops; `size` is the value's own. */
  range(operand: Operand, at: Iterations = NOWHERE): BufferRange {
    const place = this.#place(operand);
    const elements = "scratch" in operand ? operand.elements : size(operand.shape);
    return {
      buffer: this.#buffers.get(place.storage) as GPUBuffer,
      offset: 4 * offsetAt(place, at) + (this.#feedOffsets.get(place.storage) ?? 0),
      size: 4 * elements,
    };
  }

  /**
   * All dispatches in the order of a run, loops unrolled, each with its bind group; one that moves
   * with no loop has one for all iterations. All their uniforms lie in one buffer, written here.
   */
  bind(pipelines: readonly Pipeline[]): Recorded[] {
    let total = 0;
    const packed = this.#plan.dispatches.map(({ dispatch: d }) => {
      const bytes = new Uint8Array(packUniforms(d.kernel, d.uniforms));
      const offset = total;
      total += aligned(bytes.length);
      return { bytes, offset };
    });
    const uniforms = total > 0 ? this.#uniforms(total, packed) : null;
    const groups = this.#plan.dispatches.map(() => new Map<string, Recorded>());
    const recorded: Recorded[] = [];
    replay(this.#plan.dispatches, (i, at) => {
      const { label, dispatch } = this.#plan.dispatches[i] as Plan["dispatches"][number];
      const { kernel, bind, grid, flops } = dispatch;
      const ranges = kernel.bindings.map(({ name }) => this.range(bind[name] as Operand, at));
      const known = groups[i] as Map<string, Recorded>;
      const key = ranges.map(({ offset }) => offset).join();
      const made = remembered(known, key, () => {
        const { pipeline, layout } = pipelines[i] as Pipeline;
        const entries: GPUBindGroupEntry[] = kernel.bindings.map(({ binding }, k) => {
          const range = ranges[k] as BufferRange;
          return { binding, resource: { ...range, size: padded(range.size) } };
        });
        if (kernel.uniforms && uniforms) {
          const { bytes, offset } = packed[i] as (typeof packed)[number];
          const resource = { buffer: uniforms, offset, size: bytes.length };
          entries.push({ binding: kernel.uniforms.binding, resource });
        }
        this.#device.counts.created++;
        const bindGroup = this.#device.gpu.createBindGroup({ label, layout, entries });
        return { label, kernel: kernel.name, pipeline, bindGroup, grid, flops };
      });
      recorded.push(made);
    });
    return recorded;
  }

  /** Writes an input, if the plan uses it. */
  write(tensor: Tensor, data: HostArray): void {
    if (!this.has(tensor)) return;
    const { buffer, offset } = this.range(tensor);
    this.#device.gpu.queue.writeBuffer(buffer, offset, data as Bytes);
  }

  /** Writes all feeds at once. */
  feed(values: ReadonlyMap<Tensor, HostArray>): void {
    if (!this.#feeds) return;
    const { buffer, bytes } = this.#feeds;
    for (const [tensor, data] of values) {
      const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      bytes.set(view, this.range(tensor).offset);
    }
    this.#device.gpu.queue.writeBuffer(buffer, 0, bytes);
  }

  /** NaN into every planned byte that a kernel is due to write; slab padding stays zero. */
  poison(): void {
    for (const [operand, { storage }] of this.#plan.places) {
      const isSlab = "node" in operand && operand.node.op.alias !== undefined;
      if (storage.kind !== "slot" || !this.has(operand) || (storage.dedicated && isSlab)) continue;
      const range = this.range(operand);
      const bytes = storage.dedicated ? range.size : storage.bytes;
      const nan = new Uint32Array(bytes / 4).fill(0x7fc00000);
      const offset = storage.dedicated ? range.offset : 0;
      this.#device.gpu.queue.writeBuffer(range.buffer, offset, nan);
    }
  }

  /** Frees everything that was allocated here; variables belong to their store. */
  dispose(): void {
    this.#device.destroyBuffers(this.#owned);
    this.#owned.length = 0;
  }

  #own(label: string, bytes: number): GPUBuffer {
    const buffer = storageBuffer(this.#device, label, bytes);
    this.#owned.push(buffer);
    return buffer;
  }

  #uniforms(size: number, packed: readonly { bytes: Uint8Array; offset: number }[]): GPUBuffer {
    const buffer = this.#device.createBuffer({
      label: "uniforms",
      size,
      usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST,
    });
    this.#owned.push(buffer);
    const all = new Uint8Array(size);
    for (const { bytes, offset } of packed) all.set(bytes, offset);
    this.#device.gpu.queue.writeBuffer(buffer, 0, all);
    return buffer;
  }

  #place(operand: Operand): Place {
    const place = this.#plan.places.get(operand);
    if (!place) throw new Error("internal: an operand has no place");
    return place;
  }
}
