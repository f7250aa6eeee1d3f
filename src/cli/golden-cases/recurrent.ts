import type { Tensor } from "../../graph/node";
import type { Tree } from "../../graph/tree";
import { hyperLstm } from "../../hyper/hyper-lstm";
import { hyperRnn } from "../../hyper/hyper-rnn";
import { type Cell, stack } from "../../nn/cell";
import type { Context } from "../../nn/module";
import { lstm } from "../../nn/recurrent";
import { overSequence } from "../../nn/sequence";
import { concat, slice } from "../../ops/layout";
import { reshape } from "../../ops/views";
import { type GoldenCase, setting } from "./case";
import { type CaseGraph, type Given, graphKind } from "./graph";
import {
  flag,
  hyperRnnParameters,
  labmlHyperLstm,
  labmlLstm,
  optional,
  sizesOf,
  supercellHyperLstm,
  supercellLstm,
  within,
} from "./recurrent-layouts";

const context: Context = { train: true, key: null };

/** A state by names of the files: h, c and, of a hyper cell, h_hat, c_hat. */
interface State {
  readonly h: Tensor;
  readonly c?: Tensor;
  readonly h_hat?: Tensor;
  readonly c_hat?: Tensor;
}

function toTree({ h, c, h_hat, c_hat }: State): Tree<Tensor> {
  const own = { h, ...(c && { c }) };
  return h_hat ? { ...own, hyper: { h: h_hat, ...(c_hat && { c: c_hat }) } } : own;
}

function fromTree(tree: Tree<Tensor>): State {
  const { h, c, hyper } = tree as unknown as State & { hyper?: State };
  return { h, ...(c && { c }), ...(hyper && { h_hat: hyper.h, c_hat: hyper.c }) } as State;
}

const names = ["h", "c", "h_hat", "c_hat"] as const;

/** The names of states that a case gives: `in.h` or, before a sequence, `in.h0`. */
function givenState(c: GoldenCase, given: Given, suffix: string): State {
  const found = names.filter((name) => c.tensors.has(`in.${name}${suffix}`));
  return Object.fromEntries(
    found.map((name) => [name, given(`in.${name}${suffix}`)]),
  ) as unknown as State;
}

/** Each state under `out.`. */
function asResults(state: State): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(state).map(([name, x]) => [`out.${name}`, x]));
}

/** One step of a cell from `in.x` and the states. */
function oneStep(c: GoldenCase, given: Given, cell: Cell, params: Tree<Tensor>): CaseGraph {
  const state = toTree(givenState(c, given, ""));
  const applied = cell.apply(context, params, state, given("in.x"));
  return { values: asResults(fromTree(applied.state as Tree<Tensor>)) };
}

/** A sequence through one cell, whose states have no axis of layers. */
function sequence(c: GoldenCase, given: Given, cell: Cell, params: Tree<Tensor>): CaseGraph {
  const state = toTree(givenState(c, given, "0"));
  const masks = c.tensors.has("const.drop_mask") ? given("const.drop_mask") : undefined;
  const made = overSequence(cell, context, params, state, given("in.x"), masks);
  const after = asResults(fromTree(made.state as Tree<Tensor>));
  return { values: { ...after, "out.out": made.outputs } };
}

/** A sequence through layers, whose states are stacked, [L, B, H]. */
function layers(
  c: GoldenCase,
  given: Given,
  layer: (k: number, inputs: number) => { readonly cell: Cell; readonly params: Tree<Tensor> },
): CaseGraph {
  const count = setting(c, "layers");
  const made = Array.from({ length: count }, (_, k) =>
    layer(k, k === 0 ? setting(c, "X") : setting(c, "H")),
  );
  const branches = <T>(of: (k: number) => T): Record<string, T> =>
    Object.fromEntries(made.map((_, k) => [`layer${k}`, of(k)]));
  const start = givenState(c, given, "0");
  const at = (k: number): State =>
    Object.fromEntries(
      Object.entries(start).map(([name, x]) => [name, layerOf(x as Tensor, k)]),
    ) as unknown as State;
  const { outputs, state } = overSequence(
    stack(made.map(({ cell }) => cell)),
    context,
    branches((k) => (made[k] as { params: Tree<Tensor> }).params),
    branches((k) => toTree(at(k))),
    given("in.x"),
  );
  const ends = made.map((_, k) =>
    fromTree((state as Record<string, Tree<Tensor>>)[`layer${k}`] as Tree<Tensor>),
  );
  const stacked = Object.keys(ends[0] as State).map((name) => {
    const rows = ends.map((end) => {
      const x = end[name as keyof State] as Tensor;
      return reshape(x, [1, ...x.shape]);
    });
    return [name, concat(rows, 0)] as const;
  });
  const after = asResults(Object.fromEntries(stacked) as unknown as State);
  return { values: { ...after, "out.out": outputs } };
}

