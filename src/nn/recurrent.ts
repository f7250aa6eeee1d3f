import type { Tensor } from "../graph/node";
import { expectEps, expectGates, expectPart } from "../graph/expect";
import { add, mul, sigmoid, sub, tanh } from "../ops/elementwise";
import { hyperLstmCell } from "../ops/hyper-lstm-cell";
import { type CellUpdateOptions, lstmCell } from "../ops/lstm-cell";
import {
  block,
  type CellParams,
  expectSize,
  type GatedCell,
  gatedCell,
  SITE,
  summands,
} from "./cell";
import { maskFor } from "./cell-dropout";
import { constantInit, orthogonalBlocks, stackedInits, zeros } from "./init";
import type { StateSpec } from "./module";

/** Sizes of a cell. */
export interface CellSizes {
  /** Width X of the input, or the number of symbols. */
  readonly inputs: number;
  /** Units H. */
  readonly units: number;
}

/** W_h and W_x of G gates, orthogonal by gate, and b, zero. */
function products({ inputs, units }: CellSizes, G: number): CellParams {
  const init = orthogonalBlocks(G);
  return {
    W_h: { shape: [units, G * units], init, fanIn: units, kind: "weight" },
    W_x: { shape: [inputs, G * units], init, fanIn: inputs, kind: "weight" },
    b: { shape: [G * units], init: zeros, kind: "bias" },
  };
}

const stateOf = (units: number): StateSpec => ({ shape: [units], init: zeros });

function expectSizes(cell: string, { inputs, units }: CellSizes): void {
  expectSize(cell, "inputs", inputs);
  expectSize(cell, "units", units);
}

/**
 * The basic recurrent cell (equation 4): h' = φ(h W_h + x W_x + b), φ = tanh.
 * Parameters W_h [H, H], W_x [X, H], b [H]; state h.
 * @throws ShapeError for sizes that are no positive integers.
 */
export function rnn(sizes: CellSizes): GatedCell {
  const { inputs, units } = sizes;
  expectSizes("rnn", sizes);
  return gatedCell({
    name: "rnn",
    inputs,
    units,
    gates: "h",
    params: products(sizes, 1),
    state: { h: stateOf(units) },
    update: (_, p, __, hg, xg, d) => {
      const h = tanh(add(...summands(hg, xg, p.b, d)));
      return { outputs: h, state: { h } };
    },
  });
}

/**
 * The gated recurrent unit (Cho et al. 2014), its reset gate after the product, so that a step is
 * one product of h:
 *
 *   r, z = σ(h W_h + x W_x + b);   n = φ(x W_x + b + r ⊙ (h W_h));   h' = (1 − z) ⊙ n + z ⊙ h
 *
 * Parameters W_h [H, 3H], W_x [X, 3H], b [3H] in blocks r, z, n; state h.
 * @throws ShapeError for sizes that are no positive integers.
 */
export function gru(sizes: CellSizes): GatedCell {
  const { inputs, units: H } = sizes;
  expectSizes("gru", sizes);
  return gatedCell({
    name: "gru",
    inputs,
    units: H,
    gates: "rzn",
    params: products(sizes, 3),
    state: { h: stateOf(H) },
    update: (_, p, { h }, hg, xg, d) => {
      const [recurrent, input] = summands(hg, xg, p.b, d);
      const gate = (k: number): Tensor => sigmoid(add(block(recurrent, k, H), block(input, k, H)));
      const [r, z] = [gate(0), gate(1)];
      const n = tanh(add(block(input, 2, H), mul(r, block(recurrent, 2, H))));
      const next = add(n, mul(z, sub(h as Tensor, n)));
      return { outputs: next, state: { h: next } };
    },
  });
}

/** Sizes and variants of an LSTM. */
export interface LstmOptions extends CellSizes {
  /** Layer norms of the four gates, each by itself, and of c on its way out; default false. */
  readonly layerNorm?: boolean;
  /** Of the layer norms, inside the root; default 1e-5. */
  readonly eps?: number;
  /** A bias b besides the layer norm's shifts; default: where there is no layer norm. */
  readonly bias?: boolean;
  /** Added to the forget gate, after the layer norm; default 1. */
  readonly forgetBias?: number;
  /** The order of the column blocks, a permutation of the default "ifgo". */
  readonly gates?: string;
  /** Part kept of tanh(g) in training (Semeniuta et al. 2016); default 1. */
  readonly recurrentKeep?: number;
}

/**
 * The LSTM, with layer norm or without: pre-activations h W_h + x W_x + b in blocks of H, then
 * `lstmCell`. Parameters W_h [H, 4H], W_x [X, 4H], b [4H] and norm [2, 5, H] (scales, shifts; of
 * the gates in their order, then of c); states h, c.
 * @throws ShapeError for sizes, gates or a part kept that cannot be.
 */
export function lstm(options: LstmOptions): GatedCell {
  const { inputs, units, layerNorm = false, eps = 1e-5, bias = !layerNorm } = options;
  const { forgetBias = 1, gates = "ifgo", recurrentKeep = 1 } = options;
  expectSizes("lstm", options);
  expectPart("lstm", "recurrentKeep", recurrentKeep);
  expectEps("lstm", eps);
  expectGates("lstm", gates);
  const { W_h, W_x, b } = products(options, 4) as Record<"W_h" | "W_x" | "b", CellParams[string]>;
  const norm: CellParams[string] = {
    shape: [2, 5, units],
    init: stackedInits(constantInit(1), zeros),
    kind: "scale",
  };
  return gatedCell({
    name: layerNorm ? "ln-lstm" : "lstm",
    inputs,
    units,
    gates,
    params: { W_h, W_x, ...(bias && { b }), ...(layerNorm && { norm }) },
    state: { h: stateOf(units), c: stateOf(units) },
    update: (context, p, state, hg, xg, d) => {
      const c = state.c as Tensor;
      const update: CellUpdateOptions = {
        gates,
        forgetBias,
        norm: p.norm ?? null,
        eps,
        mask: maskFor(context, c.shape, recurrentKeep, SITE.recurrent),
      };
      const next = d
        ? hyperLstmCell(hg, xg, d, c, update)
        : lstmCell(add(...summands(hg, xg, p.b, null)), c, update);
      return { outputs: next.h, state: { h: next.h, c: next.c } };
    },
  });
}
