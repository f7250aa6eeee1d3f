import { dropout as dropoutKernel } from "../../shaders/dropout.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { apply1, expectDType, input, type Op, output, type Tensor } from "../graph/node";
import { equal, ShapeError, show, size, type TensorType } from "../graph/shape";

const WORKGROUP = 64;

interface DropoutAttrs {
  readonly keep: number;
  readonly site: number;
}

/** Words below this u32 keep their element: keep * 2^32, rounded. */
export function dropoutThreshold(keep: number): number {
  return Math.min(Math.round(keep * 4294967296), 4294967295);
}

/** From (x, key) x with a random part of its elements dropped; see `dropout`. */
export const dropoutOp: Op<DropoutAttrs> = {
  name: "dropout",
  shape(_, x, key) {
    const [{ shape, dtype }, k] = [x as TensorType, key as TensorType];
    expectDType("dropout", "x", dtype, "f32");
    expectDType("dropout", "key", k.dtype, "u32");
    if (!equal(k.shape, [4])) {
      throw new ShapeError(`hyperloom: dropout: key is ${show(k.shape)}, must be [4]`);
    }
    return [{ shape, dtype }];
  },
  dispatch(node) {
    const [x, key, y] = [input(node, 0), input(node, 1), output(node, 0)];
    const { keep, site } = node.attrs;
    const elements = size(x.shape);
    return [
      dispatch(dropoutKernel, {
        bind: { x, key, y },
        uniforms: { elements, site, threshold: dropoutThreshold(keep), keep },
        grid: linearGrid(elements / 4 / WORKGROUP),
        flops: elements * 50,
        trips: 11,
      }),
    ];
  },
  // Linear in x, with the same mask.
  gradient: (node, [dy]) => [dy ? apply1(dropoutOp, node.attrs, dy, input(node, 1)) : null, null],
};

/**
 * Each element of x kept with probability `keep` and divided by it, else 0. `key` is u32 [4]:
 * a Philox key used for dropout alone (two words), the step number, and one more word for the
 * caller (the time step in a scan). Element i looks at word i % 4 of
 * philox((key[0], key[1]), (floor(i / 4), site, key[2], key[3])) of `graph/random.ts`; `site` (u32)
 * tells the dropouts of one model apart. The gradient makes the mask again. keep = 1 gives x itself.
 * @throws ShapeError unless 0 < keep <= 1 and `site` is a u32.
 */
export function dropout(x: Tensor, keep: number, key: Tensor, site = 0): Tensor {
  if (!(keep > 0 && keep <= 1)) {
    throw new ShapeError(`hyperloom: dropout: keep is ${keep}, must lie above 0 and be at most 1`);
  }
  if (site !== site >>> 0) {
    throw new ShapeError(`hyperloom: dropout: site is ${site}, must be an integer of 32 bits`);
  }
  return keep === 1 ? x : apply1(dropoutOp, { keep, site }, x, key);
}
