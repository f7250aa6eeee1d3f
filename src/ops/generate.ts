import { expect, expectShape, expectType } from "../graph/expect";
import { apply1, type Tensor } from "../graph/node";
import { size } from "../graph/shape";
import { contractionOp, MAX_D, plainRows } from "./contraction";
import { add } from "./elementwise";
import { matmul } from "./matmul";
import { constant } from "./sources";
import { reshape, type SlabLayout, slabLayout } from "./views";

/** A kernel made of basic blocks: how many of them along its input and its output channels. */
export interface TileGrid {
  readonly tilesIn: number;
  readonly tilesOut: number;
}

/**
 * A linear map y[m, o] = Σ_k W[o, k] x[m, k] + b[o], whose gradients of W and b take one dispatch.
 * @param x [M, K]
 * @param W [N, K]
 * @param b [N]
 * @returns y [M, N], in one dispatch (K up to 131,072)
 * @throws ShapeError naming the shapes that disagree.
 */
export function linear(x: Tensor, W: Tensor, b: Tensor): Tensor {
  const [M = 0, K = 0] = x.shape;
  const [N = 0] = W.shape;
  expectShape("linear", "W", W, [N, K]);
  expectShape("linear", "b", b, [N]);
  // Longer than one invocation may sum: a product that splits its sum, and an addition.
  if (K > MAX_D) return add(matmul(x, W, { transposeB: true }), b);
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
  expectType(op, "z", z, 2);
  expectType(op, "W_i", W_i, 3);
  const [M = 0, nz = 0] = z.shape;
  const [slices = 0, d = 0] = W_i.shape;
  expectShape(op, "z", z, [M, nz]);
  expectShape(op, "W_i", W_i, [slices, d, nz]);
  expectShape(op, "B_i", B_i, [slices, d]);
  const width = slices * d;
  const { attrs, tiles } = plainRows(M, width);
  const a = apply1(
    contractionOp,
    attrs,
    reshape(z, [M, 1, nz]),
    reshape(W_i, [1, width, nz]),
    reshape(B_i, [1, width]),
    tiles,
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
  expectType(op, "a", a, 3);
  expectType(op, "W_out", W_out, 3);
  const [M = 0, slices = 0, d = 0] = a.shape;
  const [height = 0, row = 0] = W_out.shape;
  const w = width ?? height;
  const columns = "the number of columns of W_out";
  expect(row % w === 0, op, columns, row, `be a multiple of the kernel width ${w}; pass the width`);
  expectShape(op, "a", a, [M, slices, d]);
  expectShape(op, "W_out", W_out, [height, row, d]);
  expectShape(op, "B_out", B_out, [height, row]);
  const wanted = layers.reduce((n, { tilesIn, tilesOut }) => n + tilesIn * tilesOut, 0);
  expect(
    M === wanted,
    op,
    "the number of tiles of a",
    M,
    `be ${wanted}: one embedding for each tile`,
  );
  const outputs = row / w;
  const layout = contractionLayout(layers, slices, outputs, height, w);
  const attrs = { outputs, width: w, plane: height * w, total: layout.total, plain: false };
  const table = constant(tileTable(layers, layout, slices, outputs), [M, 4]);
  return apply1(contractionOp, attrs, a, W_out, B_out, table);
}
