import type { Tensor } from "../graph/node";
import type { Tree } from "../graph/tree";
import { type Cell, project, SITE, type Tensors } from "../nn/cell";
import { type Init, orthogonalBlocks, zeros } from "../nn/init";
import type { ParamSpec } from "../nn/module";
import { type CellSizes, rnn } from "../nn/recurrent";
import { add, mul, tanh } from "../ops/elementwise";
import { slice } from "../ops/layout";
import { matmul } from "../ops/matmul";
import { reshape } from "../ops/views";
import { embedder, expectOneOf, type GenerationOptions, hyperCell } from "./hyper-cell";

/** Sizes and form of a HyperRNN. */
export interface HyperRnnOptions extends CellSizes, GenerationOptions {
  /** Units Ĥ of the hyper cell. */
  readonly hyperUnits: number;
  /**
   * "scaling" (default): generated scales of the rows of W_h, W_x (equations 7 and 8). "full": all
   * weights generated (equation 5), at N_z times the parameters.
   */
  readonly form?: "scaling" | "full";
}

/**
 * The HyperRNN (section 3.2): a basic recurrent cell whose weights a smaller one makes at every step.
 *
 * Scaling form: `hyperCell` of two `rnn`. Full form: h' = φ(⟨W_hz, z_h⟩ h + ⟨W_xz, z_x⟩ x + b(z_b)),
 * with W_hz [H, N_z, H] and W_xz [X, N_z, H] stored as [in, N_z, out], W_bz [N_z, H], b_0 [H]; no
 * sample's weights are ever made: ⟨W_hz, z⟩ h is one product of h ⊗ z [B, H·N_z].
 * @throws ShapeError for sizes that cannot be.
 */
export function hyperRnn(options: HyperRnnOptions): Cell {
  const { inputs, units, hyperUnits, form = "scaling" } = options;
  expectOneOf("form", form, ["scaling", "full"]);
  const hyper = rnn({ inputs, units: hyperUnits });
  if (form === "scaling") return hyperCell(rnn({ inputs, units }), hyper, options);
  const { nz } = options;
  const main = rnn({ inputs, units });
  const made = embedder(hyper, units, 1, options);
  const weight = (rows: number): ParamSpec => ({
    shape: [rows, nz, units],
    init: summedOrthogonal,
    fanIn: rows * nz,
    kind: "generator",
  });
  return {
    name: "hyper-rnn",
    inputs,
    units,
    sites: SITE.count,
    params: {
      W_hz: weight(units),
      W_xz: weight(inputs),
      W_bz: { shape: [nz, units], init: zeros, fanIn: nz, kind: "generator" },
      b_0: { shape: [units], init: zeros, kind: "bias" },
      ...made.params,
    },
    state: { ...main.state, hyper: made.state },
    apply: (context, params, state, x) => {
      const p = params as unknown as Tensors;
      const { h, hyper: inner } = state as unknown as { h: Tensor; hyper: Tree<Tensor> };
      const { z, state: next } = made.step(context, p, inner, h, x);
      const pre = add(recurrent(h, embedding(z, 0), p.W_hz as Tensor), input(x, z, p));
      const after = tanh(pre);
      return { outputs: after, state: { h: after, hyper: next } };
    },
  };
}

/** z of one kind, [B, N_z], from z [3, 1, B, N_z]. */
function embedding(z: Tensor, kind: number): Tensor {
  const [, , B = 1, nz = 1] = z.shape;
  return reshape(slice(z, [kind, 0, 0, 0], [kind + 1, 1, B, nz]), [B, nz]);
}

/** ⟨W, z⟩ h for each sample: h ⊗ z [B, H·N_z] times W as [H·N_z, H]. */
function recurrent(h: Tensor, z: Tensor, W: Tensor): Tensor {
  const [B = 1, H = 1] = h.shape;
  const nz = z.shape[1] as number;
  const outer = mul(reshape(h, [B, H, 1]), reshape(z, [B, 1, nz]));
  return matmul(reshape(outer, [B, H * nz]), reshape(W, [H * nz, H]));
}

/**
 * ⟨W_xz, z_x⟩ x + W_bz z_b + b_0. Here the product with x comes first, [B, N_z, H]: it needs no
 * state, so that a scan makes it for all steps at once, and symbols choose its rows.
 */
function input(x: Tensor, z: Tensor, p: Tensors): Tensor {
  const { W_xz, W_bz, b_0 } = p as Record<"W_xz" | "W_bz" | "b_0", Tensor>;
  const [X = 1, nz = 1, H = 1] = W_xz.shape;
  const B = x.shape[0] as number;
  const each = reshape(project(x, reshape(W_xz, [X, nz * H])), [B, nz, H]);
  const weighed = matmul(reshape(embedding(z, 1), [B, 1, nz]), each);
  const bias = add(matmul(embedding(z, 2), W_bz), b_0);
  return add(reshape(weighed, [B, H]), bias);
}

/** [in, N_z, out]: each [in, out] orthogonal / √N_z, so that their sum, which z = 1 takes, is of its size. */
const summedOrthogonal: Init = (key, [rows = 1, nz = 1, columns = 1]) =>
  orthogonalBlocks(nz, 1 / Math.sqrt(nz))(key, [rows, nz * columns]);
