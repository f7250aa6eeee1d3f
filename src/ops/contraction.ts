import { contraction as contractionKernel } from "../../shaders/contraction.wgsl";
import { contractionGradientA } from "../../shaders/contraction_gradient_a.wgsl";
import { contractionGradientSum } from "../../shaders/contraction_gradient_sum.wgsl";
import { contractionGradientW } from "../../shaders/contraction_gradient_w.wgsl";
import { dispatch, linearGrid, type Target } from "../gpu/dispatch";
import {
  apply,
  apply1,
  expectDType,
  expectRank,
  input,
  notDifferentiable,
  type Op,
  type Operand,
  output,
  scratch,
  type Tensor,
} from "../graph/node";
import { equal, type Shape, ShapeError, show, size, type TensorType } from "../graph/shape";
import { matmul } from "./matmul";
import { constant } from "./sources";
import { reshape, type SlabLayout, slabLayout } from "./views";

/** A kernel made of basic blocks: how many of them along its input and its output channels. */
export interface TileGrid {
  readonly tilesIn: number;
  readonly tilesOut: number;
}

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

// A loop beyond 32,768 trips ends early on some adapters.
const LONGEST_LOOP = 16_384;

interface Block {
  readonly rows: number;
  readonly cols: number;
  readonly lanes: number;
}

// Multiply-adds from which blocks of 16 columns, which take twice as long to compile, pay.
const WORTH_WIDE = 2 ** 24;

/**
 * Outputs an invocation makes. Software adapters want as many as possible to a loaded value, GPUs
 * many invocations; both as few as the axis has. GFLOP/s of 12 tiles of 64 × 64 channels, f = 3,
 * d = 64, on 2 cores shared with other work, best of 7, forward and gradients of a and w:
 *
 *   block     SwiftShader     lavapipe
 *   16 × 8    2.6  3.1  2.9   16  16  13
 *   16 × 16   3.1  3.0  2.9   19  21  21
 */
function blockFor(rows: number, cols: number, work: number, target: Target): Block {
  if (target.adapter === "gpu") return { rows: 4, cols: 4, lanes: 64 };
  const wide = cols > 8 && work >= WORTH_WIDE;
  return { rows: rows > 8 ? 16 : rows > 4 ? 8 : 4, cols: wide ? 16 : cols > 4 ? 8 : 4, lanes: 8 };
}

function blockOverrides(block: Block, d: number) {
  return { ROWS: block.rows, COLS: block.cols, LANES: block.lanes, VECTORS: Number(d % 4 === 0) };
}

const blocks = (rows: number, cols: number, block: Block): number =>
  Math.ceil(rows / block.rows) * Math.ceil(cols / block.cols);

/** y = ⟨w, a⟩ + b, scattered; inputs a, w, b and the table of tiles. One dispatch. */
export const contractionOp: Op<ContractionAttrs> = {
  name: "contraction",
  shape({ total }) {
    return [{ shape: [total], dtype: "f32" }];
  },
  dispatch(node, target) {
    const [a, w, b, tiles] = [input(node, 0), input(node, 1), input(node, 2), input(node, 3)];
    const { slices, d, columns, ...s } = sizesOf(a, w);
    const { outputs, width, plane } = node.attrs;
    const rows = s.tiles * slices;
    const block = blockFor(rows, columns, rows * columns * d, target);
    return [
      dispatch(contractionKernel, {
        bind: { a, a_scalars: a, w, w_scalars: w, b, tiles, y: output(node, 0) },
        uniforms: { rows, slices, d, columns, outputs, width, plane },
        overrides: blockOverrides(block, d),
        grid: linearGrid(Math.ceil(blocks(rows, columns, block) / block.lanes)),
        flops: 2 * rows * columns * d,
      }),
    ];
  },
  gradient(node, [dy]) {
    if (!dy) return [null, null, null, null];
    const [a, w, b, tiles] = [input(node, 0), input(node, 1), input(node, 2), input(node, 3)];
    const [dw, db] = apply(
      contractionGradientWOp,
      { ...node.attrs, w: w.shape, b: b.shape },
      dy,
      a,
      tiles,
    );
    const { columns, d, ...s } = sizesOf(a, w);
    // Rows that are no vectors would have to be packed first: a third dispatch.
    const da =
      node.attrs.plain && (d % 4 === 0 || columns > LONGEST_LOOP)
        ? reshape(matmul(reshape(dy, [s.tiles, columns]), reshape(w, [columns, d])), a.shape)
        : apply1(contractionGradientAOp, { ...node.attrs, a: a.shape }, dy, w, tiles);
    return [da, dw ?? null, db ?? null, null];
  },
};

