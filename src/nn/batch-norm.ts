import { type BatchNormOptions, batchNormEvaluation, batchNormTraining } from "../ops/batch-norm";
import { constantInit, zeros } from "./init";
import type { Module, ParamSpec, StateSpec } from "./module";

/** Parameters of batch norm: scale γ [C] and shift β [C]. */
export type BatchNormParams = Readonly<Record<"scale" | "shift", ParamSpec>>;

/** Running statistics of batch norm: mean [C] and variance [C]. */
export type BatchNormState = Readonly<Record<"mean" | "variance", StateSpec>>;

/**
 * Batch norm of x [N, C, ...] over all axes but C: y = (x - mean) / sqrt(variance + eps) · scale +
 * shift, by the batch's statistics in training, by the running ones in evaluation; max(y, 0) of that
 * with `relu`. Training moves the running statistics towards the batch's by `momentum` (PyTorch's
 * meaning); see `batchNormTraining`. scale starts at 1, shift at 0, the state at mean 0, variance 1.
 * @param channels C
 * @param options eps (default 1e-5), momentum (default 0.1), relu (default false)
 * `apply` throws ShapeError where x, a parameter or an option does not fit, or where a channel of a
 * batch in training has only one element.
 */
export function batchNorm(
  channels: number,
  options: BatchNormOptions & { readonly momentum?: number } = {},
): Module<BatchNormParams, BatchNormState> {
  const shape = [channels];
  return {
    name: "batch-norm",
    params: {
      scale: { shape, init: constantInit(1), kind: "scale" },
      shift: { shape, init: zeros, kind: "bias" },
    },
    state: {
      mean: { shape, init: zeros },
      variance: { shape, init: constantInit(1) },
    },
    apply({ train }, { scale, shift }, state, x) {
      const { mean, variance } = state;
      if (!train) {
        const outputs = batchNormEvaluation(x, scale, shift, mean, variance, options);
        return { outputs, state };
      }
      const { y, ...next } = batchNormTraining(x, scale, shift, mean, variance, options);
      return { outputs: y, state: next };
    },
  };
}
