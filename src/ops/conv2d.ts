import { expect, expectType } from "../graph/expect";
import { apply1, type Op, type Tensor } from "../graph/node";
import { type Shape, show, type TensorType } from "../graph/shape";
import { directForward, directInputGradient, directKernelGradient } from "./conv2d-direct";
import type { ConvGeometry, Pair } from "./conv2d-geometry";
import { chooseConv } from "./conv2d-variants";
import { tileForward, tileInputGradient, tileKernelGradient } from "./conv2d-tile";

/** Zero rows and columns around an image. */
export interface Pads {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/**
 * - `"valid"`: none.
 * - `"symmetric"`: floor((f - 1) / 2) on each side; for odd f and stride 1 the size stays.
 * - `"same-tensorflow"`: as much as ceil(size / stride) outputs need, the odd one after the image.
 */
export type Padding = Pads | "valid" | "symmetric" | "same-tensorflow";

/** How a convolution steps over its image. */
export interface Conv2dOptions {
  /** Of rows and columns; one number for both; default 1. */
  readonly stride?: number | Pair;
  /** Default "valid". */
  readonly padding?: Padding;
}

/** What all three ops are told. */
export interface Conv2dAttrs {
  readonly stride: Pair;
  readonly padding: Pads;
}

/** Padding in numbers; `image`, `kernel` and `stride` are [rows, columns]. */
export function resolvePadding(padding: Padding, image: Pair, kernel: Pair, stride: Pair): Pads {
  if (typeof padding === "object") return padding;
  const [vertical, horizontal] = ([0, 1] as const).map((axis) => {
    const f = kernel[axis];
    if (padding === "valid") return [0, 0] as const;
    if (padding === "symmetric") return [Math.floor((f - 1) / 2), Math.floor((f - 1) / 2)] as const;
    const outputs = Math.ceil(image[axis] / stride[axis]);
    const total = Math.max(0, (outputs - 1) * stride[axis] + f - image[axis]);
    return [Math.floor(total / 2), Math.ceil(total / 2)] as const;
  }) as [Pair, Pair];
  return { top: vertical[0], bottom: vertical[1], left: horizontal[0], right: horizontal[1] };
}

/** [n, c, h, w] of an image or a signal. */
function four(name: string, x: TensorType): [number, number, number, number] {
  expectType("conv2d", name, x, 4);
  return x.shape as unknown as [number, number, number, number];
}

function checkAttrs({ stride, padding }: Conv2dAttrs): void {
  const steps = stride.every((s) => Number.isSafeInteger(s) && s > 0);
  expect(steps, "conv2d", "stride", show(stride), "consist of positive integers");
  const { top, bottom, left, right } = padding;
  const pads = [top, bottom, left, right];
  const good = pads.every((p) => Number.isSafeInteger(p) && p >= 0);
  expect(
    good,
    "conv2d",
    "padding",
    show(pads),
    "consist of integers from 0 on: top, bottom, left, right",
  );
}

/** Rows and columns of a result. @throws ShapeError where the kernel exceeds the padded image. */
function resultSize({ stride, padding }: Conv2dAttrs, image: Pair, kernel: Pair): Pair {
  const padded: Pair = [
    image[0] + padding.top + padding.bottom,
    image[1] + padding.left + padding.right,
  ];
  const fits = kernel[0] <= padded[0] && kernel[1] <= padded[1];
  const must = `fit into the padded image, ${show(padded)}; add padding or take a smaller kernel`;
  expect(fits, "conv2d", "the size of the kernel", show(kernel), must);
  return [
    Math.floor((padded[0] - kernel[0]) / stride[0]) + 1,
    Math.floor((padded[1] - kernel[1]) / stride[1]) + 1,
  ];
}

/** The last four sizes of a kernel; with five, the first must be the batch. */
function kernelSizes(kernel: TensorType, samples: number): readonly number[] {
  const { shape } = kernel;
  const own = shape.length === 5;
  expectType("conv2d", "kernel", kernel, own ? 5 : 4);
  if (!own) return shape;
  const must = `be for the ${samples} samples of the batch, or be shared and have rank 4`;
  expect(shape[0] === samples, "conv2d", "the kernel", show(shape), must);
  return shape.slice(1);
}

/** The sizes of a convolution from its three tensors, whichever of them a node makes. */
function geometry(attrs: Conv2dAttrs, x: Tensor, kernel: Tensor, y: Tensor): ConvGeometry {
  const [samples, channelsIn, imageH, imageW] = four("x", x);
  const [, channelsOut, resultH, resultW] = four("y", y);
  const [kernelH, kernelW] = kernel.shape.slice(-2) as [number, number];
  return {
    samples,
    channelsIn,
    channelsOut,
    image: [imageH, imageW],
    result: [resultH, resultW],
    kernel: [kernelH, kernelW],
    stride: attrs.stride,
    pad: [attrs.padding.top, attrs.padding.left],
    perSample: kernel.shape.length === 5,
  };
}

/**
 * Convolution as networks mean it (cross-correlation):
 * y[n, o, i, j] = Σ_{c, r, s} k[o, c, r, s] · x[n, c, i·stride_h + r - top, j·stride_w + s - left].
 * Inputs: x [N, C_in, H, W]; kernel [C_out, C_in, f_h, f_w], or [N, C_out, C_in, f_h, f_w] with one
 * kernel a sample. Output [N, C_out, H', W'].
 */
export const conv2dOp: Op<Conv2dAttrs> = {
  name: "conv2d",
  epilogue: true,
  shape(attrs, x, kernel) {
    const [samples, channels, ...image] = four("x", x);
    const [out = 0, into = 0, fh = 0, fw = 0] = kernelSizes(kernel, samples);
    expect(
      channels === into,
      "conv2d",
      "the number of x's channels",
      channels,
      `be ${into} as the kernel's`,
    );
    checkAttrs(attrs);
    return [{ shape: [samples, out, ...resultSize(attrs, image, [fh, fw])], dtype: "f32" }];
  },
  dispatch(node, target) {
    const [x, kernel] = node.inputs;
    const [y] = node.outputs;
    const choice = chooseConv(y.shape[1] as number, target);
    const make = choice.kernel === "tile" ? tileForward : directForward;
    return make(geometry(node.attrs, x, kernel, y), { x, kernel, y }, choice);
  },
  gradient(node, [dy]) {
    const [x, kernel] = node.inputs;
    return dy
      ? [
          inputGradient(node.attrs, x.shape, dy, kernel),
          kernelGradient(node.attrs, kernel.shape, x, dy),
        ]
      : [null, null];
  },
};

/** What the input gradient cannot see from dy and the kernel: rows and columns of the image. */
export interface InputGradientAttrs extends Conv2dAttrs {
  readonly image: Pair;
}

/**
 * The gradient of `conv2d` in x (a transposed convolution): dx[n, c, h, w] = Σ k[o, c, r, s] ·
 * dy[n, o, i, j] over all o and all (r, i), (s, j) with i·stride_h + r - top = h, likewise w.
 * Inputs: dy [N, C_out, H', W'], kernel as in `conv2d`. Output [N, C_in, H, W].
 */
export const conv2dInputGradientOp: Op<InputGradientAttrs> = {
  name: "conv2d input gradient",
  epilogue: true,
  shape: ({ image }, dy, kernel) => [
    { shape: [dy.shape[0] as number, kernel.shape.at(-3) as number, ...image], dtype: "f32" },
  ],
  dispatch(node, target) {
    const [dy, kernel] = node.inputs;
    const [dx] = node.outputs;
    const choice = chooseConv(dx.shape[1] as number, target);
    const make = choice.kernel === "tile" ? tileInputGradient : directInputGradient;
    return make(geometry(node.attrs, dx, kernel, dy), { dy, kernel, dx }, choice);
  },
  gradient(node, [g]) {
    const [dy, kernel] = node.inputs;
    return g
      ? [apply1(conv2dOp, node.attrs, g, kernel), kernelGradient(node.attrs, kernel.shape, g, dy)]
      : [null, null];
  },
};

/** The kernel whose gradient is meant: its shape, with the batch in front if it is per sample. */
export interface KernelGradientAttrs extends Conv2dAttrs {
  readonly kernel: Shape;
}

/**
 * The gradient of `conv2d` in its kernel: dk[o, c, r, s] = Σ_{n, i, j} dy[n, o, i, j] ·
 * x[n, c, i·stride_h + r - top, j·stride_w + s - left]; per-sample kernels are not summed over n.
 * Inputs: x [N, C_in, H, W], dy [N, C_out, H', W']. Output: the kernel's shape. The sum runs in a
 * fixed order.
 */
export const conv2dKernelGradientOp: Op<KernelGradientAttrs> = {
  name: "conv2d kernel gradient",
  shape: ({ kernel }) => [{ shape: kernel, dtype: "f32" }],
  dispatch(node, target) {
    const [x, dy] = node.inputs;
    const [dkernel] = node.outputs;
    const choice = chooseConv(dy.shape[1] as number, target);
    const make = choice.kernel === "tile" ? tileKernelGradient : directKernelGradient;
    return make(geometry(node.attrs, x, dkernel, dy), { x, dy, dkernel }, choice);
  },
  gradient(node, [g]) {
    const [x, dy] = node.inputs;
    return g
      ? [inputGradient(node.attrs, x.shape, dy, g), apply1(conv2dOp, node.attrs, x, g)]
      : [null, null];
  },
};

function inputGradient(
  { stride, padding }: Conv2dAttrs,
  x: Shape,
  dy: Tensor,
  kernel: Tensor,
): Tensor {
  const image = x.slice(-2) as unknown as Pair;
  return apply1(conv2dInputGradientOp, { stride, padding, image }, dy, kernel);
}

function kernelGradient(
  { stride, padding }: Conv2dAttrs,
  kernel: Shape,
  x: Tensor,
  dy: Tensor,
): Tensor {
  return apply1(conv2dKernelGradientOp, { stride, padding, kernel }, x, dy);
}

/**
 * Convolves images with a kernel; shapes and equation at `conv2dOp`.
 * @param x [N, C_in, H, W].
 * @param kernel [C_out, C_in, f_h, f_w], or [N, C_out, C_in, f_h, f_w] for a kernel a sample.
 * @returns [N, C_out, floor((H + top + bottom - f_h) / stride_h) + 1, likewise columns].
 * @throws ShapeError where channels or samples disagree or the kernel exceeds the padded image.
 */
export function conv2d(x: Tensor, kernel: Tensor, options: Conv2dOptions = {}): Tensor {
  const { stride = 1, padding = "valid" } = options;
  const steps: Pair = typeof stride === "number" ? [stride, stride] : stride;
  const image = x.shape.slice(-2) as unknown as Pair;
  const taps = kernel.shape.slice(-2) as unknown as Pair;
  return apply1(
    conv2dOp,
    { stride: steps, padding: resolvePadding(padding, image, taps, steps) },
    x,
    kernel,
  );
}
