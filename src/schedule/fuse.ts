import { type Dispatch, linearGrid, type Target } from "../gpu/dispatch";
import { isLiteral, type Node, type Operand, type Tensor } from "../graph/node";
import { equal, size } from "../graph/shape";
import { type Chain, elementwiseKernel, hasEpilogue, withEpilogue } from "./elementwise-kernel";
import { isLoop } from "./loop-node";

/** What runs for one node, or for one chain of elementwise nodes. */
export interface Unit {
  /** The id of the node in whose place it runs. */
  readonly at: number;
  readonly label: string;
  readonly dispatches: readonly Dispatch<Operand>[];
  /** A loop in place of dispatches. */
  readonly scan?: Node;
}

// An adapter gives 8 storage bindings at least; one is the output.
const MAX_CHAIN_INPUTS = 7;
const MAX_BINDINGS = 8;
const MAX_EPILOGUE_INPUTS = 2;
// Added to the place of an in-place update.
const AFTER_ALL = 2 ** 40;

interface Group {
  readonly steps: Node[];
  readonly result: Tensor;
}

const only = (node: Node): Tensor => node.outputs[0] as Tensor;
const isElementwise = (node: Node): boolean => node.op.expression !== undefined;

/**
 * Turns nodes into dispatches: elementwise nodes join the one chain that alone reads them, and a
 * chain on top of a matmul, convolution, … becomes that kernel's epilogue where at most two more
 * operands are read. In-place updates come last, after all readers of the old value. `copies` are
 * units of the planner's own.
 */
export function fuse(
  nodes: readonly Node[],
  roots: ReadonlySet<Tensor>,
  target: Target,
  copies: readonly Unit[] = [],
): Unit[] {
  const consumers = new Map<Tensor, Set<Node>>();
  for (const node of nodes) {
    for (const x of node.inputs) {
      const set = consumers.get(x);
      if (set) set.add(node);
      else consumers.set(x, new Set([node]));
    }
  }
  const groupOf = formGroups(nodes, roots, consumers);
  const groups = [...new Set(groupOf.values())];
  const { epilogues, absorbed } = attachEpilogues(groups, groupOf, roots, consumers, target);

  const late = lateNodes(nodes, consumers);
  const units: Unit[] = groups.map(
    (group) => epilogues.get(group) ?? chainUnit(chainOf(group), group.result.node.id),
  );
  for (const node of nodes) {
    if (isElementwise(node) || absorbed.has(node)) continue;
    if (isLoop(node)) {
      units.push({ at: node.id, label: node.op.name, dispatches: [], scan: node });
      continue;
    }
    const dispatches = node.op.dispatch(node, target);
    if (dispatches.length > 0) units.push({ at: node.id, label: node.op.name, dispatches });
  }
  // A copy runs just before the pack that asks for it.
  const place = ({ at }: Unit): number => (late.has(Math.ceil(at)) ? at + AFTER_ALL : at);
  return [...units, ...copies].sort((a, b) => place(a) - place(b));
}

/**
 * The ids of in-place updates and of all that follows from them: they run after everything else,
 * which may read the old values.
 * @throws Error where a value is read after it was overwritten.
 */
function lateNodes(
  nodes: readonly Node[],
  consumers: ReadonlyMap<Tensor, ReadonlySet<Node>>,
): Set<number> {
  const late = new Set<number>();
  for (const node of nodes) {
    if (node.op.inPlace || node.inputs.some((x) => late.has(x.node.id))) late.add(node.id);
  }
  for (const node of nodes) {
    for (const k of node.op.inPlace ?? []) {
      const old = node.inputs[k] as Tensor;
      const reader = [...(consumers.get(old) ?? [])].find((r) => r !== node && late.has(r.id));
      if (reader) {
        throw new Error(
          `hyperloom: ${node.op.name} overwrites its input ${k}, whose old value ${reader.op.name} ` +
            "reads together with an updated one; compute from the old value alone, or from the new",
        );
      }
    }
  }
  return late;
}

/**
 * Elementwise nodes by the chain they end up in. Literals are written into every chain that reads
 * them; what else reads them finds a constant.
 */
function formGroups(
  nodes: readonly Node[],
  roots: ReadonlySet<Tensor>,
  consumers: ReadonlyMap<Tensor, ReadonlySet<Node>>,
): Map<Node, Group> {
  const groupOf = new Map<Node, Group>();
  for (const node of [...nodes].reverse()) {
    if (!isElementwise(node)) continue;
    if (isLiteral(node)) continue;
    const y = only(node);
    const readers = [...(consumers.get(y) ?? [])];
    const group = readers[0] && groupOf.get(readers[0]);
    const joins =
      group !== undefined &&
      !roots.has(y) &&
      readers.every((r) => groupOf.get(r) === group) &&
      (equal(y.shape, group.result.shape) || size(y.shape) === 1);
    if (joins) {
      group.steps.push(node);
      if (externals(group).length <= MAX_CHAIN_INPUTS) {
        groupOf.set(node, group);
        continue;
      }
      group.steps.pop();
    }
    groupOf.set(node, { steps: [node], result: y });
  }
  return groupOf;
}

