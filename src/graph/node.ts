import type { Dispatch, Target } from "../gpu/dispatch";
import { expectTensor } from "./expect";
import { ShapeError, show, size, type TensorType } from "./shape";

/** A symbolic value: one output of a node. It holds no numbers; an executable gives it a place. */
export interface Tensor extends TensorType {
  readonly node: Node;
  /** Which of the node's outputs this is. */
  readonly output: number;
}

/** One application of an op. Ids grow in the order of creation, which is a topological order. */
export interface Node<A = unknown> {
  readonly id: number;
  readonly op: Op<A>;
  readonly attrs: A;
  readonly inputs: Listed<Tensor>;
  readonly outputs: Listed<Tensor>;
}

/** As many as an op takes or makes, which its record knows. */
export type Listed<T> = readonly [T, T, T, T, T, T, T, T, ...T[]];

/** Values as an op is given them; that there are enough is the caller's word. */
export function listed<T>(values: readonly T[]): Listed<T> {
  return values as unknown as Listed<T>;
}

/** Working storage of one op's own dispatches (split-K partials, …): f32, never seen by the graph. */
export interface Scratch {
  readonly scratch: true;
  readonly elements: number;
}

/** What a dispatch of an op may bind. */
export type Operand = Tensor | Scratch;

/**
 * Everything known about one op. Forward and gradient stand side by side, and an op without a
 * gradient says so with `notDifferentiable`.
 */
export interface Op<A = unknown> {
  readonly name: string;
  /** The shape rule. @throws ShapeError naming the op and the shapes that disagree. */
  shape(attrs: A, ...inputs: Listed<TensorType>): readonly TensorType[];
  /**
   * The kernels that compute a node, in order. The last one to bind an output writes all of it.
   * Empty for sources and views.
   */
  dispatch(node: Node<A>, target: Target): readonly Dispatch<Operand>[];
  /**
   * Gradients of the inputs given those of the outputs (null: no gradient flows). Each may have
   * any shape that the input broadcasts to: the driver sums it back.
   */
  gradient(node: Node<A>, dy: Listed<Tensor | null>): readonly (Tensor | null)[];
  /**
   * Elementwise ops alone: the WGSL expression of one output element; `args` are expressions of
   * type `T` (f32 or vec4f alias), u32 and i32 inputs likewise. Literals are written `T(0.5)`.
   */
  expression?(attrs: A, args: readonly string[]): string;
  /**
   * True where the dispatch that writes output 0 passes each stored value through
   * `fn epilogue(x: f32, i: u32) -> f32` (i = flat index in the output), declared as identity.
   */
  readonly epilogue?: boolean;
  /**
   * The op for T time steps at once: inputs marked `stacked` have a leading axis T, and so have all
   * outputs. Ops that have it can leave the loop of a scan; null where these inputs cannot. Ops with
   * an `expression` and reshapes need none.
   */
  overTime?(
    attrs: A,
    inputs: Listed<Tensor>,
    stacked: Listed<boolean>,
    T: number,
  ): readonly Tensor[] | null;
  /** The sum over T of output 0 of `overTime`, made without stacking it: one GEMM over T·B. */
  sumOverTime?(
    attrs: A,
    inputs: Listed<Tensor>,
    stacked: Listed<boolean>,
    T: number,
  ): Tensor | null;
  /**
   * Outputs that are cheaper to make anew than to keep: the backward pass reads these in place of the
   * node's own, made from `inputs`, which are the node's or copies of them. An output may be the
   * node's own.
   */
  again?(node: Node<A>, inputs: Listed<Tensor>): readonly Tensor[];
  /** How outputs share the buffer of an input without a dispatch; see `views.ts` in ops. */
  readonly alias?: Alias;
  /** Output k is written over input `inPlace[k]`, whose old value is gone afterwards. */
  readonly inPlace?: readonly number[];
}

/**
 * - `reshape`: output 0 is input 0 with another shape.
 * - `unpack`: each output is a range of input 0 (a slab).
 * - `pack`: each input is placed at its range of output 0 (a slab), or copied there.
 * Ranges start at multiples of 64 elements (256 bytes), as bindings must.
 */
export type Alias = "reshape" | "unpack" | "pack";

let nextId = 0;

/**
 * Applies an op to tensors.
 * @returns the node's outputs.
 * @throws ShapeError for an input that is no tensor, from the op's shape rule, or where a size is not a positive integer.
 */
export function apply<A>(op: Op<A>, attrs: A, ...inputs: readonly Tensor[]): Listed<Tensor> {
  for (const [k, x] of inputs.entries()) expectTensor(op.name, `input ${k}`, x);
  const given = listed(inputs);
  const types = op.shape(attrs, ...given);
  const outputs: Tensor[] = [];
  const made = listed(outputs);
  const node: Node<A> = { id: nextId++, op, attrs, inputs: given, outputs: made };
  for (const [output, { shape, dtype }] of types.entries()) {
    if (
      !shape.every((d) => Number.isSafeInteger(d) && d > 0) ||
      !Number.isSafeInteger(size(shape))
    ) {
      throw new ShapeError(
        `hyperloom: ${op.name}: output shape ${show(shape)} must consist of positive integers`,
      );
    }
    outputs.push({ node, output, shape, dtype });
  }
  return made;
}

/** `apply` for an op with one output. */
export function apply1<A>(op: Op<A>, attrs: A, ...inputs: readonly Tensor[]): Tensor {
  return apply(op, attrs, ...inputs)[0];
}

/** Whether a node is a number, which kernels take as text. */
export function isLiteral({ op, inputs }: Node): boolean {
  return op.expression !== undefined && inputs.length === 0;
}

/** Working storage of `elements` f32 for the dispatches of one node. */
export function scratch(elements: number): Scratch {
  return { scratch: true, elements };
}

/** Raised when a gradient is asked of an op that has none. */
export class GradientError extends Error {
  override readonly name = "GradientError";
}

/** A gradient rule that refuses, with the reason: how an op says that it has none. */
export function notDifferentiable(reason: string): (node: Node) => never {
  return (node) => {
    throw new GradientError(`hyperloom: ${node.op.name} has no gradient: ${reason}`);
  };
}
