import { BufferUsage, type BufferRange, MAP_READ, padded } from "../gpu/buffers";
import type { Device, Running } from "../gpu/device";
import type { Target } from "../gpu/dispatch";
import { DisposedError } from "../gpu/errors";
import type { Pipeline } from "../gpu/pipelines";
import { encode, type Profile, profile, type Recorded } from "../gpu/record";
import type { WaitOptions } from "../gpu/wait-options";
import type { Tensor } from "../graph/node";
import { ShapeError, show } from "../graph/shape";
import { expectData, type HostArray, type Variable, variableOp } from "../ops/sources";
import { compileKernels } from "./kernels";
import { Memory } from "./memory";
import { copy } from "./places";
import { type Plan, plan } from "./plan";
import { hostArray, Variables } from "./variables";

/** A computation as graph: what comes in, what goes out, what it leaves behind. */
export interface Program {
  /** For errors; default "program". */
  readonly name?: string;
  /** Given by name at every run. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Read back after every run. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** New values of variables. */
  readonly updates?: ReadonlyMap<Variable, Tensor>;
  /** Whether a run counts as a step of the variables; default: where there are updates. */
  readonly advances?: boolean;
  /** Inputs that follow from the step number (learning rate, random key, …): t = 1, 2, … */
  readonly feeds?: readonly {
    readonly tensor: Tensor;
    /** The input's values at step t. */
    readonly values: (t: number, seed: number) => HostArray;
  }[];
}

/** How a program is compiled; progress counts its kernels. */
export interface CompileOptions extends WaitOptions {
  /** The store to work on; by default a new one, freed with the executable. */
  readonly variables?: Variables;
  /** Of the new store: initial values and random numbers follow from it; default 0. */
  readonly seed?: number;
  /** Fill all working memory with NaN before every run, so that unwritten elements show. */
  readonly poison?: boolean;
}

/** Counters of an executable; the execution contract is stated in these numbers. */
export interface ExecutableStats {
  /** Per run. */
  readonly dispatches: number;
  readonly passes: number;
  readonly submits: number;
  /** Allocated by the plan; largest amount in use at one time within a run. */
  readonly bytesPlanned: number;
  readonly bytesPeak: number;
  /** GPU objects made on the device since this executable was compiled: 0 in a steady state. */
  readonly createdSinceCompile: number;
  readonly runs: number;
}

/** Results of a run by output name. */
export type Outputs = Readonly<Record<string, HostArray>>;

interface Staging {
  readonly buffer: GPUBuffer;
  pending: Promise<unknown>;
}

interface Copy {
  readonly from: BufferRange;
  readonly to: GPUBuffer;
  readonly toOffset: number;
}

// Runs in flight before the caller has to wait for a result.
const STAGING_BUFFERS = 3;

/** A program with its plan, and with what its updates take of other variables copied first. */
export function planProgram(program: Program, target: Target): { staged: Program; planned: Plan } {
  const updates = new Map<Variable, Tensor>();
  for (const [variable, value] of program.updates ?? []) {
    // Updates are copied one after another: the value of another variable is taken before that.
    const { op, attrs } = viewed(value).node;
    const other = op === variableOp && attrs !== variable;
    updates.set(variable, other ? copy(value) : value);
  }
  const planned = plan([...Object.values(program.outputs), ...updates.values()], target);
  return { staged: { ...program, updates }, planned };
}

/**
 * Plans a program, allocates what it needs and compiles its kernels.
 * @throws LimitError before anything is allocated, GpuError naming a kernel that does not compile,
 *   the signal's reason with nothing allocated.
 */
export async function compile(
  device: Device,
  program: Program,
  options: CompileOptions = {},
): Promise<Executable> {
  device.check("compile");
  options.signal?.throwIfAborted();
  const { staged, planned } = planProgram(program, device.target);
  const variables = options.variables ?? new Variables(device, options.seed);
  // The runtime compiles elsewhere, once this task has ended: initial values are made meanwhile.
  const [pipelines] = await Promise.all([
    compileKernels(device, planned.dispatches, options),
    new Promise((resolve) => setTimeout(resolve)).then(() => {
      if (options.signal?.aborted) return;
      variables.prepare(planned.storages.flatMap(({ variable }) => variable ?? []));
    }),
  ]);
  let executable: Executable | undefined;
  try {
    return await device.scoped("compile", () => {
      executable = new Executable(device, staged, planned, pipelines, variables, options);
      return executable;
    });
  } catch (error) {
    executable?.dispose();
    if (!options.variables) variables.dispose();
    throw error;
  }
}

function disposedDuringRun(): DisposedError {
  return new DisposedError("hyperloom: this executable was disposed during a run");
}

/** The value of which another is a reshape or a range. */
function viewed(value: Tensor): Tensor {
  let x = value;
  while (x.node.op.alias === "reshape" || x.node.op.alias === "unpack") {
    x = x.node.inputs[0] as Tensor;
  }
  return x;
}

