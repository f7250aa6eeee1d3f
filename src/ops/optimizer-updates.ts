import { adam as adamKernel } from "../../shaders/adam.wgsl";
import { globalNorm as globalNormKernel } from "../../shaders/global_norm.wgsl";
import { sgd as sgdKernel } from "../../shaders/sgd.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expect, expectShape, expectType } from "../graph/expect";
import {
  apply,
  notDifferentiable,
  type Op,
  type Operand,
  scratch,
  type Tensor,
} from "../graph/node";
import { size, type TensorType } from "../graph/shape";

/**
 * Optimiser steps over slabs: flat f32 tensors in which every parameter has its range and what lies
 * between is zero, so that one dispatch updates a whole model in place. Zero padding stays zero.
 */

const WORKGROUP = 64;
const update = notDifferentiable("it is an optimiser's step; differentiate the loss instead");

/** @throws ShapeError unless all of them are slabs of one length, [total]. */
function expectSlabs(op: string, slabs: Readonly<Record<string, TensorType>>): void {
  const [first] = Object.values(slabs) as [TensorType];
  for (const [name, x] of Object.entries(slabs)) {
    expectType(op, name, x, 1);
    expectShape(op, name, x, first.shape);
  }
}

function expectScalars(op: string, scalars: TensorType, scale: TensorType | undefined): void {
  expectShape(op, "scalars", scalars, [SCALARS]);
  if (scale) expectShape(op, "scale", scale, []);
}

/** Length of the `scalars` of a step: the numbers that change from step to step. */
export const SCALARS = 8;

/** Constants of Adam. */
export interface AdamAttrs {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** `pytorch`: sqrt(v / (1 - beta2^t)) + eps; `tensorflow`: eps beside the uncorrected sqrt(v). */
  readonly epsPlacement: "pytorch" | "tensorflow";
  readonly weightDecay: number;
  /** true: AdamW, p loses lr weightDecay p; false: L2, g gains weightDecay p. */
  readonly decoupled: boolean;
}

/**
 * The `scalars` of Adam's step t = 1, 2, …, in f64: [lr, lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t),
 * lr sqrt(1 - beta2^t) / (1 - beta1^t), 0, 0, 0, 0]. In f32, 1 - 0.999 would be off by 5e-5.
 */
export function adamScalars(t: number, lr: number, beta1: number, beta2: number): number[] {
  const step = lr / (1 - beta1 ** t);
  const root = Math.sqrt(1 - beta2 ** t);
  return [lr, step, 1 / root, step * root, 0, 0, 0, 0];
}

/** From (p, g, m, v, scalars, scale?) the new (p, m, v), written over the old; see `adamUpdate`. */
export const adamUpdateOp: Op<AdamAttrs> = {
  name: "adam_update",
  inPlace: [0, 2, 3],
  shape({ eps }, p, g, m, v, scalars, scale) {
    expectSlabs("adam_update", { p, g, m, v });
    expectScalars("adam_update", scalars, scale);
    // Below the smallest normal f32 it may count as 0, and padding would become 0 / 0.
    expect(Math.fround(eps) >= 2 ** -126, "adam_update", "eps", eps, "be at least 2^-126");
    return [p, m, v];
  },
  dispatch(node) {
    const { beta1, beta2, eps, epsPlacement, weightDecay, decoupled } = node.attrs;
    const vectors = Math.ceil(size(node.outputs[0].shape) / 4);
    const scalars = node.inputs[4];
    const scale = node.inputs[5];
    return [
      dispatch(adamKernel, {
        bind: {
          p: node.outputs[0],
          g: node.inputs[1],
          m: node.outputs[1],
          v: node.outputs[2],
          scalars,
          scale: scale ?? scalars,
        },
        uniforms: {
          vectors,
          beta1,
          one_minus_beta1: 1 - beta1,
          beta2,
          one_minus_beta2: 1 - beta2,
          eps,
          coupled_decay: decoupled ? 0 : weightDecay,
          decoupled_decay: decoupled ? weightDecay : 0,
        },
        overrides: {
          SCALED: Number(scale !== undefined),
          EPS_FIRST: Number(epsPlacement !== "pytorch"),
        },
        grid: linearGrid(vectors / WORKGROUP),
        flops: vectors * 4 * 15,
        trips: 0,
      }),
    ];
  },
  gradient: update,
};

/**
 * One step of Adam on slabs p, g, m, v [total]; the moments begin as zeros. `scalars` [8] from
 * `adamScalars`; `scale`, one number, multiplies g first (clipping). One dispatch, in place:
 *
 *   g' = scale g (+ weightDecay p, if coupled);  m = beta1 m + (1 - beta1) g';
 *   v = beta2 v + (1 - beta2) g'²;  p (less lr weightDecay p, if decoupled) loses
 *   lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps), or by TensorFlow's placing
 *   lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps).
 *
 * @returns the new p, m, v, which stand where the old ones stood.
 * @throws ShapeError where slabs differ in length or eps is not positive.
 */
export function adamUpdate(
  p: Tensor,
  g: Tensor,
  m: Tensor,
  v: Tensor,
  scalars: Tensor,
  attrs: AdamAttrs,
  scale: Tensor | null = null,
): readonly [Tensor, Tensor, Tensor] {
  const inputs = scale ? [p, g, m, v, scalars, scale] : [p, g, m, v, scalars];
  return apply(adamUpdateOp, attrs, ...inputs) as unknown as readonly [Tensor, Tensor, Tensor];
}

/** Constants of SGD. */
export interface SgdAttrs {
  readonly momentum: number;
  readonly nesterov: boolean;
  /** L2: g gains weightDecay p. */
  readonly weightDecay: number;
}

