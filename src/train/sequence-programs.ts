import type { Tensor } from "../graph/node";
import { remembered } from "../graph/remembered";
import { size } from "../graph/shape";
import { rebuild, type Tree } from "../graph/tree";
import { isSpec, specs, type StateSpec, type Values, type ParamSpec } from "../nn/module";
import { keysOfSteps, type Recurrent, tensorsOf } from "../nn/sequence";
import { bindSlab, slabsOf } from "../nn/slabs";
import { div, maximum, where } from "../ops/elementwise";
import { sum } from "../ops/reduce";
import { SCALARS } from "../ops/optimizer-updates";
import { softmaxCrossEntropy } from "../ops/softmax-cross-entropy";
import { placeholder, read, type Variable } from "../ops/sources";
import type { Optimizer } from "../optim/optimizer";
import type { Program } from "../schedule/executable";
import { gradient } from "../schedule/gradient";
import { scan, type ScanOptions } from "../schedule/scan";
import { momentVariables, stepKey } from "./programs";

/** Sizes of a program over sequences. */
export interface SequenceOptions extends Pick<ScanOptions, "chunk" | "recompute"> {
  /** Sequences B side by side. */
  readonly batch: number;
  /** Time steps T of one run. */
  readonly length: number;
}

/** The states that a model carries from run to run, [B, ...] each, by their paths. */
export function carriedStates(
  model: { readonly state: Tree<StateSpec> },
  batch: number,
  name = "carried",
): Variable[] {
  const known = remembered(carried, model, () => new Map<string, Variable[]>());
  return remembered(known, `${name} ${batch}`, () =>
    specs(model.state).map(({ path, value }) => {
      const shape = [batch, ...value.shape];
      const entries = [{ name: path, shape, offset: 0 }];
      return { name, shape, dtype: "f32", initial: () => new Float32Array(size(shape)), entries };
    }),
  );
}

// The same variables at every call, so that programs and checkpoints share them.
const carried = new WeakMap<object, Map<string, Variable[]>>();

/** A run of a model over a window. */
interface Window {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly parameters: Tensor;
  /** Sums over time and batch. */
  readonly loss: Tensor;
  readonly correct: Tensor;
  readonly weight: Tensor;
  readonly states: ReadonlyMap<Variable, Tensor>;
}

/**
 * A model over T steps of B sequences, from the states that the run before left, times `keep`
 * (0 starts anew, 1 goes on), with its losses in the loop so that only one number a row leaves it.
 */
function window(
  model: Recurrent,
  { batch: B, length: T, ...loop }: SequenceOptions,
  key: Tensor | null,
  name: string,
): Window {
  const x = placeholder("x", [T, B], "u32");
  const labels = placeholder("labels", [T, B], "u32");
  const weight = placeholder("weight", [T, B]);
  const keep = placeholder("keep", []);
  const { tensor, values } = bindSlab(model.params, slabsOf(model).parameters);
  const variables = carriedStates(model, B, name);
  const keys = key ? [keysOfSteps(key, T)] : [];
  const { states, outputs } = scan(
    (now, [symbols, target, counted, stepKeys]) => {
      const applied = model.apply(
        { train: key !== null, key: stepKeys ?? null },
        values as Values<Tree<ParamSpec>>,
        rebuild<StateSpec, Tensor>(model.state, isSpec, now) as Values<Tree<StateSpec>>,
        symbols as Tensor,
      );
      const { loss, correct } = softmaxCrossEntropy(
        applied.outputs,
        target as Tensor,
        counted as Tensor,
      );
      return { states: tensorsOf(applied.state as Tree<Tensor>), outputs: [loss, correct] };
    },
    // Chosen, not multiplied: a state that is not finite must not outlive a new start.
    variables.map((variable) => where(keep, read(variable), 0)),
    [x, labels, weight, ...keys],
    loop,
  );
  const [losses, rights] = outputs as readonly [Tensor, Tensor];
  return {
    inputs: { x, labels, weight, keep },
    parameters: tensor as Tensor,
    loss: sum(losses),
    correct: sum(rights),
    weight: sum(weight),
    states: new Map(variables.map((variable, k) => [variable, states[k] as Tensor])),
  };
}

/**
 * One training step on a window of T symbols of B sequences, backpropagation ending at its start
 * (truncated BPTT); the states go on to the next step. Inputs: `x` and `labels` u32 [T, B],
 * `weight` f32 [T, B], `keep` [] (0 where sequences begin, else 1). Outputs: `loss`, the weighted
 * mean in nats, `correct`, and `norm` where the optimiser clips.
 */
export function sequenceStep(
  model: Recurrent,
  optimizer: Optimizer,
  options: SequenceOptions,
): Program {
  const key = placeholder("key", [4], "u32");
  const scalars = placeholder("scalars", [SCALARS]);
  const made = window(model, options, key, "carried");
  const loss = div(made.loss, maximum(made.weight, 1e-30));
  const [g] = gradient(loss, [made.parameters]);
  const { variable } = slabsOf(model).parameters;
  const moments = momentVariables(variable, optimizer);
  const updated = optimizer.update(made.parameters, g as Tensor, moments.map(read), scalars);
  const updates = new Map(made.states);
  updates.set(variable, updated.parameters);
  for (const [k, moment] of moments.entries()) updates.set(moment, updated.moments[k] as Tensor);
  return {
    name: `training step of ${model.name}`,
    inputs: made.inputs,
    outputs: { loss, correct: made.correct, ...(updated.norm && { norm: updated.norm }) },
    updates,
    feeds: [
      { tensor: scalars, values: optimizer.scalars },
      { tensor: key, values: stepKey },
    ],
  };
}

/**
 * A window without training, in evaluation mode; inputs as in `sequenceStep`. Outputs: `loss` and
 * `correct` summed over the window, each position by its weight. It has carried states of its own.
 */
export function sequenceEvaluation(model: Recurrent, options: SequenceOptions): Program {
  const made = window(model, options, null, "evaluated");
  return {
    name: `evaluation of ${model.name}`,
    inputs: made.inputs,
    outputs: { loss: made.loss, correct: made.correct },
    updates: made.states,
    advances: false,
  };
}

/** Bits per symbol of a mean in nats. */
export function bitsPerSymbol(nats: number): number {
  return nats / Math.LN2;
}
