import { type Shape, size, strides } from "../../src/graph/shape";
import { broadcastTo, concat, flip, pad, slice, transpose } from "../../src/ops/layout";
import type { CaseInput, Nd, OpCase } from "./case";

/** All of these copy bits: not even rounding is allowed. */
const EXACT = 0;

/** The tensor of `shape` whose element at each index is `at(index)`. */
function fromIndex(shape: Shape, at: (index: readonly number[]) => number): Nd {
  const data = new Float64Array(size(shape));
  const s = strides(shape);
  for (let i = 0; i < data.length; i++) {
    data[i] = at(shape.map((n, k) => Math.floor(i / (s[k] as number)) % n));
  }
  return { shape, data };
}

function element(x: Nd, index: readonly number[]): number {
  const s = strides(x.shape);
  return x.data[index.reduce((sum, i, k) => sum + i * (s[k] as number), 0)] as number;
}

function transposed(x: Nd, permutation: readonly number[]): Nd {
  const shape = permutation.map((axis) => x.shape[axis] as number);
  return fromIndex(shape, (index) => {
    const source: number[] = [];
    for (const [k, axis] of permutation.entries()) source[axis] = index[k] as number;
    return element(x, source);
  });
}

function sliced(x: Nd, begin: readonly number[], shape: Shape, step: readonly number[]): Nd {
  return fromIndex(shape, (index) =>
    element(
      x,
      index.map((i, k) => (begin[k] as number) + i * (step[k] as number)),
    ),
  );
}

function padded(x: Nd, before: readonly number[], after: readonly number[], value: number): Nd {
  const shape = x.shape.map((n, k) => (before[k] as number) + n + (after[k] as number));
  return fromIndex(shape, (index) => {
    const source = index.map((i, k) => i - (before[k] as number));
    return source.every((i, k) => i >= 0 && i < (x.shape[k] as number))
      ? element(x, source)
      : value;
  });
}

function concatenated(xs: readonly Nd[], axis: number): Nd {
  const [first] = xs as [Nd];
  const length = xs.reduce((n, x) => n + (x.shape[axis] as number), 0);
  const shape = first.shape.map((n, k) => (k === axis ? length : n));
  return fromIndex(shape, (index) => {
    let at = index[axis] as number;
    for (const x of xs) {
      const n = x.shape[axis] as number;
      if (at < n)
        return element(
          x,
          index.map((i, k) => (k === axis ? at : i)),
        );
      at -= n;
    }
    return Number.NaN;
  });
}

const u32: Omit<CaseInput, "shape"> = { dtype: "u32", low: 0, high: 4294967295 };
const i32: Omit<CaseInput, "shape"> = { dtype: "i32", low: -2147483647, high: 2147483647 };

const transposes: readonly (readonly [Shape, readonly number[]])[] = [
  [
    [5, 7],
    [1, 0],
  ],
  [
    [34, 33],
    [1, 0],
  ],
  [
    [4, 68],
    [1, 0],
  ],
  [
    [2, 3, 5],
    [0, 2, 1],
  ],
  [
    [3, 8, 12],
    [0, 2, 1],
  ],
  [
    [2, 3, 5],
    [2, 0, 1],
  ],
  [
    [2, 3, 4, 5],
    [0, 2, 3, 1],
  ],
  [
    [2, 3, 4, 5],
    [3, 2, 1, 0],
  ],
  [
    [2, 1, 3, 2, 3],
    [4, 1, 0, 3, 2],
  ],
  [
    [2, 3, 2, 3, 2, 3],
    [5, 3, 1, 4, 2, 0],
  ],
  // Merges to two axes.
  [
    [2, 3, 2, 2, 2, 2, 3],
    [4, 5, 6, 0, 1, 2, 3],
  ],
  [[7], [0]],
];

const slices: readonly (readonly [
  Shape,
  readonly number[],
  readonly number[],
  readonly number[],
])[] = [
  [[11], [2], [9], [1]],
  [[11], [1], [11], [3]],
  [
    [6, 8],
    [0, 4],
    [6, 8],
    [1, 1],
  ],
  [
    [6, 8],
    [2, 0],
    [5, 8],
    [1, 1],
  ],
  [
    [3, 5, 7],
    [1, 0, 2],
    [3, 5, 6],
    [1, 2, 3],
  ],
  [
    [2, 9, 4, 4],
    [0, 1, 0, 0],
    [2, -1, 4, 4],
    [1, 7, 1, 1],
  ],
  [
    [2, 3, 4, 5, 3, 4],
    [0, 1, 0, 2, 1, 0],
    [2, 3, 3, 5, 3, 4],
    [1, 1, 2, 1, 1, 3],
  ],
];

const pads: readonly (readonly [Shape, readonly number[], readonly number[], number])[] = [
  [[5], [2], [3], 0],
  [[3, 4], [0, 0], [2, 0], 0],
  [[3, 4], [1, 2], [0, 3], -1.5],
  [[2, 3, 5, 4], [0, 0, 1, 1], [0, 0, 1, 1], 0],
  [[2, 3, 2, 3, 2, 2], [1, 0, 2, 0, 1, 1], [0, 1, 0, 1, 0, 2], 7],
];

const broadcasts: readonly (readonly [Shape, Shape])[] = [
  [[], [3, 5]],
  [[7], [5, 7]],
  [
    [5, 1],
    [5, 7],
  ],
  [
    [3, 1, 4, 1],
    [2, 3, 5, 4, 3],
  ],
  [
    [1, 3, 1, 2],
    [4, 3, 2, 2],
  ],
];

