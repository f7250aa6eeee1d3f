import { softmax as softmaxKernel } from "../../shaders/softmax.wgsl";
import { softmaxCrossEntropy as crossEntropyKernel } from "../../shaders/softmax_cross_entropy.wgsl";
import { softmaxCrossEntropyGradient } from "../../shaders/softmax_cross_entropy_gradient.wgsl";
import { softmaxCrossEntropyMean } from "../../shaders/softmax_cross_entropy_mean.wgsl";
import { softmaxGradient } from "../../shaders/softmax_gradient.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expect, expectIntegers, expectShape, expectType, lastAxis } from "../graph/expect";
import {
  apply,
  apply1,
  type Listed,
  type Node,
  notDifferentiable,
  type Op,
  scratch,
  type Tensor,
} from "../graph/node";
import { size, type TensorType } from "../graph/shape";
import { fillOp } from "./elementwise";
import { everyStep, rowsOverTime } from "./time-axis";

/** An invocation runs three times over a row, and one adapter ends its loops after 65,535 trips in all. */
const MAX_CLASSES = 16_384;
const WORKGROUP = 64;
// Lanes that sum rows together. A software adapter writes out the zeroing of each element of workgroup
// memory: 64 lanes compile in 45 ms, 16 in 27.
const SUM_LANES = { software: 16, gpu: 64 } as const;

/** @throws ShapeError for rows of more classes than kernels walk. */
export function expectClasses(op: string, classes: number): void {
  const must = `be at most ${MAX_CLASSES}`;
  expect(classes <= MAX_CLASSES, op, "the length of the last axis", classes, must);
}

function expectRows(op: string, ...[logits, labels, weight]: Listed<TensorType>): number {
  expectType(op, "logits", logits, 2);
  const [rows = 0, classes = 0] = logits.shape;
  expectClasses(op, classes);
  expectIntegers(op, "labels", labels);
  expectShape(op, "labels", { ...labels, dtype: "f32" }, [rows]);
  expectShape(op, "weight", weight, [rows]);
  return rows;
}

/** What is kept of each row for the gradient: its maximum and 1 / sum of exp(x - maximum). */
const STATS = 2;

function rowDispatch(
  node: Node,
  reduce: 0 | 1 | 2,
  workgroups: number,
  into: Readonly<Record<"loss" | "correct" | "total", Tensor | ReturnType<typeof scratch>>>,
  lanes: number,
) {
  const [logits, labels, weight] = node.inputs;
  const [rows = 0, classes = 0] = logits.shape;
  const span = Math.ceil(rows / workgroups);
  return dispatch(crossEntropyKernel, {
    bind: { logits, labels, weight, stats: node.outputs[2], ...into },
    uniforms: { rows, classes, span },
    overrides: { REDUCE: reduce, WORKGROUP: lanes },
    grid: [workgroups, 1, 1] as const,
    flops: rows * classes * 12,
    // Twice over each row of a lane, then lane 0 over the lanes.
    trips: Math.ceil(span / lanes) * (3 + 2 * classes) + lanes + 2,
    longestLoop: Math.max(classes, Math.ceil(span / lanes), lanes),
  });
}

/** From (logits, labels, weight): loss rows, correct rows, and stats [rows, 2] for the gradient. */
export const softmaxCrossEntropyOp: Op<null> = {
  name: "softmax_cross_entropy",
  overTime: (...over) => rowsOverTime(softmaxCrossEntropyOp, ...over),
  shape(_, ...inputs) {
    const rows = expectRows("softmax_cross_entropy", ...inputs);
    return [
      { shape: [rows], dtype: "f32" },
      { shape: [rows], dtype: "f32" },
      { shape: [rows, STATS], dtype: "f32" },
    ];
  },
  dispatch(node, { adapter }) {
    const [rows = 0] = node.inputs[0].shape;
    const lanes = SUM_LANES[adapter];
    const workgroups = Math.min(Math.ceil(rows / lanes), 65_535);
    const into = { loss: node.outputs[0], correct: node.outputs[1], total: scratch(4) };
    return [rowDispatch(node, 0, workgroups, into, lanes)];
  },
  gradient(node, [dloss]) {
    return [dloss ? crossEntropyGradient(node, dloss) : null, null, null];
  },
};

/** Logits that one workgroup goes through, rather than many and a second dispatch for their sums. */
const ONE_WORKGROUP_LOGITS = 16_384;

