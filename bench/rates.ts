import type { NamedCase, Work } from "./kernel-case";
import type { Roof } from "./roof";

/** What limits a kernel: multiply-adds, bytes of storage, or the launch of its dispatches. */
export type Bound = "fma" | "storage" | "dispatch";

/** How fast a kernel is. */
export interface Rates {
  readonly gflops?: number;
  /** GB/s of the bytes that must be moved at least. */
  readonly gbs: number;
  readonly bound: Bound;
  /** Per cent of that bound. */
  readonly percent: number;
}

/** How many times one rate of the same run is another. */
export interface RatioRow {
  readonly name: string;
  readonly value: number;
}

/**
 * Rates of a kernel, and which roof allows it the least.
 * @param dispatches Dispatches of one run. @param median Milliseconds of one run.
 */
export function rates(
  { flops, bytes }: Work,
  dispatches: number,
  median: number,
  roof: Roof,
): Rates {
  // Milliseconds that each roof asks for at least: GFLOP/s and GB/s are 1e6 a millisecond.
  const least = {
    fma: flops / roof.fma / 1e6,
    storage: bytes / roof.storage / 1e6,
    dispatch: (dispatches * roof.dispatch) / 1e3,
  };
  const names = Object.keys(least) as Bound[];
  const bound = names.reduce((a, b) => (least[b] > least[a] ? b : a));
  return {
    ...(flops > 0 && { gflops: flops / median / 1e6 }),
    gbs: bytes / median / 1e6,
    bound,
    percent: (100 * least[bound]) / median,
  };
}

/** What the rows say of one another: fast against naive matmul, convolutions against matmul. */
export function ratios(
  cases: readonly NamedCase[],
  rows: readonly { readonly name: string; readonly gflops?: number }[],
): RatioRow[] {
  const known = new Map(rows.map(({ name, gflops }) => [name, gflops]));
  return cases.flatMap(({ name, against }) => {
    const [own, other] = [known.get(name), against && known.get(against)];
    return own && other ? [{ name: `${name} / ${against}`, value: own / other }] : [];
  });
}
