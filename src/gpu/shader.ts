import { type BufferRange, BufferUsage, packUniforms } from "./buffers";
import type { Device } from "./device";
import { DeviceArray, kindOf } from "./device-array";
import { expectNames, MAX_WORKGROUPS_PER_DIMENSION, type UniformValue } from "./dispatch";
import { LimitError } from "./errors";
import type { KernelSource } from "./kernel-source";
import { encode, type Recorded } from "./record";
import { type Spread, spread, Stopwatch } from "./stopwatch";
import type { WaitOptions } from "./wait-options";
import { kernelSource, type KernelOptions } from "./wgsl-text";

/** What a shader's binding is given: an array, or a range of any buffer with usage STORAGE. */
export type Bound = DeviceArray | BufferRange;

type Named = Readonly<Record<string, Bound>>;

/** How a shader is run. */
export interface ShaderCall extends KernelOptions {
  /** What is bound, by the names of the shader's variables, or in the order of their numbers. */
  readonly bind: Named | readonly Bound[];
  /** Values of the uniform's fields by name. */
  readonly uniforms?: Readonly<Record<string, UniformValue>>;
  /** Values of overrides in place of their defaults; booleans as 0 or 1. */
  readonly overrides?: Readonly<Record<string, number>>;
  /** Workgroups in x, y and z; those left out are 1. */
  readonly grid: readonly number[];
}

/** Times of one run in milliseconds, and what they were taken with. */
export interface ShaderTime extends Spread {
  /** "timestamp": by the GPU's clock around the work; "wall": submits and their completion included. */
  readonly clock: "timestamp" | "wall";
}

/** How a shader is timed; `signal` ends it between two samples. */
export interface TimeOptions extends WaitOptions {
  /** How often, which is what progress counts; default 10. */
  readonly samples?: number;
}

/** A compiled shader with all that it binds, ready to run. Made by `prepareShader`. */
export class PreparedShader {
  readonly #uniforms: GPUBuffer | null;
  #disposed = false;

  /** Use `prepareShader`. */
  constructor(
    readonly device: Device,
    readonly kernel: KernelSource,
    /** As it is encoded, for passes of several. */
    readonly recorded: Recorded,
    uniforms: GPUBuffer | null,
  ) {
    this.#uniforms = uniforms;
  }

  /**
   * Runs it once, in the order of the calls; resolves when the GPU has finished.
   * @throws GpuError, DeviceLostError, GpuHangError.
   */
  run(): Promise<void> {
    const { gpu } = this.device;
    const encoder = gpu.createCommandEncoder({ label: this.kernel.name });
    encode(encoder, [this.recorded], 0, 1);
    gpu.queue.submit([encoder.finish()]);
    return this.device.answer(gpu.queue.onSubmittedWorkDone(), `kernel ${this.kernel.name}`);
  }

