import { expect, expectType } from "../graph/expect";
import { apply, apply1, listed, type Node, type Op, type Tensor } from "../graph/node";
import {
  broadcast,
  broadcastStrides,
  equal,
  type Shape,
  ShapeError,
  show,
  size,
  type TensorType,
} from "../graph/shape";
import { add, fill, mul } from "./elementwise";
import { gemm } from "./gemm";
import type { BatchAxes, Gemm } from "./matmul-variants";
import { allRows, timeFirst } from "./time-axis";
import { reshape } from "./views";

/** Which operands are stored with their last two axes exchanged. */
export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** How `matmulOp` reads its operands. */
export interface MatmulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** The products of all batch items are added up: the gradient of a shared operand. */
  readonly sumBatch: boolean;
}

interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: Shape;
}

const leading = (shape: Shape): Shape => shape.slice(0, -2);

/** [rows, columns] of an operand as the product sees it. */
function matrix(name: string, x: TensorType, transposed: boolean): [number, number] {
  expectType("matmul", name, x);
  const { shape } = x;
  const [p = 0, q = 0] = shape.slice(-2);
  expect(shape.length > 1, "matmul", name, show(shape), "have rank 2 or more; reshape it");
  return transposed ? [q, p] : [p, q];
}

function sizesOf({ transposeA, transposeB }: MatmulAttrs, a: TensorType, b: TensorType): Sizes {
  const [m, ka] = matrix("a", a, transposeA);
  const [kb, n] = matrix("b", b, transposeB);
  if (ka !== kb) {
    const shown = (x: TensorType, t: boolean) => `${show(x.shape)}${t ? " transposed" : ""}`;
    throw new ShapeError(
      `hyperloom: matmul: ${shown(a, transposeA)} and ${shown(b, transposeB)} do not multiply: ` +
        `K is ${ka} and ${kb}; make them equal`,
    );
  }
  return { m, n, k: ka, batch: broadcast("matmul", leading(a.shape), leading(b.shape)) };
}

// Batch axes that the kernels walk, after merging neighbours.
const MAX_BATCH_AXES = 4;

interface Batch {
  readonly sizes: BatchAxes;
  readonly aStrides: BatchAxes;
  readonly bStrides: BatchAxes;
}

/** The batch as at most four axes: neighbours that both operands walk as one are merged. */
function batchAxes(a: Shape, b: Shape, batch: Shape): Batch | null {
  const strides = [broadcastStrides(a, batch), broadcastStrides(b, batch)] as const;
  const axes: { size: number; a: number; b: number }[] = [];
  for (const [i, length] of batch.entries()) {
    if (length === 1) continue;
    const axis = { size: length, a: strides[0][i] ?? 0, b: strides[1][i] ?? 0 };
    const outer = axes[axes.length - 1];
    if (outer && outer.a === axis.a * length && outer.b === axis.b * length) {
      axes[axes.length - 1] = { ...axis, size: outer.size * length };
    } else axes.push(axis);
  }
  if (axes.length > MAX_BATCH_AXES) return null;
  while (axes.length < MAX_BATCH_AXES) axes.unshift({ size: 1, a: 0, b: 0 });
  const four = (of: "size" | "a" | "b") => axes.map((axis) => axis[of]) as unknown as BatchAxes;
  return { sizes: four("size"), aStrides: four("a"), bStrides: four("b") };
}

