import type { Device } from "../src/gpu/device";
import type { Target, Variant } from "../src/gpu/dispatch";
import { DeviceLostError, GpuHangError } from "../src/gpu/errors";
import type { HostArray } from "../src/ops/sources";
import type { MeasuredVariant } from "../src/ops/variants";
import { plan } from "../src/schedule/plan";
import type { TuningClass } from "./candidates";
import { prepareKernel } from "./checked-kernel";
import type { KernelCase } from "./kernel-case";
import { interleave, type Spread, type Stopwatch, type Timed } from "./measure";
import { type Replay, replay } from "./replay";

/** What came of one candidate: least milliseconds by case, or why it cannot be chosen. */
export interface Tried {
  readonly op: string;
  readonly shape: string;
  /** Null: the choice of the library's own table. */
  readonly variant: Pick<Variant, "kernel" | "overrides"> | null;
  readonly milliseconds: Readonly<Record<string, number>>;
  /** It computes something else, does not compile or exceeds a limit. */
  readonly wrong?: string;
  /** It was given up as several times slower than another. */
  readonly slow?: true;
  /** Mean of its times, each against the best of its case. */
  readonly score?: number;
}

/** The winner of a class where it beats the library's own table twice, and all that was tried. */
export interface Tuned {
  readonly row: MeasuredVariant | null;
  readonly tried: readonly Tried[];
}

/** Puts a case on the device with a candidate's kernels. */
export type Prepare = (made: KernelCase, variant: Variant | null) => Promise<Replay>;

/** As a device that was given this variant alone plans it. */
export function prepareOn(device: Device): Prepare {
  return (made, variant) => {
    const variants = variant ? [variant] : [];
    return replay(device, made.outputs, made.inputs, { ...device.target, variants });
  };
}

// A candidate that takes so many times as long as the best so far is not measured further.
const GIVEN_UP = 2.5;
const LOOKS = 3;
// What a winner has to gain over the library's own choice, in samples taken for that alone, so many
// times as many as before.
const GAIN = 0.03;
const CONFIRMING = 2;

/** A candidate while it is compared. */
interface Entrant {
  readonly variant: Variant | null;
  readonly timed: Timed[];
  readonly replays: Replay[];
  wrong?: string;
  slow?: true;
}

/**
 * Measures the kernels of one class of shapes, all in turn, and takes the fastest over all of its
 * cases. Each is compared with f64 at each case first, and in every element with the first that is
 * right, the library's own: one that computes something else, does not compile or exceeds a limit is
 * never chosen, whatever its speed.
 * @throws DeviceLostError, GpuHangError: after these nothing can be measured.
 */
export async function tuneClass(
  watch: Stopwatch,
  { op, shape, cases, candidates }: TuningClass,
  repeat: number,
  report: (name: string) => void,
  prepare: Prepare = prepareOn(watch.device),
): Promise<Tuned> {
  const { target } = watch.device;
  const made = cases.map(({ name, make }) => ({ name, case: make() }));
  const entrants = distinct(
    [null, ...candidates],
    made.map((c) => c.case),
    target,
  );
  try {
    for (const { name, case: given } of made) {
      let best = Infinity;
      const one = compared(given);
      for (const entrant of entrants) {
        if (entrant.wrong !== undefined || entrant.slow) continue;
        report(`${op} ${shape}: ${said(entrant.variant)}`);
        const timed = await admitted(watch, name, one, entrant, prepare);
        if (!timed) continue;
        let time = Infinity;
        for (let i = 0; i < LOOKS; i++) time = Math.min(time, await timed.sample());
        // The library's own choice is what all others are compared with.
        if (time > GIVEN_UP * best && entrant.variant) entrant.slow = true;
        best = Math.min(best, time);
        entrant.timed.push(timed);
      }
    }
    const left = entrants.filter((e) => e.wrong === undefined && !e.slow);
    const all = left.flatMap(({ timed }) => timed);
    const times = await interleave(all, repeat, (_, __, name) => report(`${op} ${shape}: ${name}`));
    // Whatever else a machine does makes a sample longer, never shorter.
    const least = (e: Entrant): number[] => e.timed.map((t) => times.get(t)?.min ?? Infinity);
    const best = cases.map((_, k) => Math.min(...left.map((e) => least(e)[k] as number)));
    const tried = entrants.map((entrant): Tried => {
      const { variant, wrong, slow } = entrant;
      const own = left.includes(entrant) ? least(entrant) : [];
      return {
        op,
        shape,
        variant: variant && { kernel: variant.kernel, overrides: variant.overrides },
        milliseconds: Object.fromEntries(own.map((ms, k) => [made[k]?.name ?? "", ms])),
        ...(wrong !== undefined && { wrong }),
        ...(slow && { slow }),
        ...(own.length > 0 && {
          score: own.reduce((sum, ms, k) => sum + ms / (best[k] as number), 0) / own.length,
        }),
      };
    });
    const score = (e: Entrant): number => tried[entrants.indexOf(e)]?.score ?? Infinity;
    const [first] = [...left].sort((a, b) => score(a) - score(b));
    if (!first?.variant) return { row: null, tried };
    report(`${op} ${shape}: ${said(first.variant)} against the table's own`);
    const own = left.find(({ variant }) => variant === null);
    // Where the library's own choice is wrong here, any right one is better.
    const measured = own ? await confirmed(first, own, repeat) : "the table's own is wrong";
    if (measured === null) return { row: null, tried };
    return { row: { ...first.variant, op, adapter: target.adapter, shape, measured }, tried };
  } finally {
    for (const { replays } of entrants) for (const { dispose } of replays) dispose();
  }
}