/**
 * From (logits, labels, weight): the weighted mean loss [], the weight of the correct rows [], stats
 * [rows, 2], and the sum of the weights [].
 */
export const meanSoftmaxCrossEntropyOp: Op<null> = {
  name: "mean_softmax_cross_entropy",
  shape(_, ...inputs) {
    const rows = expectRows("mean_softmax_cross_entropy", ...inputs);
    return [
      { shape: [], dtype: "f32" },
      { shape: [], dtype: "f32" },
      { shape: [rows, STATS], dtype: "f32" },
      { shape: [], dtype: "f32" },
    ];
  },
  dispatch(node, { adapter }) {
    const [rows = 0, classes = 0] = node.inputs[0].shape;
    const lanes = SUM_LANES[adapter];
    const into = { loss: node.outputs[0], correct: node.outputs[1], total: node.outputs[3] };
    if (rows * classes <= ONE_WORKGROUP_LOGITS) return [rowDispatch(node, 2, 1, into, lanes)];
    const workgroups = Math.min(Math.ceil(rows / lanes), 1024);
    const parts = {
      loss: scratch(workgroups),
      correct: scratch(workgroups),
      total: scratch(workgroups),
    };
    return [
      rowDispatch(node, 1, workgroups, parts, lanes),
      dispatch(softmaxCrossEntropyMean, {
        bind: {
          loss_parts: parts.loss,
          correct_parts: parts.correct,
          total_parts: parts.total,
          ...into,
        },
        uniforms: { parts: workgroups },
        overrides: { WORKGROUP: lanes },
        grid: [1, 1, 1],
        flops: workgroups * 3,
        trips: Math.ceil(workgroups / lanes) + lanes + 2,
      }),
    ];
  },
  gradient(node, [dloss]) {
    return [dloss ? crossEntropyGradient(node, dloss) : null, null, null];
  },
};

function crossEntropyGradient(node: Node, dloss: Tensor): Tensor {
  const [logits, labels, weight] = node.inputs;
  const mean = node.outputs.length > 3;
  // The gradient of the loss itself is the constant 1, which need not be made and read.
  const factor =
    dloss.node.op === fillOp ? (dloss.node.attrs as { readonly value: number }).value : null;
  const more = [...(mean ? [node.outputs[3]] : []), ...(factor === null ? [dloss] : [])];
  const inputs = [logits, labels, weight, node.outputs[2], ...more];
  return apply1(softmaxCrossEntropyGradientOp, { mean, factor }, ...inputs);
}

/** Elements of a row that one invocation of the gradient's kernel takes. */
const GRADIENT_RUN = 16;

/** What the gradient of a cross-entropy depends on besides its inputs. */
export interface CrossEntropyGradientAttrs {
  /** Whether the loss was the mean, whose sum of weights is then an input. */
  readonly mean: boolean;
  /** The gradient of every loss, or null where it is an input. */
  readonly factor: number | null;
}

/**
 * From (logits, labels, weight, stats, total of the mean, dloss unless constant) the gradient of
 * either loss for the logits.
 */
export const softmaxCrossEntropyGradientOp: Op<CrossEntropyGradientAttrs> = {
  name: "softmax_cross_entropy_gradient",
  overTime(attrs, ...over) {
    // The mean of each step has its own sum of weights.
    return attrs.mean ? null : rowsOverTime(softmaxCrossEntropyGradientOp, attrs, ...over);
  },
  shape: (_, logits) => [logits],
  dispatch(node) {
    const { mean, factor } = node.attrs;
    const [logits, labels, weight] = node.inputs;
    const [rows = 0, classes = 0] = logits.shape;
    const runs = Math.ceil(classes / GRADIENT_RUN);
    // What is not looked at is bound to anything.
    const total = mean ? node.inputs[4] : weight;
    const dloss = factor === null ? node.inputs[mean ? 5 : 4] : weight;
    return [
      dispatch(softmaxCrossEntropyGradient, {
        bind: {
          logits,
          labels,
          weight,
          stats: node.inputs[3],
          total,
          dloss,
          dlogits: node.outputs[0],
        },
        uniforms: { rows, classes, runs, factor: factor ?? 0 },
        overrides: { MEAN: Number(mean), CONSTANT: Number(factor !== null), RUN: GRADIENT_RUN },
        grid: linearGrid((rows * runs) / WORKGROUP),
        flops: rows * classes * 8,
        trips: GRADIENT_RUN + 1,
      }),
    ];
  },
  gradient: notDifferentiable(
    "second derivatives are not provided; compose the loss from logSoftmax() and gather()",
  ),
};

