import { apply, apply1, type Node, type Tensor } from "../../src/graph/node";
import { type Shape, size } from "../../src/graph/shape";
import {
  type ContractionAttrs,
  contractionGradientAOp,
  contractionGradientWOp,
} from "../../src/ops/contraction";
import {
  contraction,
  contractionLayout,
  generateSlices,
  type TileGrid,
} from "../../src/ops/generate";
import { placeholder } from "../../src/ops/sources";
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

/** Calls `visit` for each (m, i, q) with its place in the slab. */
function places(s: Sizes, visit: (at: number, row: number, q: number) => void): void {
  const { layers, inputs: I, outputs: O } = s;
  const [fh, fw] = s.f;
  const { offsets } = contractionLayout(layers, I, O, fh, fw);
  let m = 0;
  for (const [l, { tilesIn, tilesOut }] of layers.entries()) {
    for (let t = 0; t < tilesIn * tilesOut; t++, m++) {
      const [ti, to] = [Math.floor(t / tilesOut), t % tilesOut];
      for (let i = 0; i < I; i++) {
        for (let q = 0; q < fh * O * fw; q++) {
          const [r, o, c] = [Math.floor(q / (O * fw)), Math.floor(q / fw) % O, q % fw];
          const at = (((to * O + o) * tilesIn * I + ti * I + i) * fh + r) * fw + c;
          visit((offsets[l] ?? 0) + at, m * I + i, q);
        }
      }
    }
  }
}

/** Kernels of all layers in one slab: y[place(m, i, q)] = Σ_k W[q, k] a[m, i, k] + B[q]. */
function kernels(s: Sizes, a: Nd, W: Nd, B: Nd): Nd {
  const { total } = layoutOf(s);
  const data = new Float64Array(total);
  places(s, (at, row, q) => {
    let sum = B.data[q] as number;
    for (let k = 0; k < s.d; k++) {
      sum += (W.data[q * s.d + k] as number) * (a.data[row * s.d + k] as number);
    }
    data[at] = sum;
  });
  return { shape: [total], data };
}

/** da[m, i, k] = Σ_q dy[place(m, i, q)] W[q, k]. */
function gradientA(s: Sizes, dy: Nd, W: Nd): Nd {
  const shape = [tilesOf(s), s.inputs, s.d];
  const data = new Float64Array(size(shape));
  places(s, (at, row, q) => {
    for (let k = 0; k < s.d; k++) {
      data[row * s.d + k] =
        (data[row * s.d + k] as number) + (dy.data[at] as number) * (W.data[q * s.d + k] as number);
    }
  });
  return { shape, data };
}

/** dW[q, k] = Σ_{m, i} dy[place(m, i, q)] a[m, i, k] and dB[q] = Σ_{m, i} dy[place(m, i, q)]. */
function gradientW(s: Sizes, dy: Nd, a: Nd): readonly Nd[] {
  const [dW, dB] = [new Float64Array(size(weightShape(s))), new Float64Array(size(biasShape(s)))];
  places(s, (at, row, q) => {
    const v = dy.data[at] as number;
    dB[q] = (dB[q] as number) + v;
    for (let k = 0; k < s.d; k++) {
      dW[q * s.d + k] = (dW[q * s.d + k] as number) + v * (a.data[row * s.d + k] as number);
    }
  });
  return [
    { shape: weightShape(s), data: dW },
    { shape: biasShape(s), data: dB },
  ];
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

const weightShape = ({ outputs, f: [fh, fw], d }: Sizes): Shape => [fh, outputs * fw, d];
const biasShape = ({ outputs, f: [fh, fw] }: Sizes): Shape => [fh, outputs * fw];
const layoutOf = ({ layers, inputs, outputs, f: [fh, fw] }: Sizes) =>
  contractionLayout(layers, inputs, outputs, fh, fw);
const tilesOf = ({ layers }: Sizes): number =>
  layers.reduce((n, { tilesIn, tilesOut }) => n + tilesIn * tilesOut, 0);

function describe({ layers, inputs, outputs, f: [fh, fw], d }: Sizes): string {
  const grids = layers.map(({ tilesIn, tilesOut }) => `${tilesIn}×${tilesOut}`).join(" + ");
  return `${grids} tiles of ${inputs}×${outputs} channels, ${fh}×${fw}, d = ${d}`;
}

function contractionCase(s: Sizes, differences = true): OpCase {
  return {
    name: `contraction: ${describe(s)}`,
    ops: ["contraction", "contractionGradientA", "contractionGradientW"],
    inputs: [
      { shape: [tilesOf(s), s.inputs, s.d] },
      { shape: weightShape(s) },
      { shape: biasShape(s) },
    ],
    build: (a, W, B) => contraction(a as Tensor, W as Tensor, B as Tensor, s.layers, s.f[1]),
    oracle: (a, W, B) => kernels(s, a as Nd, W as Nd, B as Nd),
    tolerance: TOLERANCE,
    ...(differences ? {} : { gradients: [] }),
  };
}

/** Attributes and table of tiles of a contraction, which its gradients take over. */
function contractionNode(s: Sizes) {
  const [a, W, B] = [[tilesOf(s), s.inputs, s.d], weightShape(s), biasShape(s)].map((shape, k) =>
    placeholder(`unused${k}`, shape),
  ) as [Tensor, Tensor, Tensor];
  const node = contraction(a, W, B, s.layers, s.f[1]).node as Node<ContractionAttrs>;
  return { attrs: node.attrs, tiles: node.inputs[3] };
}

/** The gradients as ops of their own, at sizes beyond differences. */
function gradientCases(s: Sizes): readonly OpCase[] {
  const slab = { shape: [layoutOf(s).total] };
  const a = [tilesOf(s), s.inputs, s.d];
  const common = { tolerance: TOLERANCE, gradients: [] };
  return [
    {
      ...common,
      name: `contractionGradientA: ${describe(s)}`,
      ops: ["contractionGradientA"],
      inputs: [slab, { shape: weightShape(s) }],
      build: (dy, W) => {
        const { attrs, tiles } = contractionNode(s);
        return apply1(contractionGradientAOp, { ...attrs, a }, dy as Tensor, W as Tensor, tiles);
      },
      oracle: (dy, W) => gradientA(s, dy as Nd, W as Nd),
    },
    {
      ...common,
      name: `contractionGradientW: ${describe(s)}`,
      ops: ["contractionGradientW"],
      inputs: [slab, { shape: a }],
      build: (dy, x) => {
        const { attrs, tiles } = contractionNode(s);
        const shapes = { w: weightShape(s), b: biasShape(s) };
        return apply(
          contractionGradientWOp,
          { ...attrs, ...shapes },
          dy as Tensor,
          x as Tensor,
          tiles,
        );
      },
      oracle: (dy, x) => gradientW(s, dy as Nd, x as Nd),
    },
  ];
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

/** Enough work for the widest blocks, with a rest along every axis. */
const WIDE: Sizes = {
  layers: [
    { tilesIn: 3, tilesOut: 1 },
    { tilesIn: 1, tilesOut: 2 },
  ],
  inputs: 37,
  outputs: 33,
  f: [3, 3],
  d: 308,
};

/** Many tiles, whose sum is split. */
const LONG: Sizes = {
  layers: [{ tilesIn: 11, tilesOut: 9 }],
  inputs: 6,
  outputs: 2,
  f: [3, 3],
  d: 5,
};

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
  contractionCase(WIDE, false),
  contractionCase({ ...WIDE, d: 309 }, false),
  ...gradientCases(WIDE),
  ...gradientCases({ ...WIDE, d: 309 }),
  ...gradientCases(LONG),
];