/** What a group reads from outside, in order of first use. */
function externals(group: Group): Tensor[] {
  const inside = new Set(group.steps);
  const found = new Set<Tensor>();
  for (const node of group.steps) {
    for (const x of node.inputs) {
      if (!inside.has(x.node) && !isLiteral(x.node)) found.add(x);
    }
  }
  return [...found];
}

function chainOf(group: Group): Chain {
  const literals = new Set<Node>();
  for (const node of group.steps) {
    for (const x of node.inputs) {
      if (isLiteral(x.node)) literals.add(x.node);
    }
  }
  const steps = [...new Set([...group.steps, ...literals])].sort((a, b) => a.id - b.id);
  return { inputs: externals(group), steps: steps.map(only) };
}

/** One kernel for a chain, at the place of its last node. */
export function chainUnit(chain: Chain, at: number): Unit {
  const { kernel, invocations } = elementwiseKernel(chain);
  const result = chain.steps[chain.steps.length - 1] as Tensor;
  const bind: Record<string, Operand> = { y: result };
  for (const [k, x] of chain.inputs.entries()) bind[`x${k}`] = x;
  const grid = linearGrid(Math.ceil(invocations / 64));
  const flops = size(result.shape) * chain.steps.length;
  return {
    at,
    label: kernel.name,
    dispatches: [{ kernel, bind, uniforms: {}, overrides: {}, grid, flops, trips: 0 }],
  };
}

function attachEpilogues(
  groups: readonly Group[],
  groupOf: ReadonlyMap<Node, Group>,
  roots: ReadonlySet<Tensor>,
  consumers: ReadonlyMap<Tensor, ReadonlySet<Node>>,
  target: Target,
): { epilogues: Map<Group, Unit>; absorbed: Set<Node> } {
  const epilogues = new Map<Group, Unit>();
  const absorbed = new Set<Node>();
  for (const group of groups) {
    const chain = chainOf(group);
    if (chain.inputs.length > 1 + MAX_EPILOGUE_INPUTS || group.result.dtype !== "f32") continue;
    for (const x of chain.inputs) {
      if (!equal(x.shape, group.result.shape) || roots.has(x)) continue;
      if (![...(consumers.get(x) ?? [])].every((r) => groupOf.get(r) === group)) continue;
      const made = behindReshapes(x, roots, consumers);
      if (made === null || made.node.op.epilogue !== true || made.output !== 0) continue;
      const unit = epilogueUnit(made, x, chain, group.result, target);
      if (!unit) continue;
      epilogues.set(group, unit);
      absorbed.add(made.node);
      break;
    }
  }
  return { epilogues, absorbed };
}

/** The tensor of which `x` is a reshape that nobody else reads; null where somebody does. */
function behindReshapes(
  x: Tensor,
  roots: ReadonlySet<Tensor>,
  consumers: ReadonlyMap<Tensor, ReadonlySet<Node>>,
): Tensor | null {
  let made = x;
  while (made.node.op.alias === "reshape") {
    made = made.node.inputs[0] as Tensor;
    if (roots.has(made) || (consumers.get(made)?.size ?? 0) > 1) return null;
  }
  return made;
}

/** The dispatches of `made`'s node with the chain in their epilogue; `x` is `made` as the chain sees it. */
function epilogueUnit(
  made: Tensor,
  x: Tensor,
  chain: Chain,
  result: Tensor,
  target: Target,
): Unit | null {
  let filled = 0;
  let label = made.node.op.name;
  const extra = chain.inputs.filter((other) => other !== x);
  const dispatches: Dispatch<Operand>[] = [];
  for (const d of made.node.op.dispatch(made.node, target)) {
    const writes = Object.values(d.bind).includes(made);
    if (!writes || !hasEpilogue(d.kernel)) {
      // A dispatch that uses the output without the hook would see or leave raw values.
      if (writes) return null;
      dispatches.push(d);
      continue;
    }
    if (d.kernel.bindings.length + extra.length > MAX_BINDINGS) return null;
    const { kernel, uniforms } = withEpilogue(d, x, chain);
    const bind: Record<string, Operand> = {};
    for (const [name, operand] of Object.entries(d.bind))
      bind[name] = operand === made ? result : operand;
    for (const [k, other] of extra.entries()) bind[`e${k}`] = other;
    dispatches.push({ ...d, kernel, uniforms, bind });
    filled++;
    label = `${made.node.op.name}${kernel.name.slice(d.kernel.name.length)}`;
  }
  return filled > 0 ? { at: result.node.id, label, dispatches } : null;
}