/** y[…, m, n] = Σ_k a[…, m, k] b[…, k, n]; batch axes broadcast. */
export const matmulOp: Op<MatmulAttrs> = {
  name: "matmul",
  epilogue: true,
  shape(attrs, a, b) {
    const { m, n, batch } = sizesOf(attrs, a, b);
    const [x, y] = [leading(a.shape), leading(b.shape)];
    if (batchAxes(x, y, batch) === null) {
      throw new ShapeError(
        `hyperloom: matmul: batch axes ${show(x)} and ${show(y)} alternate between shared and own ` +
          `more than ${MAX_BATCH_AXES} times; transpose or broadcast one operand first`,
      );
    }
    return [{ shape: attrs.sumBatch ? [m, n] : [...batch, m, n], dtype: "f32" }];
  },
  dispatch(node, target) {
    const [a, b] = node.inputs;
    const { m, n, k, batch } = sizesOf(node.attrs, a, b);
    const axes = batchAxes(leading(a.shape), leading(b.shape), batch);
    if (!axes) throw new Error("internal: matmul: batch axes were not checked");
    return gemm(fold({ ...node.attrs, ...axes, a, b, y: node.outputs[0], m, n, k }), target);
  },
  gradient(node, [dy]) {
    if (!dy) return [null, null];
    const { transposeA: tA, transposeB: tB } = node.attrs;
    const [a, b] = node.inputs;
    return [
      tA ? towards(node, a, b, dy, tB, true) : towards(node, a, dy, b, false, !tB),
      tB ? towards(node, b, dy, a, true, tA) : towards(node, b, a, dy, !tA, false),
    ];
  },
  overTime(attrs, inputs, stacked) {
    if (attrs.sumBatch) return null;
    const ranks = inputs.map((x, k) => x.shape.length - Number(stacked[k]));
    const [a, b] = listed(
      inputs.map((x, k) => (stacked[k] ? timeFirst(x, Math.max(...ranks)) : x)),
    );
    return walks(a, b) ? apply(matmulOp, attrs, a, b) : null;
  },
  // The product is summed over the time axis as over a batch; `fold` makes one of it for aᵀ b.
  sumOverTime(attrs, [a, b], stacked) {
    const [rank, same] = [a.shape.length, b.shape.length];
    const batch = attrs.sumBatch ? rank === same : rank === 3 && same === 3;
    if (!stacked[0] || !stacked[1] || !batch || !walks(a, b)) return null;
    return apply1(matmulOp, { ...attrs, sumBatch: true }, a, b);
  },
};

/** Whether the kernels can walk the batch of two operands. */
function walks(a: Tensor, b: Tensor): boolean {
  const [x, y] = [leading(a.shape), leading(b.shape)];
  return batchAxes(x, y, broadcast("matmul", x, y)) !== null;
}

const ONE: BatchAxes = [1, 1, 1, 1];
const NONE: BatchAxes = [0, 0, 0, 0];

/**
 * A batch that is really one product: of a per-sample a and a shared b the rows of all samples
 * stand below each other, and so do those of both operands of a summed aᵀ b (the gradient of a
 * shared b).
 */
function fold(g: Gemm): Gemm {
  const [outer2, outer1, outer0, items] = g.sizes;
  const [a, b] = [g.aStrides[3], g.bStrides[3]];
  if (items === 1 || outer2 * outer1 * outer0 > 1 || a !== 1) return g;
  const single = { sizes: ONE, aStrides: NONE, bStrides: NONE, sumBatch: false };
  if (!g.sumBatch && !g.transposeA && b === 0) return { ...g, ...single, m: items * g.m };
  if (g.sumBatch && g.transposeA && !g.transposeB && b === 1) {
    return { ...g, ...single, k: items * g.k };
  }
  return g;
}

/**
 * The gradient of operand x as a product of p and q. A shared operand of a batched product gets the
 * sum over the batch from the same kernel, without a tensor of addends.
 */
function towards(
  { attrs, inputs }: Node<MatmulAttrs>,
  x: Tensor,
  p: Tensor,
  q: Tensor,
  transposeA: boolean,
  transposeB: boolean,
): Tensor {
  const shared = size(leading(x.shape)) === 1;
  const batched = inputs.some(({ shape }) => size(leading(shape)) > 1);
  if (shared && batched) {
    return reshape(apply1(matmulOp, { transposeA, transposeB, sumBatch: true }, p, q), x.shape);
  }
  const dx = matmul(p, q, { transposeA, transposeB });
  // Every item of a summed batch gets the same gradient.
  return attrs.sumBatch && !equal(dx.shape, x.shape) ? mul(dx, fill(1, x.shape)) : dx;
}