/** The `scalars` of a step of SGD: [lr, 0, 0, 0, 0, 0, 0, 0]. */
export function sgdScalars(lr: number): number[] {
  return [lr, 0, 0, 0, 0, 0, 0, 0];
}

/** From (p, g, buffer, scalars, scale?) the new (p, buffer), written over the old; see `sgdUpdate`. */
export const sgdUpdateOp: Op<SgdAttrs> = {
  name: "sgd_update",
  inPlace: [0, 2],
  shape(_, p, g, buffer, scalars, scale) {
    expectSlabs("sgd_update", { p, g, buffer });
    expectScalars("sgd_update", scalars, scale);
    return [p, buffer];
  },
  dispatch(node) {
    const { momentum, nesterov, weightDecay } = node.attrs;
    const vectors = Math.ceil(size(node.outputs[0].shape) / 4);
    const scalars = node.inputs[3];
    const scale = node.inputs[4];
    return [
      dispatch(sgdKernel, {
        bind: {
          p: node.outputs[0],
          g: node.inputs[1],
          buffer: node.outputs[1],
          scalars,
          scale: scale ?? scalars,
        },
        uniforms: { vectors, momentum, decay: weightDecay },
        overrides: { SCALED: Number(scale !== undefined), NESTEROV: Number(nesterov) },
        grid: linearGrid(vectors / WORKGROUP),
        flops: vectors * 4 * 8,
        trips: 0,
      }),
    ];
  },
  gradient: update,
};

/**
 * One step of SGD (PyTorch's) on slabs p, g, buffer [total]; the buffer begins as zeros, so that
 * its first value is g. `scalars` [8] from `sgdScalars`; `scale` multiplies g first. One dispatch,
 * in place: g' = scale g + weightDecay p; buffer = momentum buffer + g'; p loses lr buffer, or with
 * Nesterov's momentum lr (g' + momentum buffer).
 * @returns the new p and buffer, which stand where the old ones stood.
 * @throws ShapeError where slabs differ in length.
 */
export function sgdUpdate(
  p: Tensor,
  g: Tensor,
  buffer: Tensor,
  scalars: Tensor,
  attrs: SgdAttrs,
  scale: Tensor | null = null,
): readonly [Tensor, Tensor] {
  const inputs = scale ? [p, g, buffer, scalars, scale] : [p, g, buffer, scalars];
  return apply(sgdUpdateOp, attrs, ...inputs) as unknown as readonly [Tensor, Tensor];
}

/** How the factor that clips a norm to c is taken; see `clipByGlobalNorm`. */
export type ClipRule = "pytorch" | "tensorflow";

/** vec4s that one workgroup adds up when a slab is large enough for two passes. */
const NORM_SPAN = 1024;
/** Workgroups of the first pass at most: the second adds up their sums with one workgroup. */
const NORM_WORKGROUPS = 1024;

/** From x [total] its Euclidean norm [] and, where `clip` is given, the factor [] that clips it. */
export const globalNormOp: Op<{ readonly clip?: number; readonly rule: ClipRule }> = {
  name: "global_norm",
  shape({ clip }, x) {
    expectType("global_norm", "x", x, 1);
    expect(clip === undefined || clip > 0, "global_norm", "clip", clip, "be positive");
    const scalar: TensorType = { shape: [], dtype: "f32" };
    return clip === undefined ? [scalar] : [scalar, scalar];
  },
  dispatch(node) {
    const { clip, rule } = node.attrs;
    const x = node.inputs[0];
    const elements = size(x.shape);
    const norm = node.outputs[0];
    const scale: Operand = node.outputs[1] ?? scratch(4);
    const vectors = Math.ceil(elements / 4);
    const clipping = { rule: clip === undefined ? 0 : rule === "pytorch" ? 1 : 2, clip: clip ?? 0 };
    const pass = (
      from: Operand,
      sum: Operand,
      n: number,
      span: number,
      square: boolean,
      workgroups: number,
    ) =>
      dispatch(globalNormKernel, {
        bind: { x: from, sum, scale },
        uniforms: { elements: n, span, ...clipping },
        overrides: { SQUARE: Number(square), FINISH: Number(workgroups === 1) },
        grid: [workgroups, 1, 1],
        flops: n * 2,
        // Lanes through the span, then lane 0 through the lanes.
        trips: Math.ceil(span / WORKGROUP) + WORKGROUP + 2,
      });
    const span = Math.max(NORM_SPAN, Math.ceil(vectors / NORM_WORKGROUPS));
    const workgroups = Math.ceil(vectors / span);
    if (workgroups === 1) return [pass(x, norm, elements, span, true, 1)];
    const sums = scratch(workgroups);
    return [
      pass(x, sums, elements, span, true, workgroups),
      pass(sums, norm, workgroups, Math.ceil(workgroups / 4), false, 1),
    ];
  },
  gradient: update,
};

/** The Euclidean norm [] of a slab [total]: one dispatch up to 4,096 elements, two beyond. */
export function globalNorm(g: Tensor): Tensor {
  return apply(globalNormOp, { rule: "pytorch" }, g)[0] as Tensor;
}

/**
 * The norm of a slab of gradients and the factor that clips it to c, both [], in the dispatches of
 * the norm alone: min(1, c / (norm + 1e-6)) as in PyTorch, c / max(norm, c) as in TensorFlow. Hand
 * `scale` to `adamUpdate` or `sgdUpdate`. A norm of NaN gives a factor of NaN.
 * @throws ShapeError unless c is positive.
 */
export function clipByGlobalNorm(
  g: Tensor,
  c: number,
  rule: ClipRule = "pytorch",
): { readonly norm: Tensor; readonly scale: Tensor } {
  const [norm, scale] = apply(globalNormOp, { clip: c, rule }, g);
  return { norm, scale };
}
