import { fold, key } from "../graph/random";
import type { Tensor } from "../graph/node";
import { expect, expectTensor } from "../graph/expect";
import { remembered } from "../graph/remembered";
import type { Shape } from "../graph/shape";
import type { Tree } from "../graph/tree";
import type { Loss } from "../nn/losses";
import { type Context, type Module, specs, type StateSpec } from "../nn/module";
import { bindSlab, type ModuleSlabs, slabsOf } from "../nn/slabs";
import { add } from "../ops/elementwise";
import { placeholder, read, type Variable } from "../ops/sources";
import { pack } from "../ops/views";
import { SCALARS } from "../ops/optimizer-updates";
import type { Optimizer } from "../optim/optimizer";
import type { Program } from "../schedule/executable";
import { gradient } from "../schedule/gradient";

/** Sizes of a program: samples in a batch, and the shape of one where the module leaves it open. */
export interface BatchOptions {
  readonly batch: number;
  readonly input?: Shape;
  /** "low": a training step keeps less for the backward pass and computes it once more. */
  readonly memory?: "low";
}

/** A module with one input and one output tensor, as the programs here take it. */
export type Model<P = never, S = never> = Module<P, S, readonly [Tensor], Tensor>;

function inputShape(model: { name: string; input?: Shape }, options: BatchOptions): Shape {
  const { batch, input } = options ?? {};
  expect(Number.isInteger(batch) && batch > 0, model.name, "batch", batch, "be a positive integer");
  const sample = input ?? model.input;
  if (!sample) {
    throw new RangeError(
      `hyperloom: module ${model.name} leaves the shape of its input open; give it as { input: [...] }`,
    );
  }
  return [batch, ...sample];
}

interface Forward {
  readonly x: Tensor;
  readonly outputs: Tensor;
  readonly penalty: Tensor | undefined;
  readonly parameters: Tensor;
  readonly updates: Map<Variable, Tensor>;
}

function forward<P, S>(
  model: Model<P, S>,
  slabs: ModuleSlabs,
  options: BatchOptions,
  context: Context,
): Forward {
  const x = placeholder("x", inputShape(model, options));
  const params = bindSlab(model.params, slabs.parameters);
  const state = bindSlab(model.state, slabs.state);
  const applied = model.apply(context, params.values, state.values, x);
  expectTensor(model.name, "outputs", applied?.outputs);
  const updates = new Map<Variable, Tensor>();
  if (slabs.state && context.train) {
    const values = specs(applied.state as Tree<StateSpec>).map(
      ({ value }) => value as unknown as Tensor,
    );
    updates.set(slabs.state.variable, pack(values, slabs.state.layout));
  }
  const { outputs, penalty } = applied;
  return { x, outputs, penalty, parameters: params.tensor as Tensor, updates };
}

/** The moments of an optimiser for a model: slabs like the parameters', zero at first. */
export function momentVariables(parameters: Variable, optimizer: Optimizer): Variable[] {
  const byName = remembered(moments, parameters, () => new Map<string, Variable>());
  const initial = (): Float32Array => new Float32Array(parameters.shape[0] ?? 0);
  return optimizer.moments.map((moment) => {
    const name = `${optimizer.name}.${moment}`;
    return remembered(byName, name, () => ({ ...parameters, name, initial }));
  });
}

const moments = new WeakMap<Variable, Map<string, Variable>>();

/** Words of the random key of step t: run key, step number, 0. */
export function stepKey(t: number, seed: number): Uint32Array {
  return Uint32Array.of(...fold(key(seed), "steps"), t, 0);
}

/**
 * One training step: forward, backward and update in one program. Inputs `x` [B, ...] and the
 * targets of the loss; outputs `loss` (with the module's penalty), the loss's metrics, and `norm`
 * where the optimiser clips.
 */
export function trainStep<P, S>(
  model: Model<P, S>,
  loss: Loss,
  optimizer: Optimizer,
  options: BatchOptions,
): Program {
  const slabs = slabsOf(model);
  const key = placeholder("key", [4], "u32");
  const scalars = placeholder("scalars", [SCALARS]);
  const memory = options?.memory;
  const made = forward(model, slabs, options, { train: true, key, ...(memory && { memory }) });
  const { targets, value } = applyLoss(loss, made.outputs);
  const total = made.penalty ? add(value.loss, made.penalty) : value.loss;
  const [g] = gradient(total, [made.parameters]);
  const variables = momentVariables(slabs.parameters.variable, optimizer);
  const updated = optimizer.update(made.parameters, g as Tensor, variables.map(read), scalars);
  const updates = new Map(made.updates);
  updates.set(slabs.parameters.variable, updated.parameters);
  for (const [k, variable] of variables.entries())
    updates.set(variable, updated.moments[k] as Tensor);
  return {
    name: `training step of ${model.name}`,
    inputs: { x: made.x, ...targets },
    outputs: { loss: total, ...value.metrics, ...(updated.norm && { norm: updated.norm }) },
    updates,
    feeds: [
      { tensor: scalars, values: optimizer.scalars },
      { tensor: key, values: stepKey },
    ],
  };
}

/** Loss and metrics without training: the module in evaluation mode. */
export function evaluation<P, S>(model: Model<P, S>, loss: Loss, options: BatchOptions): Program {
  const made = forward(model, slabsOf(model), options, { train: false, key: null });
  const { targets, value } = applyLoss(loss, made.outputs);
  return {
    name: `evaluation of ${model.name}`,
    inputs: { x: made.x, ...targets },
    outputs: { loss: value.loss, ...value.metrics },
  };
}

/** The module's outputs for a batch `x`, in evaluation mode, under the name `y`. */
export function prediction<P, S>(model: Model<P, S>, options: BatchOptions): Program {
  const made = forward(model, slabsOf(model), options, { train: false, key: null });
  const name = `prediction of ${model.name}`;
  return { name, inputs: { x: made.x }, outputs: { y: made.outputs } };
}

function applyLoss(loss: Loss, outputs: Tensor) {
  const types = Object.entries(loss.targets(outputs));
  const targets = Object.fromEntries(
    types.map(([name, { shape, dtype }]) => [name, placeholder(name, shape, dtype)]),
  );
  const value = loss.apply(outputs, targets);
  expectTensor(loss.name, "loss", value?.loss);
  return { targets, value };
}
