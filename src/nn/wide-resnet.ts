import type { Normalization } from "../data/normalization";
import { ShapeError } from "../graph/shape";
import { type ResidualBlock, type ResidualNetwork, residualNetwork } from "./residual";

/** Sizes of a Wide ResNet d-k. */
export interface WideResNetOptions {
  /** d = 6n + 4: n blocks in each of three groups. */
  readonly depth: number;
  /** k: the groups have 16k, 32k and 64k channels. */
  readonly width: number;
  /** Of one image: [C, H, W]; default [3, 32, 32]. */
  readonly input?: readonly [number, number, number];
  readonly classes?: number;
  /** Mean and standard deviation of each channel, taken off the images and divided by. */
  readonly normalize?: Normalization | null;
  /** λ of the penalty λ Σ K² over all kernels, generated ones too; default 0. */
  readonly l2?: number;
}

/** Channels of the stem, and of a basic block of generated kernels. */
export const WRN_BASE = 16;

/** The blocks of the three groups. @throws ShapeError unless d = 6n + 4 and k ≥ 1. */
export function wideResNetGroups({ depth, width }: WideResNetOptions): ResidualBlock[][] {
  const n = (depth - 4) / 6;
  if (!(Number.isInteger(n) && n >= 1 && Number.isInteger(width) && width >= 1)) {
    throw new ShapeError(
      `hyperloom: wideResNet: depth ${depth} and width ${width}: the depth must be 6n + 4 ` +
        "(10, 16, 22, 28, 34, 40, …), the width a whole number from 1 on",
    );
  }
  let inputs = WRN_BASE;
  return [1, 2, 4].map((factor, g) => {
    const outputs = WRN_BASE * factor * width;
    return Array.from({ length: n }, (_, b) => {
      const block = { inputs, outputs, stride: g > 0 && b === 0 ? 2 : 1 };
      inputs = outputs;
      return block;
    });
  });
}

/**
 * The Wide ResNet d-k of Zagoruyko and Komodakis 2016 as the paper's counts have it: pre-activation
 * blocks, all convolutions with biases, batch norm behind the stem, in front of each of the 6n
 * convolutions and of the pooling, shortcuts without parameters: 562,762 parameters at d = 40, k = 1,
 * 2,235,530 at k = 2. x [N, 3, 32, 32] to logits [N, classes].
 * @throws ShapeError unless d = 6n + 4 and k ≥ 1.
 */
export function wideResNet(options: WideResNetOptions): ResidualNetwork {
  const { depth, width, input = [3, 32, 32], classes = 10, l2 = 0, normalize } = options;
  return residualNetwork(`wrn-${depth}-${width}`, {
    input,
    stem: { outputs: WRN_BASE, bias: true, norm: true },
    groups: wideResNetGroups(options),
    activation: "pre",
    bias: true,
    shortcut: "pad",
    classes,
    l2,
    normalize: normalize ?? null,
  });
}
