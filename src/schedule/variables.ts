import { readBack, storageBuffer } from "../gpu/buffers";
import type { Device } from "../gpu/device";
import { type DType, size } from "../graph/shape";
import { expectData, type HostArray, type Variable } from "../ops/sources";

/** The array type of a dtype, over bytes. */
export function hostArray(dtype: DType, bytes: ArrayBuffer): HostArray {
  if (dtype === "f32") return new Float32Array(bytes);
  return dtype === "i32" ? new Int32Array(bytes) : new Uint32Array(bytes);
}

/**
 * What lives on a device between runs: parameters, optimiser moments, running statistics, and the
 * number of steps taken. Executables that share a store see each other's updates.
 */
export class Variables {
  /** Steps taken so far; schedules and the random numbers of a step follow from it. */
  step = 0;
  readonly #buffers = new Map<Variable, GPUBuffer>();
  /** Values of variables that have no buffer yet: initial ones, or written. */
  readonly #ready = new Map<Variable, HostArray>();

  constructor(
    readonly device: Device,
    /** Initial values and all random numbers of the steps follow from it. */
    readonly seed: number = 0,
  ) {}

  /** The variables that have been used or written so far. */
  get all(): Variable[] {
    return [...new Set([...this.#buffers.keys(), ...this.#ready.keys()])];
  }

  /** Works out initial values ahead of their use; nothing is allocated on the device. */
  prepare(variables: Iterable<Variable>): void {
    for (const variable of variables) {
      if (this.#buffers.has(variable) || this.#ready.has(variable)) continue;
      this.#ready.set(variable, variable.initial(this.seed));
    }
  }

  /** The buffer of a variable, made and filled with its initial values at first use. */
  buffer(variable: Variable): GPUBuffer {
    let buffer = this.#buffers.get(variable);
    if (!buffer) {
      buffer = storageBuffer(this.device, variable.name, 4 * size(variable.shape));
      this.#buffers.set(variable, buffer);
      this.write(variable, this.#ready.get(variable) ?? variable.initial(this.seed));
      this.#ready.delete(variable);
    }
    return buffer;
  }

  /**
   * Overwrites a variable. What is written before its first use takes the place of its initial
   * values, which are then never worked out: so a model is loaded before it is compiled.
   * @throws ShapeError for another number of values or type of array.
   */
  write(variable: Variable, data: HostArray): void {
    expectData("write", variable.name, data, variable);
    const buffer = this.#buffers.get(variable);
    if (buffer) this.device.gpu.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
    else this.#ready.set(variable, data.slice());
  }

  /** The present values of variables, in one read-back. @throws DeviceLostError. */
  async read(variables: readonly Variable[]): Promise<HostArray[]> {
    const ranges = variables.map((v) => ({
      buffer: this.buffer(v),
      offset: 0,
      size: 4 * size(v.shape),
    }));
    const bytes = await readBack(this.device, ranges);
    return variables.map((v, i) => hostArray(v.dtype, bytes[i] as ArrayBuffer));
  }

  /** Frees the buffers. */
  dispose(): void {
    this.device.destroyBuffers(this.#buffers.values());
    this.#buffers.clear();
    this.#ready.clear();
  }
}
