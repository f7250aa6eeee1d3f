import { GradientError, isLiteral, listed, type Node, type Tensor } from "../graph/node";
import { keeper } from "../graph/recomputed";
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
  for (const { node, shape } of wrt) {
    if (isLiteral(node)) {
      throw new GradientError(
        `hyperloom: gradient: a value to differentiate by, ${show(shape)}, is a number written into ` +
          "kernels; make it with constant()",
      );
    }
  }
  return pullBack([loss], [fill(1, loss.shape)], wrt).map((dx, k) => {
    const x = wrt[k] as Tensor;
    return dx ?? fill(0, x.shape);
  });
}

/**
 * The general form of `gradient`: Σ_k <cotangents[k], ∂outputs[k]/∂x> for each x of `wrt`.
 * @param cotangents one for each output, of its shape
 * @returns null where no gradient flows, as into integers
 */
export function pullBack(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  wrt: readonly Tensor[],
): (Tensor | null)[] {
  // Nothing flows into integers: symbols, keys.
  const wanted = new Set(wrt.filter(({ dtype }) => dtype === "f32"));
  const nodes = between(wanted, outputs);
  const arrived = new Map<Tensor, Tensor>();
  const arrive = (x: Tensor, dx: Tensor): void => {
    const fitted = equal(dx.shape, x.shape) ? dx : sumTo(dx, x.shape);
    const before = arrived.get(x);
    arrived.set(x, before ? add(before, fitted) : fitted);
  };
  for (const [k, y] of outputs.entries()) arrive(y, cotangents[k] as Tensor);
  const kept = keeper();
  for (const node of nodes) {
    const dy = node.outputs.map((y) => arrived.get(y) ?? null);
    if (dy.every((d) => d === null)) continue;
    const { name } = node.op;
    if (!(node.op as Partial<typeof node.op>).gradient) {
      throw new GradientError(
        `hyperloom: ${name} has no gradient; add one, or build without __HYPERLOOM_INFERENCE__`,
      );
    }
    const dx = node.op.gradient(kept(node), listed(dy));
    if (dx.length !== node.inputs.length) {
      throw new GradientError(
        `hyperloom: ${name}: its gradient has ${dx.length} of ${node.inputs.length} entries`,
      );
    }
    for (const [i, x] of node.inputs.entries()) {
      const d = dx[i];
      if (d && (nodes.has(x.node) || wanted.has(x))) arrive(x, d);
    }
  }
  return wrt.map((x) => arrived.get(x) ?? null);
}

/** The nodes on a path from `wrt` to one of the outputs, latest first. */
function between(wrt: ReadonlySet<Tensor>, outputs: readonly Tensor[]): Set<Node> {
  const memo = new Map<Node, boolean>();
  // Iterative, since a deep graph would overflow the stack.
  const stack = outputs.map((y) => y.node);
  for (let node = stack[stack.length - 1]; node; node = stack[stack.length - 1]) {
    const pending = memo.has(node) ? [] : node.inputs.filter((x) => !memo.has(x.node));
    if (pending.length > 0) {
      stack.push(...pending.map((x) => x.node));
      continue;
    }
    stack.pop();
    memo.set(
      node,
      node.inputs.some((x) => wrt.has(x) || memo.get(x.node) === true),
    );
  }
  const nodes = [...memo].filter(([, yes]) => yes).map(([node]) => node);
  return new Set(nodes.sort((a, b) => b.id - a.id));
}
