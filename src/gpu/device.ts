import {
  type AdapterDescription,
  type AdapterOptions,
  describe,
  findAdapter,
  nameOfAdapter,
  requiredLimits,
  tuningWarning,
} from "./adapter";
import type { Target, Variant } from "./dispatch";
import { dozeUntil } from "./doze";
import { DeviceLostError, GpuError, GpuHangError, LimitError, NoDeviceError } from "./errors";
import { PipelineCache } from "./pipelines";

export type { AdapterDescription } from "./adapter";

/** How a device is asked for. */
export interface DeviceOptions extends AdapterOptions {
  /** Validation scope around every dispatch, so that errors name the op; slow. */
  readonly debug?: boolean;
  /** Most bytes of buffers alive at one time; default 4 GiB. Out-of-memory errors come too late. */
  readonly maxBytes?: number;
  /**
   * Seconds that the GPU may take for one submit, planned for half a second, before its run rejects
   * with GpuHangError; default 120, Infinity for never.
   */
  readonly deadline?: number;
  /** Kernels that the ops shall take in place of their tables' choice; the first that fits counts. */
  readonly variants?: readonly Variant[];
}

/** What exists on a device, and what was ever made on it by the library. */
export interface DeviceCounts {
  /** Buffers alive and their bytes. */
  buffers: number;
  bytes: number;
  /** Buffers, bind groups, pipelines and shader modules made so far. */
  created: number;
}

const DEFAULT_MAX_BYTES = 4 * 2 ** 30;
const DEFAULT_DEADLINE = 120;

/** What ran lately, for errors that come without a word of whose they are. */
export interface Running {
  readonly name: string;
  /** Of its bind groups and pipelines, as messages quote them. */
  readonly labels: ReadonlySet<string>;
}

// Programs that errors may still come from.
const REMEMBERED = 4;
// Reads on a lost device fail before the device says that it is lost.
const LOSS_MS = 500;

/**
 * A GPUDevice with what the library keeps beside it: pipelines, the adapter's class, the one
 * `lost` flag that is looked at after every await, and the first uncaptured error.
 */
export class Device {
  readonly pipelines: PipelineCache;
  readonly target: Target;
  readonly counts: DeviceCounts = { buffers: 0, bytes: 0, created: 0 };
  #lost: string | null = null;
  #error: GpuError | null = null;
  #hang: GpuHangError | null = null;
  #ran: readonly Running[] = [];
  /** Submits that an answer is waited for. */
  #awaited = 0;
  readonly #onError: (event: GPUUncapturedErrorEvent) => void;

  /** Use `requestDevice` or `useDevice`. */
  constructor(
    readonly gpu: GPUDevice,
    readonly adapter: AdapterDescription,
    /** False for a device that was handed in: it is never destroyed here. */
    readonly owned: boolean,
    readonly debug: boolean,
    /** Most bytes of buffers that may be alive at one time. */
    readonly maxBytes: number = DEFAULT_MAX_BYTES,
    variants: readonly Variant[] = [],
    /** Seconds that a submit may take. */
    readonly deadline: number = DEFAULT_DEADLINE,
  ) {
    if (!(deadline > 0)) {
      throw new RangeError(`hyperloom: deadline is ${deadline} s, must be positive`);
    }
    this.pipelines = new PipelineCache(this);
    this.target = {
      adapter: adapter.software ? "software" : "gpu",
      limits: gpu.limits,
      features: new Set(gpu.features),
      variants,
    };
    gpu.lost.then(
      (info) => {
        this.#lost = `${info.reason}: ${info.message}`;
      },
      () => {
        this.#lost = "unknown";
      },
    );
    this.#onError = (event) => {
      this.#error ??= toGpuError(event.error, this.#culprit(event.error.message));
    };
    gpu.addEventListener("uncapturederror", this.#onError);
  }

  /** Whether the device is gone. */
  get lost(): boolean {
    return this.#lost !== null;
  }

