import type { Tensor } from "../../src/graph/node";
import type { DType, Shape } from "../../src/graph/shape";

/** A dense f64 array: the currency of the oracles. */
export interface Nd {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** How one input of a case is made; `values` wins over the seeded uniform draw from [low, high). */
export interface CaseInput {
  readonly shape: Shape;
  readonly dtype?: DType;
  readonly low?: number;
  readonly high?: number;
  readonly values?: readonly number[];
}

/**
 * One op at one set of sizes. The driver runs `build` on the GPU with outputs poisoned by NaN and
 * compares with `oracle` in f64; then compares the gradients of `sum(outputs * random cotangents)`
 * with central differences of the oracle, element by element.
 */
export interface OpCase {
  readonly name: string;
  /** Names of the op records that the case exercises (every differentiable op needs one). */
  readonly ops: readonly string[];
  readonly inputs: readonly CaseInput[];
  readonly build: (...x: readonly Tensor[]) => Tensor | readonly Tensor[];
  readonly oracle: (...x: readonly Nd[]) => Nd | readonly Nd[];
  /** Largest error allowed, relative to the largest magnitude of the expected tensor; justified. */
  readonly tolerance: number;
  /** The inputs to differentiate; default: every f32 input. Empty: no gradient check. */
  readonly gradients?: readonly number[];
}
