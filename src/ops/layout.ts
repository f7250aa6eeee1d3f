import { concat as concatKernel } from "../../shaders/concat.wgsl";
import { type Dispatch, dispatch, linearGrid } from "../gpu/dispatch";
import { expect } from "../graph/expect";
import { apply1, type Op, type Operand, type Tensor } from "../graph/node";
import {
  broadcast,
  broadcastStrides,
  equal,
  normaliseAxes,
  type Shape,
  ShapeError,
  show,
  size,
  strides,
  type TensorType,
} from "../graph/shape";
import { type CopyAxis, fullAxis, stridedCopy } from "./strided-copy";
import { reshape } from "./views";

/**
 * Ops that move elements without computing: all of them copy 32-bit words, so that every dtype is
 * moved exactly. Transpose, slice, pad and broadcast are one kernel with different strides.
 */

const WORKGROUP = 64;

/** Axis k of the output is axis permutation[k] of the input. */
export const transposeOp: Op<{ readonly permutation: readonly number[] }> = {
  name: "transpose",
  shape({ permutation }, x) {
    const { shape, dtype } = x;
    return [{ shape: permutation.map((axis) => shape[axis] as number), dtype }];
  },
  dispatch(node) {
    const { shape } = node.inputs[0];
    const s = strides(shape);
    const axes = node.attrs.permutation.map((k) => fullAxis(shape[k] as number, s[k] as number));
    return stridedCopy(node, 0, axes);
  },
  gradient(node, [dy]) {
    const inverse: number[] = [];
    for (const [k, axis] of node.attrs.permutation.entries()) inverse[axis] = k;
    return [dy ? transpose(dy, inverse) : null];
  },
  overTime: ({ permutation }, [x]) => [transpose(x, [0, ...permutation.map((axis) => axis + 1)])],
};

/** Where elements of a smaller tensor lie in a larger one: index j of axis k at begin_k + j step_k. */
export interface Placement {
  readonly shape: Shape;
  readonly begin: readonly number[];
  /** Not 0; negative steps walk backwards. */
  readonly step: readonly number[];
}

/** The same at each of T time steps: a first axis in front, of which all is taken. */
const placedOverTime = ({ shape, begin, step }: Placement, T: number): Placement => ({
  shape: [T, ...shape],
  begin: [0, ...begin],
  step: [1, ...step],
});

/** y[j] = x[begin + j step], y having `shape`: slices, every k-th element and flips. */
export const sliceOp: Op<Placement> = {
  name: "slice",
  shape: ({ shape }, x) => [{ shape, dtype: x.dtype }],
  dispatch(node) {
    const { shape, begin, step } = node.attrs;
    const s = strides(node.inputs[0].shape);
    const base = begin.reduce((sum, b, k) => sum + b * (s[k] as number), 0);
    const axes = shape.map((n, k) => fullAxis(n, (step[k] as number) * (s[k] as number)));
    return stridedCopy(node, base, axes);
  },
  gradient(node, [dy]) {
    const { begin, step } = node.attrs;
    const { shape, dtype } = node.inputs[0];
    if (!dy || dtype !== "f32") return [null];
    return [apply1(padOp, { shape, begin, step, value: 0 }, dy)];
  },
  overTime: (attrs, [x], _, T) => [apply1(sliceOp, placedOverTime(attrs, T), x)],
};

/** y[begin + j step] = x[j], everything else in y, which has `shape`, being `value`. */
export const padOp: Op<Placement & { readonly value: number }> = {
  name: "pad",
  shape: ({ shape }, x) => [{ shape, dtype: x.dtype }],
  dispatch(node) {
    const { shape, begin, step, value } = node.attrs;
    const x = node.inputs[0];
    const s = strides(x.shape);
    let base = 0;
    const axes = shape.map((n, k): CopyAxis => {
      const [length, stride] = [x.shape[k] as number, s[k] as number];
      const [first, by] = [begin[k] as number, step[k] as number];
      if (by > 0) return { size: n, stride, start: first, reach: (length - 1) * by + 1, step: by };
      // Walked from its other end.
      base += (length - 1) * stride;
      const last = first + (length - 1) * by;
      return { size: n, stride: -stride, start: last, reach: (1 - length) * by + 1, step: -by };
    });
    const word = new DataView(new ArrayBuffer(4));
    if (x.dtype === "f32") word.setFloat32(0, value);
    else word.setUint32(0, value >>> 0);
    return stridedCopy(node, base, axes, word.getUint32(0));
  },
  gradient(node, [dy]) {
    const { begin, step } = node.attrs;
    const { shape, dtype } = node.inputs[0];
    return [dy && dtype === "f32" ? apply1(sliceOp, { shape, begin, step }, dy) : null];
  },
  overTime: ({ value, ...attrs }, [x], _, T) => [
    apply1(padOp, { ...placedOverTime(attrs, T), value }, x),
  ],
};

