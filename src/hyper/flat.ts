import { expect } from "../graph/expect";
import type { Tensor } from "../graph/node";
import { show } from "../graph/shape";
import { rebuild, type Tree } from "../graph/tree";
import { affine, dense, type DenseParams } from "../nn/dense";
import { normalInit, zeros } from "../nn/init";
import { isSpec, type Module, type ParamSpec, specs, type Stateless } from "../nn/module";
import { relu } from "../ops/elementwise";
import { reshape } from "../ops/views";

/** Sizes of a flat generator. */
export interface FlatOptions {
  /** Size N_z of the embedding z. */
  readonly nz: number;
  /** Widths of dense ReLU layers between z and the heads; none by default. */
  readonly hidden?: readonly number[];
  /**
   * 0 (default): z is a parameter of the generator. 1: z is an input; [N_z] makes one set of
   * values for the whole batch, [B, N_z] a set for every sample.
   */
  readonly conditions?: 0 | 1;
}

/** Parameters: `z` unless it is an input, `hidden0`, …, and under `heads` a dense layer a value. */
export type FlatParams = Tree<ParamSpec>;

/** A flat generator; `J` is the list of its inputs. */
export type FlatGenerator<J extends readonly Tensor[]> = Module<
  FlatParams,
  Stateless,
  J,
  readonly Tensor[]
>;

/**
 * A generator for all parameters of any module: z, dense ReLU layers, and a dense head for each
 * parameter of `target`, whose values come out in the order of `specs(target)`, of the shapes that
 * it asks for or, made from z [B, N_z], with a batch axis in front.
 *
 * Starts by hyperfan-in (Chang, Flokas and Lipson 2020, "Principled weight initialization for
 * hypernetworks"): where mean(h²) = 1 at the heads' input, a head of variance 2/(fanIn·width) gives a
 * weight the variance 2/fanIn, which He et al. ask of it. What has no fan-in (biases, scales, …)
 * starts at the target's own initial value, for any z.
 */
export function flatGenerator(
  target: Tree<ParamSpec>,
  options: FlatOptions & { readonly conditions: 1 },
): FlatGenerator<readonly [Tensor]>;
export function flatGenerator(
  target: Tree<ParamSpec>,
  options: FlatOptions & { readonly conditions?: 0 },
): FlatGenerator<readonly []>;
export function flatGenerator(
  target: Tree<ParamSpec>,
  { nz, hidden = [], conditions = 0 }: FlatOptions,
): FlatGenerator<readonly Tensor[]> {
  const wanted = specs(target);
  const widths = [nz, ...hidden];
  const width = widths[widths.length - 1] ?? nz;
  const params: Record<string, Tree<ParamSpec>> = {};
  if (conditions === 0) params.z = { shape: [nz], init: sphere(nz), kind: "embedding" };
  for (const [k, outputs] of hidden.entries()) {
    params[`hidden${k}`] = dense(widths[k] ?? nz, outputs).params;
  }
  const heads = wanted.map(({ value }) => head(width, value));
  params.heads = rebuild<ParamSpec, Tree<ParamSpec>>(target, isSpec, heads) as Tree<ParamSpec>;
  return {
    name: "flat-generator",
    params,
    state: {},
    apply: (_, values, state, ...inputs) => {
      const own = values as Record<string, Tree<Tensor>>;
      const z = (conditions === 1 ? inputs[0] : own.z) as Tensor;
      const rank = z.shape.length;
      const good = (rank === 1 || rank === 2) && z.shape[rank - 1] === nz;
      const must = `be [${nz}], or [B, ${nz}] for values per sample`;
      expect(good, "flat generator", "z", show(z.shape), must);
      let h = rank === 1 ? reshape(z, [1, nz]) : z;
      for (const k of hidden.keys()) h = relu(applyDense(h, own[`hidden${k}`]));
      const outputs = wanted.map(({ path, value }) => {
        const made = applyDense(h, at(own.heads, path));
        return reshape(made, [...z.shape.slice(0, -1), ...value.shape]);
      });
      return { outputs, state };
    },
  };
}

/** N_z normal numbers scaled to mean(z²) = 1: a single z of few numbers may else be far from it. */
function sphere(nz: number): ParamSpec["init"] {
  return (key, shape) => {
    const z = normalInit(1)(key, shape);
    const norm = Math.sqrt(z.reduce((sum, x) => sum + x * x, 0));
    return z.map((x) => (x / norm) * Math.sqrt(nz));
  };
}

function head(width: number, { shape, init, fanIn }: ParamSpec): DenseParams {
  const count = shape.reduce((n, d) => n * d, 1);
  const start = fanIn === undefined ? zeros : normalInit(Math.sqrt(2 / (fanIn * width)));
  const { weight, bias } = dense(width, count, start).params;
  return {
    weight: { ...weight, kind: "generator" },
    bias: {
      ...bias,
      init: fanIn === undefined ? (key) => init(key, shape) : zeros,
      kind: "generator",
    },
  };
}

function applyDense(x: Tensor, values: Tree<Tensor> | undefined): Tensor {
  const { weight, bias } = values as { weight: Tensor; bias: Tensor };
  return affine(x, weight, bias);
}

/** The branch of a tree at a dotted path. */
function at(tree: Tree<Tensor> | undefined, path: string): Tree<Tensor> | undefined {
  let branch = tree;
  for (const name of path.split(".")) branch = (branch as Record<string, Tree<Tensor>>)[name];
  return branch;
}
