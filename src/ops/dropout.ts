import { dropout as dropoutKernel } from "../../shaders/dropout.wgsl";
import { dropoutMask as dropoutMaskKernel } from "../../shaders/dropout_mask.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expect, expectPart, expectType } from "../graph/expect";
import { apply1, type Op, type Tensor } from "../graph/node";
import { type Shape, show, size, type TensorType } from "../graph/shape";
import { div, fill, where } from "./elementwise";

const WORKGROUP = 64;

/** What a dropout depends on besides its inputs. */
export interface DropoutAttrs {
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
    expectType("dropout", "x", x);
    expectKey("dropout", key);
    expect(key.shape.length === 1, "dropout", "key", show(key.shape), "be [4]");
    return [x];
  },
  dispatch(node) {
    const [x, key] = node.inputs;
    const [y] = node.outputs;
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
  gradient: (node, [dy]) => [dy ? apply1(dropoutOp, node.attrs, dy, node.inputs[1]) : null, null],
  overTime({ keep, site }, [x, key], stacked) {
    const step = x.shape.slice(stacked[0] ? 1 : 0);
    const mask = apply1(dropoutMaskOp, { keep, site, shape: step }, key);
    return [where(mask, div(x, keep), 0)];
  },
};

/** From keys [..., 4] a mask [..., ...shape] of 0 and 1 for each; see `dropoutMask`. */
export const dropoutMaskOp: Op<DropoutAttrs & { readonly shape: Shape }> = {
  name: "dropout_mask",
  shape({ shape }, key) {
    expectKey("dropout_mask", key);
    return [{ shape: [...key.shape.slice(0, -1), ...shape], dtype: "f32" }];
  },
  dispatch(node) {
    const [key] = node.inputs;
    const [y] = node.outputs;
    const { keep, site, shape } = node.attrs;
    const [rows, elements] = [size(key.shape) / 4, size(shape)];
    return [
      dispatch(dropoutMaskKernel, {
        bind: { key, y },
        uniforms: { rows, elements, site, threshold: dropoutThreshold(keep), kept: 1 / keep },
        trips: 11,
        grid: linearGrid((rows * Math.ceil(elements / 4)) / WORKGROUP),
        flops: rows * elements * 50,
      }),
    ];
  },
  // The key is made of integers.
  gradient: () => [null],
  overTime: (attrs, [key]) => [apply1(dropoutMaskOp, attrs, key)],
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
  expectDropout("dropout", keep, site);
  return keep === 1 ? x : apply1(dropoutOp, { keep, site }, x, key);
}

/**
 * The mask of `dropout` by itself: 1 / keep with probability `keep`, else 0, by the same rule from
 * the same key and site; `dropout(x, …)` is x · mask. For masks that depend on no value, such as
 * those of all steps of a sequence. keep = 1 gives ones.
 * @param key u32 [4] for a mask [...shape]; [T, 4] for T masks [T, ...shape]
 * @throws ShapeError unless 0 < keep <= 1 and `site` is a u32.
 */
export function dropoutMask(shape: Shape, keep: number, key: Tensor, site = 0): Tensor {
  expectDropout("dropout_mask", keep, site);
  const ones = [...key.shape.slice(0, -1), ...shape];
  return keep === 1 ? fill(1, ones) : apply1(dropoutMaskOp, { keep, site, shape }, key);
}

/** @throws ShapeError unless keys are u32 [..., 4]. */
function expectKey(op: string, key: TensorType): void {
  expectType(op, "key", key, null, "u32");
  expect(key.shape[key.shape.length - 1] === 4, op, "key", show(key.shape), "be [4] or [T, 4]");
}

function expectDropout(op: string, keep: number, site: number): void {
  expectPart(op, "keep", keep);
  expect(site === site >>> 0, op, "site", site, "be an integer of 32 bits");
}
