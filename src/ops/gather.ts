import { gather as gatherKernel } from "../../shaders/gather.wgsl";
import { gatherVec4 } from "../../shaders/gather_vec4.wgsl";
import { scatterAdd as scatterAddKernel } from "../../shaders/scatter_add.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expect, expectIntegers, expectShape } from "../graph/expect";
import { apply1, type Op, type Operand, scratch, type Tensor } from "../graph/node";
import { type Shape, size } from "../graph/shape";
import { sumRows } from "./reduce";

const WORKGROUP = 64;
/** Positions of one partial sum: their loads of four and their finds are 49,153 trips at most. */
const SCATTER_SPAN = 32_768;
/** Columns of a row that one invocation of scatter_add.wgsl owns. */
const SCATTER_COLUMNS = 16;

/** A word that shows that an index was wrong: NaN, or an integer that is no class and no index. */
const INVALID = { f32: 0x7fc00000, i32: 0xffffffff, u32: 0xffffffff } as const;

/** From (table, indices) the rows table[indices]; see `gather`. */
export const gatherOp: Op<null> = {
  name: "gather",
  shape(_, { shape, dtype }, indices) {
    expectIntegers("gather", "indices", indices);
    expect(shape.length > 0, "gather", "table", "a scalar", "have rows");
    return [{ shape: [...indices.shape, ...shape.slice(1)], dtype }];
  },
  dispatch(node) {
    const [table, indices] = node.inputs;
    const [y] = node.outputs;
    const entries = table.shape[0] as number;
    const width = size(table.shape) / entries;
    const each = width % 4 === 0 ? 4 : 1;
    const elements = size(y.shape) / each;
    return [
      dispatch(each === 4 ? gatherVec4 : gatherKernel, {
        bind: { table, indices, y },
        uniforms: { elements, entries, width: width / each, invalid: INVALID[table.dtype] },
        grid: linearGrid(elements / WORKGROUP),
        flops: size(y.shape),
        trips: 0,
      }),
    ];
  },
  gradient(node, [dy]) {
    const { shape, dtype } = node.inputs[0];
    if (!dy || dtype !== "f32") return [null, null];
    return [apply1(scatterAddOp, { shape }, dy, node.inputs[1]), null];
  },
  overTime: (_, [table, indices], stacked) => (stacked[0] ? null : [gather(table, indices)]),
};

/** From (dy, indices) a table of `shape`: row v is the sum of dy over the positions with index v. */
export const scatterAddOp: Op<{ readonly shape: Shape }> = {
  name: "scatter_add",
  shape({ shape }, dy, indices) {
    expectIntegers("scatter_add", "indices", indices);
    expectShape("scatter_add", "dy", dy, [...indices.shape, ...shape.slice(1)]);
    return [{ shape, dtype: "f32" }];
  },
  dispatch(node, target) {
    const [dy, indices] = node.inputs;
    const [dtable] = node.outputs;
    const entries = dtable.shape[0] as number;
    const width = size(dtable.shape) / entries;
    const blocks = Math.ceil(width / SCATTER_COLUMNS);
    const count = size(indices.shape);
    const span = Math.min(SCATTER_SPAN, Math.ceil(count / 4) * 4);
    const spans = Math.ceil(count / span);
    const sums = spans > 1 ? scratch(spans * entries * width) : dtable;
    const first = dispatch<Operand, "dy" | "indices" | "dtable", string, string>(scatterAddKernel, {
      bind: { dy, indices, dtable: sums },
      uniforms: { count, entries, width, blocks, span, spans },
      grid: linearGrid((spans * entries * blocks) / WORKGROUP),
      flops: count * (width + entries * blocks),
      // Loads of four indices, and the positions found.
      trips: (6 * span) / 4 + 1,
      longestLoop: span / 4,
    });
    if (spans === 1) return [first];
    return [first, ...sumRows(sums, dtable, spans, entries * width, target)];
  },
  gradient: (node, [ddtable]) => [ddtable ? gather(ddtable, node.inputs[1]) : null, null],
  sumOverTime: (attrs, [dy, indices], stacked) =>
    stacked[0] && stacked[1] ? apply1(scatterAddOp, attrs, dy, indices) : null,
};

/**
 * Rows of a table: table [V, ...D] and indices (u32 or i32, any shape) give [...indices, ...D].
 * An index outside 0..V-1 gives a row of NaN (integers: all bits 1), on every adapter. The
 * gradient adds up the rows of equal index in their order, deterministically.
 * @throws ShapeError where the indices are f32 or the table is a scalar.
 */
export function gather(table: Tensor, indices: Tensor): Tensor {
  return apply1(gatherOp, null, table, indices);
}
