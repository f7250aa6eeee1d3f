import { fold, key } from "../graph/random";
import { remembered } from "../graph/remembered";
import { expect } from "../graph/expect";
import { type Shape, show, size } from "../graph/shape";
import type { Tree } from "../graph/tree";
import { type HostArray, read, type Variable } from "../ops/sources";
import { type SlabLayout, slabLayout, unpack } from "../ops/views";
import type { Variables } from "../schedule/variables";
import { bind, type Module, type ParamSpec, type StateSpec, specs, type Values } from "./module";

/** All parameters (or all state) of a module in one variable, so that one dispatch updates all. */
export interface Slab {
  readonly variable: Variable;
  readonly layout: SlabLayout;
}

/** A slab for a tree of specs; each value starts from its own key, folded from seed and path. */
export function slab(name: string, tree: Tree<ParamSpec> | Tree<StateSpec>): Slab {
  const found = specs(tree as Tree<StateSpec>);
  for (const { path, value } of found) {
    const good = value.shape.every((d) => Number.isSafeInteger(d) && d > 0);
    expect(good, name, path, show(value.shape), "consist of positive integers");
  }
  const layout = slabLayout(found.map(({ value }) => value.shape));
  const initial = (seed: number): Float32Array => {
    const data = new Float32Array(layout.total);
    for (const [k, { path, value }] of found.entries()) {
      data.set(value.init(fold(key(seed), `${name}/${path}`), value.shape), layout.offsets[k]);
    }
    return data;
  };
  const entries = found.map(({ path, value }, k) => ({
    name: path,
    shape: value.shape,
    offset: layout.offsets[k] ?? 0,
  }));
  return { variable: { name, shape: [layout.total], dtype: "f32", initial, entries }, layout };
}

/** The slabs of one module: parameters, and state where it has any. */
export interface ModuleSlabs {
  readonly parameters: Slab;
  readonly state: Slab | null;
}

const known = new WeakMap<object, ModuleSlabs>();

/** The slabs of a module; the same ones at every call, so that programs share its parameters. */
export function slabsOf<P, S>(module: Module<P, S, never, unknown>): ModuleSlabs {
  return remembered(known, module, () => {
    const state = slab("state", module.state as Tree<StateSpec>);
    return {
      parameters: slab("parameters", module.params as Tree<ParamSpec>),
      state: state.layout.total > 0 ? state : null,
    };
  });
}

/** The tensors of a slab as the tree that a module asks for, and the slab's own tensor. */
export function bindSlab<P>(
  tree: P,
  from: Slab | null,
): { tensor: Tensor | null; values: Values<P> } {
  if (!from) return { tensor: null, values: bind(tree, []) };
  const tensor = read(from.variable);
  return { tensor, values: bind(tree, unpack(tensor, from.layout)) };
}

type Tensor = ReturnType<typeof read>;

/** A tensor on the host. */
export interface HostTensor {
  readonly shape: Shape;
  readonly data: HostArray;
}

/** The present values of a slab in a store, by their paths. */
export async function readSlab(
  { variable }: Slab,
  variables: Variables,
): Promise<Map<string, HostTensor>> {
  const [data] = await variables.read([variable]);
  return new Map(
    variable.entries.map(({ name, shape, offset }) => [
      name,
      { shape, data: (data as HostArray).slice(offset, offset + size(shape)) },
    ]),
  );
}

/** The number of parameters of a tree of specs. */
export function countParameters(tree: Tree<ParamSpec>): number {
  return specs(tree).reduce((n, { value }) => n + size(value.shape), 0);
}