/**
 * Matrix product of a [..., M, K] and b [..., K, N], stored [..., K, M] and [..., N, K] with
 * `transposeA` and `transposeB`. Leading axes are a batch and broadcast: either operand may be
 * shared (no batch axes, or 1) or per sample. A batch times one shared b runs as a single product.
 * @returns [..., M, N]
 * @throws ShapeError where K or the batches disagree, or for a rank below 2 or a dtype not f32.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  return apply1(matmulOp, { transposeA, transposeB, sumBatch: false }, a, b);
}

/** How `matmulPairOp` reads b and b2. */
export interface MatmulPairAttrs {
  readonly transposeB: boolean;
}

// Both sums run in one invocation: far from the 32,768 trips a loop may have, and accurate.
const LONGEST_PAIR = 16_384;

/** From (a, b, a2, b2) y = a b + a2 b2; see `matmulPair`. */
export const matmulPairOp: Op<MatmulPairAttrs> = {
  name: "matmul_pair",
  epilogue: true,
  shape({ transposeB }, ...inputs) {
    const [a, b, a2, b2] = inputs;
    for (const [name, x] of Object.entries({ a, b, a2, b2 })) {
      expectType("matmul_pair", name, x, 2);
    }
    const attrs = { transposeA: false, transposeB, sumBatch: false };
    const [first, second] = [sizesOf(attrs, a, b), sizesOf(attrs, a2, b2)];
    const [y, y2]: readonly [Shape, Shape] = [
      [first.m, first.n],
      [second.m, second.n],
    ];
    expect(
      equal(y, y2),
      "matmul_pair",
      "a2 b2",
      show(y2),
      `be ${show(y)} as a b: make M and N equal`,
    );
    const K = first.k + second.k;
    expect(
      K <= LONGEST_PAIR,
      "matmul_pair",
      "K + K2",
      K,
      `be at most ${LONGEST_PAIR}; add two matmul()`,
    );
    return [{ shape: y, dtype: "f32" }];
  },
  dispatch(node, target) {
    const [a, b, a2, b2] = node.inputs;
    const attrs = { transposeA: false, transposeB: node.attrs.transposeB, sumBatch: false };
    const { m, n, k } = sizesOf(attrs, a, b);
    const single = { sizes: ONE, aStrides: NONE, bStrides: NONE };
    const second = { a: a2, b: b2, k: sizesOf(attrs, a2, b2).k };
    return gemm({ ...attrs, ...single, a, b, y: node.outputs[0], m, n, k, second }, target);
  },
  gradient({ attrs: { transposeB }, inputs }, [dy]) {
    if (!dy) return inputs.map(() => null);
    const [a, b, a2, b2] = inputs;
    const ofA = (w: Tensor) => matmul(dy, w, { transposeB: !transposeB });
    const ofB = (x: Tensor) =>
      transposeB ? matmul(dy, x, { transposeA: true }) : matmul(x, dy, { transposeA: true });
    return [ofA(b), ofB(a), ofA(b2), ofB(a2)];
  },
  overTime({ transposeB }, inputs, stacked, T) {
    const [a, b, a2, b2] = inputs;
    if (stacked[1] || stacked[3] || !stacked[0] || !stacked[2]) {
      return [add(matmul(a, b, { transposeB }), matmul(a2, b2, { transposeB }))];
    }
    const y = matmulPair(allRows(a), b, allRows(a2), b2, { transposeB });
    return [reshape(y, [T, -1, y.shape[1] as number])];
  },
};

/**
 * a b + a2 b2 in one dispatch: the product of (a, a2) and (b, b2) concatenated along K, without
 * concatenating them. For the pre-activations W_h h + W_x x of recurrent cells.
 * @param a [M, K]
 * @param b [K, N], or [N, K] with `transposeB`
 * @param a2 [M, K2]
 * @param b2 [K2, N], or [N, K2] with `transposeB`
 * @returns [M, N]; where K, K2 (and N without `transposeB`) are multiples of 4 from vector loads
 * @throws ShapeError where the shapes disagree, or for another rank or dtype, or K + K2 > 16,384.
 */
export function matmulPair(
  a: Tensor,
  b: Tensor,
  a2: Tensor,
  b2: Tensor,
  { transposeB = false }: Pick<MatmulOptions, "transposeB"> = {},
): Tensor {
  return apply1(matmulPairOp, { transposeB }, a, b, a2, b2);
}
