import type { Tensor } from "../../src/graph/node";
import { type Shape, size } from "../../src/graph/shape";
import { hyperLstmCell, hyperScale } from "../../src/ops/hyper-lstm-cell";
import type { CaseInput, Nd, OpCase } from "./case";
import { type CellNumbers, cellOracle, maskInput, normInput } from "./lstm-cell";

/** d_0 hg + d_1 xg + d_2 for hg, xg [..., B, 4, H] and d [..., 3, 4, B, H]. */
function scaleOracle(hg: Nd, xg: Nd, d: Nd): Nd {
  const [rows, hidden] = d.shape.slice(-2) as [number, number];
  const data = hg.data.map((v, i) => {
    const [u, gate, b] = [i % hidden, Math.floor(i / hidden) % 4, Math.floor(i / hidden / 4)];
    const step = Math.floor(b / rows);
    const at = (kind: number): number =>
      d.data[(((step * 3 + kind) * 4 + gate) * rows + (b % rows)) * hidden + u] as number;
    return at(0) * v + at(1) * (xg.data[i] as number) + at(2);
  });
  return { shape: hg.shape, data };
}

const gateInputs = (steps: Shape, rows: number, hidden: number): CaseInput[] => [
  { shape: [...steps, rows, 4 * hidden], low: -2, high: 2 },
  { shape: [...steps, rows, 4 * hidden], low: -2, high: 2 },
  { shape: [...steps, 3, 4, rows, hidden], low: -1, high: 1.5 },
];

function scaleCase(steps: Shape, rows: number, hidden: number): OpCase {
  const inputs = gateInputs(steps, rows, hidden);
  return {
    name: `hyper scale [${[...steps, rows, hidden].join(", ")}]`,
    ops: ["hyper_scale", "hyper_scale_gradient"],
    inputs,
    build: (...x) => hyperScale(x[0] as Tensor, x[1] as Tensor, x[2] as Tensor),
    oracle: (...x) => scaleOracle(x[0] as Nd, x[1] as Nd, x[2] as Nd),
    tolerance: 5e-7, // two products and two sums
    // Differences of larger ones take too long.
    ...(size(inputs[2]?.shape ?? []) > 3000 ? { gradients: [] } : {}),
  };
}

interface Sizes {
  readonly rows: number;
  readonly hidden: number;
  readonly norm?: boolean;
  readonly mask?: boolean;
  readonly numbers?: CellNumbers;
}

function hyperCase({ rows, hidden, norm = false, mask = false, numbers = {} }: Sizes): OpCase {
  const optional = <T>(x: readonly T[]) => ({
    norm: norm ? (x[4] as T) : null,
    mask: mask ? (x[4 + Number(norm)] as T) : null,
  });
  const what = `${norm ? " normalised" : ""}${mask ? " with dropout" : ""}`;
  const { gates = "ifgo", forgetBias = 0, eps = 1e-5 } = numbers;
  return {
    name: `hyper-lstm cell ${rows} x ${hidden}${what} ${gates} +${forgetBias} eps ${eps}`,
    ops: ["hyper_lstm_cell", "hyper_scale", "hyper_scale_gradient", "lstm_cell_gradient"],
    inputs: [
      ...gateInputs([], rows, hidden),
      { shape: [rows, hidden], low: -2, high: 2 },
      ...(norm ? [normInput(hidden)] : []),
      ...(mask ? [maskInput(rows, hidden)] : []),
    ],
    build: (...x) => {
      const [hg, xg, d, c] = x as [Tensor, Tensor, Tensor, Tensor];
      const made = hyperLstmCell(hg, xg, d, c, { ...numbers, ...optional(x) });
      return [made.c, made.h];
    },
    oracle: (...x) => {
      const [hg, xg, d, c] = x as [Nd, Nd, Nd, Nd];
      const given = optional(x);
      return cellOracle(scaleOracle(hg, xg, d), c, given.norm, given.mask, numbers);
    },
    tolerance: 4e-6, // that of the LSTM cell
    // A mask has no gradient; differences of large cells take too long.
    gradients: rows * hidden > 200 ? [] : norm ? [0, 1, 2, 3, 4] : [0, 1, 2, 3],
  };
}

const both = (sizes: Sizes): OpCase[] => [hyperCase(sizes), hyperCase({ ...sizes, norm: true })];

/** Cases of src/ops/hyper-lstm-cell.ts. */
export const hyperLstmCellCases: readonly OpCase[] = [
  scaleCase([], 1, 1),
  scaleCase([], 3, 7),
  scaleCase([], 5, 8),
  scaleCase([3], 2, 5),
  scaleCase([2, 3], 3, 4),
  scaleCase([5], 7, 130),
  ...both({ rows: 1, hidden: 1 }),
  ...both({ rows: 3, hidden: 7, mask: true, numbers: { gates: "ogif", forgetBias: 1, eps: 1e-3 } }),
  ...both({ rows: 3, hidden: 12, numbers: { gates: "igfo", forgetBias: 1 } }),
  ...both({ rows: 5, hidden: 64, mask: true }),
  ...both({ rows: 2, hidden: 130 }),
];
