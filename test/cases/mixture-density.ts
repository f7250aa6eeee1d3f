import type { Tensor } from "../../src/graph/node";
import { mixtureDensityLoss } from "../../src/nn/losses";
import { slice } from "../../src/ops/layout";
import { mixtureDensity } from "../../src/ops/mixture-density";
import { sum } from "../../src/ops/reduce";
import { gradient } from "../../src/schedule/gradient";
import type { CaseInput, Nd, OpCase } from "./case";

/** Of each row, from the equations: log-sum-exp of log pi_j + log N_j, and the Bernoulli part. */
function oracle(raw: Nd, points: Nd): Nd {
  const [rows = 0, width = 0] = raw.shape;
  const M = (width - 1) / 6;
  const logSum = (x: readonly number[]): number => {
    const max = Math.max(...x);
    return max + Math.log(x.reduce((s, v) => s + Math.exp(v - max), 0));
  };
  const data = Float64Array.from({ length: rows }, (_, r) => {
    const y = [...raw.data.slice(r * width, (r + 1) * width)];
    const [e = 0] = y;
    const [x1 = 0, x2 = 0, x3 = 0] = points.data.slice(3 * r, 3 * r + 3);
    const part = (k: number): number[] => y.slice(1 + k * M, 1 + (k + 1) * M);
    const [weights, mu1, mu2, s1, s2, hats] = [0, 1, 2, 3, 4, 5].map(part) as [
      number[],
      number[],
      number[],
      number[],
      number[],
      number[],
    ];
    const terms = weights.map((w, j) => {
      const u = (x1 - (mu1[j] as number)) / Math.exp(s1[j] as number);
      const v = (x2 - (mu2[j] as number)) / Math.exp(s2[j] as number);
      const rho = Math.tanh(hats[j] as number);
      // 1 - rho^2, which f64 would lose beyond 18.
      const rest = 1 / Math.cosh(hats[j] as number) ** 2;
      const Z = rest > 1e-4 ? u * u + v * v - 2 * rho * u * v : ridge(u, v, hats[j] as number);
      const norm = Math.log(2 * Math.PI) + (s1[j] as number) + (s2[j] as number);
      return w - Z / (2 * rest) - norm - 0.5 * Math.log(rest);
    });
    const bernoulli = Math.log1p(Math.exp(-Math.abs(e))) + Math.max(e, 0) - x3 * e;
    return logSum(weights) - logSum(terms) + bernoulli;
  });
  return { shape: [rows], data };
}

/** u^2 + v^2 - 2 rho u v where rho is near 1 or -1: (u - s v)^2 + 2 s u v (1 - |rho|). */
function ridge(u: number, v: number, hat: number): number {
  const s = hat < 0 ? -1 : 1;
  const q = Math.exp(-2 * Math.abs(hat));
  return (u - s * v) ** 2 + (4 * s * u * v * q) / (1 + q);
}

function inputs(rows: number, M: number): CaseInput[] {
  const values = Array.from({ length: 3 * rows }, (_, i) =>
    i % 3 === 2 ? Math.floor(i / 3) % 2 : Math.fround(Math.sin(1.7 * i + 0.3)),
  );
  return [{ shape: [rows, 6 * M + 1] }, { shape: [rows, 3], values }];
}

/** exp and log of the adapters are good to about 1e-6 each, and some ten of them chain. */
const TOLERANCE = 1e-5;

const build: OpCase["build"] = (raw, points) => mixtureDensity(raw as Tensor, points as Tensor);

function mixtureCase(rows: number, M: number, differences = true): OpCase {
  return {
    name: `mixture density of ${rows} points, ${M} components`,
    ops: ["mixture_density", "mixture_density_gradient"],
    inputs: inputs(rows, M),
    build,
    oracle: (raw, points) => oracle(raw as Nd, points as Nd),
    tolerance: TOLERANCE,
    gradients: differences ? [0] : [],
  };
}

/** One component: e_hat, pi_hat, mu1, mu2, log sigma1, log sigma2, rho_hat; and the point. */
const single: readonly (readonly [readonly number[], readonly [number, number, number]])[] = [
  // On and beside the ridge of a correlation of +-1 in f32.
  [
    [0, 0, 0, 0, 0, 0, 9],
    [0.5, 0.5, 1],
  ],
  [
    [0, 5, 0, 0, 0, 0, -9],
    [0.5, -0.5, 0],
  ],
  [
    [0, 0, 0, 0, 0, 0, 12],
    [0.5, 0.5078125, 0],
  ],
  [
    [0, 0, 0, 0, 0, 0, 40],
    [0.25, 0.25, 1],
  ],
  [
    [0, 0, 0, 0, 0, 0, -100],
    [0.25, -0.25, 1],
  ],
  [
    [60, 0, 0, 0, 0, 0, 0],
    [1, 1, 1],
  ],
  [
    [-60, 0, 0, 0, 0, 0, 0],
    [1, 1, 0],
  ],
  [
    [0, -200, 0, 0, 30, -30, 0.5],
    [3, 0, 0],
  ],
];

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