/** x repeated along the axes in which it is 1, under NumPy's rule. */
export const broadcastToOp: Op<{ readonly shape: Shape }> = {
  name: "broadcast_to",
  shape({ shape }, x) {
    const from = x;
    const good = equal(broadcast("broadcast_to", from.shape, shape), shape);
    expect(good, "broadcast_to", "x", show(from.shape), `broadcast to ${show(shape)}`);
    return [{ shape, dtype: from.dtype }];
  },
  dispatch(node) {
    const { shape } = node.attrs;
    const s = broadcastStrides(node.inputs[0].shape, shape);
    return stridedCopy(
      node,
      0,
      shape.map((n, k) => fullAxis(n, s[k] as number)),
    );
  },
  // The gradient driver sums over what was stretched.
  gradient: (node, [dy]) => [dy && node.inputs[0].dtype === "f32" ? dy : null],
  overTime({ shape }, [x], _, T) {
    const step = x.shape.slice(1);
    const missing = new Array<number>(shape.length - step.length).fill(1);
    return [broadcastTo(reshape(x, [T, ...missing, ...step]), [T, ...shape])];
  },
};

/** Elements of a row that one invocation of concat.wgsl copies. */
const CONCAT_RUN = 4;
/** Inputs that one dispatch of concat.wgsl can bind. */
const CONCAT_INPUTS = 6;

/** The inputs one after another along `axis`. */
export const concatOp: Op<{ readonly axis: number }> = {
  name: "concat",
  shape({ axis }, ...inputs) {
    const { shape, dtype } = inputs[0] as TensorType;
    const others = (of: Shape): Shape => of.map((d, a) => (a === axis ? 0 : d));
    let length = 0;
    for (const [k, x] of inputs.entries()) {
      const good = x.dtype === dtype && equal(others(x.shape), others(shape));
      const must = `be ${dtype} ${show(shape)} but for axis ${axis}, as input 0 is`;
      expect(good, "concat", `input ${k}`, `${x.dtype} ${show(x.shape)}`, must);
      length += x.shape[axis] as number;
    }
    return [{ shape: shape.map((d, a) => (a === axis ? length : d)), dtype }];
  },
  dispatch(node) {
    const y = node.outputs[0];
    const { axis } = node.attrs;
    const rows = size(y.shape.slice(0, axis));
    const row = size(y.shape) / rows;
    const dispatches: Dispatch<Operand>[] = [];
    let start = 0;
    for (let from = 0; from < node.inputs.length; from += CONCAT_INPUTS) {
      const inputs = node.inputs.slice(from, from + CONCAT_INPUTS);
      const bound = (k: number) => inputs[k] ?? (inputs[0] as Tensor);
      const ends: number[] = [];
      let width = 0;
      for (let k = 0; k < CONCAT_INPUTS; k++) {
        const x = inputs[k];
        if (x) width += size(x.shape) / rows;
        ends.push(width);
      }
      const runs = Math.ceil(width / CONCAT_RUN);
      const [e0 = 0, e1 = 0, e2 = 0, e3 = 0, e4 = 0, e5 = 0] = ends;
      dispatches.push(
        dispatch(concatKernel, {
          bind: {
            x0: bound(0),
            x1: bound(1),
            x2: bound(2),
            x3: bound(3),
            x4: bound(4),
            x5: bound(5),
            y,
          },
          uniforms: {
            ends_low: [e0, e1, e2, e3],
            ends_high: [e4, e5, 0, 0],
            rows,
            width,
            row,
            start,
            runs,
          },
          overrides: { INPUTS: inputs.length },
          grid: linearGrid((rows * runs) / WORKGROUP),
          flops: rows * width,
          trips: 0,
        }),
      );
      start += width;
    }
    return dispatches;
  },
  gradient(node, [dy]) {
    const { axis } = node.attrs;
    let start = 0;
    return node.inputs.map(({ shape, dtype }) => {
      const begin = shape.map((_, a) => (a === axis ? start : 0));
      start += shape[axis] as number;
      if (!dy || dtype !== "f32") return null;
      return apply1(sliceOp, { shape, begin, step: shape.map(() => 1) }, dy);
    });
  },
  overTime({ axis }, inputs, stacked, T) {
    const xs = inputs.map((x, k) => (stacked[k] ? x : broadcastTo(x, [T, ...x.shape])));
    return [concat(xs, axis + 1)];
  },
};