/** What a softmax depends on besides its inputs. */
export interface SoftmaxAttrs {
  readonly log: boolean;
}

function rowsOf({ shape }: Tensor): { rows: number; classes: number } {
  const classes = shape[shape.length - 1] as number;
  return { rows: size(shape) / classes, classes };
}

/** Softmax over the last axis, or its logarithm. */
export const softmaxOp: Op<SoftmaxAttrs> = {
  name: "softmax",
  shape(_, x) {
    expectClasses("softmax", lastAxis("softmax", x));
    return [x];
  },
  dispatch(node) {
    const [x] = node.inputs;
    const [y] = node.outputs;
    const { rows, classes } = rowsOf(x);
    return [
      dispatch(softmaxKernel, {
        bind: { x, y },
        uniforms: { rows, classes },
        overrides: { LOG: Number(node.attrs.log) },
        grid: linearGrid(rows / WORKGROUP),
        flops: rows * classes * 20,
        trips: 3 * (classes + 1),
        longestLoop: classes,
      }),
    ];
  },
  gradient(node, [dy]) {
    return [dy ? apply1(softmaxGradientOp, node.attrs, node.outputs[0], dy) : null];
  },
  overTime: (attrs, [x]) => [apply1(softmaxOp, attrs, x)],
};

/** From (y, dy) the gradient of softmax, or of its logarithm, whose output y is. */
export const softmaxGradientOp: Op<SoftmaxAttrs> = {
  name: "softmax_gradient",
  shape: (_, y) => [y],
  dispatch(node) {
    const [y, dy] = node.inputs;
    const [dx] = node.outputs;
    const { rows, classes } = rowsOf(y);
    return [
      dispatch(softmaxGradient, {
        bind: { y, dy, dx },
        uniforms: { rows, classes },
        overrides: { LOG: Number(node.attrs.log) },
        grid: linearGrid(rows / WORKGROUP),
        flops: rows * classes * 8,
        trips: 2 * (classes + 1),
        longestLoop: classes,
      }),
    ];
  },
  gradient: notDifferentiable("second derivatives through softmax are not provided"),
  overTime: (attrs, inputs, stacked, T) => [
    apply1(softmaxGradientOp, attrs, ...inputs.map((x, k) => everyStep(x, stacked[k], T))),
  ],
};

/**
 * exp(x) / sum of exp(x) over the last axis, at most 16,384 long. A row with NaN, or whose maximum
 * is infinite, is NaN.
 */
export function softmax(x: Tensor): Tensor {
  return apply1(softmaxOp, { log: false }, x);
}

/** x - log(sum of exp(x)) over the last axis, without overflow; rows as in `softmax`. */
export function logSoftmax(x: Tensor): Tensor {
  return apply1(softmaxOp, { log: true }, x);
}

/**
 * Cross-entropy in nats of rows of logits [B, V] against labels [B] (u32 or i32):
 * loss_b = weight_b (log sum_k exp(x_bk) - x_b,label), and correct_b = weight_b where the first
 * maximum of the row is at the label, else 0; both [B]. A row of weight 0 counts for nothing; NaN
 * or +infinity among the logits or a label outside 0..V-1 gives NaN. Weights get no gradient and
 * `correct` has none.
 * @throws ShapeError where B or a dtype disagrees or V exceeds 16,384.
 */
export function softmaxCrossEntropy(
  logits: Tensor,
  labels: Tensor,
  weight: Tensor,
): { readonly loss: Tensor; readonly correct: Tensor } {
  const [loss, correct] = apply(softmaxCrossEntropyOp, null, logits, labels, weight);
  return { loss, correct };
}

/**
 * The same over a batch, each a scalar: `loss` = sum of loss_b / sum of weight_b (0 where all
 * weights are 0), `correct` = sum of correct_b, and `total` = sum of weight_b. One dispatch up to
 * 16,384 logits, two beyond; one for the gradient.
 * @throws ShapeError where B or a dtype disagrees or V exceeds 16,384.
 */
export function meanSoftmaxCrossEntropy(
  logits: Tensor,
  labels: Tensor,
  weight: Tensor,
): { readonly loss: Tensor; readonly correct: Tensor; readonly total: Tensor } {
  const [loss, correct, , total] = apply(meanSoftmaxCrossEntropyOp, null, logits, labels, weight);
  return { loss, correct, total };
}
