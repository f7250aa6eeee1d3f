import { BufferUsage, MAP_READ } from "./buffers";
import type { Device } from "./device";
import { encode, type Recorded } from "./record";

/** The middle and the ends of several times, in milliseconds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
}

/** The spread of times; the median of an even number is the mean of the middle two. */
export function spread(milliseconds: readonly number[]): Spread {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (i: number): number => sorted[i] ?? Number.NaN;
  const last = sorted.length - 1;
  const median = (at(Math.floor(last / 2)) + at(Math.ceil(last / 2))) / 2;
  return { median, min: at(0), max: at(last), samples: sorted.length };
}

/** Something that can be timed again and again. */
export interface Timed {
  readonly name: string;
  /** Milliseconds of one run. */
  readonly sample: () => Promise<number>;
  /** Milliseconds of one run as it was made ready, where that is known: a first impression. */
  readonly impression?: number;
}

// Chrome rounds timestamps to 0.1 ms: a pass of 10 ms is then good to 1 %. Without timestamps the
// cost of a submit and of its completion (up to 12 ms under Deno) is in the time.
const SHORTEST_PASS_MS = { timestamp: 10, wall: 100 } as const;
const MOST_REPEATS = 8192;

/** Times dispatches by timestamps around a pass, or where there are none by wall time. */
export class Stopwatch {
  readonly clock: "timestamp" | "wall";
  readonly #querySet: GPUQuerySet | null = null;
  readonly #resolve: GPUBuffer | null = null;
  readonly #staging: GPUBuffer | null = null;

  constructor(readonly device: Device) {
    this.clock = device.gpu.features.has("timestamp-query") ? "timestamp" : "wall";
    if (this.clock === "wall") return;
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST } = BufferUsage;
    this.#querySet = device.gpu.createQuerySet({ type: "timestamp", count: 2 });
    this.#resolve = device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
    this.#staging = device.createBuffer({ size: 16, usage: BufferUsage.MAP_READ | COPY_DST });
  }

  /** Milliseconds of one run of all dispatches, mean of `repeats` runs in a row in one pass. */
  async time(recorded: readonly Recorded[], repeats = 1): Promise<number> {
    if (repeats > 1) {
      const row = Array.from({ length: repeats }, () => recorded).flat();
      return (await this.#pass(row)) / repeats;
    }
    // Long ones are submitted one by one: watchdogs end what takes seconds.
    let total = 0;
    for (const one of recorded) total += await this.#pass([one]);
    return total;
  }

  /**
   * Dispatches as something to be timed: run so often in a row that the clock can time it.
   * @param first Milliseconds of a run before: a long one is not repeated.
   */
  async prepare(name: string, recorded: readonly Recorded[], first: number): Promise<Timed> {
    const wanted = SHORTEST_PASS_MS[this.clock];
    let repeats = 1;
    let last = first;
    for (let total = first; total < 10 * wanted; ) {
      last = await this.time(recorded, repeats);
      total = repeats * last;
      if (total >= 0.9 * wanted || repeats === MOST_REPEATS) break;
      const more = Math.ceil(repeats * Math.min(32, (1.2 * wanted) / Math.max(total, 0.05)));
      repeats = Math.min(MOST_REPEATS, more);
    }
    return { name, sample: () => this.time(recorded, repeats), impression: last };
  }

  /** Frees what the clock needs. */
  dispose(): void {
    this.#querySet?.destroy();
    this.device.destroyBuffers([this.#resolve, this.#staging].filter((buffer) => buffer !== null));
  }

  async #pass(recorded: readonly Recorded[]): Promise<number> {
    const { gpu } = this.device;
    const [querySet, resolve, staging] = [this.#querySet, this.#resolve, this.#staging];
    const began = performance.now();
    const encoder = gpu.createCommandEncoder();
    const writes = querySet && { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    encode(encoder, recorded, 0, recorded.length, writes ?? undefined);
    if (!querySet || !resolve || !staging) {
      gpu.queue.submit([encoder.finish()]);
      await this.device.answer(gpu.queue.onSubmittedWorkDone(), "timing");
      return performance.now() - began;
    }
    encoder.resolveQuerySet(querySet, 0, 2, resolve, 0);
    encoder.copyBufferToBuffer(resolve, 0, staging, 0, 16);
    gpu.queue.submit([encoder.finish()]);
    await this.device.answer(staging.mapAsync(MAP_READ), "timing");
    const [begin = 0n, end = 0n] = new BigUint64Array(staging.getMappedRange().slice(0));
    staging.unmap();
    return Number(end - begin) / 1e6;
  }
}
