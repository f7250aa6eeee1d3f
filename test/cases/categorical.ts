import { categorical } from "../../src/ops/categorical";
import type { Tensor } from "../../src/graph/node";
import type { CaseInput, Nd, OpCase } from "./case";

const NONE = 0xffffffff;

function choose(x: readonly number[], u: number, temperature: number): number {
  const max = Math.max(...x);
  if (x.some(Number.isNaN) || !Number.isFinite(max)) return NONE;
  if (temperature <= 0) return x.indexOf(max);
  const w = x.map((v) => Math.exp((v - max) / temperature));
  const whole = w.reduce((a, b) => a + b, 0);
  let sum = 0;
  const at = w.findIndex((v) => {
    sum += v;
    return sum > u * whole;
  });
  return at < 0 ? x.indexOf(max) : at;
}

function oracle(logits: Nd, u: Nd, temperature: Nd): Nd {
  const [rows = 0, classes = 0] = logits.shape;
  const data = Float64Array.from({ length: rows }, (_, b) => {
    const row = [...logits.data.subarray(b * classes, (b + 1) * classes)];
    return choose(row, u.data[b] as number, temperature.data[0] as number);
  });
  return { shape: [rows], data };
}

function categoricalCase(
  name: string,
  logits: CaseInput,
  temperature: number,
  u?: readonly number[],
): OpCase {
  const [rows = 1] = logits.shape;
  return {
    name: `categorical ${name}, temperature ${temperature}`,
    ops: ["categorical"],
    inputs: [
      logits,
      { shape: [rows], low: 0, high: 1, ...(u && { values: u }) },
      { shape: [], values: [temperature] },
    ],
    build: (...x) => categorical(...(x as [Tensor, Tensor, Tensor])),
    oracle: (...x) => oracle(...(x as [Nd, Nd, Nd])),
    tolerance: 0, // a class is the right one or not; no threshold here is within 1e-4 of a border
    gradients: [],
  };
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const thirds = [0, 0, 0];

/** Cases of src/ops/categorical.ts. */
export const categoricalCases: readonly OpCase[] = [
  categoricalCase("1 x 1", { shape: [1, 1] }, 1),
  categoricalCase("1 x 65", { shape: [1, 65], low: -3, high: 3 }, 0.8),
  categoricalCase("5 x 3", { shape: [5, 3], low: -3, high: 3 }, 1),
  categoricalCase("131 x 7", { shape: [131, 7], low: -2, high: 2 }, 0.5),
  categoricalCase("3 x 257, hot", { shape: [3, 257], low: -9, high: 9 }, 5),
  categoricalCase("3 x 11, cold", { shape: [3, 11], low: -9, high: 9 }, 0.01),
  categoricalCase("3 x 11, the maximum", { shape: [3, 11], low: -9, high: 9 }, 0),
  categoricalCase("the first of equal maxima", { shape: [1, 4], values: [1, 2, 2, 0] }, 0),
  categoricalCase(
    "the ends of each third, and just below 1",
    { shape: [5, 3], values: [...thirds, ...thirds, ...thirds, ...thirds, ...thirds] },
    1,
    [0, 0.33, 0.34, 0.67, 1 - 2 ** -24],
  ),
  categoricalCase(
    "classes of no probability are never drawn",
    { shape: [2, 4], values: [-infinity, 0, 0, -infinity, -infinity, 0, 0, -infinity] },
    1,
    [0, 1 - 2 ** -24],
  ),
  categoricalCase(
    "large logits",
    { shape: [2, 3], values: [3e4, 0, 0, -3e4, -3e4, -3e4] },
    1,
    [0.999, 0.5],
  ),
  categoricalCase(
    "rows that are no distribution",
    { shape: [3, 2], values: [nan, 0, infinity, 0, -infinity, -infinity] },
    1,
  ),
];
