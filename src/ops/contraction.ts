import {
  contraction as contractionKernel,
  contractionSubgroups,
} from "../../shaders/contraction.wgsl";
import {
  contractionGradientA,
  contractionGradientASubgroups,
} from "../../shaders/contraction_gradient_a.wgsl";
import { contractionSingle } from "../../shaders/contraction_single.wgsl";
import { contractionGradientSum } from "../../shaders/contraction_gradient_sum.wgsl";
import {
  contractionGradientW,
  contractionGradientWSubgroups,
} from "../../shaders/contraction_gradient_w.wgsl";
import { dispatch, linearGrid, MAX_LOOP_TRIPS } from "../gpu/dispatch";
import { expect } from "../graph/expect";
import {
  apply,
  apply1,
  notDifferentiable,
  type Op,
  type Operand,
  scratch,
  type Tensor,
} from "../graph/node";
import { type Shape, size, type TensorType } from "../graph/shape";
import {
  type Block,
  blockFor,
  contractionClass,
  gradientClass,
  singleLanes,
} from "./contraction-variants";
import { matmul } from "./matmul";
import { sum as sumOver } from "./reduce";
import { constant } from "./sources";
import { allRows } from "./time-axis";
import { reshape, SLAB_ALIGNMENT } from "./views";

/**
 * How tiles lie in the output slab: element (m, s, q) goes to
 * base[m] + s·plane + o·step[m] + r·width + c with q = (r·outputs + o)·width + c; `tiles` holds base
 * and step of each tile, and the padding behind a layer at the layer's first tile.
 */
export interface ContractionAttrs {
  readonly outputs: number;
  readonly width: number;
  readonly plane: number;
  /** Elements of the slab. */
  readonly total: number;
  /** The slab is the plain [tiles, columns] matrix of all results. */
  readonly plain: boolean;
}

/** What the kernels need to know: tiles · slices rows of d elements, against `columns` of w. */
interface Sizes {
  readonly tiles: number;
  readonly slices: number;
  readonly d: number;
  readonly height: number;
  readonly columns: number;
}

function sizesOf(a: TensorType, w: TensorType): Sizes {
  const [tiles = 0, slices = 0, d = 0] = a.shape;
  const [height = 0, row = 0] = w.shape;
  return { tiles, slices, d, height, columns: height * row };
}

// Half of the trips that a loop may make.
const LONGEST_LOOP = MAX_LOOP_TRIPS / 2;
/** Longest embedding: the kernels step along it by 4. */
export const MAX_D = 4 * MAX_LOOP_TRIPS;
// Rows · d, and columns, of a gradient by a for which no product of matrices is compiled.
const FEW = 256;
// Zeros behind a layer in the slab, at most.
const SLAB_PADDING = SLAB_ALIGNMENT - 1;

/** @throws ShapeError where a loop of the kernels would be too long. */
function expectAtMost(what: string, actual: number, most: number, fix: string): void {
  expect(actual <= most, "contraction", what, actual, `be at most ${most}; ${fix}`);
}

function blockOverrides(block: Block, d: number) {
  return { ROWS: block.rows, COLS: block.cols, LANES: block.lanes, VECTORS: Number(d % 4 === 0) };
}

/** Blocks of an invocation that cover the result; with quads, groups of them. */
const blocks = (rows: number, cols: number, { side, ...block }: Block): number =>
  Math.ceil(rows / (side * block.rows)) * Math.ceil(cols / (side * block.cols));

/** Workgroups for so many blocks, or groups of them. */
const workgroups = (count: number, { side, lanes }: Block): number =>
  Math.ceil((count * side ** 2) / lanes);