const zeros = (n: number): number[] => new Array<number>(n).fill(0);
const halves = (n: number): number[] => new Array<number>(n).fill(0.5);

function weighted(given: readonly Tensor[]): { raw: Tensor; loss: Tensor } {
  const [raw, points, weight] = given as [Tensor, Tensor, Tensor];
  return { raw, loss: mixtureDensityLoss.apply(raw, { points, weight }).loss };
}

/** Cases of src/ops/mixture-density.ts and of its loss. */
export const mixtureDensityCases: readonly OpCase[] = [
  mixtureCase(1, 1),
  mixtureCase(5, 2),
  mixtureCase(3, 20),
  mixtureCase(7, 37),
  mixtureCase(67, 3),
  mixtureCase(131, 70, false),
  // Rows by themselves, since their results differ by orders of magnitude.
  ...single.map(
    ([row, point], k): OpCase => ({
      name: `mixture density of an extreme point ${k}: ${row} at ${point}`,
      ops: ["mixture_density", "mixture_density_gradient"],
      inputs: [
        { shape: [1, 7], values: row },
        { shape: [1, 3], values: point },
      ],
      build,
      oracle: (raw, points) => oracle(raw as Nd, points as Nd),
      tolerance: TOLERANCE,
      // Differences of 1e-5 are wide beside the sharpest.
      gradients: Math.abs(row[6] as number) < 9 && (row[5] as number) > -9 ? [0] : [],
    }),
  ),
  {
    name: "mixture density loss: the mean under weights",
    ops: ["mixture_density", "mixture_density_gradient"],
    inputs: [...inputs(4, 1), { shape: [4], values: [1, 0, 0.5, 2] }],
    build: (...given) => weighted(given).loss,
    oracle: (raw, points, weight) => {
      const nll = oracle(raw as Nd, points as Nd).data;
      const w = [...(weight as Nd).data];
      const sum = w.reduce((s, v, r) => s + v * (nll[r] as number), 0);
      return { shape: [], data: Float64Array.of(sum / w.reduce((s, v) => s + v, 0)) };
    },
    tolerance: TOLERANCE,
    gradients: [0],
  },
  {
    name: "mixture density loss: a row of weight 0 counts for nothing, not even NaN",
    ops: ["mixture_density", "mixture_density_gradient"],
    inputs: [
      { shape: [2, 7], values: [0, 0, 0, 0, 0, 0, 0, nan, 0, nan, 0, nan, 0, nan] },
      { shape: [2, 3], values: [0, 0, 0, 1, 1, 1] },
      { shape: [2], values: [2, 0] },
    ],
    build: (...given) => {
      const { loss, raw } = weighted(given);
      return [loss, ...gradient(loss, [raw])];
    },
    // At its mean a standard normal: only both sigmas and the pen have a gradient.
    oracle: () => [
      { shape: [], data: Float64Array.of(Math.log(4 * Math.PI)) },
      { shape: [2, 7], data: Float64Array.of(0.5, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0) },
    ],
    tolerance: TOLERANCE,
    gradients: [],
  },
  {
    name: "mixture density: NaN stays in its row; a density of 0 has the loss infinity",
    ops: ["mixture_density"],
    inputs: [
      {
        shape: [10, 13],
        // Row r has NaN at 2 r; the last but one has two means far away, the last has none of it.
        values: Array.from({ length: 130 }, (_, i) => {
          const [r, k] = [Math.floor(i / 13), i % 13];
          return r < 7 ? (k === 2 * r ? nan : 0) : r === 8 && (k === 3 || k === 4) ? 1e30 : 0;
        }),
      },
      { shape: [10, 3], values: Array.from({ length: 30 }, (_, i) => (i === 21 ? nan : 0)) },
    ],
    build: (raw, points) => {
      const nll = mixtureDensity(raw as Tensor, points as Tensor);
      const [draw] = gradient(sum(nll), [raw as Tensor]);
      return [nll, slice(draw as Tensor, [0, 0], [8, 1]), slice(draw as Tensor, [8, 0], [10, 13])];
    },
    oracle: () => [
      {
        shape: [10],
        data: Float64Array.of(...new Array(8).fill(nan), infinity, Math.log(4 * Math.PI)),
      },
      { shape: [8, 1], data: new Float64Array(8).fill(nan) },
      {
        shape: [2, 13],
        data: Float64Array.of(
          ...[0.5, 0.5, 0.5],
          ...zeros(10),
          0.5,
          ...zeros(6),
          ...halves(4),
          0,
          0,
        ),
      },
    ],
    tolerance: TOLERANCE,
    gradients: [],
  },
];
