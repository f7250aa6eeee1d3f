import { expect } from "../graph/expect";
import type { Tensor } from "../graph/node";
import { ShapeError } from "../graph/shape";
import type { Tree } from "../graph/tree";
import {
  type Cell,
  type CellParams,
  expectSize,
  type GatedCell,
  project,
  SITE,
  type Tensors,
} from "../nn/cell";
import {
  constantInit,
  type Init,
  normalInit,
  orthogonalBlocks,
  stackedInits,
  uniformInit,
  zeros,
} from "../nn/init";
import type { Context, ParamSpec, StateSpec } from "../nn/module";
import { add } from "../ops/elementwise";
import { pad } from "../ops/layout";
import { matmul, matmulPair } from "../ops/matmul";
import { constant } from "../ops/sources";
import { reshape } from "../ops/views";

/** How a hyper cell's state becomes weights of the main cell. */
export interface GenerationOptions {
  /** Size N_z of an embedding; each gate has three. */
  readonly nz: number;
  /**
   * "broken" (default): the paper's with its symmetry broken, since elementwise optimisers never do
   * that: with "paper" (A.2.3) all N_z components of z_h, z_x stay equal, as if N_z were 1.
   */
  readonly init?: "broken" | "paper";
  /**
   * Which ĥ makes the weights of a step: that of the step itself (default; the paper's text and
   * other implementations), or the one before, as equations 6 and 11 are printed.
   */
  readonly source?: "fresh" | "previous";
}

/** The part of a dynamic hypernetwork that makes embeddings out of h and x. */
export interface Embedder {
  /** `hyper` {W_hh, W_xh, W_xx, …}, W_z [3, G, Ĥ, N_z], b_z [2, G, N_z]. */
  readonly params: Readonly<Record<string, Tree<ParamSpec>>>;
  /** The hyper cell's. */
  readonly state: Readonly<Record<string, StateSpec>>;
  /**
   * One step of the hyper cell on x̂ = [h; x], and its embeddings z [3, G, B, N_z]: for the scales of
   * h W_h, for those of x W_x, for the bias.
   */
  step(
    context: Context,
    params: Readonly<Record<string, Tree<Tensor>>>,
    state: Tree<Tensor>,
    h: Tensor,
    x: Tensor,
  ): { readonly z: Tensor; readonly state: Tree<Tensor> };
}

/** The z projections start at 0 and 1 (paper), those of z_b at N(0, 0.01²). */
const SMALL = normalInit(0.01);

/**
 * The hyper cell and the projections of its state (equations 6 and 11):
 *
 *   ĥ' = hyper cell of x̂ = [h; x], x̂ W_x̂ being h W_xh + x W_xx
 *   z = ĥ W_z + b_z for the kinds h and x, ĥ W_z without bias for kind b
 *
 * @param units H of the main cell, @param gates G of it
 * @throws ShapeError for a size that cannot be.
 */
export function embedder(
  hyper: GatedCell,
  units: number,
  gates: number,
  { nz, init = "broken", source = "fresh" }: GenerationOptions,
): Embedder {
  expectSize("hyperCell", "nz", nz);
  expectOneOf("init", init, ["broken", "paper"]);
  expectOneOf("source", source, ["fresh", "previous"]);
  const { W_h, W_x, ...others } = hyper.params as CellParams & Record<"W_h" | "W_x", ParamSpec>;
  const start = init === "paper" ? zeros : SMALL;
  const columns = hyper.gates.length * hyper.units;
  const input = (inputs: number): ParamSpec => ({
    shape: [inputs, columns],
    init: partOfInput(hyper, units, inputs),
    fanIn: units + hyper.inputs,
    kind: "weight",
  });
  return {
    params: {
      hyper: { W_hh: W_h, W_xh: input(units), W_xx: input(hyper.inputs), ...others },
      W_z: {
        shape: [3, gates, hyper.units, nz],
        init: stackedInits(start, start, SMALL),
        fanIn: hyper.units,
        kind: "generator",
      },
      b_z: { shape: [2, gates, nz], init: constantInit(1), kind: "generator" },
    },
    state: hyper.state,
    step: (context, params, state, h, x) => {
      const { W_z, b_z } = params as unknown as Record<"W_z" | "b_z", Tensor>;
      const { W_hh, W_xh, W_xx, ...rest } = params.hyper as unknown as HyperTensors;
      const before = (state as Tensors).h as Tensor;
      const hg = matmulPair(h, W_xh, before, W_hh);
      // The hyper cell's own recurrent dropout has a site of its own.
      const site = (context.site ?? 0) + SITE.hyperRecurrent - SITE.recurrent;
      const next = hyper.update(
        { ...context, site },
        rest,
        state as Tensors,
        hg,
        project(x, W_xx),
        null,
      );
      const made = matmul(source === "fresh" ? next.outputs : before, W_z);
      const bias = pad(reshape(b_z, [2, gates, 1, nz]), [0, 0, 0, 0], [1, 0, 0, 0]);
      return { z: add(made, bias), state: next.state as Tree<Tensor> };
    },
  };
}