/** y = ⟨w, a⟩ + b, scattered; inputs a, w, b and the table of tiles. One dispatch. */
export const contractionOp: Op<ContractionAttrs> = {
  name: "contraction",
  shape({ total }, a) {
    const [, slices = 0, d = 0] = a.shape;
    expectAtMost("d", d, MAX_D, "take smaller embeddings");
    expectAtMost("N_in", slices, MAX_LOOP_TRIPS, "take smaller basic blocks, more tiles");
    return [{ shape: [total], dtype: "f32" }];
  },
  dispatch(node, target) {
    const [a, w, b, tiles] = node.inputs;
    const { slices, d, columns, ...s } = sizesOf(a, w);
    const { outputs, width, plane } = node.attrs;
    const rows = s.tiles * slices;
    const shape = contractionClass(rows * columns * d);
    const call = {
      bind: { a, a_scalars: a, w, w_scalars: w, b, tiles, y: node.outputs[0] },
      uniforms: { rows, slices, d, columns, outputs, width, plane },
      flops: 2 * rows * columns * d,
    };
    const single = singleLanes(shape, target);
    const steps = d % 4 === 0 ? d / 4 : d;
    if (single !== null && steps <= MAX_LOOP_TRIPS - 1) {
      return [
        dispatch(contractionSingle, {
          ...call,
          overrides: { LANES: single, VECTORS: Number(d % 4 === 0) },
          grid: linearGrid((rows * columns) / single),
          // Along d, then the padding behind a layer.
          trips: steps + SLAB_PADDING + 2,
          longestLoop: Math.max(steps, SLAB_PADDING),
        }),
      ];
    }
    const block = blockFor(rows, columns, shape, target);
    return [
      dispatch(block.side === 2 ? contractionSubgroups : contractionKernel, {
        ...call,
        overrides: blockOverrides(block, d),
        grid: linearGrid(workgroups(blocks(rows, columns, block), block)),
        // Along d, then two loops over the rows, each of which may begin a layer.
        trips: Math.ceil(d / 4) + block.rows * (3 + SLAB_PADDING) + 3,
        longestLoop: Math.max(Math.ceil(d / 4), SLAB_PADDING),
      }),
    ];
  },
  gradient(node, [dy]) {
    if (!dy) return [null, null, null, null];
    const [a, w, b, tiles] = node.inputs;
    const [dw, db] = apply(
      contractionGradientWOp,
      { ...node.attrs, w: w.shape, b: b.shape },
      dy,
      a,
      tiles,
    );
    const { columns, d, ...s } = sizesOf(a, w);
    // Rows that are no vectors would have to be packed first: a third dispatch. Of a few numbers (an
    // embedding's gradient) the sum is short, and its kernel one that the gradient has anyway.
    const few = Math.max(s.tiles * d, columns) <= FEW;
    const da =
      node.attrs.plain && !few && (d % 4 === 0 || columns > LONGEST_LOOP)
        ? reshape(matmul(reshape(dy, [s.tiles, columns]), reshape(w, [columns, d])), a.shape)
        : apply1(contractionGradientAOp, { ...node.attrs, a: a.shape }, dy, w, tiles);
    return [da, dw ?? null, db ?? null, null];
  },
  // The rows of all steps below each other.
  overTime({ plain, width }, inputs, stacked, T) {
    if (!plain || !stacked[0] || stacked[1] || stacked[2]) return null;
    const [a, w, b] = inputs;
    const x = allRows(a);
    const { attrs, tiles } = plainRows(x.shape[0] as number, width);
    return [reshape(apply1(contractionOp, attrs, x, w, b, tiles), [T, -1])];
  },
};

/** What makes a contraction the plain product of M rows with w: each row a tile of one slice. */
export function plainRows(M: number, width: number): { attrs: ContractionAttrs; tiles: Tensor } {
  // Its only "output channel" is as wide as all of w.
  const attrs = { outputs: 1, width, plane: width, total: M * width, plain: true };
  const table = new Uint32Array(4 * M);
  for (let m = 0; m < M; m++) table[4 * m] = m * width;
  return { attrs, tiles: constant(table, [M, 4]) };
}

/** Gradient of the contraction by a: inputs dy, w and the table of tiles. One dispatch. */
export const contractionGradientAOp: Op<ContractionAttrs & { readonly a: Shape }> = {
  name: "contractionGradientA",
  shape({ a }, _, w) {
    const [height = 0, row = 0] = w.shape;
    const fix = "take smaller basic blocks, more tiles";
    expectAtMost("f_h · N_out · f_w of a gradient", height * row, MAX_LOOP_TRIPS, fix);
    return [{ shape: a, dtype: "f32" }];
  },
  dispatch(node, target) {
    const [dy, w, tiles] = node.inputs;
    const [da] = node.outputs;
    const { slices, d, height, columns, ...s } = sizesOf(da, w);
    const { outputs, width, plane } = node.attrs;
    const shape = gradientClass(s.tiles * slices * columns * d);
    const block = blockFor(slices, d, shape, target);
    return [
      dispatch(block.side === 2 ? contractionGradientASubgroups : contractionGradientA, {
        bind: { dy, w, w_scalars: w, tiles, da },
        uniforms: { tiles: s.tiles, slices, d, height, outputs, width, plane },
        overrides: blockOverrides(block, d),
        grid: linearGrid(workgroups(s.tiles * blocks(slices, d, block), block)),
        flops: 2 * s.tiles * slices * columns * d,
        trips: columns + block.rows + 2,
        longestLoop: columns,
      }),
    ];
  },
  gradient: notDifferentiable("it is itself a gradient"),
  overTime({ plain, width, a }, inputs, stacked, T) {
    if (!plain || stacked[1]) return null;
    const [dy, w] = inputs;
    const [M = 0, ...row] = a;
    const { attrs, tiles } = plainRows(T * M, width);
    const x = { ...attrs, a: [T * M, ...row] };
    return [reshape(apply1(contractionGradientAOp, x, reshape(dy, [-1]), w, tiles), [T, ...a])];
  },
};

