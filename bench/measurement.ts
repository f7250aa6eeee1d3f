import type { Device } from "../src/gpu/device";
import { type PreparedKernel, prepareKernel } from "./checked-kernel";
import type { NamedCase } from "./kernel-case";
import { interleave, type Spread, spread, Stopwatch, type Timed } from "./measure";
import { type Bound, rates, type RatioRow, ratios } from "./rates";
import { type Replay, replay } from "./replay";
import {
  type Roof,
  type RoofCase,
  type RoofUnit,
  roofCases,
  roofOf,
  roofValue,
  submitCase,
} from "./roof";

/** A measured limit of the adapter, and what it was measured from. */
export interface RoofRow extends Spread {
  readonly name: string;
  readonly value: number;
  readonly unit: RoofUnit;
}

/** A kernel; times in milliseconds of one run. A wrong one is not timed. */
export interface KernelRow extends Partial<Spread> {
  readonly name: string;
  readonly wrong?: string;
  readonly dispatches?: number;
  /** Names of the shaders that it runs. */
  readonly shaders?: readonly string[];
  readonly gflops?: number;
  /** GB/s of the bytes that must be moved at least. */
  readonly gbs?: number;
  readonly bound?: Bound;
  /** Per cent of that bound. */
  readonly percent?: number;
  /** What there is to say of it. */
  readonly note?: string;
}

/** The adapter's roof and kernels below it. */
export interface Measurement {
  /** What kernels were timed by. */
  readonly clock: "timestamp" | "wall";
  readonly roof: readonly RoofRow[];
  readonly kernels: readonly KernelRow[];
  readonly ratios: readonly RatioRow[];
}

/** What is measured beside the roof. */
export interface Subjects {
  readonly kernels: readonly NamedCase[];
  /** A kernel that is no case of the bench. */
  readonly own?: (watch: Stopwatch) => Promise<PreparedKernel>;
  /** What else is timed in turn with them, whole steps for instance. */
  readonly others?: readonly Timed[];
}

/** How far a measurement is. */
export interface Progress {
  /** Kernels are made ready and checked, or timed. */
  readonly phase: "preparing" | "timing";
  readonly done: number;
  readonly total: number;
  readonly name: string;
}

/** Who follows a measurement. */
export interface Observer {
  /** Ends it after the case under way; the rows measured until then are returned. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
  /**
   * Told of a row when it is ready to be timed, with the first impression, and after each of its
   * samples, against the roof as far as it is measured.
   */
  readonly onRoof?: (row: RoofRow) => void;
  readonly onKernel?: (row: KernelRow) => void;
}

/** A roof case with its dispatches. */
interface PreparedRoof {
  readonly roof: RoofCase;
  readonly replayed: Replay;
  readonly timed: Timed;
}

/** Rows of what is ready to be timed, in order, as far as there are times. */
class Rows {
  readonly times = new Map<Timed, Spread>();
  readonly roofs: PreparedRoof[] = [];
  readonly kernels: PreparedKernel[] = [];
  #submit: Timed | null = null;
  readonly #tell = new Map<Timed, () => void>();

  constructor(readonly observer: Observer) {}

  addRoof(roof: PreparedRoof): void {
    this.roofs.push(roof);
    this.#add(roof.timed, this.observer.onRoof, () => this.roofRow(roof));
  }

  addSubmit(submit: Timed): void {
    this.#submit = submit;
    this.#add(submit, this.observer.onRoof, () => this.submitRow());
  }

  addKernel(kernel: PreparedKernel): void {
    this.kernels.push(kernel);
    const { timed } = kernel;
    if ("wrong" in timed) this.observer.onKernel?.({ name: kernel.name, wrong: timed.wrong });
    else this.#add(timed, this.observer.onKernel, () => this.kernelRow(kernel));
  }

