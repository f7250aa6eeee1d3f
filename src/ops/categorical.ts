import { categorical as categoricalKernel } from "../../shaders/categorical.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import {
  apply1,
  expectDType,
  expectRank,
  notDifferentiable,
  type Op,
  type Tensor,
} from "../graph/node";
import { equal, ShapeError, show } from "../graph/shape";

/** An invocation runs three times over a row, and one adapter ends its loops after 65,535 trips in all. */
const MAX_CLASSES = 16_384;
const WORKGROUP = 64;

/** From (logits, u, temperature) the class that is drawn in each row; see `categorical`. */
export const categoricalOp: Op<null> = {
  name: "categorical",
  shape(_, ...inputs) {
    const [logits, u, temperature] = inputs;
    for (const [name, { dtype }] of Object.entries({ logits, u, temperature })) {
      expectDType("categorical", name, dtype, "f32");
    }
    expectRank("categorical", "logits", logits.shape, 2);
    expectRank("categorical", "temperature", temperature.shape, 0);
    const [rows = 0, classes = 0] = logits.shape;
    if (classes > MAX_CLASSES) {
      throw new ShapeError(
        `hyperloom: categorical: the last axis has ${classes} elements, at most ${MAX_CLASSES} can be`,
      );
    }
    if (!equal(u.shape, [rows])) {
      throw new ShapeError(
        `hyperloom: categorical: u is ${show(u.shape)}, must be [${rows}] for logits ${show(logits.shape)}`,
      );
    }
    return [{ shape: [rows], dtype: "u32" }];
  },
  dispatch(node) {
    const [logits, u, temperature] = node.inputs;
    const [rows = 0, classes = 0] = logits.shape;
    return [
      dispatch(categoricalKernel, {
        bind: { logits, u, temperature, chosen: node.outputs[0] },
        uniforms: { rows, classes },
        grid: linearGrid(rows / WORKGROUP),
        flops: rows * classes * 20,
        trips: 3 * (classes + 1),
        longestLoop: classes + 1,
      }),
    ];
  },
  gradient: notDifferentiable("it draws a class, which is a constant almost everywhere"),
};

/**
 * A class of each row of logits [B, V], drawn with the probabilities softmax(logits / temperature):
 * the first class whose cumulated probability exceeds u [B], numbers in [0, 1). With temperature []
 * of 0 or below, the first maximum. A row with NaN or an infinite maximum gives 0xffffffff.
 * @returns u32 [B]
 * @throws ShapeError where B, a rank or a dtype disagrees or V exceeds 16,384.
 */
export function categorical(logits: Tensor, u: Tensor, temperature: Tensor): Tensor {
  return apply1(categoricalOp, null, logits, u, temperature);
}
