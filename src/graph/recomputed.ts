import { apply, listed, type Node, type Tensor } from "./node";
import { remembered } from "./remembered";
import { dependents } from "./substitute";

const marked = new WeakSet<Node>();

/**
 * Has the backward pass make anew what lies between `x` and `y`, in place of keeping it: of the whole
 * part only `x` and `y` stay in memory meanwhile (Chen et al. 2016, arXiv 1604.06174). Gradients are
 * the same; the part's work is done once more.
 */
export function recompute(y: Tensor, x: Tensor): void {
  for (const node of dependents([y], new Set([x]))) if (node !== y.node) marked.add(node);
}

/**
 * A node as a backward pass sees it: with copies in place of tensors of ops that have `again`, and of
 * parts that are recomputed. A copy is made when it is first asked for, so that it lives from there on.
 */
export function keeper(): (node: Node) => Node {
  const made = new Map<Node, readonly Tensor[]>();
  const kept = (x: Tensor): Tensor => outputs(x.node)[x.output] as Tensor;
  const outputs = (node: Node): readonly Tensor[] => {
    const { again } = node.op;
    if (!again && !marked.has(node)) return node.outputs;
    return remembered(made, node, () => {
      const inputs = node.inputs.map(kept);
      return again ? again(node, listed(inputs)) : apply(node.op, node.attrs, ...inputs);
    });
  };
  return (node) => {
    const tensors = [...node.inputs, ...node.outputs];
    if (tensors.every((x) => kept(x) === x)) return node;
    return {
      ...node,
      inputs: listed(node.inputs.map(kept)),
      outputs: listed(node.outputs.map(kept)),
    };
  };
}