/** Gradient of the contraction by a: inputs dy, w and the table of tiles. One dispatch. */
export const contractionGradientAOp: Op<ContractionAttrs & { readonly a: Shape }> = {
  name: "contractionGradientA",
  shape: ({ a }) => [{ shape: a, dtype: "f32" }],
  dispatch(node, target) {
    const [dy, w, tiles, da] = [input(node, 0), input(node, 1), input(node, 2), output(node, 0)];
    const { slices, d, height, columns, ...s } = sizesOf(da, w);
    const { outputs, width, plane } = node.attrs;
    const block = blockFor(slices, d, s.tiles * slices * columns * d, target);
    return [
      dispatch(contractionGradientA, {
        bind: { dy, w, w_scalars: w, tiles, da },
        uniforms: { tiles: s.tiles, slices, d, height, outputs, width, plane },
        overrides: blockOverrides(block, d),
        grid: linearGrid(Math.ceil((s.tiles * blocks(slices, d, block)) / block.lanes)),
        flops: 2 * s.tiles * slices * columns * d,
      }),
    ];
  },
  gradient: notDifferentiable("it is itself a gradient"),
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
    const [dy, a, tiles] = [input(node, 0), input(node, 1), input(node, 2)];
    const [dw, db] = [output(node, 0), output(node, 1)];
    const { slices, d, columns, ...s } = sizesOf(a, dw);
    const { outputs, width, plane } = node.attrs;
    const block = blockFor(columns, d, s.tiles * slices * columns * d, target);
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
    >(contractionGradientW, {
      bind: { dy, a, a_scalars: a, tiles, dw: dwParts, db: dbParts },
      uniforms: { tiles: s.tiles, tiles_split: perPart, slices, d, columns, outputs, width, plane },
      overrides: blockOverrides(block, d),
      grid: linearGrid(Math.ceil((own * parts) / block.lanes)),
      flops: 2 * s.tiles * slices * columns * d,
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
      },
    );
    return [product, sum];
  },
  gradient: notDifferentiable("it is itself a gradient"),
};

function expectShape(op: string, name: string, x: TensorType, shape: Shape): void {
  expectDType(op, name, x.dtype, "f32");
  if (!equal(x.shape, shape)) {
    throw new ShapeError(
      `hyperloom: ${op}: ${name} has shape ${show(x.shape)}, must be ${show(shape)} to fit the others`,
    );
  }
}

/**
 * A linear map y[m, o] = Σ_k W[o, k] x[m, k] + b[o], whose gradients of W and b take one dispatch.
 * @param x [M, K]
 * @param W [N, K]
 * @param b [N]
 * @returns y [M, N], in one dispatch
 * @throws ShapeError naming the shapes that disagree.
 */
export function linear(x: Tensor, W: Tensor, b: Tensor): Tensor {
  const [M = 0, K = 0] = x.shape;
  const [N = 0] = W.shape;
  expectShape("linear", "W", W, [N, K]);
  expectShape("linear", "b", b, [N]);
  return reshape(generateSlices(x, reshape(W, [1, N, K]), reshape(b, [1, N])), [M, N]);
}

/**
 * First step of the static generator: a[m, i] = W_i[i] z[m] + B_i[i].
 * @param z embeddings [M, N_z]
 * @param W_i [N_in, d, N_z]
 * @param B_i [N_in, d]
 * @returns a [M, N_in, d], in one dispatch
 * @throws ShapeError naming the shapes that disagree.
 */
export function generateSlices(z: Tensor, W_i: Tensor, B_i: Tensor): Tensor {
  const op = "generateSlices";
  expectRank(op, "z", z.shape, 2);
  expectRank(op, "W_i", W_i.shape, 3);
  const [M = 0, nz = 0] = z.shape;
  const [slices = 0, d = 0] = W_i.shape;
  expectShape(op, "z", z, [M, nz]);
  expectShape(op, "W_i", W_i, [slices, d, nz]);
  expectShape(op, "B_i", B_i, [slices, d]);
  // Each embedding is a tile of one slice, whose only "output channel" is as wide as all of W_i.
  const width = slices * d;
  const attrs: ContractionAttrs = {
    outputs: 1,
    width,
    plane: width,
    total: M * width,
    plain: true,
  };
  const table = new Uint32Array(4 * M);
  for (let m = 0; m < M; m++) table[4 * m] = m * width;
  const a = apply1(
    contractionOp,
    attrs,
    reshape(z, [M, 1, nz]),
    reshape(W_i, [1, width, nz]),
    reshape(B_i, [1, width]),
    constant(table, [M, 4]),
  );
  return reshape(a, [M, slices, d]);
}

