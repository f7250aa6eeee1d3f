import { batchNorm as batchNormKernel } from "../../shaders/batch_norm.wgsl";
import { batchNormGradient as batchNormGradientKernel } from "../../shaders/batch_norm_gradient.wgsl";
import { batchNormGradientSums } from "../../shaders/batch_norm_gradient_sums.wgsl";
import { batchNormStatistics } from "../../shaders/batch_norm_statistics.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expect, expectEps, expectShape } from "../graph/expect";
import { apply, notDifferentiable, type Op, scratch, type Tensor } from "../graph/node";
import { ShapeError, show, size, type TensorType } from "../graph/shape";
import {
  type ChannelCut,
  chunkTrips,
  cutChannels,
  expectPlanes,
  type Planes,
} from "./channel-chunks";
import { add, fill, mul, relu as reluOf, rsqrt, sub } from "./elementwise";
import { reshape } from "./views";

/** What a batch norm depends on besides its inputs. */
export interface BatchNormAttrs {
  readonly eps: number;
  readonly momentum: number;
  readonly relu: boolean;
}

/** Rows of four numbers in the kernels' partial results: a channel's own, and one for each chunk. */
function partialsOf({ uniforms: { channels, chunks } }: ChannelCut) {
  return scratch(4 * channels * (1 + chunks));
}

const gridOf = ({ uniforms: { channels, chunks } }: ChannelCut) => linearGrid(channels * chunks);

/** @throws ShapeError unless each of the inputs named is f32 [C]. */
function expectChannels(
  op: string,
  { channels }: Planes,
  given: Readonly<Record<"scale" | "shift" | "mean" | "variance", TensorType>>,
): void {
  for (const [name, x] of Object.entries(given)) expectShape(op, name, x, [channels]);
}

/**
 * From (x, scale, shift, running mean, running variance): y, the next running mean and variance,
 * and [C] each the batch's mean and 1 / sqrt(variance + eps). See `batchNormTraining`.
 */
export const batchNormOp: Op<BatchNormAttrs> = {
  name: "batch_norm",
  epilogue: true,
  shape(_, x, scale, shift, mean, variance) {
    const { shape } = x;
    const planes = expectPlanes("batch_norm", x);
    const { images, channels, area } = planes;
    if (images * area < 2) {
      throw new ShapeError(
        `hyperloom: batch_norm: x ${show(shape)} has 1 element for each channel, whose variance has ` +
          "no meaning: training takes 2 or more; use a larger batch, or batchNormEvaluation()",
      );
    }
    expectChannels("batch_norm", planes, { scale, shift, mean, variance });
    const each: TensorType = { shape: [channels], dtype: "f32" };
    return [x, each, each, each, each];
  },
  dispatch(node, { adapter }) {
    const [x, scale, shift] = node.inputs;
    const { eps, momentum, relu } = node.attrs;
    const cut = cutChannels(expectPlanes("batch_norm", x), adapter);
    const { images, area } = cut.uniforms;
    const n = images * area;
    const partials = partialsOf(cut);
    return [
      dispatch(batchNormStatistics, {
        bind: {
          x,
          scale,
          shift,
          running_mean: node.inputs[3],
          running_variance: node.inputs[4],
          partials,
        },
        uniforms: cut.uniforms,
        overrides: cut.overrides,
        grid: gridOf(cut),
        flops: size(x.shape) * 10,
        ...chunkTrips(cut, "lanes"),
      }),
      dispatch(batchNormKernel, {
        bind: {
          x,
          partials,
          y: node.outputs[0],
          next_mean: node.outputs[1],
          next_variance: node.outputs[2],
          batch_mean: node.outputs[3],
          factor: node.outputs[4],
        },
        uniforms: {
          ...cut.uniforms,
          inverse: 1 / n,
          unbiased: 1 / (n - 1),
          epsilon: eps,
          keep: 1 - momentum,
          momentum,
        },
        overrides: { ...cut.overrides, RELU: Number(relu) },
        grid: gridOf(cut),
        flops: size(x.shape) * 20,
        ...chunkTrips(cut, "chunks"),
      }),
    ];
  },
  gradient(node, [dy]) {
    if (!dy) return node.inputs.map(() => null);
    const [x, scale, shift] = node.inputs;
    const { relu } = node.attrs;
    const stats = [node.outputs[3], node.outputs[4]];
    const found = apply(batchNormGradientOp, { relu }, x, scale, shift, ...stats, dy);
    return [...found, null, null];
  },
  // y takes as much memory as x, which the gradient needs too, and one pass over it to make.
  again({ attrs, outputs }, [x, scale, shift]) {
    const [, , , mean, factor] = outputs;
    const y = normalised(x, mean, alongChannels(factor, x), {
      scale,
      shift,
      relu: attrs.relu,
    });
    return [y, ...outputs.slice(1)];
  },
};

/** A value of each channel, [C], as it broadcasts to x. */
function alongChannels(v: Tensor, x: Tensor): Tensor {
  return reshape(v, [-1, ...x.shape.slice(2).map(() => 1)]);
}

/** (x - mean) · factor · scale + shift, or its ReLU, elementwise; `factor` broadcasts to x. */
function normalised(
  x: Tensor,
  mean: Tensor,
  factor: Tensor,
  { scale, shift, relu }: { scale: Tensor; shift: Tensor; relu: boolean },
): Tensor {
  const along = (v: Tensor): Tensor => alongChannels(v, x);
  const y = add(mul(mul(sub(x, along(mean)), factor), along(scale)), along(shift));
  return relu ? reluOf(y) : y;
}

