import { expect } from "../graph/expect";
import { apply, apply1, type Op, type Tensor } from "../graph/node";
import { type Shape, show, size } from "../graph/shape";
import { fill } from "./elementwise";

/** Elements between possible starts of a range in a slab: 256 bytes, as bindings require. */
export const SLAB_ALIGNMENT = 64;

/** Offsets, in elements, of values laid one after another in a slab, and the slab's length. */
export interface SlabLayout {
  readonly shapes: readonly Shape[];
  readonly offsets: readonly number[];
  readonly total: number;
}

/** Lays shapes into a slab in the order given, each range at a multiple of 64 elements. */
export function slabLayout(shapes: readonly Shape[]): SlabLayout {
  let total = 0;
  const offsets = shapes.map((shape) => {
    const at = total;
    total += Math.ceil(size(shape) / SLAB_ALIGNMENT) * SLAB_ALIGNMENT;
    return at;
  });
  return { shapes, offsets, total };
}

/** The same elements under another shape; costs nothing. */
export const reshapeOp: Op<{ shape: Shape }> = {
  name: "reshape",
  alias: "reshape",
  shape({ shape }, x) {
    const from = x.shape;
    const has = `have ${size(from)} elements, as ${show(from)} has`;
    expect(size(shape) === size(from), "reshape", "the new shape", show(shape), has);
    return [{ shape, dtype: x.dtype }];
  },
  dispatch: () => [],
  gradient: (node, [dy]) => [dy ? reshape(dy, node.inputs[0].shape) : null],
};

/** The ranges of a slab as tensors of their own; costs nothing. */
export const unpackOp: Op<SlabLayout> = {
  name: "unpack",
  alias: "unpack",
  shape({ shapes, total }, slab) {
    const { shape, dtype } = slab;
    expect(
      shape.length === 1 && shape[0] === total,
      "unpack",
      "slab",
      show(shape),
      `be [${total}]`,
    );
    return shapes.map((s) => ({ shape: s, dtype }));
  },
  dispatch: () => [],
  gradient: (node, dy) => [
    pack(
      dy.map((d, k) => d ?? fill(0, (node.outputs[k] as Tensor).shape)),
      node.attrs,
    ),
  ],
};

/** Tensors laid into one slab; free where the planner can let the producers write there. */
export const packOp: Op<SlabLayout> = {
  name: "pack",
  alias: "pack",
  shape({ shapes, total }, ...inputs) {
    expect(
      shapes.length === inputs.length,
      "pack",
      "their number",
      inputs.length,
      `be ${shapes.length}`,
    );
    for (const [k, x] of inputs.entries()) {
      const shape = shapes[k] as Shape;
      const good = x.dtype === "f32" && size(x.shape) === size(shape);
      expect(good, "pack", `input ${k}`, `${x.dtype} ${show(x.shape)}`, `be f32 ${show(shape)}`);
    }
    return [{ shape: [total], dtype: "f32" }];
  },
  dispatch: () => [],
  gradient: (node, [dy]) => (dy ? unpack(dy, node.attrs) : node.inputs.map(() => null)),
};

/** `x` with another shape; one axis may be -1. @throws ShapeError where the counts differ. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const full = shape.map((d) => (d === -1 ? size(x.shape) / known : d));
  return apply1(reshapeOp, { shape: full }, x);
}

/** The tensors that lie in a slab. */
export function unpack(slab: Tensor, layout: SlabLayout): readonly Tensor[] {
  return apply(unpackOp, layout, slab);
}

/** A slab of the given tensors (f32), padding between them being zero. */
export function pack(tensors: readonly Tensor[], layout: SlabLayout): Tensor {
  return apply1(packOp, layout, ...tensors);
}