/**
 * Where the kernels of `layers` lie in the slab that `contraction` makes: shapes
 * [C_out, C_in, height, width], each at a multiple of 64 elements.
 * @param slices input channels N_in of a block
 * @param outputs output channels N_out of a block
 */
export function contractionLayout(
  layers: readonly TileGrid[],
  slices: number,
  outputs: number,
  height: number,
  width: number,
): SlabLayout {
  return slabLayout(
    layers.map(({ tilesIn, tilesOut }) => [tilesOut * outputs, tilesIn * slices, height, width]),
  );
}

/** For each tile its base and step, and at a layer's first tile the padding behind the layer. */
function tileTable(
  layers: readonly TileGrid[],
  layout: SlabLayout,
  slices: number,
  outputs: number,
) {
  const rows: number[] = [];
  for (const [l, { tilesIn, tilesOut }] of layers.entries()) {
    const [, channelsIn = 0, height = 0, width = 0] = layout.shapes[l] ?? [];
    const plane = height * width;
    const step = channelsIn * plane;
    const start = layout.offsets[l] ?? 0;
    const end = start + size(layout.shapes[l] ?? []);
    const padding = (layout.offsets[l + 1] ?? layout.total) - end;
    for (let ti = 0; ti < tilesIn; ti++) {
      for (let to = 0; to < tilesOut; to++) {
        const first = ti === 0 && to === 0;
        rows.push(
          start + to * outputs * step + ti * slices * plane,
          step,
          end,
          first ? padding : 0,
        );
      }
    }
  }
  return Uint32Array.from(rows);
}

/**
 * Second step of the static generator, for all layers that share it in one dispatch:
 * K_i = ⟨W_out, a_i⟩ + B_out, and kernel[to·N_out + o, ti·N_in + i, r, c] = K_i[r, o·f_w + c]. Tiles
 * take the embeddings in order: layer after layer, within a layer t = ti·tilesOut + to.
 * @param a [M, N_in, d] from `generateSlices`, M the number of all tiles
 * @param W_out [f_h, N_out·f_w, d]
 * @param B_out [f_h, N_out·f_w]
 * @param width f_w; default f_h, square kernels
 * @returns a slab with the layout of `contractionLayout`, padding set to zero
 * @throws ShapeError naming the shapes that disagree.
 */
export function contraction(
  a: Tensor,
  W_out: Tensor,
  B_out: Tensor,
  layers: readonly TileGrid[],
  width?: number,
): Tensor {
  const op = "contraction";
  expectRank(op, "a", a.shape, 3);
  expectRank(op, "W_out", W_out.shape, 3);
  const [M = 0, slices = 0, d = 0] = a.shape;
  const [height = 0, row = 0] = W_out.shape;
  const w = width ?? height;
  if (row % w !== 0) {
    throw new ShapeError(
      `hyperloom: contraction: W_out ${show(W_out.shape)} has ${row} columns, no multiple of the ` +
        `kernel width ${w}; pass the width`,
    );
  }
  expectShape(op, "a", a, [M, slices, d]);
  expectShape(op, "W_out", W_out, [height, row, d]);
  expectShape(op, "B_out", B_out, [height, row]);
  const wanted = layers.reduce((n, { tilesIn, tilesOut }) => n + tilesIn * tilesOut, 0);
  if (wanted !== M) {
    throw new ShapeError(
      `hyperloom: contraction: a ${show(a.shape)} has ${M} tiles, the layers need ${wanted}; ` +
        "give one embedding for each tile",
    );
  }
  const outputs = row / w;
  const layout = contractionLayout(layers, slices, outputs, height, w);
  const attrs = { outputs, width: w, plane: height * w, total: layout.total, plain: false };
  const table = constant(tileTable(layers, layout, slices, outputs), [M, 4]);
  return apply1(contractionOp, attrs, a, W_out, B_out, table);
}
