import type { Tensor } from "../graph/node";
import { expectTensor } from "../graph/expect";
import { leaves, rebuild, type Tree } from "../graph/tree";
import type { Shape } from "../graph/shape";
import type { Init } from "./init";

/** What a parameter is, so that any generator can make it: its shape, start and role. */
export interface ParamSpec {
  readonly shape: Shape;
  readonly init: Init;
  /** Inputs that one output of the layer sums over; for weights. */
  readonly fanIn?: number;
  readonly kind: "weight" | "bias" | "scale" | "embedding" | "generator";
}

/** A value that a module carries from step to step without a gradient. */
export interface StateSpec {
  readonly shape: Shape;
  readonly init: Init;
}

/** The tensors that a tree of specs asks for: the same names. */
export type Values<P> = P extends { readonly shape: Shape }
  ? Tensor
  : { readonly [K in keyof P]: Values<P[K]> };

/** What a module may know of the run that it is applied in. */
export interface Context {
  /** Training (dropout, batch statistics) or evaluation. */
  readonly train: boolean;
  /**
   * u32[4]: run key (2 words), step number, and the time step of a recurrent module or 0; null
   * where no random numbers are at hand.
   */
  readonly key: Tensor | null;
  /** The first dropout site that is the module's own; a parent gives each child a range. Default 0. */
  readonly site?: number;
  /** Masks in place of random ones: entries 0 or 1/keep, for comparison with recorded runs. */
  readonly mask?: (shape: Shape, keep: number, site: number) => Tensor;
  /**
   * "low": blocks of deep networks keep their inputs alone for the backward pass, which computes the
   * rest once more. Default: what makes a step fastest.
   */
  readonly memory?: "low";
  /** Is told what a module generates on its way, by path, such as a hyper cell's scales `d`. */
  readonly probe?: (path: string, value: Tensor) => void;
}

/** What a module makes. */
export interface Applied<O, S> {
  readonly outputs: O;
  readonly state: Values<S>;
  /** A scalar to add to the loss, such as the L2 norm of generated weights. */
  readonly penalty?: Tensor;
}

/** No state. */
export type Stateless = Readonly<Record<never, never>>;

/**
 * A spec and a pure function. Parameters are tensors handed in from outside, so any parameter of
 * any module may be computed by another module: that is all of hypernetworks.
 */
export interface Module<
  P = Tree<ParamSpec>,
  S = Tree<StateSpec>,
  I extends readonly Tensor[] = readonly [Tensor],
  O = Tensor,
> {
  readonly name: string;
  /** Shape of one input sample, without the batch axis, where the module fixes it. */
  readonly input?: Shape;
  readonly params: P;
  readonly state: S;
  /** What the module makes of its inputs with these parameters and state, as graph. */
  apply(context: Context, params: Values<P>, state: Values<S>, ...inputs: I): Applied<O, S>;
}

/** Tells a spec from a branch of specs. */
export function isSpec<T extends { readonly shape: Shape }>(x: Tree<T>): x is T {
  return Array.isArray((x as { shape?: unknown }).shape);
}

/** The specs of a tree with their dotted paths. */
export function specs<T extends { readonly shape: Shape }>(
  tree: Tree<T>,
): { path: string; value: T }[] {
  return leaves(tree, isSpec);
}

/** Tensors, in the order of `specs`, as the tree that the specs ask for. */
export function bind<P>(tree: P, tensors: readonly Tensor[]): Values<P> {
  return rebuild(tree as Tree<ParamSpec>, isSpec, tensors) as Values<P>;
}

/** A module from its parts; the types of parameters and inputs follow from them. */
export function module<
  P extends Tree<ParamSpec>,
  I extends readonly Tensor[] = readonly [Tensor],
  O = Tensor,
>(
  name: string,
  params: P,
  apply: (context: Context, params: Values<P>, ...inputs: I) => O,
  input?: Shape,
): Module<P, Stateless, I, O> {
  return {
    name,
    ...(input && { input }),
    params,
    state: {},
    apply: (context, p, state, ...inputs) => {
      // A caller that leaves out the state hands the input over in its place.
      expectTensor(`${name}: apply(context, params, state, x)`, "x", inputs[0]);
      return { outputs: apply(context, p, ...inputs), state };
    },
  };
}