  /**
   * Makes a buffer, counted, within the byte budget; all of the library's buffers come from here.
   * @throws LimitError before anything is allocated.
   */
  createBuffer(descriptor: GPUBufferDescriptor): GPUBuffer {
    const needed = this.counts.bytes + descriptor.size;
    if (needed > this.maxBytes) {
      const fix = "dispose of what is not used, or raise maxBytes";
      throw new LimitError("byte budget (maxBytes)", needed, this.maxBytes, fix);
    }
    const buffer = this.gpu.createBuffer(descriptor);
    this.counts.buffers++;
    this.counts.created++;
    this.counts.bytes += descriptor.size;
    return buffer;
  }

  /**
   * Frees buffers made by `createBuffer`; runtimes give the memory back at the next submit. Those of
   * a device that hangs are given up untouched.
   */
  destroyBuffers(buffers: Iterable<GPUBuffer>): void {
    for (const buffer of buffers) {
      this.counts.buffers--;
      this.counts.bytes -= buffer.size;
      if (!this.#hang) buffer.destroy();
    }
    if (!this.lost && !this.#hang) this.gpu.queue.submit([]);
  }

  /** Remembers what is submitted, so that errors that come later can name it. */
  running(program: Running): void {
    if (this.#ran[0] === program) return;
    this.#ran = [program, ...this.#ran.filter((p) => p !== program)].slice(0, REMEMBERED);
  }

  /** What ran when an error came about: of the last programs the one whose label it quotes. */
  #culprit(message: string): string {
    for (const { name, labels } of this.#ran) {
      const label = [...labels].find((l) => message.includes(`"${l}"`));
      if (label !== undefined) return `${name}, ${label}`;
    }
    return this.#ran[0]?.name ?? "work outside of any program";
  }

  /**
   * Waits for an answer of the GPU to `submits` submits, as long as they and those waited for
   * already may take. `during` names the work.
   * @throws GpuHangError after the deadline, DeviceLostError, GpuError, or what `work` rejects with.
   */
  async answer<T>(work: Promise<T>, during: string, submits = 1): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    if (this.adapter.software) dozeUntil(work);
    this.#awaited += submits;
    const seconds = this.deadline * this.#awaited;
    const late = new Promise<never>((_, reject) => {
      // Timers hold 31 bits of milliseconds; beyond that is never.
      if (1000 * seconds >= 2 ** 31) return;
      timer = setTimeout(() => {
        const hang = new GpuHangError(during, seconds);
        this.#hang ??= hang;
        // It may have been slow alone.
        const over = (): void => {
          this.#hang = null;
        };
        work.then(over, over);
        reject(hang);
      }, 1000 * seconds);
    });
    try {
      const value = await Promise.race([work, late]);
      this.check(during);
      return value;
    } catch (error) {
      if (error instanceof GpuHangError) throw error;
      await this.#loss();
      this.check(during);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#awaited -= submits;
    }
  }

  /** Waits until a loss, if that is what made something fail, is known. */
  async #loss(): Promise<void> {
    if (this.lost) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LOSS_MS);
    });
    await Promise.race([this.gpu.lost, enough]);
    clearTimeout(timer);
  }

  /**
   * Looks at the lost flag and at uncaptured errors; runtimes report success on a lost device, so
   * this follows every await. @throws DeviceLostError, GpuHangError, GpuError.
   */
  check(during: string): void {
    if (this.#lost !== null) throw new DeviceLostError(this.#lost, during);
    if (this.#hang !== null) throw this.#hang;
    if (this.#error !== null) {
      const error = this.#error;
      this.#error = null;
      throw error;
    }
  }

  /**
   * Runs `work` inside validation and out-of-memory scopes and awaits what it returns. The scopes
   * close before anything is awaited: they are one stack for everybody on the device.
   * @throws GpuError naming `op`, DeviceLostError.
   */
  async scoped<T>(op: string, work: () => T | Promise<T>): Promise<T> {
    this.gpu.pushErrorScope("out-of-memory");
    this.gpu.pushErrorScope("validation");
    let outcome: { readonly value: T | Promise<T> } | { readonly failure: unknown };
    try {
      outcome = { value: work() };
    } catch (failure) {
      outcome = { failure };
    }
    // Looked after from here on: it may reject while the scopes are awaited.
    const settled = "value" in outcome ? settle(outcome.value) : outcome;
    if (this.adapter.software) dozeUntil(Promise.resolve(settled));
    // A dying GPU process rejects the pop; the lost flag then tells the story.
    const scopes = [this.gpu.popErrorScope(), this.gpu.popErrorScope()];
    const errors = await Promise.all(scopes.map((scope) => scope.catch(() => null)));
    const value = await settled;
    this.check(op);
    for (const error of errors) if (error) throw toGpuError(error, op);
    if ("failure" in value) throw named(value.failure, op);
    return value.value;
  }

  /** Drops pipelines and listeners; destroys the GPUDevice if it was made here and does not hang. */
  dispose(): void {
    this.gpu.removeEventListener("uncapturederror", this.#onError);
    this.pipelines.clear();
    if (this.owned && this.#lost === null && !this.#hang) this.gpu.destroy();
  }
}

function toGpuError(error: GPUError, op: string): GpuError {
  const kind = error.constructor.name;
  if (kind === "GPUOutOfMemoryError") return new GpuError(op, "out-of-memory", error.message);
  return new GpuError(op, kind === "GPUInternalError" ? "internal" : "validation", error.message);
}

/** Waits for a value without throwing. */
async function settle<T>(value: T | Promise<T>): Promise<{ value: T } | { failure: unknown }> {
  try {
    return { value: await value };
  } catch (failure) {
    return { failure };
  }
}

/** A pipeline that does not compile rejects without a word of whose it is. */
function named(failure: unknown, op: string): unknown {
  const pipeline = failure instanceof Error && failure.name === "GPUPipelineError";
  return pipeline ? new GpuError(op, "validation", failure.message) : failure;
}

/**
 * Finds an adapter and opens a device with the adapter's own buffer-size limits. In Node without
 * `gpu` it takes the npm package webgpu.
 * @throws NoDeviceError with the step to take in this browser or runtime where there is none.
 */
export async function requestDevice(options: DeviceOptions = {}): Promise<Device> {
  const { adapter, description } = await findAdapter(options);
  const features: GPUFeatureName[] = ["timestamp-query", "subgroups", "shader-f16"];
  const descriptor = {
    label: "hyperloom",
    requiredFeatures: features.filter((f) => adapter.features.has(f)),
    requiredLimits: requiredLimits(adapter, description, options),
  };
  const gpu = await adapter.requestDevice(descriptor).catch((error: Error) => {
    const name = nameOfAdapter(description);
    throw new NoDeviceError("no-adapter", `the adapter ${name} gives no device: ${error.message}`);
  });
  return opened(gpu, description, true, options);
}

/** The options that a device made elsewhere takes as well. */
export type UseDeviceOptions = Pick<
  DeviceOptions,
  "debug" | "maxBytes" | "variants" | "deadline" | "onWarning"
>;

function opened(
  gpu: GPUDevice,
  adapter: AdapterDescription,
  owned: boolean,
  { debug = false, maxBytes, variants = [], deadline, onWarning }: UseDeviceOptions,
): Device {
  const warnings = variants.map(({ tunedOn }) => tunedOn && tuningWarning(tunedOn, adapter));
  for (const warning of new Set(warnings)) if (warning) onWarning?.(warning);
  return new Device(gpu, adapter, owned, debug, maxBytes, variants, deadline);
}

/** Works on a GPUDevice that somebody else made; it is never destroyed here. */
export function useDevice(gpu: GPUDevice, options: UseDeviceOptions = {}): Device {
  const info = gpu.adapterInfo as GPUAdapterInfo | undefined;
  const unknown = { vendor: "", architecture: "", device: "", description: "", software: false };
  return opened(gpu, info ? describe(info) : unknown, false, options);
}
