import type { Tensor } from "../../src/graph/node";
import { type Shape, size, strides } from "../../src/graph/shape";
import { max, mean, min, type ReduceOptions, sum, sumTo } from "../../src/ops/reduce";
import type { CaseInput, Nd, OpCase } from "./case";

/** Folds each output's terms, given in row-major order, with f. */
function fold(
  x: Nd,
  axes: readonly number[],
  keepDims: boolean,
  f: (terms: readonly number[]) => number,
): Nd {
  const reduced = (axis: number) => axes.includes(axis);
  const kept = x.shape.map((d, axis) => (reduced(axis) ? 1 : d));
  const [from, to] = [strides(x.shape), strides(kept)];
  const terms: number[][] = Array.from({ length: size(kept) }, () => []);
  for (const [i, v] of x.data.entries()) {
    let at = 0;
    for (const [axis, d] of x.shape.entries()) {
      if (!reduced(axis)) at += (Math.floor(i / (from[axis] ?? 1)) % d) * (to[axis] ?? 1);
    }
    terms[at]?.push(v);
  }
  const shape = keepDims ? kept : kept.filter((_, axis) => !reduced(axis));
  return { shape, data: Float64Array.from(terms, f) };
}

const total = (terms: readonly number[]): number => terms.reduce((a, b) => a + b, 0);
// Math.max and Math.min of a list, which for long lists would overflow the stack; NaN wins.
const largest = (terms: readonly number[]): number => terms.reduce((a, b) => Math.max(a, b));
const smallest = (terms: readonly number[]): number => terms.reduce((a, b) => Math.min(a, b));

type Reduce = (x: Tensor, axes?: readonly number[], options?: ReduceOptions) => Tensor;

// Sums of n signed terms against the largest result: a few roundings of 2^-24 each, at most about
// sqrt(n) of them by the blocked order; extremes are exact.
const SUM = 2e-6;
const EXACT = 1e-7;

function reduceCase(
  name: string,
  op: Reduce,
  f: (terms: readonly number[]) => number,
  shape: Shape,
  axes: readonly number[] | undefined,
  more: Partial<CaseInput> & { keepDims?: boolean; gradients?: readonly number[] } = {},
): OpCase {
  const { keepDims = false, gradients, ...spec } = more;
  const all = axes ?? shape.map((_, axis) => axis);
  const positive = all.map((axis) => (axis < 0 ? axis + shape.length : axis));
  return {
    name: `${name}: [${shape.join(", ")}] over ${axes ? `[${axes.join(", ")}]` : "all"}${keepDims ? ", kept" : ""}`,
    ops: [name === "mean" ? "sum" : name],
    inputs: [{ shape, ...spec }],
    build: (x) => op(x as Tensor, axes, { keepDims }),
    oracle: (x) => fold(x as Nd, positive, keepDims, f),
    tolerance: name === "sum" || name === "mean" ? SUM : EXACT,
    ...(gradients ? { gradients } : {}),
  };
}

/** Distinct values in scrambled order, so that no small step changes the winner. */
const scrambled = (n: number, by = 7919): number[] =>
  Array.from({ length: n }, (_, i) => ((i * by) % n) / n - 0.5);

/** Zeros with two equal extremes among each `row` values: central differences give each a half. */
const tied = (n: number, row: number, extreme: number): number[] =>
  Array.from({ length: n }, (_, i) =>
    i % row === 2 || i % row === row - 1 ? extreme : (i % row) / 64,
  );

const NAN_ROWS = [
  1,
  2,
  NaN,
  3,
  4,
  5,
  6,
  7,
  8,
  NaN,
  NaN,
  NaN,
  -1,
  -2,
  -3,
  -4,
  Infinity,
  -Infinity,
  0,
  1,
];

/** Lengths around and beyond every loop and chunk limit: forward alone, since differences would take days. */
const long: readonly OpCase[] = [65_535, 65_537, 200_003].flatMap((n) => [
  reduceCase("sum", sum, total, [n], undefined, { low: 0, gradients: [] }),
  reduceCase("sum", sum, total, [n, 3], [0], { low: 0, gradients: [] }),
  reduceCase("sum", sum, total, [2, n], [1], { low: 0, gradients: [] }),
  reduceCase("max", max, largest, [n], undefined, { values: scrambled(n), gradients: [] }),
]);

/** Every reduction op. */
export const reduceCases: readonly OpCase[] = [
  reduceCase("sum", sum, total, [5, 7], undefined),
  reduceCase("sum", sum, total, [5, 7], [0]),
  reduceCase("sum", sum, total, [5, 7], [-1], { keepDims: true }),
  reduceCase("sum", sum, total, [], undefined),
  reduceCase("sum", sum, total, [1, 3, 1], [0, 2]),
  reduceCase("sum", sum, total, [3, 5, 7, 2], [0, 2, 3]),
  reduceCase("sum", sum, total, [3, 5, 7, 2], [1, 3], { keepDims: true }),
  reduceCase("sum", sum, total, [2, 3, 2, 3, 2, 3], [0, 2, 4]),
  reduceCase("sum", sum, total, [2, 3, 2, 3, 2, 3, 2], [1, 3, 5]),
  reduceCase("sum", sum, total, [2, 3, 2, 1, 3, 2, 3], [1, 4, 6]),
  reduceCase("sum", sum, total, [37, 16, 11, 13], [0, 2, 3], { gradients: [] }),
  reduceCase("sum", sum, total, [1031, 10], [0], { gradients: [] }),
  reduceCase("sum", sum, total, [1031, 10], [1], { gradients: [] }),
  reduceCase("sum", sum, total, [3, 2053, 5], [1], { gradients: [] }),
  reduceCase("sum", sum, total, [71, 67, 3], [0, 2], { gradients: [] }),
  reduceCase("sum", sum, total, [4, 5], [1], { values: NAN_ROWS, gradients: [] }),
  reduceCase("mean", mean, (t) => total(t) / t.length, [3, 5, 7], [0, 2]),
  reduceCase("mean", mean, (t) => total(t) / t.length, [3, 5], undefined, { keepDims: true }),
  reduceCase("max", max, largest, [3, 5, 7], [1], { values: scrambled(105) }),
  reduceCase("max", max, largest, [3, 5, 7], undefined, { values: scrambled(105) }),
  reduceCase("max", max, largest, [4, 6], [1], { values: tied(24, 6, 1) }),
  reduceCase("max", max, largest, [4, 5], [1], { values: NAN_ROWS, gradients: [] }),
  reduceCase("max", max, largest, [3, 7], [0], { values: scrambled(21).map((v) => v - 9) }),
  reduceCase("min", min, smallest, [3, 5, 7], [0, 2], { values: scrambled(105), keepDims: true }),
  reduceCase("min", min, smallest, [4, 6], [1], { values: tied(24, 6, -1) }),
  reduceCase("min", min, smallest, [4, 5], [1], { values: NAN_ROWS, gradients: [] }),
  ...long,
  {
    name: "sumTo: [4, 3, 5, 7] to [3, 1, 7]",
    ops: ["sum"],
    inputs: [{ shape: [4, 3, 5, 7] }],
    build: (x) => sumTo(x as Tensor, [3, 1, 7]),
    oracle: (x) => ({ ...fold(x as Nd, [0, 2], true, total), shape: [3, 1, 7] }),
    tolerance: SUM,
  },
];