// Against the largest element: kernels add up in different orders, and a wrong element is of its size.
const APART = 1e-4;

/** The case whose outputs also have to agree, element by element, with the first that were right. */
function compared(made: KernelCase): KernelCase {
  let first: readonly HostArray[] | null = null;
  const apart = (got: readonly HostArray[], right: readonly HostArray[]): string | null => {
    for (const [k, expected] of right.entries()) {
      const y = got[k] as HostArray;
      let largest = 0;
      for (const value of expected) largest = Math.max(largest, Math.abs(value));
      const allowed = APART * largest;
      for (let i = 0; i < expected.length; i++) {
        if (!(Math.abs((y[i] as number) - (expected[i] as number)) <= allowed)) {
          return `element ${i} of output ${k} is ${y[i]}, another kernel's ${expected[i]} within ${allowed.toPrecision(2)}`;
        }
      }
    }
    return null;
  };
  const wrong = (got: readonly HostArray[]): string | null => {
    const reason = made.wrong(got) ?? (first && apart(got, first));
    if (reason === null) first ??= got;
    return reason;
  };
  return { ...made, wrong };
}

/**
 * The candidates that plan anything of their own: many overrides come to the same dispatches for a
 * shape. One that cannot be planned on this device is wrong from the start.
 */
function distinct(
  variants: readonly (Variant | null)[],
  cases: readonly KernelCase[],
  target: Target,
): Entrant[] {
  const seen = new Set<string>();
  return variants.flatMap((variant): Entrant[] => {
    const entrant = { variant, timed: [], replays: [] };
    const planned = { ...target, variants: variant ? [variant] : [] };
    try {
      const key = JSON.stringify(
        cases.flatMap(({ outputs }) =>
          plan(outputs, planned).dispatches.map(({ dispatch: d }) => [
            d.kernel.name,
            d.overrides,
            d.uniforms,
            d.grid,
          ]),
        ),
      );
      if (seen.has(key)) return [];
      seen.add(key);
      return [entrant];
    } catch (error) {
      return [{ ...entrant, wrong: (error as Error).message }];
    }
  });
}

/** The candidate at one case, right and ready to be timed; null, with the reason noted, if it is wrong. */
async function admitted(
  watch: Stopwatch,
  name: string,
  made: KernelCase,
  entrant: Entrant,
  prepare: Prepare,
): Promise<Timed | null> {
  try {
    const replayed = await prepare(made, entrant.variant);
    entrant.replays.push(replayed);
    const { timed } = await prepareKernel(watch, name, made, replayed);
    if (!("wrong" in timed)) return timed;
    entrant.wrong = timed.wrong;
  } catch (error) {
    if (error instanceof DeviceLostError || error instanceof GpuHangError) throw error;
    entrant.wrong = (error as Error).message;
  }
  return null;
}

/** A candidate in words. */
export function said(variant: Tried["variant"]): string {
  if (!variant) return "the table's own";
  const overrides = Object.entries(variant.overrides ?? {}).map(
    ([name, values]) => `${name} ${[values].flat().join("/")}`,
  );
  return [variant.kernel, ...overrides].join(" ");
}

/**
 * Measures the best candidate and the library's own choice once more, by themselves: of many
 * candidates that are equally fast, the first was the luckiest of its samples. Says what was measured,
 * or null unless it is faster by both median and least, which a busy machine disturbs differently.
 */
async function confirmed(best: Entrant, own: Entrant, repeat: number): Promise<string | null> {
  const times = await interleave(
    [...best.timed, ...own.timed],
    CONFIRMING * repeat,
    () => undefined,
  );
  const of = (timed: Timed | undefined): Spread | undefined => timed && times.get(timed);
  const pairs = best.timed.map((timed, k) => ({
    name: timed.name,
    now: of(timed)?.median ?? Infinity,
    before: of(own.timed[k])?.median ?? 0,
    least: (of(timed)?.min ?? Infinity) / (of(own.timed[k])?.min ?? 0),
  }));
  const mean = (ratios: readonly number[]): number =>
    ratios.reduce((sum, r) => sum + r, 0) / ratios.length;
  const worse = Math.max(
    mean(pairs.map(({ now, before }) => now / before)),
    mean(pairs.map(({ least }) => least)),
  );
  if (!(worse <= 1 - GAIN)) return null;
  return pairs
    .map(({ name, now, before }) => {
      return `${name}: ${now.toPrecision(3)} ms, the table's own ${before.toPrecision(3)}`;
    })
    .join("; ");
}
