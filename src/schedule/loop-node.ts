import type { Node, Op, Operand, Tensor } from "../graph/node";
import type { Frame, Place } from "./places";

/** Where the values of one loop come from and go to; a graph of its own, traced once. */
export interface Body {
  /** Given at a step: the states after the step before, the elements of xs, loop constants. */
  readonly states: readonly Tensor[];
  readonly xs: readonly Tensor[];
  readonly constants: readonly Tensor[];
  /** Made by it: the states after the step, and one element of each stacked output. */
  readonly next: readonly Tensor[];
  readonly ys: readonly Tensor[];
}

/** A loop as a node: inputs are the initial states, the stacks of xs, and the constants. */
export interface ScanAttrs {
  readonly T: number;
  /** From the last step to the first. */
  readonly reverse: boolean;
  /** The gradient computes again what the body makes, instead of keeping it for every step. */
  readonly recompute: boolean;
  /**
   * Whether what no later step needs leaves the loop, to be computed after it at once for all steps;
   * the same for the gradient's loop. Off where memory is what counts.
   */
  readonly mayLeave: boolean;
  readonly body: Body;
}

/** The outputs of a scan node by role. */
export function scanOutputs(node: Node<ScanAttrs>) {
  const n = node.attrs.body.states.length;
  const { outputs } = node;
  return {
    /** States after the last step. */
    finals: outputs.slice(0, n),
    /** Stacks of the states before and after each step. */
    before: outputs.slice(n, 2 * n),
    after: outputs.slice(2 * n, 3 * n),
    ys: outputs.slice(3 * n),
  };
}

/** A loop as the planner sees it, once it is known which of its outputs are read. */
export interface PlannedLoop {
  readonly frame: Frame;
  /** Places of the body's inputs. */
  readonly inputs: ReadonlyMap<Tensor, Place>;
  /** What the body leaves behind, and where. */
  readonly roots: readonly { readonly value: Tensor; readonly place: Place }[];
  /** Initial states, and where they are expected. */
  readonly inits: readonly { readonly value: Tensor; readonly place: Place }[];
  /** Places of the scan node's outputs that somebody reads. */
  readonly outputs: ReadonlyMap<Tensor, Place>;
}

/**
 * The op of a loop, which the planner lays out in place of dispatching it. The op brings its planning
 * along, so that a program without loops carries none of it.
 */
export interface LoopOp extends Op<ScanAttrs> {
  /** Lays out a loop; `isRead` tells whether an output of the node has readers. */
  plan(
    node: Node<ScanAttrs>,
    isRead: (x: Tensor) => boolean,
    places: ReadonlyMap<Operand, Place>,
    loops: readonly Frame[],
  ): PlannedLoop;
}

/** Whether a node is a loop. */
export function isLoop(node: Node): node is Node<ScanAttrs> & { readonly op: LoopOp } {
  return "plan" in node.op;
}
