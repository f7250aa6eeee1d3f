import { GradientError, type Node, type Tensor } from "../graph/node";
import { equal, show, size } from "../graph/shape";
import { add, fill } from "../ops/elementwise";
import { sumTo } from "../ops/reduce";

/**
 * Reverse-mode gradients as a graph transformation: walks the nodes between `wrt` and `loss`
 * backwards, asks each op record for the gradients of its inputs, undoes broadcasting (here, once,
 * for all ops) and adds up what meets. Nothing is computed: the result is more graph.
 *
 * @param loss a scalar f32 tensor
 * @param wrt tensors of f32; where no gradient flows the result is zero
 * @returns dloss/dx for each x of `wrt`, of its shape
 * @throws GradientError naming an op without a gradient, or a loss that is not a scalar
 */
export function gradient(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (size(loss.shape) !== 1 || loss.dtype !== "f32") {
    throw new GradientError(
      `hyperloom: gradient: the loss is ${loss.dtype} ${show(loss.shape)}, must be a scalar f32; ` +
        "reduce it with sum() or mean()",
    );
  }
  const nodes = between(wrt, loss);
  const arrived = new Map<Tensor, Tensor>([[loss, fill(1, loss.shape)]]);
  const arrive = (x: Tensor, dx: Tensor): void => {
    const fitted = equal(dx.shape, x.shape) ? dx : sumTo(dx, x.shape);
    const before = arrived.get(x);
    arrived.set(x, before ? add(before, fitted) : fitted);
  };
  for (const node of nodes) {
    const dy = node.outputs.map((y) => arrived.get(y) ?? null);
    if (dy.every((d) => d === null)) continue;
    const dx = node.op.gradient(node, dy);
    for (const [i, x] of node.inputs.entries()) {
      const d = dx[i];
      if (d && (nodes.has(x.node) || wrt.includes(x))) arrive(x, d);
    }
  }
  return wrt.map((x) => arrived.get(x) ?? fill(0, x.shape));
}

/** The nodes on a path from `wrt` to `loss`, latest first. */
function between(wrt: readonly Tensor[], loss: Tensor): Set<Node> {
  const memo = new Map<Node, boolean>();
  const depends = (root: Node): boolean => {
    // Iterative, since a deep graph would overflow the stack.
    const stack = [root];
    while (stack.length > 0) {
      const node = stack[stack.length - 1] as Node;
      const pending = memo.has(node) ? [] : node.inputs.filter((x) => !memo.has(x.node));
      if (pending.length > 0) {
        stack.push(...pending.map((x) => x.node));
        continue;
      }
      stack.pop();
      memo.set(
        node,
        node.inputs.some((x) => wrt.includes(x) || memo.get(x.node) === true),
      );
    }
    return memo.get(root) === true;
  };
  depends(loss.node);
  const nodes = [...memo].filter(([, yes]) => yes).map(([node]) => node);
  return new Set(nodes.sort((a, b) => b.id - a.id));
}
