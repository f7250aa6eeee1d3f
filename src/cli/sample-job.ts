import { loadSampler, type ScaleChange } from "../train/sampler";
import type { JobContext, JobEvent } from "./job";
import { withDevice } from "./training-jobs";

/** What to write. File: `checkpoint`. */
export interface SampleSpec {
  readonly checkpoint: string;
  readonly prompt: string;
  readonly length: number;
  readonly temperature: number;
  readonly seed: number;
  readonly trace: boolean;
}

/** A symbol that was drawn. */
export interface SymbolEvent extends JobEvent {
  readonly event: "symbol";
  readonly symbol: number;
}

/** What a sample cost, and what was traced of each symbol that was read. */
export interface SampleOutcome {
  /** Prompt and what was drawn. */
  readonly symbols: readonly number[];
  readonly changes: readonly (readonly ScaleChange[])[];
  readonly dispatches: number;
  /** Of one symbol. */
  readonly submits: number;
  readonly seconds: number;
}

/** Reads a prompt and draws symbols, each of which is an event at once. */
export async function sampleJob(spec: SampleSpec, context: JobContext): Promise<SampleOutcome> {
  const { read, emit, signal } = context;
  const { checkpoint: file, seed, trace, length, temperature } = spec;
  const bytes = await read("checkpoint");
  return withDevice(context, async (device) => {
    const sampler = await loadSampler(device, bytes, { file, seed, trace });
    try {
      const prompt = Array.from(sampler.encode(spec.prompt));
      const symbols = [...prompt];
      const changes: (readonly ScaleChange[])[] = [];
      const began = performance.now();
      let t = 0;
      for await (const sampled of sampler.sample({ prompt, length, temperature, signal })) {
        changes.push(sampled.changes);
        if (++t < prompt.length) continue;
        symbols.push(sampled.symbol);
        emit<SymbolEvent>({ event: "symbol", symbol: sampled.symbol });
      }
      const seconds = (performance.now() - began) / 1000;
      const { dispatches, submits } = sampler.executable.stats;
      return { symbols, changes, dispatches, submits, seconds };
    } finally {
      sampler.dispose();
    }
  });
}