// Blocks wanted before the tiles are summed in several parts, and the fewest slices of a part.
const WANTED_BLOCKS = { software: 32, gpu: 4096 } as const;
const SHORTEST_PART = { software: 256, gpu: 64 } as const;

/**
 * Gradients of the contraction by w and b: inputs dy, a and the table of tiles. One dispatch, or
 * two where few outputs are summed over many tiles.
 */
export const contractionGradientWOp: Op<
  ContractionAttrs & { readonly w: Shape; readonly b: Shape }
> = {
  name: "contractionGradientW",
  shape: ({ w, b }) => [
    { shape: w, dtype: "f32" },
    { shape: b, dtype: "f32" },
  ],
  dispatch(node, target) {
    const [dy, a, tiles] = node.inputs;
    const [dw, db] = node.outputs;
    const { slices, d, columns, ...s } = sizesOf(a, dw);
    const { outputs, width, plane } = node.attrs;
    const shape = gradientClass(s.tiles * slices * columns * d);
    const block = blockFor(columns, d, shape, target);
    const own = blocks(columns, d, block);
    const most = Math.floor((s.tiles * slices) / SHORTEST_PART[target.adapter]);
    const wanted = Math.min(Math.ceil(WANTED_BLOCKS[target.adapter] / own), most, s.tiles);
    const longest = Math.max(1, Math.floor(LONGEST_LOOP / slices));
    const perPart = Math.min(
      longest,
      node.attrs.plain ? s.tiles : Math.ceil(s.tiles / Math.max(1, wanted)),
    );
    const parts = Math.ceil(s.tiles / perPart);
    const [dwParts, dbParts]: readonly Operand[] =
      parts > 1 ? [scratch(parts * size(dw.shape)), scratch(parts * columns)] : [dw, db];
    if (!dwParts || !dbParts) throw new Error("internal: no place for partial gradients");
    const product = dispatch<
      Operand,
      "dy" | "a" | "a_scalars" | "tiles" | "dw" | "db",
      string,
      string
    >(block.side === 2 ? contractionGradientWSubgroups : contractionGradientW, {
      bind: { dy, a, a_scalars: a, tiles, dw: dwParts, db: dbParts },
      uniforms: { tiles: s.tiles, tiles_split: perPart, slices, d, columns, outputs, width, plane },
      overrides: blockOverrides(block, d),
      grid: linearGrid(workgroups(own * parts, block)),
      flops: 2 * s.tiles * slices * columns * d,
      trips: perPart * slices + block.rows + 2,
      longestLoop: perPart * slices,
    });
    if (parts === 1) return [product];
    const workgroup = target.adapter === "software" ? 16 : 64;
    const elements = size(dw.shape) + columns;
    const sum = dispatch<Operand, "dw_parts" | "db_parts" | "dw" | "db", string, string>(
      contractionGradientSum,
      {
        bind: { dw_parts: dwParts, db_parts: dbParts, dw, db },
        uniforms: { splits: parts, dw_size: size(dw.shape), db_size: columns },
        overrides: { WORKGROUP: workgroup },
        grid: linearGrid(Math.ceil(elements / workgroup)),
        flops: parts * elements,
        trips: parts + 1,
      },
    );
    return [product, sum];
  },
  gradient: notDifferentiable("it is itself a gradient"),
  // dw and db of each step: products and sums of dy as [T, M, N].
  overTime({ plain, width, w, b }, inputs, stacked, T) {
    if (!plain || !stacked[0]) return null;
    const [dy, a] = inputs;
    const rows = reshape(dy, [T, -1, width]);
    const x = reshape(a, [stacked[1] ? T : 1, -1, w[2] as number]);
    const dw = matmul(rows, x, { transposeA: true });
    return [reshape(dw, [T, ...w]), reshape(sumOver(rows, [1]), [T, ...b])];
  },
  sumOverTime({ plain, width, w, b }, inputs, stacked) {
    if (!plain || !stacked[0] || !stacked[1]) return null;
    const [dy, a] = inputs;
    const x = allRows(a);
    const { attrs, tiles } = plainRows(x.shape[0] as number, width);
    const [dw] = apply(contractionGradientWOp, { ...attrs, w, b }, reshape(dy, [-1]), x, tiles);
    return dw;
  },
};
