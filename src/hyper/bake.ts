import type { WaitOptions } from "../gpu/wait-options";
import type { Tensor } from "../graph/node";
import { equal, ShapeError, show, size } from "../graph/shape";
import type { Tree } from "../graph/tree";
import { type Module, type ParamSpec, specs, type Values } from "../nn/module";
import { bindSlab, type HostTensor, readSlab, type Slab, slabsOf } from "../nn/slabs";
import { constant } from "../ops/sources";
import { compile } from "../schedule/executable";
import type { Variables } from "../schedule/variables";
import type { HyperModule } from "./hyper";

/** Values of a plain module by the dotted paths of its parameters and state. */
export interface Baked {
  readonly parameters: ReadonlyMap<string, HostTensor>;
  readonly state: ReadonlyMap<string, HostTensor>;
}

/**
 * Freezes a hypernetwork into plain weights: runs its generator once and reads back every parameter
 * that its target asks for, generated or not, in the target's order. The target with these values
 * computes what the hypernetwork does, bit for bit.
 * @param variables The store that holds the hypernetwork's parameters.
 * @param conditions Inputs of the generator, where it takes any: the values for these are frozen.
 * @param options How it is followed and ended; progress counts kernels compiled.
 * @throws ShapeError where the generator makes values per sample: they are no plain weights; the
 *   signal's reason.
 */
export async function bake<P, S, I extends readonly Tensor[], O, G, J extends readonly Tensor[]>(
  model: HyperModule<P, S, I, O, G, J>,
  variables: Variables,
  conditions: readonly HostTensor[] = [],
  options: WaitOptions = {},
): Promise<Baked> {
  const slabs = slabsOf(model);
  const values = bindSlab(model.params, slabs.parameters).values as Record<string, Tree<Tensor>>;
  const made = model.generator.apply(
    { train: false, key: null },
    values[model.branch] as Values<G>,
    {} as Values<Readonly<Record<never, never>>>,
    ...(conditions.map(({ data, shape }) => constant(data, shape)) as unknown as J),
  ).outputs;
  const wanted = specs(model.target.params as Tree<ParamSpec>);
  const outputs: Record<string, Tensor> = {};
  for (const [k, path] of model.paths.entries()) {
    const shape = wanted.find((spec) => spec.path === path)?.value.shape ?? [];
    const value = made[k] as Tensor;
    if (value.shape.length !== shape.length) {
      throw new ShapeError(
        `hyperloom: bake: the generator makes ${path} per sample, ${show(value.shape)}; ` +
          `give it a condition for all samples, so that it makes ${show(shape)}`,
      );
    }
    outputs[path] = value;
  }
  const program = { name: `generator of ${model.name}`, inputs: {}, outputs };
  const executable = await compile(variables.device, program, { ...options, variables });
  try {
    const generated = await executable.run();
    const direct = await readSlab(slabs.parameters, variables);
    const parameters = new Map<string, HostTensor>();
    for (const { path, value } of wanted) {
      const data = generated[path] ?? direct.get(path)?.data;
      if (!data) throw new Error(`internal: bake: nothing made ${path}`);
      parameters.set(path, { shape: value.shape, data });
    }
    const state = slabs.state ? await readSlab(slabs.state, variables) : new Map();
    return { parameters, state };
  } finally {
    executable.dispose();
  }
}

/**
 * Writes baked values into a store as a plain module's own parameters and state. The module may be
 * the hypernetwork's target or another one that has the same parameters.
 * @throws ShapeError where the names or shapes differ.
 */
export function loadBaked<P, S>(
  target: Module<P, S, never, unknown>,
  baked: Baked,
  variables: Variables,
): void {
  const slabs = slabsOf(target);
  writeSlab(slabs.parameters, baked.parameters, variables);
  if (slabs.state) writeSlab(slabs.state, baked.state, variables);
}

function writeSlab(
  { variable }: Slab,
  values: ReadonlyMap<string, HostTensor>,
  variables: Variables,
): void {
  const slab = new Float32Array(size(variable.shape));
  for (const { name, shape, offset } of variable.entries) {
    const value = values.get(name);
    if (!value || !equal(value.shape, shape)) {
      throw new ShapeError(
        `hyperloom: loadBaked: ${name} ${show(shape)} was baked as ${value ? show(value.shape) : "nothing"}; ` +
          "bake a model of the same target",
      );
    }
    slab.set(value.data, offset);
  }
  for (const name of values.keys()) {
    if (!variable.entries.some((entry) => entry.name === name)) {
      throw new ShapeError(`hyperloom: loadBaked: ${name} was baked, the module does not have it`);
    }
  }
  variables.write(variable, slab);
}
