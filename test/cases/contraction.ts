import type { Tensor } from "../../src/graph/node";
import {
  contraction,
  contractionLayout,
  generateSlices,
  type TileGrid,
} from "../../src/ops/contraction";
import type { Nd, OpCase } from "./case";

/** a[m, i, k] = Σ_z W_i[i, k, z] z[m, z] + B_i[i, k]. */
function slices(z: Nd, W: Nd, B: Nd): Nd {
  const [M = 0, Z = 0] = z.shape;
  const [I = 0, D = 0] = W.shape;
  const data = new Float64Array(M * I * D);
  for (let m = 0; m < M; m++) {
    for (let ik = 0; ik < I * D; ik++) {
      let sum = B.data[ik] ?? 0;
      for (let e = 0; e < Z; e++) sum += (W.data[ik * Z + e] ?? 0) * (z.data[m * Z + e] ?? 0);
      data[m * I * D + ik] = sum;
    }
  }
  return { shape: [M, I, D], data };
}

/** Kernels of all layers in one slab, tile by tile. */
function kernels(a: Nd, W: Nd, B: Nd, layers: readonly TileGrid[], fw: number): Nd {
  const [, I = 0, D = 0] = a.shape;
  const [fh = 0, row = 0] = W.shape;
  const O = row / fw;
  const layout = contractionLayout(layers, I, O, fh, fw);
  const data = new Float64Array(layout.total);
  let m = 0;
  for (const [l, { tilesIn, tilesOut }] of layers.entries()) {
    for (let t = 0; t < tilesIn * tilesOut; t++, m++) {
      const [ti, to] = [Math.floor(t / tilesOut), t % tilesOut];
      for (let i = 0; i < I; i++) {
        for (let r = 0; r < fh; r++) {
          for (let q = 0; q < row; q++) {
            let sum = B.data[r * row + q] ?? 0;
            for (let k = 0; k < D; k++) {
              sum += (W.data[(r * row + q) * D + k] ?? 0) * (a.data[(m * I + i) * D + k] ?? 0);
            }
            const [o, c] = [Math.floor(q / fw), q % fw];
            const at = (((to * O + o) * tilesIn * I + ti * I + i) * fh + r) * fw + c;
            data[(layout.offsets[l] ?? 0) + at] = sum;
          }
        }
      }
    }
  }
  return { shape: [layout.total], data };
}

// Products of two numbers of size 1, at most some 100 of them, and as many again in a chain: a few
// roundings of 2^-24; gradients of W sum over all slices of all tiles.
const TOLERANCE = 1e-6;

interface Sizes {
  readonly layers: readonly TileGrid[];
  readonly inputs: number;
  readonly outputs: number;
  readonly f: readonly [number, number];
  readonly d: number;
}

function contractionCase(s: Sizes, differences = true): OpCase {
  const { layers, inputs, outputs, d } = s;
  const [fh, fw] = s.f;
  const M = layers.reduce((n, { tilesIn, tilesOut }) => n + tilesIn * tilesOut, 0);
  const grids = layers.map(({ tilesIn, tilesOut }) => `${tilesIn}×${tilesOut}`).join(" + ");
  return {
    name: `contraction: ${grids} tiles of ${inputs}×${outputs} channels, ${fh}×${fw}, d = ${d}`,
    ops: ["contraction", "contractionGradientA", "contractionGradientW"],
    inputs: [
      { shape: [M, inputs, d] },
      { shape: [fh, outputs * fw, d] },
      { shape: [fh, outputs * fw] },
    ],
    build: (a, W, B) => contraction(a as Tensor, W as Tensor, B as Tensor, layers, fw),
    oracle: (a, W, B) => kernels(a as Nd, W as Nd, B as Nd, layers, fw),
    tolerance: TOLERANCE,
    ...(differences ? {} : { gradients: [] }),
  };
}

function slicesCase(M: number, nz: number, inputs: number, d: number, differences = true): OpCase {
  return {
    name: `generateSlices: ${M} embeddings of ${nz}, ${inputs} slices of ${d}`,
    ops: ["contraction", "contractionGradientW"],
    inputs: [{ shape: [M, nz] }, { shape: [inputs, d, nz] }, { shape: [inputs, d] }],
    build: (z, W, B) => generateSlices(z as Tensor, W as Tensor, B as Tensor),
    oracle: (z, W, B) => slices(z as Nd, W as Nd, B as Nd),
    tolerance: TOLERANCE,
    ...(differences ? {} : { gradients: [] }),
  };
}

const ONE: TileGrid = { tilesIn: 1, tilesOut: 1 };

/** The static generator's two steps: one and many layers, N_in ≠ N_out, any d and f. */
export const contractionCases: readonly OpCase[] = [
  slicesCase(1, 4, 16, 4),
  slicesCase(3, 5, 2, 7),
  slicesCase(2, 1, 3, 1),
  slicesCase(5, 8, 3, 4),
  slicesCase(37, 64, 16, 64, false),
  contractionCase({ layers: [ONE], inputs: 1, outputs: 1, f: [1, 1], d: 1 }),
  contractionCase({ layers: [ONE], inputs: 16, outputs: 2, f: [7, 7], d: 4 }, false),
  contractionCase({ layers: [ONE], inputs: 5, outputs: 3, f: [3, 3], d: 7 }),
  contractionCase({ layers: [ONE], inputs: 2, outputs: 5, f: [2, 3], d: 4 }),
  contractionCase({
    layers: [{ tilesIn: 2, tilesOut: 3 }, ONE, { tilesIn: 3, tilesOut: 1 }],
    inputs: 3,
    outputs: 2,
    f: [3, 3],
    d: 8,
  }),
  contractionCase({
    layers: [ONE, { tilesIn: 1, tilesOut: 2 }, { tilesIn: 2, tilesOut: 2 }],
    inputs: 5,
    outputs: 4,
    f: [1, 1],
    d: 3,
  }),
  contractionCase(
    {
      layers: [
        { tilesIn: 4, tilesOut: 4 },
        { tilesIn: 2, tilesOut: 4 },
      ],
      inputs: 16,
      outputs: 16,
      f: [3, 3],
      d: 64,
    },
    false,
  ),
];
