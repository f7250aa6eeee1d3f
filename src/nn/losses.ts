import type { Tensor } from "../graph/node";
import type { TensorType } from "../graph/shape";
import { add, div, mul, square, sub, where } from "../ops/elementwise";
import { mixtureDensity } from "../ops/mixture-density";
import { sum } from "../ops/reduce";
import { meanSoftmaxCrossEntropy } from "../ops/softmax-cross-entropy";

/** What a loss makes of outputs and targets: all scalars. */
export interface LossValue {
  /** The mean over the batch's samples, each counted by its weight. */
  readonly loss: Tensor;
  /** Sums over the batch, by name, such as the number of right answers. */
  readonly metrics: Readonly<Record<string, Tensor>>;
}

/**
 * A loss as data: what it needs besides the module's outputs, and how it follows from both. The
 * program makes an input of each target. `weight` [B] is 0 for padding rows.
 */
export interface Loss {
  readonly name: string;
  /** Inputs of the program besides the module's, by name. */
  readonly targets: (outputs: TensorType) => Readonly<Record<string, TensorType>>;
  /** Loss and metrics as graph. */
  readonly apply: (outputs: Tensor, targets: Readonly<Record<string, Tensor>>) => LossValue;
}

/**
 * Softmax cross-entropy of logits [B, V] against `labels` u32 [B] with `weight` [B], in nats:
 * Σ w_b · −log softmax(logits_b)[label_b] / Σ w_b. Metric `correct`: Σ w_b [argmax = label].
 */
export const crossEntropy: Loss = {
  name: "cross-entropy",
  targets: ({ shape }) => ({
    labels: { shape: [shape[0] ?? 1], dtype: "u32" },
    weight: { shape: [shape[0] ?? 1], dtype: "f32" },
  }),
  apply: (logits, { labels, weight }) => {
    const { loss, correct } = meanSoftmaxCrossEntropy(logits, labels as Tensor, weight as Tensor);
    return { loss, metrics: { correct } };
  },
};

/** Mean squared error of outputs against `target` of the same shape. */
export const meanSquaredError: Loss = {
  name: "mean-squared-error",
  targets: ({ shape }) => ({ target: { shape, dtype: "f32" } }),
  apply: (outputs, { target }) => {
    const count = outputs.shape.reduce((n, d) => n * d, 1);
    return { loss: mul(sum(square(sub(outputs, target as Tensor))), 1 / count), metrics: {} };
  },
};

/**
 * Mixture density loss (Graves 2013) of raw outputs [R, 6M + 1] against `points` [R, 3] (x1, x2, end
 * of stroke) with `weight` [R], in nats: Σ w_r nll_r / Σ w_r, 0 where all weights are 0; see
 * `mixtureDensity`. A row of weight 0 counts for nothing, whatever it holds.
 */
export const mixtureDensityLoss: Loss = {
  name: "mixture-density",
  targets: ({ shape }) => ({
    points: { shape: [shape[0] ?? 1, 3], dtype: "f32" },
    weight: { shape: [shape[0] ?? 1], dtype: "f32" },
  }),
  apply: (raw, targets) => {
    const weight = targets.weight as Tensor;
    const nll = mixtureDensity(raw, targets.points as Tensor);
    const total = sum(weight);
    const all = sum(where(weight, mul(nll, weight), 0));
    return { loss: div(all, where(total, total, 1)), metrics: {} };
  },
};

/** λ Σ x² over tensors: the L2 penalty, on direct or on generated weights. */
export function l2Penalty(tensors: readonly Tensor[], lambda: number): Tensor {
  const [first, ...rest] = tensors.map((x) => sum(square(x)));
  if (!first) throw new RangeError("hyperloom: l2Penalty: no tensors were given");
  return mul(
    rest.reduce((a, b) => add(a, b), first),
    lambda,
  );
}
