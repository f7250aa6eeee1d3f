import type { Tensor } from "../graph/node";
import { leaves, rebuild, type Tree } from "../graph/tree";
import { add } from "../ops/elementwise";
import { constant } from "../ops/sources";
import { reshape } from "../ops/views";
import { scan, type ScanOptions, type Step } from "../schedule/scan";
import type { Applied, Context, Module, ParamSpec, StateSpec, Values } from "./module";

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
  options: ScanOptions = {},
): Applied<Tensor, Tree<StateSpec>> {
  const T = xs.shape[0] as number;
  const keys = context.key && keysOfSteps(context.key, T);
  const inputs = [xs, ...(keys ? [keys] : []), ...(masks ? [masks] : [])];
  const tree = state as Tree<Tensor>;
  const step = (states: readonly Tensor[], elements: readonly Tensor[]): Step => {
    const [x, ...rest] = elements as readonly [Tensor, ...Tensor[]];
    const at: Context = {
      ...context,
      key: keys ? (rest[0] as Tensor) : null,
      ...(masks && { mask: () => rest[rest.length - 1] as Tensor }),
    };
    const applied = module.apply(at, params, rebuild(tree, isTensor, states), x);
    return { states: tensorsOf(applied.state as Tree<Tensor>), outputs: [applied.outputs] };
  };
  const made = scan(step, tensorsOf(tree), inputs, options);
  return { outputs: made.outputs[0] as Tensor, state: rebuild(tree, isTensor, made.states) };
}

/** Tells a tensor from a branch of tensors. */
export const isTensor = (x: Tree<Tensor>): x is Tensor =>
  Array.isArray((x as { shape?: unknown }).shape);

/** The tensors of a tree, in the order of its leaves. */
export const tensorsOf = (tree: Tree<Tensor>): Tensor[] =>
  leaves(tree, isTensor).map(({ value }) => value);

/** The keys of T time steps, [T, 4]: the given one, its last word counted on. */
export function keysOfSteps(key: Tensor, T: number): Tensor {
  const steps = new Uint32Array(4 * T);
  for (let t = 0; t < T; t++) steps[4 * t + 3] = t;
  return add(reshape(key, [1, 4]), constant(steps, [T, 4]));
}
