import type { Tensor } from "../../src/graph/node";
import { broadcast, broadcastStrides, type Shape, size, strides } from "../../src/graph/shape";
import { add, mul, tanh } from "../../src/ops/elementwise";
import { type MatmulOptions, matmul, matmulPair } from "../../src/ops/matmul";
import type { Nd, OpCase } from "./case";

/** y[…, m, n] = Σ_k a[…, m, k] b[…, k, n], by four loops. */
function product(a: Nd, b: Nd, { transposeA = false, transposeB = false }: MatmulOptions): Nd {
  const [am = 0, an = 0] = a.shape.slice(-2);
  const [bm = 0, bn = 0] = b.shape.slice(-2);
  const [M, K, N] = [transposeA ? an : am, transposeA ? am : an, transposeB ? bm : bn];
  const batch = broadcast("oracle", a.shape.slice(0, -2), b.shape.slice(0, -2));
  const own = strides(batch);
  const place = (shape: Shape, item: number): number =>
    broadcastStrides(shape.slice(0, -2), batch).reduce(
      (at, s, axis) => at + s * (Math.floor(item / (own[axis] ?? 1)) % (batch[axis] ?? 1)),
      0,
    );
  const data = new Float64Array(size(batch) * M * N);
  for (let item = 0; item < size(batch); item++) {
    const a0 = place(a.shape, item) * M * K;
    const b0 = place(b.shape, item) * K * N;
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const x = a.data[a0 + (transposeA ? k * M + m : m * K + k)] ?? 0;
          const y = b.data[b0 + (transposeB ? n * K + k : k * N + n)] ?? 0;
          sum += x * y;
        }
        data[(item * M + m) * N + n] = sum;
      }
    }
  }
  return { shape: [...batch, M, N], data };
}

// Roundings of 2^-24, one a term, add up like the square root of their number, and so does the result:
// some 10 of them are left for up to a few thousand terms, which is where sums are split.
const TOLERANCE = 2e-6;

function matmulCase(
  a: Shape,
  b: Shape,
  options: MatmulOptions = {},
  differences = true,
  low = -1,
): OpCase {
  const mark = (t: boolean | undefined) => (t ? "ᵀ" : "");
  return {
    name: `matmul: [${a.join(", ")}]${mark(options.transposeA)} · [${b.join(", ")}]${mark(options.transposeB)}`,
    ops: ["matmul"],
    inputs: [
      { shape: a, low },
      { shape: b, low },
    ],
    build: (x, y) => matmul(x as Tensor, y as Tensor, options),
    oracle: (x, y) => product(x as Nd, y as Nd, options),
    tolerance: TOLERANCE,
    ...(differences ? {} : { gradients: [] }),
  };
}

/** The four ways of storing the same product. */
function everyOrder(
  m: number,
  k: number,
  n: number,
  differences = true,
  low = -1,
): readonly OpCase[] {
  return [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) =>
      matmulCase(
        transposeA ? [k, m] : [m, k],
        transposeB ? [n, k] : [k, n],
        { transposeA, transposeB },
        differences,
        low,
      ),
    ),
  );
}

function sumOf(x: Nd, y: Nd): Nd {
  return { shape: x.shape, data: x.data.map((v, i) => v + (y.data[i] ?? 0)) };
}

/** a b + a2 b2 for both ways of storing b and b2. */
function pairCases(m: number, k: number, k2: number, n: number, differences = true): OpCase[] {
  return [false, true].map((transposeB) => ({
    name: `matmulPair: [${m}, ${k}] and [${m}, ${k2}] to ${n} columns${transposeB ? ", b transposed" : ""}`,
    ops: ["matmul_pair", "matmul"],
    inputs: [
      { shape: [m, k] },
      { shape: transposeB ? [n, k] : [k, n] },
      { shape: [m, k2] },
      { shape: transposeB ? [n, k2] : [k2, n] },
    ],
    build: (...x) => matmulPair(...(x as [Tensor, Tensor, Tensor, Tensor]), { transposeB }),
    oracle: (...x) => {
      const [a, b, a2, b2] = x as [Nd, Nd, Nd, Nd];
      return sumOf(product(a, b, { transposeB }), product(a2, b2, { transposeB }));
    },
    tolerance: TOLERANCE,
    ...(differences ? {} : { gradients: [] }),
  }));
}

/** The chain on top of it joins the product: one dispatch, with two more operands. */
const pairWithEpilogue: OpCase = {
  name: "matmulPair: with a bias, a product and tanh on top",
  ops: ["matmul_pair"],
  inputs: [
    { shape: [9, 12] },
    { shape: [20, 12] },
    { shape: [9, 8] },
    { shape: [20, 8] },
    { shape: [20] },
    { shape: [9, 20] },
  ],
  build: (...x) => {
    const [a, b, a2, b2, bias, d] = x as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
    return tanh(add(mul(matmulPair(a, b, a2, b2, { transposeB: true }), d), bias));
  },
  oracle: (...x) => {
    const [a, b, a2, b2, bias, d] = x as [Nd, Nd, Nd, Nd, Nd, Nd];
    const options = { transposeB: true };
    const y = sumOf(product(a, b, options), product(a2, b2, options));
    const data = y.data.map((v, i) => Math.tanh(v * (d.data[i] ?? 0) + (bias.data[i % 20] ?? 0)));
    return { shape: y.shape, data };
  },
  // tanh of the adapters is good to some 5e-6.
  tolerance: 1e-5,
};

