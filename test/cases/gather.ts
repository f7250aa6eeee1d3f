import { apply1 } from "../../src/graph/node";
import { type Shape, size } from "../../src/graph/shape";
import { gather, scatterAddOp } from "../../src/ops/gather";
import type { Nd, OpCase } from "./case";

function gathered(table: Nd, indices: Nd, invalid: number): Nd {
  const [entries = 0, ...row] = table.shape;
  const width = size(row);
  const data = new Float64Array(indices.data.length * width);
  for (const [i, v] of indices.data.entries()) {
    for (let d = 0; d < width; d++) {
      data[i * width + d] = v >= 0 && v < entries ? (table.data[v * width + d] as number) : invalid;
    }
  }
  return { shape: [...indices.shape, ...row], data };
}

function add(to: Float64Array, k: number, value: number): void {
  to[k] = (to[k] as number) + value;
}

function scattered(dy: Nd, indices: Nd, shape: Shape): Nd {
  const data = new Float64Array(size(shape));
  const width = size(shape) / (shape[0] as number);
  for (const [i, v] of indices.data.entries()) {
    if (v < 0 || v >= (shape[0] as number)) continue;
    for (let d = 0; d < width; d++) add(data, v * width + d, dy.data[i * width + d] as number);
  }
  return { shape, data };
}

const geometries: readonly (readonly [Shape, Shape])[] = [
  [[7, 5], [11]],
  [
    [13, 16],
    [3, 7],
  ],
  [
    [3, 64],
    [2, 9],
  ],
  [[5, 37], [23]],
  [[11], [2, 3, 4]],
  [[1, 3], [6]],
  [[17, 2, 3], [5]],
  [[4, 20], []],
];

/** Cases of src/ops/gather.ts. */
export const gatherCases: readonly OpCase[] = [
  ...geometries.flatMap(([table, indices]) =>
    (["u32", "i32"] as const).map(
      (dtype): OpCase => ({
        name: `gather [${table.join(", ")}] at ${dtype} [${indices.join(", ")}]`,
        ops: ["gather", "scatter_add"],
        inputs: [{ shape: table }, { shape: indices, dtype, low: 0, high: table[0] as number }],
        build: (x, i) => gather(x, i),
        oracle: (x, i) => gathered(x, i, Number.NaN),
        tolerance: 1e-6, // the gradient adds up to 24 rows
      }),
    ),
  ),
  {
    name: "indices outside the table give NaN, and nothing to its gradient",
    ops: ["gather", "scatter_add"],
    inputs: [
      { shape: [3, 5] },
      { shape: [6], dtype: "i32", values: [0, -1, 2, 3, -2147483648, 2147483647] },
    ],
    build: (x, i) => [
      gather(x, i),
      apply1(scatterAddOp, { shape: [3, 5] }, gather(gather(x, i), i), i),
    ],
    oracle: (x, i) => {
      const y = gathered(x, i, Number.NaN);
      return [y, scattered(gathered(y, i, Number.NaN), i, [3, 5])];
    },
    tolerance: 1e-6,
    gradients: [],
  },
  {
    name: "a u32 table, all bits 1 outside it",
    ops: ["gather"],
    inputs: [
      { shape: [5], dtype: "u32", low: 0, high: 4294967295 },
      { shape: [4], dtype: "u32", values: [4, 5, 0, 4294967295] },
    ],
    build: (x, i) => gather(x, i),
    oracle: (x, i) => gathered(x, i, 4294967295),
    tolerance: 0, // a copy
  },
  {
    name: "scatter-add of 40,001 positions, more than a loop may have, and entries that none names",
    ops: ["scatter_add"],
    inputs: [{ shape: [40001, 3] }, { shape: [40001], dtype: "u32", low: 1, high: 4 }],
    build: (dy, i) => apply1(scatterAddOp, { shape: [7, 3] }, dy, i),
    oracle: (dy, i) => scattered(dy, i, [7, 3]),
    tolerance: 1e-5, // sums of 13,000 terms, one after another
    gradients: [],
  },
];
