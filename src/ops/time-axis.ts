import { apply, type Listed, type Op, type Tensor } from "../graph/node";
import { broadcastTo } from "./layout";
import { reshape } from "./views";

/** What the `overTime` rules of ops share: tensors whose first axis is time. */

/** x [T, ...step] with axes of 1 behind the first until a step has `rank` axes. */
export function timeFirst(x: Tensor, rank: number): Tensor {
  const [T = 1, ...step] = x.shape;
  return reshape(x, [T, ...new Array<number>(rank - step.length).fill(1), ...step]);
}

/** x [T, ...step] as it is; what is not stacked, [...step], repeated for every step. */
export function everyStep(x: Tensor, stacked: boolean | undefined, T: number): Tensor {
  return stacked ? x : broadcastTo(x, [T, ...x.shape]);
}

/** x [T, B, ...] as [T·B, ...]: the rows of all steps below each other. */
export function allRows(x: Tensor): Tensor {
  return reshape(x, [-1, ...x.shape.slice(2)]);
}

/** An op of rows, [B, ...], over all steps at once: one application to all rows. */
export function rowsOverTime<A>(
  op: Op<A>,
  attrs: A,
  inputs: readonly Tensor[],
  stacked: Listed<boolean>,
  T: number,
): readonly Tensor[] {
  const rows = inputs.map((x, k) => allRows(everyStep(x, stacked[k], T)));
  return apply(op, attrs, ...rows).map((y) => reshape(y, [T, -1, ...y.shape.slice(1)]));
}
