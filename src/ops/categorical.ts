import { categorical as categoricalKernel } from "../../shaders/categorical.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expectShape, expectType } from "../graph/expect";
import { apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { expectClasses } from "./softmax-cross-entropy";

const WORKGROUP = 64;

/** From (logits, u, temperature) the class that is drawn in each row; see `categorical`. */
export const categoricalOp: Op<null> = {
  name: "categorical",
  shape(_, ...inputs) {
    const [logits, u, temperature] = inputs;
    expectType("categorical", "logits", logits, 2);
    expectType("categorical", "temperature", temperature, 0);
    const [rows = 0, classes = 0] = logits.shape;
    expectClasses("categorical", classes);
    expectShape("categorical", "u", u, [rows]);
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