/**
 * x with its axes in another order: axis k of the result is axis permutation[k] of x (negative
 * axes count from the end). Without a permutation the order is reversed.
 * @throws ShapeError unless `permutation` names each axis of x once.
 */
export function transpose(
  x: Tensor,
  permutation: readonly number[] = x.shape.map((_, k) => x.shape.length - 1 - k),
): Tensor {
  const rank = x.shape.length;
  const all = normaliseAxes("transpose", permutation, rank).length === rank;
  expect(all, "transpose", "permutation", show(permutation), `name all ${rank} axes`);
  return apply1(transposeOp, { permutation: permutation.map((a) => (a < 0 ? a + rank : a)) }, x);
}

function expectOnePerAxis(op: string, name: string, values: readonly number[], x: Tensor): void {
  const good = values.length === x.shape.length && values.every(Number.isInteger);
  expect(good, op, name, show(values), `have one integer for each axis of ${show(x.shape)}`);
}

/**
 * The elements x[begin + j step] with begin + j step < end on every axis; negative `begin` and `end`
 * count from the axis's length, `step` (default 1) is positive. `flip` walks backwards.
 * @throws ShapeError for an empty or too long range.
 */
export function slice(
  x: Tensor,
  begin: readonly number[],
  end: readonly number[],
  step: readonly number[] = x.shape.map(() => 1),
): Tensor {
  expectOnePerAxis("slice", "begin", begin, x);
  expectOnePerAxis("slice", "end", end, x);
  expectOnePerAxis("slice", "step", step, x);
  const from = begin.map((b, k) => (b < 0 ? b + (x.shape[k] as number) : b));
  const shape = x.shape.map((n, k) => {
    const [b, e, s] = [from[k] as number, end[k] as number, step[k] as number];
    const to = e < 0 ? e + n : e;
    if (!(b >= 0 && b < to && to <= n && s > 0)) {
      throw new ShapeError(
        `hyperloom: slice: ${begin[k]} to ${e} by ${s} on axis ${k} of ${show(x.shape)} must be a ` +
          `range of 1 to ${n} elements within 0..${n}, with a positive step`,
      );
    }
    return Math.ceil((to - b) / s);
  });
  return apply1(sliceOp, { shape, begin: from, step }, x);
}

/** x with the order along the given axes (default: all) reversed. @throws ShapeError for a wrong axis. */
export function flip(x: Tensor, axes?: readonly number[]): Tensor {
  const flipped = new Set(normaliseAxes("flip", axes, x.shape.length));
  return apply1(
    sliceOp,
    {
      shape: x.shape,
      begin: x.shape.map((n, k) => (flipped.has(k) ? n - 1 : 0)),
      step: x.shape.map((_, k) => (flipped.has(k) ? -1 : 1)),
    },
    x,
  );
}

/**
 * x with before[k] elements of `value` (default 0) in front of axis k and after[k] behind it.
 * @throws ShapeError unless there is one non-negative integer an axis.
 */
export function pad(
  x: Tensor,
  before: readonly number[],
  after: readonly number[],
  value = 0,
): Tensor {
  for (const [name, values] of [
    ["before", before],
    ["after", after],
  ] as const) {
    expectOnePerAxis("pad", name, values, x);
    expect(
      !values.some((n) => n < 0),
      "pad",
      name,
      show(values),
      "not be negative; use slice() to cut",
    );
  }
  const shape = x.shape.map((n, k) => (before[k] as number) + n + (after[k] as number));
  return apply1(padOp, { shape, begin: before, step: x.shape.map(() => 1), value }, x);
}

/**
 * x repeated to `shape` under NumPy's rule.
 * @throws ShapeError where x does not broadcast to it.
 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return equal(x.shape, shape) ? x : apply1(broadcastToOp, { shape }, x);
}

/**
 * Tensors one after another along an axis (negative: from the end); they agree on all others.
 * @throws ShapeError naming the input that does not fit.
 */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  const [first] = xs;
  if (first === undefined) throw new ShapeError("hyperloom: concat: give at least one tensor");
  const [k = 0] = normaliseAxes("concat", [axis], first.shape.length);
  return xs.length === 1 ? first : apply1(concatOp, { axis: k }, ...xs);
}