/** A product and what is added to it in the same dispatch, however that repeats over the result. */
function withAdded(a: Shape, b: Shape, added: Shape): OpCase {
  return {
    name: `matmul: [${a.join(", ")}] · [${b.join(", ")}] + [${added.join(", ")}]`,
    ops: ["matmul"],
    inputs: [{ shape: a }, { shape: b }, { shape: added }],
    build: (x, y, z) => add(matmul(x as Tensor, y as Tensor), z as Tensor),
    oracle: (x, y, z) => {
      const { shape, data } = product(x as Nd, y as Nd, {});
      const to = broadcastStrides(added, shape);
      const own = strides(shape);
      const at = (i: number): number =>
        to.reduce(
          (k, s, axis) => k + s * (Math.floor(i / (own[axis] ?? 1)) % (shape[axis] ?? 1)),
          0,
        );
      return { shape, data: data.map((v, i) => v + ((z as Nd).data[at(i)] ?? 0)) };
    },
    tolerance: TOLERANCE,
    gradients: [],
  };
}

/** Matrix products: odd and prime sizes, batches, shared and per-sample operands, long sums. */
export const matmulCases: readonly OpCase[] = [
  // A row for all, one for each item, one for each row, one for the first axis of two, a number.
  withAdded([21, 12], [12, 20], [20]),
  withAdded([3, 21, 12], [3, 12, 20], [20]),
  withAdded([3, 21, 12], [3, 12, 20], [3, 1, 20]),
  withAdded([3, 21, 12], [3, 12, 20], [3, 21, 1]),
  withAdded([3, 21, 12], [3, 12, 20], [1, 21, 20]),
  withAdded([2, 3, 21, 12], [2, 3, 12, 20], [2, 1, 1, 20]),
  withAdded([2, 3, 21, 12], [2, 3, 12, 20], [3, 1, 20]),
  withAdded([2, 20, 12], [2, 12, 20], [20, 1]),
  withAdded([3, 21, 12], [12, 20], [3, 1, 20]),
  withAdded([20, 12], [12, 20], [1]),
  ...everyOrder(5, 7, 3),
  ...everyOrder(8, 4, 12),
  ...everyOrder(17, 13, 19),
  ...everyOrder(1, 11, 5),
  ...everyOrder(7, 9, 1),
  ...everyOrder(20, 16, 24),
  // Sizes that fill no block, one block, and several with a rest; beyond differences.
  ...everyOrder(67, 53, 71, false),
  ...everyOrder(64, 64, 64, false),
  ...everyOrder(128, 36, 80, false),
  // Enough work for blocks of 16 × 8 and of 16 × 16.
  ...everyOrder(163, 164, 168, false),
  ...everyOrder(257, 259, 263, false),
  ...everyOrder(33, 1031, 9, false),
  ...everyOrder(3, 2053, 5, false),
  matmulCase([1, 1], [1, 1]),
  matmulCase([32, 784], [784, 10], {}, false),
  matmulCase([1, 515], [515, 300], {}, false),
  matmulCase([300, 515], [515, 1], {}, false),
  // Batches: both per sample, one shared, broadcasting of single axes.
  matmulCase([3, 5, 4], [3, 4, 6]),
  matmulCase([3, 5, 4], [4, 6]),
  matmulCase([5, 4], [3, 4, 6]),
  matmulCase([3, 4, 5], [4, 6], { transposeA: true }),
  matmulCase([5, 4], [3, 6, 4], { transposeB: true }),
  matmulCase([1, 5, 4], [3, 4, 6]),
  matmulCase([3, 5, 4], [1, 4, 6]),
  matmulCase([2, 3, 5, 4], [4, 7]),
  matmulCase([2, 1, 5, 4], [3, 4, 3]),
  matmulCase([2, 3, 1, 4, 5], [2, 1, 3, 4, 2], { transposeA: true }),
  matmulCase([7, 1, 9], [7, 9, 11]),
  matmulCase([7, 1, 9], [7, 11, 9], { transposeB: true }),
  matmulCase([13, 17, 12], [13, 12, 20], {}, false),
  // Gradients of operands large enough for every kind of kernel.
  matmulCase([3, 9, 20], [20, 12]),
  matmulCase([9, 20], [3, 20, 12]),
  // Sums beyond the trips that some adapters allow a loop; of positive terms, so that one term lost
  // or taken twice (5e-6 of the sum) shows.
  ...everyOrder(2, 65_537, 3, false, 0),
  matmulCase([1, 200_003], [200_003, 1], {}, false, 0),
  matmulCase([17, 131_073], [131_073, 8], {}, false, 0),
  // Two products in one: vectors, an unaligned K, K2 or N, one row or column, several tiles.
  ...pairCases(5, 8, 12, 16),
  ...pairCases(5, 7, 3, 6),
  ...pairCases(6, 8, 5, 12),
  ...pairCases(1, 4, 4, 1),
  ...pairCases(17, 20, 36, 19),
  ...pairCases(67, 52, 8, 72, false),
  ...pairCases(33, 64, 100, 132, false),
  ...pairCases(163, 260, 140, 264, false),
  ...pairCases(3, 1031, 2053, 7, false),
  pairWithEpilogue,
];