/** @throws ShapeError where an option, which may come from a file, is none that is known. */
export function expectOneOf(name: string, value: string, known: readonly string[]): void {
  const must = `be ${known.map((k) => `"${k}"`).join(" or ")}`;
  expect(known.includes(value), "hyperCell", name, `"${value}"`, must);
}

type HyperTensors = Tensors & Record<"W_hh" | "W_xh" | "W_xx", Tensor>;

/**
 * The rows of h or of x in W_x̂ [H + X, Ĝ·Ĥ], which is orthogonal by gate: orthogonal themselves, of
 * the length that rows of the whole have in the mean.
 */
function partOfInput(hyper: GatedCell, units: number, rows: number): Init {
  const share = Math.max(hyper.units, rows) / (units + hyper.inputs);
  return orthogonalBlocks(hyper.gates.length, Math.sqrt(Math.min(1, share)));
}

/** Starts of D: scales near 0.1 once z is 1, biases 0. */
function scaleInit(init: "broken" | "paper", nz: number): Init {
  const flat = constantInit(0.1 / nz);
  if (init === "paper") return stackedInits(flat, flat, zeros);
  const spread = uniformInit(0.05 / nz);
  const broken: Init = (key, shape) => spread(key, shape).map((x) => 0.1 / nz + x);
  return stackedInits(broken, broken, zeros);
}

/**
 * Any cell as a dynamic hypernetwork (equations 7 to 13): a smaller hyper cell, of any kind, reads
 * [h; x] and makes, for every gate, a scale of h W_h, a scale of x W_x and a bias:
 *
 *   d = z D, b_0 added to the third kind;   pre-activation = d₀ ⊙ (h W_h) + d₁ ⊙ (x W_x) + d₂
 *
 * Parameters: the main cell's, its b being b_0; `hyper` {W_hh [Ĥ, Ĝ·Ĥ], W_xh [H, Ĝ·Ĥ], W_xx [X, Ĝ·Ĥ],
 * …}; W_z [3, G, Ĥ, N_z] (W_ĥh, W_ĥx, W_ĥb of each gate), b_z [2, G, N_z], D [3, G, N_z, H] (W_hz,
 * W_xz, W_bz). States: the main cell's, and the hyper cell's under `hyper`.
 *
 * @param main the cell whose weights are scaled
 * @param hyper the hyper cell; its `inputs` are x's alone, h is joined here
 * @throws ShapeError where the cells' inputs differ, or for a size that cannot be.
 */
export function hyperCell(main: GatedCell, hyper: GatedCell, options: GenerationOptions): Cell {
  if (hyper.inputs !== main.inputs) {
    throw new ShapeError(
      `hyperloom: hyperCell: the hyper cell takes inputs of ${hyper.inputs}, the main cell of ` +
        `${main.inputs}; both get the same x, and h is joined to the hyper cell's by itself`,
    );
  }
  const { nz, init = "broken" } = options;
  const { inputs, units, sites } = main;
  const G = main.gates.length;
  const made = embedder(hyper, units, G, options);
  const { b, ...direct } = main.params;
  return {
    name: `hyper-${main.name}`,
    inputs,
    units,
    sites,
    params: {
      ...direct,
      ...(b && { b_0: b }),
      ...made.params,
      D: {
        shape: [3, G, nz, units],
        init: scaleInit(init, nz),
        fanIn: nz,
        kind: "generator",
      },
    },
    state: { ...main.state, hyper: made.state },
    apply: (context, params, state, x) => {
      const p = params as unknown as Tensors;
      const { hyper: inner, ...own } = state as unknown as Tensors & { hyper: Tree<Tensor> };
      const h = (own as Tensors).h as Tensor;
      const { z, state: next } = made.step(context, p, inner, h, x);
      const scaled = matmul(z, p.D as Tensor);
      const d = p.b_0 ? add(scaled, staticBias(p.b_0, G, units)) : scaled;
      context.probe?.("d", d);
      // A bias of zeros: so the product shares its kernel with the others of a step, which have one.
      const W_h = p.W_h as Tensor;
      const columns = W_h.shape[1] as number;
      const none = constant(new Float32Array(columns), [columns]);
      const hg = add(matmul(h, W_h), none);
      const applied = main.update(context, p, own, hg, project(x, p.W_x as Tensor), d);
      return {
        outputs: applied.outputs,
        state: { ...(applied.state as Tensors), hyper: next },
      };
    },
  };
}

/** b_0 [G·H] as what is added to d: [3, G, 1, H], zero but for the third kind. */
function staticBias(b_0: Tensor, G: number, H: number): Tensor {
  return pad(reshape(b_0, [1, G, 1, H]), [2, 0, 0, 0], [0, 0, 0, 0]);
}
