import type { Tensor } from "../graph/node";
import { ShapeError, show } from "../graph/shape";
import { leaves, rebuild, type Tree } from "../graph/tree";
import { add } from "../ops/elementwise";
import { concat, slice } from "../ops/layout";
import { constant } from "../ops/sources";
import { reshape } from "../ops/views";
import type { Applied, Context, Module, ParamSpec, StateSpec, Values } from "./module";

/** One time step: new states, one for each old one, and outputs. */
export type Step = (
  states: readonly Tensor[],
  xs: readonly Tensor[],
) => { readonly states: readonly Tensor[]; readonly outputs: readonly Tensor[] };

/**
 * Applies a step to xs[0], xs[1], …, each step being nodes of its own: for few steps.
 * @returns the states after the last step, and the outputs stacked, [T, ...].
 * @throws ShapeError where the xs differ in length.
 */
export function unroll(
  step: Step,
  states: readonly Tensor[],
  xs: readonly Tensor[],
): { readonly states: readonly Tensor[]; readonly outputs: readonly Tensor[] } {
  const T = xs[0]?.shape[0] ?? 0;
  for (const x of xs) {
    if (T === 0 || x.shape[0] !== T) {
      throw new ShapeError(
        `hyperloom: unroll: an input has shape ${show(x.shape)}, its first axis must be T = ${T}`,
      );
    }
  }
  let now = states;
  const rows: Tensor[][] = [];
  for (let t = 0; t < T; t++) {
    const made = step(
      now,
      xs.map((x) => elementAt(x, t)),
    );
    now = made.states;
    for (const [k, y] of made.outputs.entries()) {
      const row = rows[k] ?? [];
      row.push(reshape(y, [1, ...y.shape]));
      rows[k] = row;
    }
  }
  return { states: now, outputs: rows.map((row) => concat(row, 0)) };
}

function elementAt(x: Tensor, t: number): Tensor {
  const rest = x.shape.slice(1);
  const at = slice(x, [t, ...rest.map(() => 0)], [t + 1, ...rest]);
  return reshape(at, rest);
}

/** A recurrent module: one time step from x to an output, a state from step to step. */
export type Recurrent = Module<Tree<ParamSpec>, Tree<StateSpec>>;

/**
 * A recurrent module over a sequence. Every time step has a random key of its own: word 3 of the
 * context's counts the steps.
 * @param state the state before the first step, values [B, ...]
 * @param xs [T, B, X], or u32 [T, B] of symbols
 * @param masks [T, B, H]: given recurrent dropout masks, in place of random ones
 * @returns outputs [T, B, ...] and the state after the last step.
 */
export function overSequence(
  module: Recurrent,
  context: Context,
  params: Values<Tree<ParamSpec>>,
  state: Values<Tree<StateSpec>>,
  xs: Tensor,
  masks?: Tensor,
): Applied<Tensor, Tree<StateSpec>> {
  const T = xs.shape[0] as number;
  const keys = context.key && keysOfSteps(context.key, T);
  const inputs = [xs, ...(keys ? [keys] : []), ...(masks ? [masks] : [])];
  const tree = state as Tree<Tensor>;
  const step: Step = (states, elements) => {
    const [x, ...rest] = elements as readonly [Tensor, ...Tensor[]];
    const at: Context = {
      ...context,
      key: keys ? (rest[0] as Tensor) : null,
      ...(masks && { mask: () => rest[rest.length - 1] as Tensor }),
    };
    const applied = module.apply(at, params, rebuild(tree, isTensor, states), x);
    return { states: tensorsOf(applied.state as Tree<Tensor>), outputs: [applied.outputs] };
  };
  const made = unroll(step, tensorsOf(tree), inputs);
  return { outputs: made.outputs[0] as Tensor, state: rebuild(tree, isTensor, made.states) };
}

const isTensor = (x: Tree<Tensor>): x is Tensor => Array.isArray((x as { shape?: unknown }).shape);
const tensorsOf = (tree: Tree<Tensor>): Tensor[] =>
  leaves(tree, isTensor).map(({ value }) => value);

/** The keys of T time steps, [T, 4]: the given one, its last word counted on. */
function keysOfSteps(key: Tensor, T: number): Tensor {
  const steps = new Uint32Array(4 * T);
  for (let t = 0; t < T; t++) steps[4 * t + 3] = t;
  return add(reshape(key, [1, 4]), constant(steps, [T, 4]));
}
