/** The bench in a worker: one device a run, freed at its end. */
import { type Device, requestDevice } from "hyperloom/gpu";
import { defaultCases } from "../../bench/kernels";
import {
  type KernelRow,
  type Measurement,
  measure,
  type Progress,
  type RoofRow,
} from "../../bench/measurement";
import { serve } from "../shell/channel";

/** What a page is told while kernels are measured. */
export type BenchEvent =
  | { readonly kind: "adapter"; readonly adapter: Device["adapter"]; readonly kernels: number }
  | { readonly kind: "progress"; readonly progress: Progress }
  | { readonly kind: "roof"; readonly row: RoofRow }
  | { readonly kind: "kernel"; readonly row: KernelRow };

let abort: AbortController | null = null;
let ended: Promise<unknown> = Promise.resolve();

async function run(pattern: string, repeat: number, signal: AbortSignal): Promise<Measurement> {
  const device = await requestDevice();
  try {
    const named = new RegExp(pattern);
    const kernels = defaultCases().filter(({ name }) => named.test(name));
    emit({ kind: "adapter", adapter: device.adapter, kernels: kernels.length });
    const { times: _, ...measured } = await measure(device, { kernels }, repeat, {
      signal,
      onProgress: (progress) => emit({ kind: "progress", progress }),
      onRoof: (row) => emit({ kind: "roof", row }),
      onKernel: (row) => emit({ kind: "kernel", row }),
    });
    return measured;
  } finally {
    device.dispose();
  }
}

const handlers = {
  /** Measures the kernels whose names match, `repeat` samples of each. */
  run: (asked: { readonly pattern: string; readonly repeat: number }): Promise<Measurement> => {
    abort?.abort();
    abort = new AbortController();
    const { signal } = abort;
    const next = ended.then(() => run(asked.pattern, asked.repeat, signal));
    ended = next.catch(() => undefined);
    return next;
  },
  /** Ends the run after the case under way. */
  stop: (_: null): void => abort?.abort(),
  /** Ends the run and frees all. */
  dispose: async (_: null): Promise<void> => {
    abort?.abort();
    await ended;
  },
};
/** What the page asks. */
export type BenchHandlers = typeof handlers;

const emit = serve<BenchEvent>(handlers);
