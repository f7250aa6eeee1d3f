import {
  apply,
  listed,
  apply1,
  type Node,
  notDifferentiable,
  type Op,
  type Tensor,
} from "../graph/node";
import { equal, type TensorType } from "../graph/shape";
import { add, addOp, mul, mulOp, neg, negOp, sub, subOp } from "../ops/elementwise";
import { broadcastTo } from "../ops/layout";
import { sum } from "../ops/reduce";
import { reshape } from "../ops/views";

/** A value that a loop's body is given at every step. */
export const stepInputOp: Op<TensorType> = {
  name: "step_input",
  shape: (type) => [type],
  dispatch: () => [],
  gradient: notDifferentiable("it is an input of a scan's step"),
};

/** A fresh input of a body. */
export const stepInput = ({ shape, dtype }: TensorType): Tensor =>
  apply1(stepInputOp, { shape, dtype });

/**
 * Values of a loop's body for all T time steps at once: each is a tensor with a leading time axis.
 * What is not among them is the same at every step.
 */
export class OverTime {
  readonly #stacks = new Map<Tensor, Tensor>();

  constructor(readonly T: number) {}

  /** Whether a value differs from step to step and is known for all of them. */
  has(x: Tensor): boolean {
    return this.#stacks.has(x);
  }

  /** Makes known what a value is at all steps: `stack` [T, ...]. */
  set(x: Tensor, stack: Tensor): void {
    this.#stacks.set(x, stack);
  }

  /** [T, ...x.shape]; a value that is equal at every step is repeated. */
  get(x: Tensor): Tensor {
    return this.#stacks.get(x) ?? broadcastTo(x, [this.T, ...x.shape]);
  }

  /** Computes a node once for all steps. False where its op has no such form for these inputs. */
  run(node: Node): boolean {
    const outputs = this.#outputs(node);
    for (const [k, y] of outputs?.entries() ?? []) this.set(node.outputs[k] as Tensor, y);
    return outputs !== null;
  }

  /**
   * Σ over the steps of a value, given what `summands` named: in `this`, or summed in `ready`.
   * Products are not stacked: over all steps they are one product.
   */
  sum(x: Tensor, varies: Varies, ready: ReadonlyMap<Tensor, Tensor>): Tensor {
    const done = ready.get(x);
    if (done) return done;
    if (!varies(x)) return mul(x, this.T);
    if (!this.has(x)) {
      const split = linearParts(x, varies);
      if (split) return split.join(split.parts.map((part) => this.sum(part, varies, ready)));
      const made = x.output === 0 ? this.#sumOf(x.node) : null;
      if (made) return made;
    }
    return sum(this.get(x), [0]);
  }

  /** Whether the sum of a node's output can be had without the output. */
  canSum(node: Node): boolean {
    return this.#sumOf(node) !== null;
  }

  #sumOf({ op, attrs, inputs }: Node): Tensor | null {
    const values = listed(inputs.map((x) => this.#stacks.get(x) ?? x));
    const stacked = listed(inputs.map((x) => this.has(x)));
    return op.sumOverTime?.(attrs, values, stacked, this.T) ?? null;
  }

  #outputs({ op, attrs, inputs, outputs }: Node): readonly Tensor[] | null {
    const stacked = listed(inputs.map((x) => this.has(x)));
    const values = listed(inputs.map((x) => this.#stacks.get(x) ?? x));
    const [y] = outputs;
    if (op.expression) {
      const aligned = values.map((x, k) => {
        const missing = y.shape.length + 1 - x.shape.length;
        if (!stacked[k] || missing === 0) return x;
        const [T = 1, ...rest] = x.shape;
        return reshape(x, [T, ...new Array<number>(missing).fill(1), ...rest]);
      });
      return apply(op, attrs, ...aligned);
    }
    if (op.alias === "reshape") return [reshape(values[0], [this.T, ...y.shape])];
    return op.overTime?.(attrs, values, stacked, this.T) ?? null;
  }
}

/** Whether a value of the body differs from step to step. */
export type Varies = (x: Tensor) => boolean;

/** Stand-ins for what a node varies with, to try its rules on. */
function trial(node: Node, varies: Varies, T: number): OverTime {
  const over = new OverTime(T);
  for (const x of node.inputs) {
    if (varies(x)) over.set(x, stepInput({ shape: [T, ...x.shape], dtype: x.dtype }));
  }
  return over;
}

/** Whether a node can be computed over all steps at once, given stacks of what varies. */
export function canLeave(node: Node, varies: Varies, T: number): boolean {
  return trial(node, varies, T).run(node);
}

/** What `OverTime.sum` needs: values known over time, and values whose sum alone will do. */
export interface Summands {
  readonly stacked: readonly Tensor[];
  readonly summed: readonly Tensor[];
}

/** What must be known before `OverTime.sum` can sum x. */
export function summands(x: Tensor, varies: Varies, T: number): Summands {
  if (!varies(x)) return { stacked: [], summed: [] };
  const split = linearParts(x, varies);
  if (split) {
    const parts = split.parts.map((part) => summands(part, varies, T));
    return {
      stacked: parts.flatMap(({ stacked }) => stacked),
      summed: parts.flatMap(({ summed }) => summed),
    };
  }
  // Rules of sums are for output 0.
  return x.output === 0 && trial(x.node, varies, T).canSum(x.node)
    ? { stacked: x.node.inputs.filter(varies), summed: [] }
    : { stacked: [], summed: [x] };
}

/** A value as a linear function of values whose sums it follows from. */
function linearParts(
  x: Tensor,
  varies: Varies,
): { readonly parts: readonly Tensor[]; readonly join: (sums: Tensor[]) => Tensor } | null {
  const { op, inputs } = x.node;
  const [a, b] = inputs;
  const both =
    a && b && varies(a) && varies(b) && equal(a.shape, x.shape) && equal(b.shape, x.shape);
  if (a && op.alias === "reshape") {
    return { parts: [a], join: ([s]) => reshape(s as Tensor, x.shape) };
  }
  if (a && op === negOp) return { parts: [a], join: ([s]) => neg(s as Tensor) };
  if (both && op === addOp) {
    return { parts: [a, b], join: ([s, t]) => add(s as Tensor, t as Tensor) };
  }
  if (both && op === subOp) {
    return { parts: [a, b], join: ([s, t]) => sub(s as Tensor, t as Tensor) };
  }
  if (a && b && op === mulOp && varies(a) !== varies(b)) {
    const [moving, fixed] = varies(a) ? [a, b] : [b, a];
    return { parts: [moving], join: ([s]) => mul(s as Tensor, fixed) };
  }
  return null;
}
