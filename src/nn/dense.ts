import { expectShape } from "../graph/expect";
import type { Tensor } from "../graph/node";
import { linear } from "../ops/generate";
import { add } from "../ops/elementwise";
import { matmul } from "../ops/matmul";
import { reshape } from "../ops/views";
import { heNormal, type Init, zeros } from "./init";
import { type Module, module, type ParamSpec, type Stateless } from "./module";

/** Parameters of a dense layer: weight [out, in], bias [out]. */
export type DenseParams = Readonly<Record<"weight" | "bias", ParamSpec>>;

/**
 * y = x Wᵀ + b for x [B, in]; the weight may carry a batch axis, [B, out, in] with bias [B, out], and
 * every sample then has its own.
 */
export function dense(
  inputs: number,
  outputs: number,
  init: Init = heNormal(inputs),
): Module<DenseParams, Stateless> {
  const params: DenseParams = {
    weight: { shape: [outputs, inputs], init, fanIn: inputs, kind: "weight" },
    bias: { shape: [outputs], init: zeros, kind: "bias" },
  };
  return module("dense", params, (_, { weight, bias }, x: Tensor) => affine(x, weight, bias));
}

/** x Wᵀ + b with a shared or a per-sample weight. @throws ShapeError where the batches differ. */
export function affine(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  if (weight.shape.length === 2) return linear(x, weight, bias);
  const [B = 0, inputs = 0] = x.shape;
  expectShape("dense", "the weight per sample", weight, [
    B,
    bias.shape[bias.shape.length - 1] as number,
    inputs,
  ]);
  const y = matmul(reshape(x, [B, 1, inputs]), weight, { transposeB: true });
  return add(reshape(y, [B, -1]), bias);
}