function layerOf(x: Tensor, k: number): Tensor {
  const [, B = 1, H = 1] = x.shape;
  return reshape(slice(x, [k, 0, 0], [k + 1, B, H]), [B, H]);
}

/** A layer of labml's LSTM: both linear maps, the bias with layer norm too. */
function labmlLayer(c: GoldenCase, given: Given, inputs: number) {
  const layerNorm = flag(c, "layer_norm");
  const cell = lstm({
    inputs,
    units: setting(c, "H"),
    layerNorm,
    bias: true,
    eps: setting(c, "ln_eps"),
    forgetBias: optional(c, "forget_bias", 0),
    gates: "ifgo",
  });
  return { cell, params: labmlLstm(given, layerNorm) };
}

/** `lstm.labml_cell`: one step. */
export const lstmLabmlCell = graphKind((c, given) => {
  const { cell, params } = labmlLayer(c, within(given, "param."), setting(c, "X"));
  return oneStep(c, given, cell, params);
});

/** `lstm.labml`: layers over a sequence. */
export const lstmLabml = graphKind((c, given) =>
  layers(c, given, (k, inputs) => labmlLayer(c, within(given, `param.cells.${k}.`), inputs)),
);

/** `lstm.supercell`: one layer over a sequence, with or without layer norm. */
export const lstmSupercell = graphKind((c, given) => {
  const layerNorm = flag(c, "layer_norm");
  const cell = lstm({
    inputs: setting(c, "X"),
    units: setting(c, "H"),
    layerNorm,
    bias: true,
    eps: setting(c, "eps"),
    forgetBias: setting(c, "forget_bias"),
    gates: "igfo",
  });
  return sequence(c, given, cell, supercellLstm(within(given, "param."), layerNorm));
});

/** A layer of labml's HyperLSTM. */
export function labmlHyperLayer(c: GoldenCase, given: Given, inputs: number) {
  const sizes = sizesOf(c, inputs);
  const cell = hyperLstm({
    ...sizes,
    eps: setting(c, "ln_eps"),
    forgetBias: optional(c, "forget_bias", 0),
    gates: "ifgo",
  });
  return { cell, params: labmlHyperLstm(given, sizes) };
}

/** `hyperlstm.labml_cell`: one step. */
export const hyperLstmLabmlCell = graphKind((c, given) => {
  const { cell, params } = labmlHyperLayer(c, within(given, "param."), setting(c, "X"));
  return oneStep(c, given, cell, params);
});

/** `hyperlstm.labml`: layers over a sequence. */
export const hyperLstmLabml = graphKind((c, given) =>
  layers(c, given, (k, inputs) => labmlHyperLayer(c, within(given, `param.cells.${k}.`), inputs)),
);

/** A layer of the HyperLSTM in supercell's layout, with all variants that `hyper` names. */
export function paperLayer(c: GoldenCase, given: Given, inputs: number) {
  const sizes = sizesOf(c, inputs);
  const layerNorm = flag(c, "layer_norm");
  const cell = hyperLstm({
    ...sizes,
    layerNorm,
    eps: setting(c, "eps"),
    forgetBias: setting(c, "forget_bias"),
    recurrentKeep: optional(c, "keep", 1),
    source: sourceOf(c),
    gates: "igfo",
  });
  const order = oneOf(c, "hyper_input", ["h,x", "x,h"]);
  return { cell, params: supercellHyperLstm(given, sizes, layerNorm, order === "h,x") };
}

/** `hyperlstm.paper_cell`: one step. */
export const hyperLstmPaperCell = graphKind((c, given) => {
  const { cell, params } = paperLayer(c, within(given, "param."), setting(c, "X"));
  return oneStep(c, given, cell, params);
});

/** `hyperlstm.paper`: one layer over a sequence, with given masks where anything is dropped. */
export const hyperLstmPaper = graphKind((c, given) => {
  const { cell, params } = paperLayer(c, within(given, "param."), setting(c, "X"));
  return sequence(c, given, cell, params);
});

/** `hyperrnn`: equation 5 or 8 over a sequence. */
export const hyperRnnKind = graphKind((c, given) => {
  const full = flag(c, "full");
  const sizes = sizesOf(c, setting(c, "X"));
  const cell = hyperRnn({ ...sizes, form: full ? "full" : "scaling", source: sourceOf(c) });
  return sequence(c, given, cell, hyperRnnParameters(within(given, "param."), sizes, full));
});

function oneOf<T extends string>({ hyper }: GoldenCase, name: string, values: readonly T[]): T {
  const found = values.find((value) => value === hyper[name]);
  if (!found) {
    throw new Error(`hyper.${name} is ${String(hyper[name])}, must be ${values.join(" or ")}`);
  }
  return found;
}

function sourceOf(c: GoldenCase): "fresh" | "previous" {
  return oneOf(c, "z_from", ["new", "previous"]) === "new" ? "fresh" : "previous";
}
