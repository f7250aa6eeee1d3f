import type { Recorded } from "../src/gpu/record";
import type { HostArray } from "../src/ops/sources";
import type { KernelCase, Work } from "./kernel-case";
import type { Stopwatch, Timed } from "./measure";
import { type Replay, replay } from "./replay";

/** A kernel that is ready to be timed, or has been found wrong. */
export interface PreparedKernel {
  readonly name: string;
  /** The dispatches that are timed. */
  readonly recorded: readonly Recorded[];
  readonly case: Work;
  readonly timed: Timed | { readonly wrong: string };
  /** Frees the buffers. */
  readonly dispose: () => void;
}

/**
 * Runs a case once, compares its outputs with f64, and makes it ready to be timed.
 * @param replayed The case on the device; default: as the device's tables choose its kernels.
 * @throws LimitError before its data are drawn.
 */
export async function prepareKernel(
  watch: Stopwatch,
  name: string,
  made: KernelCase,
  replayed?: Replay,
): Promise<PreparedKernel> {
  const whole = replayed ?? (await replay(watch.device, made.outputs, made.inputs));
  await watch.time(whole.recorded);
  const got: HostArray[] = [];
  for (const y of made.outputs) got.push(await whole.read(y));
  const wrong = notFinite(got) ?? made.wrong(got);
  const recorded = timedPart(made, whole.recorded);
  const prepared = { name, recorded, case: made, dispose: whole.dispose };
  if (wrong !== null) return { ...prepared, timed: { wrong } };
  return { ...prepared, timed: await watch.prepare(name, recorded, await watch.time(recorded)) };
}

/** What a tile's edge leaves unwritten is NaN, and not always among the elements that are compared. */
function notFinite(outputs: readonly HostArray[]): string | null {
  for (const [k, y] of outputs.entries()) {
    const i = y.findIndex((value) => !Number.isFinite(value));
    if (i >= 0) return `element ${i} of output ${k} is ${y[i]}`;
  }
  return null;
}

/** The dispatches that are the kernel's own. */
function timedPart({ timed }: KernelCase, recorded: readonly Recorded[]): readonly Recorded[] {
  // A label ends with what was fused into the op.
  return timed
    ? recorded.filter(({ label }) => timed.includes(label.split("+")[0] ?? ""))
    : recorded;
}
