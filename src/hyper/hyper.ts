import type { Tensor } from "../graph/node";
import { equal, ShapeError, show } from "../graph/shape";
import { edit, type Tree } from "../graph/tree";
import { add } from "../ops/elementwise";
import { l2Penalty } from "../nn/losses";
import { type Context, type Module, type ParamSpec, specs, type Values } from "../nn/module";

/** What `hyper` makes: the target's remaining parameters, and the generator's in their own branch. */
export type HyperParams = Tree<ParamSpec>;

/** How a target gets its generated parameters. */
export interface HyperOptions<G, J extends readonly Tensor[]> {
  /** Makes the values, in the order of `paths`. */
  readonly generator: Module<G, Readonly<Record<never, never>>, J, readonly Tensor[]>;
  /** Dotted paths of the target's parameters that are generated; default: all of them. */
  readonly paths?: readonly string[];
  /** Where the generator's parameters stand in the model's tree; default "generator". */
  readonly branch?: string;
  /** How many inputs the generator takes; they come first. Default 0. */
  readonly conditions?: J["length"];
  /** λ of the penalty λ Σ K² on the generated values, differentiated through the generator. */
  readonly l2?: number;
}

/** A hypernetwork as a module, with what it was made of. */
export interface HyperModule<P, S, I extends readonly Tensor[], O, G, J extends readonly Tensor[]>
  extends Module<HyperParams, S, readonly [...J, ...I], O> {
  readonly target: Module<P, S, I, O>;
  readonly generator: Module<G, Readonly<Record<never, never>>, J, readonly Tensor[]>;
  readonly paths: readonly string[];
  readonly branch: string;
}

/**
 * The target module with some of its parameters computed by a generator: a hypernetwork. The target
 * is any module, another hypernetwork too; it does not know. Inputs of the generator, if it has any,
 * come before the target's.
 * @throws ShapeError where a path is no parameter of the target, or a generated shape differs.
 */
export function hyper<P, S, I extends readonly Tensor[], O, G, J extends readonly Tensor[]>(
  target: Module<P, S, I, O>,
  options: HyperOptions<G, J>,
): HyperModule<P, S, I, O, G, J> {
  const { generator, branch = "generator", conditions = 0, l2 } = options;
  const wanted = new Map(
    specs(target.params as Tree<ParamSpec>).map(({ path, value }) => [path, value]),
  );
  const paths = options.paths ?? [...wanted.keys()];
  for (const path of paths) {
    if (!wanted.has(path)) {
      throw new ShapeError(
        `hyperloom: hyper: ${target.name} has no parameter ${path}; it has ${[...wanted.keys()].join(", ")}`,
      );
    }
  }
  const rest = edit(target.params as Tree<ParamSpec>, new Map(paths.map((path) => [path, null])));
  if (branch in rest) {
    throw new ShapeError(
      `hyperloom: hyper: ${target.name} already has parameters under ${branch}; give another name as { branch }`,
    );
  }
  const params = {
    ...(rest as Record<string, Tree<ParamSpec>>),
    [branch]: generator.params as Tree<ParamSpec>,
  };
  return {
    name: `hyper-${target.name}`,
    ...(target.input && { input: target.input }),
    target,
    generator,
    paths,
    branch,
    params,
    state: target.state,
    apply: (context: Context, values, state, ...inputs) => {
      const { [branch]: own, ...direct } = values as Record<string, Tree<Tensor>>;
      const split = inputs as readonly Tensor[];
      const generated = generator.apply(
        context,
        own as Values<G>,
        {} as Values<Readonly<Record<never, never>>>,
        ...(split.slice(0, conditions) as unknown as J),
      );
      const made = generated.outputs;
      const filled = edit(
        direct,
        new Map(paths.map((path, k) => [path, check(made[k], path, wanted)])),
      );
      const applied = target.apply(
        context,
        filled as Values<P>,
        state,
        ...(split.slice(conditions) as unknown as I),
      );
      // The generator's and the target's own penalties stand beside that on the generated values.
      const penalties = [generated.penalty, applied.penalty, l2 ? l2Penalty(made, l2) : undefined];
      const penalty = penalties.reduce(
        (sum, x) => (sum && x ? add(sum, x) : (sum ?? x)),
        undefined,
      );
      return penalty ? { ...applied, penalty } : applied;
    },
  };
}

/** A generated value has its parameter's shape, or that with a batch axis in front. */
function check(
  made: Tensor | undefined,
  path: string,
  wanted: ReadonlyMap<string, ParamSpec>,
): Tensor {
  const shape = wanted.get(path)?.shape ?? [];
  if (made && (equal(made.shape, shape) || equal(made.shape.slice(1), shape))) return made;
  throw new ShapeError(
    `hyperloom: hyper: ${path} must be ${show(shape)}, alone or per sample; the generator made ` +
      `${made ? show(made.shape) : "nothing"}`,
  );
}
