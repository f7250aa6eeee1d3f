import { apply, type Node, type Tensor } from "./node";

/** The nodes that `roots` depend on, in topological order, not looking behind `stop`. */
export function reachable(
  roots: readonly Tensor[],
  stop: (node: Node) => boolean = () => false,
): Node[] {
  const seen = new Set<Node>();
  const stack = roots.map((t) => t.node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node) || stop(node)) continue;
    seen.add(node);
    for (const x of node.inputs) stack.push(x.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/**
 * The nodes among those of `roots` that depend on one of `inputs`, in topological order. Ids grow, so
 * nothing older than the oldest input is looked at.
 */
export function dependents(roots: readonly Tensor[], inputs: ReadonlySet<Tensor>): Node[] {
  const oldest = Math.min(...[...inputs].map((x) => x.node.id));
  const found = new Set<Node>();
  for (const node of reachable(roots, ({ id }) => id < oldest)) {
    if (node.inputs.some((x) => inputs.has(x) || found.has(x.node))) found.add(node);
  }
  return [...found];
}

/**
 * `roots` computed from other values: every node between the keys of `map` and the roots is applied
 * anew, the rest is shared.
 */
export function substitute(
  roots: readonly Tensor[],
  map: ReadonlyMap<Tensor, Tensor>,
): { readonly roots: Tensor[]; readonly made: ReadonlyMap<Tensor, Tensor> } {
  const made = new Map(map);
  for (const node of map.size > 0 ? dependents(roots, new Set(map.keys())) : []) {
    if (node.outputs.every((y) => map.has(y))) continue;
    const outputs = apply(node.op, node.attrs, ...node.inputs.map((x) => made.get(x) ?? x));
    for (const [k, y] of node.outputs.entries()) {
      if (!map.has(y)) made.set(y, outputs[k] as Tensor);
    }
  }
  return { roots: roots.map((x) => made.get(x) ?? x), made };
}
