import type { Tensor } from "../../src/graph/node";
import { mul } from "../../src/ops/elementwise";
import { type CellUpdateOptions, lstmCell } from "../../src/ops/lstm-cell";
import type { CaseInput, Nd, OpCase } from "./case";

/** Layer norm of a row, biased variance and eps inside the root. */
export function normalise(x: readonly number[], eps: number): number[] {
  const mean = x.reduce((s, v) => s + v, 0) / x.length;
  const variance = x.reduce((s, v) => s + (v - mean) ** 2, 0) / x.length;
  return x.map((v) => (v - mean) / Math.sqrt(variance + eps));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The options of a cell that are no tensors. */
export type CellNumbers = Pick<CellUpdateOptions, "gates" | "forgetBias" | "eps">;

/** c' and h' from pre [B, 4H] and c [B, H], with norm [2, 5, H] and mask [B, H] or without. */
export function cellOracle(
  pre: Nd,
  c: Nd,
  norm: Nd | null,
  mask: Nd | null,
  { gates = "ifgo", forgetBias = 0, eps = 1e-5 }: CellNumbers,
): [Nd, Nd] {
  const [rows, hidden] = c.shape as [number, number];
  const next = new Float64Array(rows * hidden);
  const h = new Float64Array(rows * hidden);
  const scaled = (x: readonly number[], k: number): readonly number[] =>
    norm === null
      ? x
      : normalise(x, eps).map(
          (v, u) =>
            v * (norm.data[k * hidden + u] as number) + (norm.data[(k + 5) * hidden + u] as number),
        );
  for (let b = 0; b < rows; b++) {
    const gate = (name: string): readonly number[] => {
      const k = gates.indexOf(name);
      const at = (b * 4 + k) * hidden;
      return scaled([...pre.data.slice(at, at + hidden)], k);
    };
    const [i, f, g, o] = ["i", "f", "g", "o"].map(gate) as [number[], number[], number[], number[]];
    const row = i.map((v, u) => {
      const at = b * hidden + u;
      const kept = mask ? (mask.data[at] as number) : 1;
      return (
        sigmoid((f[u] as number) + forgetBias) * (c.data[at] as number) +
        sigmoid(v) * kept * Math.tanh(g[u] as number)
      );
    });
    next.set(row, b * hidden);
    const out = scaled(row, 4);
    h.set(
      out.map((v, u) => sigmoid(o[u] as number) * Math.tanh(v)),
      b * hidden,
    );
  }
  return [
    { shape: c.shape, data: next },
    { shape: c.shape, data: h },
  ];
}

/** A dropout mask: most units kept and divided by the chance of it. */
export function maskInput(rows: number, hidden: number): CaseInput {
  const values = Array.from({ length: rows * hidden }, (_, k) => ((k * 7) % 10 < 8 ? 1.25 : 0));
  return { shape: [rows, hidden], values };
}

/** γ around 1 and β around 0, both far enough off to be seen. */
export function normInput(hidden: number): CaseInput {
  return { shape: [2, 5, hidden], low: -0.5, high: 1.5 };
}

/**
 * exp and tanh of the adapters are good to 4e-6 of their value (tanh near 0), and layer norm
 * divides by the spread of a row, half of the largest value here.
 */
const TOLERANCE = 4e-6;

interface Sizes {
  readonly rows: number;
  readonly hidden: number;
  readonly norm?: boolean;
  readonly mask?: boolean;
  readonly numbers?: CellNumbers;
}

function lstmCase({ rows, hidden, norm = false, mask = false, numbers = {} }: Sizes): OpCase {
  const inputs: CaseInput[] = [
    { shape: [rows, 4 * hidden], low: -3, high: 3 },
    { shape: [rows, hidden], low: -2, high: 2 },
    ...(norm ? [normInput(hidden)] : []),
    ...(mask ? [maskInput(rows, hidden)] : []),
  ];
  const optional = <T>(x: readonly T[]) => ({
    norm: norm ? (x[2] as T) : null,
    mask: mask ? (x[2 + Number(norm)] as T) : null,
  });
  const { gates = "ifgo", forgetBias = 0, eps = 1e-5 } = numbers;
  const what = `${norm ? " normalised" : ""}${mask ? " with dropout" : ""}`;
  return {
    name: `lstm cell ${rows} x ${hidden}${what} ${gates} +${forgetBias} eps ${eps}`,
    ops: ["lstm_cell", "lstm_cell_gradient"],
    inputs,
    build: (...x) => {
      const made = lstmCell(x[0] as Tensor, x[1] as Tensor, { ...numbers, ...optional(x) });
      return [made.c, made.h];
    },
    oracle: (...x) => {
      const given = optional(x);
      return cellOracle(x[0] as Nd, x[1] as Nd, given.norm, given.mask, numbers);
    },
    tolerance: TOLERANCE,
    // A mask has no gradient.
    gradients: norm ? [0, 1, 2] : [0, 1],
  };
}

const both = (sizes: Sizes): OpCase[] => [lstmCase(sizes), lstmCase({ ...sizes, norm: true })];

/** The gradients where only one of the two outputs is used. */
const oneOutput = (["c", "h"] as const).flatMap((which) =>
  [false, true].map((norm): OpCase => {
    const all = lstmCase({ rows: 3, hidden: 8, norm });
    const one = which === "c" ? 0 : 1;
    return {
      ...all,
      name: `${all.name}, ${which} alone`,
      build: (...x) => {
        const made = all.build(...x) as readonly Tensor[];
        // Squared, so that the gradient depends on the value.
        return mul(made[one] as Tensor, made[one] as Tensor);
      },
      oracle: (...x) => {
        const { shape, data } = (all.oracle(...x) as readonly Nd[])[one] as Nd;
        return { shape, data: data.map((v) => v * v) };
      },
    };
  }),
);

const { NaN: nan } = Number;

/** NaN among the inputs of a unit, or of a row where rows are normalised; large gates do no harm. */
const extremes = [false, true].map((norm): OpCase => {
  const hidden = 4;
  const all = lstmCase({ rows: 4, hidden, norm });
  const pre = Array.from({ length: 4 * 4 * hidden }, (_, k) => ((k * 5) % 13) / 4 - 1.5);
  const c = Array.from({ length: 4 * hidden }, (_, k) => ((k * 3) % 7) / 2 - 1);
  pre[4] = nan;
  pre[4 * hidden + 1] = 200;
  pre[4 * hidden + 9] = -300;
  pre[4 * hidden + 14] = 1e4;
  c[2 * hidden + 3] = nan;
  c[3 * hidden] = 150;
  return {
    ...all,
    name: `${all.name}, NaN and large numbers`,
    inputs: all.inputs.map((x, k) => (k < 2 ? { ...x, values: k === 0 ? pre : c } : x)),
    gradients: [],
  };
});

/** Cases of src/ops/lstm-cell.ts. */
export const lstmCellCases: readonly OpCase[] = [
  ...both({ rows: 1, hidden: 1 }),
  ...both({ rows: 3, hidden: 7 }),
  ...both({ rows: 3, hidden: 7, mask: true, numbers: { gates: "ofig", forgetBias: 1, eps: 1e-3 } }),
  ...both({ rows: 5, hidden: 64, numbers: { gates: "igfo", forgetBias: 1 } }),
  ...both({ rows: 2, hidden: 12, mask: true, numbers: { gates: "gofi" } }),
  // Several rows to a partial sum, the last group short; more lanes than units and fewer.
  ...both({ rows: 35, hidden: 3 }),
  ...both({ rows: 2, hidden: 130, numbers: { forgetBias: -0.5 } }),
  ...both({ rows: 2, hidden: 300, mask: true }).map((c) => ({ ...c, gradients: [] })),
  ...oneOutput,
  ...extremes,
];
