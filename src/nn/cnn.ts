import type { Tensor } from "../graph/node";
import type { Shape } from "../graph/shape";
import { conv2d } from "../ops/conv2d";
import { add, relu } from "../ops/elementwise";
import { maxPool2d } from "../ops/pool";
import { reshape } from "../ops/views";
import { affine, dense, type DenseParams } from "./dense";
import { glorotUniform, heNormal, type Init, truncatedNormal, zeros } from "./init";
import { type Module, module, type ParamSpec, type Stateless } from "./module";

/** Sizes of the two-layer CNN; the defaults are the paper's for MNIST. */
export interface CnnOptions {
  /** Of one image: [C, H, W]. */
  readonly input?: Shape;
  /** Channels of the two convolutions. */
  readonly channels?: readonly [number, number];
  /** Kernel size f of both. */
  readonly kernelSize?: number;
  readonly classes?: number;
  /** "he" (default), or the notebook's truncated normals of std 0.01. */
  readonly init?: "he" | "notebook";
}

/** A convolution's parameters: kernel [C_out, C_in, f, f] and bias [C_out]. */
export type ConvParams = Readonly<Record<"kernel" | "bias", ParamSpec>>;

/** The CNN's parameters. */
export type CnnParams = Readonly<Record<"conv1" | "conv2", ConvParams> & { fc: DenseParams }>;

/** Specs of a convolution's kernel and bias. */
export function convParams(inputs: number, outputs: number, f: number, init?: Init): ConvParams {
  const fanIn = inputs * f * f;
  return {
    kernel: {
      shape: [outputs, inputs, f, f],
      init: init ?? heNormal(fanIn),
      fanIn,
      kind: "weight",
    },
    bias: { shape: [outputs], init: zeros, kind: "bias" },
  };
}

/**
 * The paper's MNIST network (section 4.1, appendix A.3.1): conv f×f, ReLU, max-pool 2×2, twice,
 * then a dense layer. x [N, C, H, W] to logits [N, classes].
 */
export function cnn(options: CnnOptions = {}): Module<CnnParams, Stateless> {
  const { input = [1, 28, 28], channels = [16, 16], kernelSize: f = 7, classes = 10 } = options;
  const [C = 1, H = 28, W = 28] = input;
  const features =
    channels[1] * Math.floor(Math.floor(H / 2) / 2) * Math.floor(Math.floor(W / 2) / 2);
  const small = options.init === "notebook" ? truncatedNormal(0.01) : undefined;
  const params: CnnParams = {
    conv1: convParams(C, channels[0], f, small),
    conv2: convParams(channels[0], channels[1], f, small),
    fc: dense(features, classes, small ?? glorotUniform(features, classes)).params,
  };
  // Bias and ReLU after the pooling: the maximum commutes with both, to the bit, and a quarter of the
  // elements is left for them and for their gradients.
  const apply = (x: Tensor, { kernel, bias }: { kernel: Tensor; bias: Tensor }): Tensor => {
    const pooled = maxPool2d(conv2d(x, kernel, { padding: "symmetric" }), { size: 2 });
    return relu(add(pooled, reshape(bias, [...bias.shape, 1, 1])));
  };
  return module(
    "cnn",
    params,
    (_, p, x: Tensor) => {
      const features2 = apply(apply(x, p.conv1), p.conv2);
      return affine(reshape(features2, [x.shape[0] ?? 1, features]), p.fc.weight, p.fc.bias);
    },
    input,
  );
}