/**
 * From (x, scale, shift, mean, factor, dy) the gradients of x, scale and shift; mean and factor are
 * the op's last outputs. y is
 * not needed: where the fused ReLU let through follows from x.
 */
export const batchNormGradientOp: Op<Pick<BatchNormAttrs, "relu">> = {
  name: "batch_norm_gradient",
  epilogue: true,
  shape: (_, x, scale, shift) => [x, scale, shift],
  dispatch(node, { adapter }) {
    const [x, scale, shift] = node.inputs;
    const [, , , mean, factor, dy] = node.inputs;
    const cut = cutChannels(expectPlanes("batch_norm_gradient", x), adapter);
    const { images, area } = cut.uniforms;
    const partials = partialsOf(cut);
    const overrides = { ...cut.overrides, RELU: Number(node.attrs.relu) };
    return [
      dispatch(batchNormGradientSums, {
        bind: { x, scale, shift, mean, factor, dy, partials },
        uniforms: cut.uniforms,
        overrides,
        grid: gridOf(cut),
        flops: size(x.shape) * 20,
        ...chunkTrips(cut, "lanes"),
      }),
      dispatch(batchNormGradientKernel, {
        bind: {
          x,
          dy,
          partials,
          dx: node.outputs[0],
          dscale: node.outputs[1],
          dshift: node.outputs[2],
        },
        uniforms: { ...cut.uniforms, inverse: 1 / (images * area) },
        overrides,
        grid: gridOf(cut),
        flops: size(x.shape) * 30,
        ...chunkTrips(cut, "chunks"),
      }),
    ];
  },
  gradient: notDifferentiable(
    "second derivatives through batch norm are not provided; compose it from mean() and rsqrt()",
  ),
};

/** What batch norm in training and in evaluation have in common. */
export interface BatchNormOptions {
  /** Added to the variance, inside the root; default 1e-5. */
  readonly eps?: number;
  /** max(y, 0) in place of y, at no cost; default false. */
  readonly relu?: boolean;
}

/** What batch norm in training makes. */
export interface BatchNormResult {
  /** Of x's shape. */
  readonly y: Tensor;
  /** The next running mean [C]. */
  readonly mean: Tensor;
  /** The next running variance [C]. */
  readonly variance: Tensor;
}

/**
 * Batch norm by the statistics of the batch (Ioffe and Szegedy 2015), in two dispatches each way:
 * y = (x - m) / sqrt(v + eps) · scale + shift, with mean m and biased variance v over all axes but C.
 * The running mean becomes (1 - momentum) · mean + momentum · m, the running variance likewise with
 * the unbiased n / (n - 1) · v, as in PyTorch; neither has a gradient.
 * @param x [N, C, ...], such as [N, C, H, W] or [N, C]
 * @param scale [C], as are shift and the running mean and variance so far
 * @param options eps (default 1e-5), momentum (default 0.1), relu (default false)
 * @returns y and the next running statistics. NaN anywhere in a channel makes all of it NaN.
 * @throws ShapeError where C disagrees, x has no channel axis or is not f32, a channel has only one
 * element, eps is not positive, or momentum not within 0 and 1.
 */
export function batchNormTraining(
  x: Tensor,
  scale: Tensor,
  shift: Tensor,
  mean: Tensor,
  variance: Tensor,
  {
    eps = 1e-5,
    momentum = 0.1,
    relu = false,
  }: BatchNormOptions & { readonly momentum?: number } = {},
): BatchNormResult {
  expectEps("batch_norm", eps);
  expect(momentum >= 0 && momentum <= 1, "batch_norm", "momentum", momentum, "lie between 0 and 1");
  const attrs = { eps, momentum, relu };
  const made = apply(batchNormOp, attrs, x, scale, shift, mean, variance);
  const [y, nextMean, nextVariance] = made;
  return { y, mean: nextMean, variance: nextVariance };
}

/**
 * Batch norm by given statistics, as in evaluation: y = (x - mean) / sqrt(variance + eps) · scale +
 * shift. One dispatch, composed of elementwise ops, so that further ones join it; gradients of all
 * inputs.
 * @param x [N, C, ...], such as [N, C, H, W] or [N, C]
 * @param scale [C], as are shift, mean and variance
 * @param options eps (default 1e-5), relu (default false)
 * @returns y of x's shape.
 * @throws ShapeError where C disagrees, x has no channel axis or is not f32, or eps is not positive.
 */
export function batchNormEvaluation(
  x: Tensor,
  scale: Tensor,
  shift: Tensor,
  mean: Tensor,
  variance: Tensor,
  { eps = 1e-5, relu = false }: BatchNormOptions = {},
): Tensor {
  const name = "batch_norm_evaluation";
  expectEps(name, eps);
  const planes = expectPlanes(name, x);
  expectChannels(name, planes, { scale, shift, mean, variance });
  // eps of x's shape, so that the root too is one of the chain's steps and not a dispatch of its own.
  const factor = rsqrt(add(alongChannels(variance, x), fill(eps, x.shape)));
  return normalised(x, mean, factor, { scale, shift, relu });
}