/** A planned step on a device, replayed by `run`. Made by `compile`. */
export class Executable {
  readonly #ownsVariables: boolean;
  readonly #memory: Memory;
  readonly #feeds: NonNullable<Program["feeds"]>;
  readonly #recorded: readonly Recorded[];
  readonly #updates: readonly Copy[];
  readonly #results: readonly Copy[];
  readonly #staging: Staging[] = [];
  readonly #createdAtCompile: number;
  /** What errors of the device call it. */
  readonly #running: Running;
  #runs = 0;
  #next = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** Use `compile`. */
  constructor(
    readonly device: Device,
    readonly program: Program,
    readonly plan: Plan,
    pipelines: readonly Pipeline[],
    readonly variables: Variables,
    private readonly options: CompileOptions,
  ) {
    this.#ownsVariables = options.variables === undefined;
    // Not every program uses every number that its steps could have.
    this.#feeds = (program.feeds ?? []).filter(({ tensor }) => plan.places.has(tensor));
    const feeds = this.#feeds.map(({ tensor }) => tensor);
    this.#memory = new Memory(device, plan, variables, feeds);
    try {
      this.#recorded = this.#memory.bind(pipelines);
      this.#updates = this.#planUpdates();
      this.#results = this.#planResults();
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.#createdAtCompile = device.counts.created;
    const labels = this.#recorded.flatMap(({ label, kernel }) => [label, kernel]);
    this.#running = { name: program.name ?? "program", labels: new Set(labels) };
  }

  get stats(): ExecutableStats {
    const submits = this.plan.cuts.length;
    return {
      dispatches: this.#recorded.length,
      passes: submits,
      submits,
      bytesPlanned: this.plan.bytes,
      bytesPeak: this.plan.peakBytes,
      createdSinceCompile: this.device.counts.created - this.#createdAtCompile,
      runs: this.#runs,
    };
  }

  /**
   * One run; resolves when the outputs have arrived. Several may be in flight: they are submitted
   * in the order of the calls. The arrays given are read when the run is submitted, so leave them
   * alone until it resolves.
   * @throws ShapeError for missing, unknown or wrongly sized inputs, before any GPU work;
   * DeviceLostError, GpuHangError, GpuError.
   */
  run(inputs: Readonly<Record<string, HostArray>> = {}): Promise<Outputs> {
    try {
      this.#checkInputs(inputs);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    // The next run waits until this one is submitted, not until it is finished.
    return this.#inTurn(() => this.#start(inputs)).then((result) => result());
  }

  /**
   * One run, each dispatch timed by itself; slower than `run`. Progress counts dispatches, after each
   * submit that `run` would make. A signal that comes in the midst ends the timing, not the run, which
   * is a whole step of the variables.
   * @throws the signal's reason; as `run`.
   */
  profile(
    inputs: Readonly<Record<string, HostArray>> = {},
    { onProgress, signal }: WaitOptions = {},
  ): Promise<Profile[]> {
    return this.#inTurn(async () => {
      signal?.throwIfAborted();
      this.#checkInputs(inputs);
      this.device.running(this.#running);
      this.#upload(inputs);
      const { cuts } = this.plan;
      const times: Profile[] = [];
      for (const [k, to] of cuts.entries()) {
        if (signal?.aborted) this.#submit(undefined, k);
        signal?.throwIfAborted();
        const timed = await profile(this.device, this.#recorded.slice(cuts[k - 1] ?? 0, to));
        times.push(...timed);
        onProgress?.(to, this.#recorded.length);
      }
      this.#finish();
      return times;
    });
  }

  /** Starts work when all that was asked for before has been submitted. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /** Frees all buffers, and the variables if they were made here. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#memory.dispose();
    this.device.destroyBuffers(this.#staging.map((s) => s.buffer));
    if (this.#ownsVariables) this.variables.dispose();
  }

  /** Frees all, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** New values that were not computed where their variables live. */
  #planUpdates(): Copy[] {
    return [...(this.program.updates ?? [])]
      .filter(([variable, value]) => this.plan.places.get(value)?.storage.variable !== variable)
      .map(([variable, value]) => ({
        from: this.#memory.range(value),
        to: this.variables.buffer(variable),
        toOffset: 0,
      }));
  }

  /** Outputs into a staging buffer; a ring of these lets runs overlap with reading back. */
  #planResults(): Copy[] {
    const outputs = Object.values(this.program.outputs).map((y) => this.#memory.range(y));
    let total = 0;
    const offsets = outputs.map(({ size }) => {
      const at = total;
      total += padded(size);
      return at;
    });
    if (total === 0) return [];
    for (let i = 0; i < STAGING_BUFFERS; i++) {
      const usage = BufferUsage.MAP_READ | BufferUsage.COPY_DST;
      const buffer = this.device.createBuffer({ label: `staging ${i}`, size: total, usage });
      this.#staging.push({ buffer, pending: Promise.resolve() });
    }
    const to = this.#staging[0]?.buffer as GPUBuffer;
    return outputs.map((from, k) => ({ from, to, toOffset: offsets[k] ?? 0 }));
  }

  #checkInputs(inputs: Readonly<Record<string, HostArray>>): void {
    if (this.#disposed)
      throw new DisposedError("hyperloom: this executable was disposed; compile it again");
    this.device.check("run");
    const wanted = this.program.inputs;
    for (const name of Object.keys(inputs)) {
      if (!wanted[name]) {
        throw new ShapeError(
          `hyperloom: run: no input ${name}; the program takes ${Object.keys(wanted).join(", ") || "none"}`,
        );
      }
    }
    for (const [name, { shape, dtype }] of Object.entries(wanted)) {
      const data = inputs[name];
      if (!data)
        throw new ShapeError(`hyperloom: run: input ${name} (${dtype} ${show(shape)}) is missing`);
      expectData("run", `input ${name}`, data, { shape, dtype });
    }
  }

  #upload(inputs: Readonly<Record<string, HostArray>>): void {
    for (const [name, tensor] of Object.entries(this.program.inputs)) {
      this.#memory.write(tensor, inputs[name] as HostArray);
    }
    const { step, seed } = this.variables;
    this.#memory.feed(
      new Map(this.#feeds.map(({ tensor, values }) => [tensor, values(step + 1, seed)])),
    );
    if (this.options.poison) this.#memory.poison();
  }

  /** Copies new values of variables to where they live, and counts the step. */
  #finish(staging?: GPUBuffer): void {
    const { gpu } = this.device;
    const encoder = gpu.createCommandEncoder();
    this.#encodeCopies(encoder, staging);
    gpu.queue.submit([encoder.finish()]);
    this.#advance();
  }