  /** All that is to be timed. */
  get timed(): Timed[] {
    return [...this.#tell.keys()];
  }

  /** Notes the spread of a case so far. */
  note(timed: Timed, at: Spread): void {
    this.times.set(timed, at);
    this.#tell.get(timed)?.();
  }

  roofRow({ roof, timed }: PreparedRoof): RoofRow | null {
    const at = this.times.get(timed);
    return at
      ? { name: roof.name, value: roofValue(roof, at.median), unit: roof.unit, ...at }
      : null;
  }

  submitRow(): RoofRow | null {
    const at = this.#submit && this.times.get(this.#submit);
    if (!this.#submit || !at) return null;
    return { name: this.#submit.name, value: 1000 * at.median, unit: "µs", ...at };
  }

  kernelRow({ name, recorded, case: made, timed }: PreparedKernel): KernelRow | null {
    if ("wrong" in timed) return { name, wrong: timed.wrong };
    const at = this.times.get(timed);
    if (!at) return null;
    const dispatches = recorded.length;
    const shaders = [...new Set(recorded.map(({ kernel }) => kernel))];
    const found = rates(made, dispatches, at.median, this.#roof());
    return { name, dispatches, shaders, ...at, ...found, note: made.note };
  }

  #add<R>(timed: Timed, to: ((row: R) => void) | undefined, row: () => R | null): void {
    this.#tell.set(timed, () => {
      const made = row();
      if (made) to?.(made);
    });
    if (timed.impression !== undefined) this.note(timed, spread([timed.impression]));
  }

  #roof(): Roof {
    const rows = present(this.roofs.map((r) => this.roofRow(r)));
    return roofOf(new Map(rows.map(({ name, value }) => [name, value])));
  }
}

/** Ends the samples that are taken in turn. */
class Interrupted extends Error {}

const present = <T>(rows: readonly (T | null)[]): T[] => rows.filter((row) => row !== null);

/**
 * Measures the adapter's roof and kernels, in turn in one run. Each kernel is checked before it is
 * timed. All buffers that are made for it are freed, however it ends.
 * @param repeat Samples of each.
 * @returns The rows, and the times of `others`.
 * @throws LimitError, DeviceLostError, GpuError.
 */
export async function measure(
  device: Device,
  { kernels: cases, own, others = [] }: Subjects,
  repeat: number,
  observer: Observer,
): Promise<Measurement & { readonly times: ReadonlyMap<Timed, Spread> }> {
  const { signal, onProgress } = observer;
  const watch = new Stopwatch(device);
  const made: { dispose(): void }[] = [watch];
  const keep = <T extends { dispose(): void }>(one: T): T => {
    made.push(one);
    return one;
  };
  try {
    const rows = new Rows(observer);
    for (const roof of roofCases(device.target)) {
      const replayed = keep(await replay(device, [roof.output], () => ({})));
      const { recorded } = replayed;
      const timed = await watch.prepare(roof.name, recorded, await watch.time(recorded));
      rows.addRoof({ roof, replayed, timed });
    }
    rows.addSubmit(keep(submitCase(device, (rows.roofs.at(-1) as PreparedRoof).replayed)));
    const before = others.length + rows.roofs.length;
    for (const [i, { name, make }] of cases.entries()) {
      if (signal.aborted) break;
      onProgress({ phase: "preparing", done: before + i, total: before + cases.length, name });
      rows.addKernel(keep(await prepareKernel(watch, name, make())));
    }
    if (own && !signal.aborted) rows.addKernel(keep(await own(watch)));

    const report = (done: number, total: number, name: string): void => {
      if (signal.aborted) throw new Interrupted();
      onProgress({ phase: "timing", done, total, name });
    };
    const note = rows.note.bind(rows);
    if (!signal.aborted) {
      await interleave([...rows.timed, ...others], repeat, report, note).catch((error: Error) => {
        if (!(error instanceof Interrupted)) throw error;
      });
    }
    const kernels = present(rows.kernels.map((kernel) => rows.kernelRow(kernel)));
    return {
      clock: watch.clock,
      roof: present([...rows.roofs.map((roof) => rows.roofRow(roof)), rows.submitRow()]),
      kernels,
      ratios: ratios(cases, kernels),
      times: rows.times,
    };
  } finally {
    for (const one of made) one.dispose();
  }
}