  /** Overwrites the uniform's fields, all of them. @throws Error for a missing or unknown field. */
  setUniforms(values: Readonly<Record<string, UniformValue>>): void {
    const bytes = packUniforms(this.kernel, values);
    if (this.#uniforms) this.device.gpu.queue.writeBuffer(this.#uniforms, 0, bytes);
  }

  /**
   * Times it: by timestamps where the device has them, else by wall time. A short shader runs so
   * often in a row that the clock can time it, so its outputs should bear running again.
   * @returns milliseconds of one run.
   * @throws the signal's reason; RangeError for a number of samples that cannot be; as `run`.
   */
  async time({ samples = 10, signal, onProgress }: TimeOptions = {}): Promise<ShaderTime> {
    if (!Number.isInteger(samples) || samples < 1) {
      throw new RangeError(`hyperloom: time: samples is ${samples}, must be a positive integer`);
    }
    signal?.throwIfAborted();
    const watch = new Stopwatch(this.device);
    try {
      const recorded = [this.recorded];
      // The first run warms up, and tells whether there is need to repeat.
      const first = await watch.time(recorded);
      const timed = await watch.prepare(this.kernel.name, recorded, first);
      const times: number[] = [];
      while (times.length < samples) {
        signal?.throwIfAborted();
        times.push(await timed.sample());
        onProgress?.(times.length, samples);
      }
      return { ...spread(times), clock: watch.clock };
    } finally {
      watch.dispose();
    }
  }

  /** Frees its uniform buffer; what it binds is the caller's. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#uniforms) this.device.destroyBuffers([this.#uniforms]);
  }

  /** Frees its uniform buffer, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** What is bound, in the order of the shader's bindings. */
function ranges(kernel: KernelSource, bind: ShaderCall["bind"]): BufferRange[] {
  const names = kernel.bindings.map(({ name }) => name);
  const listed = Array.isArray(bind);
  if (!listed) expectNames(kernel.name, "binding", names, Object.keys(bind));
  const given = listed ? (bind as readonly Bound[]) : names.map((n) => (bind as Named)[n] as Bound);
  if (given.length !== names.length) {
    throw new Error(
      `hyperloom: kernel ${kernel.name}: it binds ${names.length} buffers (${names.join(", ")}), ` +
        `${given.length} were given`,
    );
  }
  return given.map((b, i) => {
    const range = b instanceof DeviceArray ? b.range : b;
    if (range?.buffer && kindOf(range.buffer) !== "ArrayBuffer") return range;
    throw new TypeError(
      `hyperloom: kernel ${kernel.name}: binding ${names[i]} is ${kindOf(b)}, must be a deviceArray`,
    );
  });
}

/** @throws RangeError for numbers of workgroups that cannot be. */
function checkedGrid(name: string, grid: readonly number[]): [number, number, number] {
  const [x = 1, y = 1, z = 1] = grid ?? [];
  const most = MAX_WORKGROUPS_PER_DIMENSION;
  if (!(grid?.length <= 3) || ![x, y, z].every((n) => Number.isInteger(n) && n > 0 && n <= most)) {
    throw new RangeError(
      `hyperloom: kernel ${name}: grid is [${grid}], must be up to three integers from 1 to ${most}; ` +
        "round up, spread more over y",
    );
  }
  return [x, y, z];
}

/** @throws LimitError where the shader binds more or larger buffers than the device allows. */
function checkLimits(
  { gpu: { limits } }: Device,
  kernel: KernelSource,
  bound: readonly BufferRange[],
): void {
  const most = limits.maxStorageBuffersPerShaderStage;
  if (bound.length > most) {
    const fix = `let ${kernel.name} bind fewer buffers`;
    throw new LimitError("maxStorageBuffersPerShaderStage", bound.length, most, fix);
  }
  const bytes = limits.maxStorageBufferBindingSize;
  for (const [i, { size }] of bound.entries()) {
    if (size > bytes) {
      const fix = `bind a part of ${kernel.bindings[i]?.name} at a time`;
      throw new LimitError("maxStorageBufferBindingSize", size, bytes, fix);
    }
  }
}

/**
 * Compiles a shader of one's own and binds what it works on. Compiled once per text and overrides on
 * a device; preparing it again for other buffers is cheap.
 * @param shader WGSL text, or a `kernelSource` of one.
 * @throws Error or RangeError for names, numbers and grids that do not fit, LimitError, all before
 *   any GPU work; GpuError with line and message where the shader does not compile.
 */
export async function prepareShader(
  device: Device,
  shader: string | KernelSource,
  { bind, uniforms = {}, overrides = {}, grid, ...options }: ShaderCall,
): Promise<PreparedShader> {
  device.check("prepareShader");
  const kernel = typeof shader === "string" ? kernelSource(shader, options) : shader;
  for (const override of Object.keys(overrides)) {
    if (override in kernel.overrides) continue;
    const known = Object.keys(kernel.overrides).join(", ") || "none";
    throw new Error(
      `hyperloom: kernel ${kernel.name} has no override ${override}; it has ${known}`,
    );
  }
  const bytes = packUniforms(kernel, uniforms);
  const bound = ranges(kernel, bind);
  const workgroups = checkedGrid(kernel.name, grid);
  checkLimits(device, kernel, bound);
  const { pipeline, layout } = await device.pipelines.get(kernel, overrides);
  let buffer: GPUBuffer | null = null;
  try {
    return await device.scoped(`kernel ${kernel.name}`, () => {
      const entries: GPUBindGroupEntry[] = kernel.bindings.map(({ binding }, i) => ({
        binding,
        resource: bound[i] as BufferRange,
      }));
      if (kernel.uniforms) {
        const usage = BufferUsage.UNIFORM | BufferUsage.COPY_DST;
        buffer = device.createBuffer({ label: kernel.name, size: bytes.byteLength, usage });
        device.gpu.queue.writeBuffer(buffer, 0, bytes);
        entries.push({ binding: kernel.uniforms.binding, resource: { buffer } });
      }
      device.counts.created++;
      const bindGroup = device.gpu.createBindGroup({ label: kernel.name, layout, entries });
      const { name } = kernel;
      const recorded = {
        label: name,
        kernel: name,
        pipeline,
        bindGroup,
        grid: workgroups,
        flops: 0,
      };
      return new PreparedShader(device, kernel, recorded, buffer);
    });
  } catch (error) {
    if (buffer) device.destroyBuffers([buffer]);
    throw error;
  }
}