const concats: readonly (readonly [readonly Shape[], number])[] = [
  [[[3], [4]], 0],
  [
    [
      [3, 5],
      [3, 2],
      [3, 1],
    ],
    1,
  ],
  [
    [
      [2, 3],
      [5, 3],
    ],
    0,
  ],
  [
    [
      [2, 3, 4],
      [2, 1, 4],
      [2, 2, 4],
    ],
    -2,
  ],
  // Eight inputs: two dispatches into one output.
  [Array.from({ length: 8 }, (_, k) => [3, k + 1, 2]), 1],
  [Array.from({ length: 13 }, () => [2, 2]), 0],
];

const text = (shape: Shape) => `[${shape.join(", ")}]`;

/** Cases of src/ops/layout.ts. */
export const layoutCases: readonly OpCase[] = [
  ...transposes.map(
    ([shape, permutation]): OpCase => ({
      name: `transpose ${text(shape)} by ${text(permutation)}`,
      ops: ["transpose"],
      inputs: [{ shape }],
      build: (x) => transpose(x, permutation),
      oracle: (x) => transposed(x, permutation),
      tolerance: EXACT,
    }),
  ),
  {
    name: "transpose without a permutation, u32",
    ops: ["transpose"],
    inputs: [{ shape: [3, 4, 5], ...u32 }],
    build: (x) => transpose(x),
    oracle: (x) => transposed(x, [2, 1, 0]),
    tolerance: EXACT,
  },
  {
    name: "transpose with negative axes",
    ops: ["transpose"],
    inputs: [{ shape: [3, 4, 5] }],
    build: (x) => transpose(x, [0, -1, -2]),
    oracle: (x) => transposed(x, [0, 2, 1]),
    tolerance: EXACT,
  },
  ...slices.map(
    ([shape, begin, end, step]): OpCase => ({
      name: `slice ${text(shape)} from ${text(begin)} to ${text(end)} by ${text(step)}`,
      ops: ["slice", "pad"],
      inputs: [{ shape }],
      build: (x) => slice(x, begin, end, step),
      oracle: (x) => {
        const n = shape.map((length, k) => {
          const to = end[k] as number;
          return Math.ceil(
            ((to < 0 ? to + length : to) - (begin[k] as number)) / (step[k] as number),
          );
        });
        return sliced(x, begin, n, step);
      },
      tolerance: EXACT,
    }),
  ),
  {
    name: "slice i32 from negative begins",
    ops: ["slice"],
    inputs: [{ shape: [4, 6], ...i32 }],
    build: (x) => slice(x, [-3, -4], [4, -1]),
    oracle: (x) => sliced(x, [1, 2], [3, 3], [1, 1]),
    tolerance: EXACT,
  },
  ...[[0], [1], [2], [0, 2], [0, 1, 2]].map(
    (axes): OpCase => ({
      name: `flip axes ${text(axes)}`,
      ops: ["slice", "pad"],
      inputs: [{ shape: [3, 4, 5] }],
      build: (x) => flip(x, axes),
      oracle: (x) =>
        sliced(
          x,
          x.shape.map((n, k) => (axes.includes(k) ? n - 1 : 0)),
          x.shape,
          x.shape.map((_, k) => (axes.includes(k) ? -1 : 1)),
        ),
      tolerance: EXACT,
    }),
  ),
  ...pads.map(
    ([shape, before, after, value]): OpCase => ({
      name: `pad ${text(shape)} by ${text(before)} and ${text(after)} with ${value}`,
      ops: ["pad", "slice"],
      inputs: [{ shape }],
      build: (x) => pad(x, before, after, value),
      oracle: (x) => padded(x, before, after, value),
      tolerance: EXACT,
    }),
  ),
  {
    name: "pad i32 with -7",
    ops: ["pad"],
    inputs: [{ shape: [3, 2], ...i32 }],
    build: (x) => pad(x, [1, 0], [0, 2], -7),
    oracle: (x) => padded(x, [1, 0], [0, 2], -7),
    tolerance: EXACT,
  },
  ...broadcasts.map(
    ([from, to]): OpCase => ({
      name: `broadcast ${text(from)} to ${text(to)}`,
      ops: ["broadcast_to"],
      inputs: [{ shape: from }],
      build: (x) => broadcastTo(x, to),
      oracle: (x) =>
        fromIndex(to, (index) =>
          element(
            x,
            from.map((n, k) => (n === 1 ? 0 : (index[k + to.length - from.length] as number))),
          ),
        ),
      tolerance: EXACT,
    }),
  ),
  ...concats.map(
    ([shapes, axis]): OpCase => ({
      name: `concat of ${shapes.length} along ${axis}: ${shapes.map(text).join(" ")}`,
      ops: ["concat", "slice"],
      inputs: shapes.map((shape) => ({ shape })),
      build: (...xs) => concat(xs, axis),
      oracle: (...xs) => concatenated(xs, axis < 0 ? axis + (shapes[0] as Shape).length : axis),
      tolerance: EXACT,
    }),
  ),
  {
    name: "concat of one tensor with itself, u32",
    ops: ["concat"],
    inputs: [{ shape: [3, 5], ...u32 }],
    build: (x) => concat([x, x, x], 1),
    oracle: (x) => concatenated([x, x, x], 1),
    tolerance: EXACT,
  },
];