  #advance(): void {
    this.#runs++;
    const { updates, advances = (updates?.size ?? 0) > 0 } = this.program;
    if (advances) this.variables.step++;
  }

  #encodeCopies(encoder: GPUCommandEncoder, staging?: GPUBuffer): void {
    for (const { from, to, toOffset } of this.#updates) {
      encoder.copyBufferToBuffer(from.buffer, from.offset, to, toOffset, from.size);
    }
    if (!staging) return;
    for (const { from, toOffset } of this.#results) {
      encoder.copyBufferToBuffer(from.buffer, from.offset, staging, toOffset, from.size);
    }
  }

  async #start(inputs: Readonly<Record<string, HostArray>>): Promise<() => Promise<Outputs>> {
    const staging = this.#staging[this.#next];
    if (staging) {
      this.#next = (this.#next + 1) % this.#staging.length;
      await staging.pending;
    }
    if (this.#disposed) throw disposedDuringRun();
    this.device.check("run");
    this.device.running(this.#running);
    this.#upload(inputs);
    if (this.device.debug) await this.#runScoped(staging?.buffer);
    else this.#submit(staging?.buffer);
    if (!staging) {
      const done = this.device.gpu.queue.onSubmittedWorkDone();
      const arrived = this.device.answer(done, this.#running.name, this.plan.cuts.length);
      return async () => {
        await arrived;
        return {};
      };
    }
    const arrived = this.#collect(staging.buffer);
    staging.pending = arrived.catch(() => undefined);
    return () => arrived;
  }

  /** Submits what follows the first `done` submits. */
  #submit(staging?: GPUBuffer, done = 0): void {
    const { gpu } = this.device;
    const { cuts } = this.plan;
    for (let k = done; k < cuts.length; k++) {
      const encoder = gpu.createCommandEncoder();
      encode(encoder, this.#recorded, cuts[k - 1] ?? 0, cuts[k] as number);
      if (k === cuts.length - 1) this.#encodeCopies(encoder, staging);
      gpu.queue.submit([encoder.finish()]);
    }
    this.#advance();
  }

  /** Each dispatch by itself inside error scopes: slow, and errors name the op. */
  async #runScoped(staging?: GPUBuffer): Promise<void> {
    const { gpu } = this.device;
    for (const [i, { label, kernel }] of this.#recorded.entries()) {
      await this.device.scoped(`${label} (kernel ${kernel})`, () => {
        const encoder = gpu.createCommandEncoder({ label });
        encode(encoder, this.#recorded, i, i + 1);
        gpu.queue.submit([encoder.finish({ label })]);
      });
    }
    this.#finish(staging);
  }

  async #collect(staging: GPUBuffer): Promise<Outputs> {
    const mapped = staging.mapAsync(MAP_READ);
    try {
      await this.device.answer(mapped, this.#running.name, this.plan.cuts.length);
    } catch (error) {
      // Late is not never: the buffer's next user needs it unmapped.
      mapped.then(() => staging.unmap()).catch(() => undefined);
      if (this.#disposed && !this.device.lost) throw disposedDuringRun();
      throw error;
    }
    const range = staging.getMappedRange();
    const results: Record<string, HostArray> = {};
    for (const [k, [name, { dtype }]] of Object.entries(this.program.outputs).entries()) {
      const { from, toOffset } = this.#results[k] as Copy;
      results[name] = hostArray(dtype, range.slice(toOffset, toOffset + from.size));
    }
    staging.unmap();
    return results;
  }
}
