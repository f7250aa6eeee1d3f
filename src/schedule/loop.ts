import { apply, isLiteral, type Node, type Tensor } from "../graph/node";
import type { TensorType } from "../graph/shape";
import { dependents, substitute } from "../graph/substitute";
import { add, fill } from "../ops/elementwise";
import { pullBack } from "./gradient";
import { type Body, type LoopOp, type ScanAttrs, scanOutputs } from "./loop-node";
import { canLeave, OverTime, stepInput, summands, type Varies } from "./over-time";
import { planLoop } from "./plan-loop";
import { fromStack, stackShape, toStack } from "./stack";

/**
 * A loop over time that the planner unrolls into a replay of its body's dispatches. Outputs: final
 * states, stacks of the states before and after each step, stacks of ys; what nobody reads is not
 * kept.
 */
export const scanOp: LoopOp = {
  name: "scan",
  shape({ T, body }) {
    const stacks = (values: readonly Tensor[]): TensorType[] =>
      values.map(({ shape, dtype }) => ({ shape: stackShape(T, shape), dtype }));
    return [...body.states, ...stacks(body.states), ...stacks(body.states), ...stacks(body.ys)];
  },
  dispatch: () => {
    throw new Error("internal: a scan is planned, not dispatched");
  },
  gradient: scanGradient,
  plan: planLoop,
};

/** A body's input and what it is at all steps. */
export interface Stacked {
  readonly input: Tensor;
  /** [T, ...input.shape] */
  readonly stack: Tensor;
}

/** A loop before it is decided what has to be in it. */
export interface Loop extends Omit<ScanAttrs, "body"> {
  readonly states: readonly { readonly input: Tensor; readonly init: Tensor; next: Tensor }[];
  readonly xs: readonly Stacked[];
  readonly ys: readonly Tensor[];
  /** Values of the body that are wanted summed over all steps. */
  readonly sums: readonly Tensor[];
  /** What depends on xs alone is computed before the loop, at once for all steps. */
  readonly hoist: boolean;
}

/** What a loop makes: final states, outputs [T, ...], and the sums asked for. */
export interface Looped {
  readonly finals: readonly Tensor[];
  readonly ys: readonly Tensor[];
  readonly sums: readonly Tensor[];
}

/**
 * Builds a loop: hoists, decides what stays in it (what states follow from, and what has no form
 * over time), makes the scan node, sinks.
 */
export function buildLoop(loop: Loop): Looped {
  const { T } = loop;
  const over = new OverTime(T);
  for (const { input, stack } of loop.xs) over.set(input, stack);
  const inputs = new Set([...loop.states, ...loop.xs].map(({ input }) => input));
  const all = [...loop.states.map(({ next }) => next), ...loop.ys, ...loop.sums];
  const within = new Set(dependents(all, inputs));
  const varies = (x: Tensor): boolean => inputs.has(x) || within.has(x.node);
  // Where nothing may leave the loop, sums are made in it.
  const needs = loop.sums.map((x) =>
    loop.mayLeave ? summands(x, varies, T) : { stacked: [], summed: [x] },
  );
  const kept = new Set([...loop.ys, ...needs.flatMap(({ stacked }) => stacked)]);
  const summed = new Set(needs.flatMap((x) => x.summed));
  const results = [...kept, ...summed];

  const rest: Node[] = [];
  const needed = dependents([...loop.states.map(({ next }) => next), ...results], inputs);
  for (const node of needed) {
    const known = loop.hoist && node.inputs.every((x) => !varies(x) || over.has(x));
    if (!known || !over.run(node)) rest.push(node);
  }
  const core = coreOf(loop, rest, varies);
  const leaving = rest.filter((node) => !core.has(node));
  const wanted = new Set([...kept, ...leaving.flatMap((node) => node.inputs)]);
  const states = [...loop.states];
  // What is stacked anyway is summed from its stack.
  const accumulated = [...summed].filter(
    (x) => core.has(x.node) && !wanted.has(x) && !(loop.mayLeave && canLeave(x.node, varies, T)),
  );
  for (const x of accumulated) {
    const input = stepInput(x);
    const next = add(input, x);
    states.push({ input, init: fill(0, x.shape), next });
    core.add(next.node);
  }

  for (const x of summed) if (!accumulated.includes(x)) wanted.add(x);
  const finals = makeNode(loop, states, core, wanted, over);
  for (const node of leaving) {
    if (!over.run(node)) throw new Error(`internal: ${node.op.name} cannot leave a scan`);
  }
  const ready = new Map(accumulated.map((x, k) => [x, finals[loop.states.length + k] as Tensor]));
  const sums = loop.sums.map((x) => over.sum(x, varies, ready));
  return { finals, ys: loop.ys.map((y) => over.get(y)), sums };
}

/** The nodes that must run at every step. */
function coreOf(loop: Loop, rest: readonly Node[], varies: Varies): Set<Node> {
  const candidates = new Set(rest);
  const core = new Set<Node>();
  const keep = (node: Node): void => {
    const stack = [node];
    for (let at = stack.pop(); at; at = stack.pop()) {
      if (!candidates.has(at) || core.has(at)) continue;
      core.add(at);
      stack.push(...at.inputs.map((x) => x.node));
    }
  };
  for (const { next } of loop.states) keep(next.node);
  for (const node of rest) if (!loop.mayLeave || !canLeave(node, varies, loop.T)) keep(node);
  return core;
}

/**
 * Makes the scan node of a core and tells `over` what it knows of all steps afterwards: the values
 * in `wanted`, and the states before and after each step.
 */
function makeNode(
  { T, reverse, recompute, mayLeave }: Loop,
  states: Loop["states"],
  core: ReadonlySet<Node>,
  wanted: ReadonlySet<Tensor>,
  over: OverTime,
): readonly Tensor[] {
  const inner = new Map<Tensor, Tensor>(states.map(({ input }) => [input, stepInput(input)]));
  const xs: Stacked[] = [];
  const constants: Tensor[] = [];
  const enter = (x: Tensor): void => {
    if (inner.has(x) || core.has(x.node)) return;
    if (over.has(x)) xs.push({ input: x, stack: toStack(over.get(x)) });
    else if (isLiteral(x.node)) return;
    else constants.push(x);
    inner.set(x, stepInput(x));
  };
  const ordered = [...core].sort((a, b) => a.id - b.id);
  const update = ordered.find(({ op }) => op.inPlace);
  if (update) {
    throw new Error(
      `hyperloom: scan: ${update.op.name} updates in place, which a step of a loop must not do: the ` +
        "loop keeps the states of all steps; update after the loop, or compute new values",
    );
  }
  for (const x of [...ordered.flatMap((node) => node.inputs), ...states.map((s) => s.next)]) {
    enter(x);
  }
  const next = new Set(states.map((s) => s.next));
  const ys = [...wanted].filter((y) => core.has(y.node) && !next.has(y));
  // Further values for the gradient: where it does not read them, they are not kept.
  const kept = storedByStep(core).filter((y) => !next.has(y) && !ys.includes(y));
  const { roots } = substitute([...states.map((s) => s.next), ...ys, ...kept], inner);
  const body: Body = {
    states: states.map(({ input }) => inner.get(input) as Tensor),
    xs: xs.map(({ input }) => inner.get(input) as Tensor),
    constants: constants.map((x) => inner.get(x) as Tensor),
    next: roots.slice(0, states.length),
    ys: roots.slice(states.length),
  };
  // Everything may have left.
  if (states.length + ys.length === 0) return [];
  const outputs = apply(
    scanOp,
    { T, reverse, recompute, mayLeave, body },
    ...states.map(({ init }) => init),
    ...xs.map(({ stack }) => stack),
    ...constants,
  );
  const {
    finals,
    before,
    after,
    ys: stacks,
  } = scanOutputs((outputs[0] as Tensor).node as Node<ScanAttrs>);
  for (const [k, state] of states.entries()) {
    over.set(state.input, fromStack(before[k] as Tensor, state.input.shape));
    const isNew = core.has(state.next.node) && !over.has(state.next);
    if (isNew) over.set(state.next, fromStack(after[k] as Tensor, state.next.shape));
  }
  for (const [k, y] of ys.entries()) over.set(y, fromStack(stacks[k] as Tensor, y.shape));
  return finals;
}

/**
 * Values of f32 that an op of the step makes for another to read, and what elementwise chains hand
 * to other ops: the gradient takes these from the forward loop and computes the rest again.
 */
function storedByStep(core: ReadonlySet<Node>): Tensor[] {
  const stored = new Set<Tensor>();
  const elementwise = (node: Node): boolean => node.op.expression !== undefined;
  for (const node of core) {
    if (!elementwise(node) && node.op.alias === undefined) {
      for (const y of node.outputs) stored.add(y);
      for (const x of node.inputs) if (elementwise(x.node) && core.has(x.node)) stored.add(x);
    }
  }
  return [...stored].filter(({ dtype }) => dtype === "f32");
}

function scanGradient(node: Node<ScanAttrs>, dys: readonly (Tensor | null)[]): (Tensor | null)[] {
  const { T, reverse, recompute, mayLeave, body } = node.attrs;
  const n = body.states.length;
  const inits = node.inputs.slice(0, n);
  const stacks = node.inputs.slice(n, n + body.xs.length);
  const constants = node.inputs.slice(n + body.xs.length);
  const outputs = scanOutputs(node);
  const xs: Stacked[] = [];
  const element = (type: TensorType, stack: Tensor): Tensor => {
    const input = stepInput(type);
    xs.push({ input, stack: fromStack(stack, type.shape) });
    return input;
  };

  // The body once more, on the states and inputs of a step that is gone by.
  const inner = new Map<Tensor, Tensor>();
  for (const [k, s] of body.states.entries()) inner.set(s, element(s, outputs.before[k] as Tensor));
  for (const [k, x] of body.xs.entries()) inner.set(x, element(x, stacks[k] as Tensor));
  // Stand-ins: one constant may be computed from another, which is no business of the step.
  for (const c of body.constants) inner.set(c, stepInput(c));
  const { roots } = substitute([...body.next, ...body.ys], inner);
  const carried = body.states.map(stepInput);

  // What the step's results are worth: what later steps say, and who read them stacked.
  const worth = (dy: Tensor | null, y: Tensor): Tensor | null => (dy ? element(y, dy) : null);
  const cotangents: (Tensor | null)[] = [];
  for (const [k, y] of body.next.entries()) {
    const read = worth(dys[2 * n + k] ?? null, y);
    const carry = y.dtype === "f32" ? (carried[k] as Tensor) : null;
    cotangents.push(carry && read ? add(carry, read) : carry);
  }
  for (const [k, y] of body.ys.entries()) cotangents.push(worth(dys[3 * n + k] ?? null, y));
  const counted = roots.flatMap((y, k) => (cotangents[k] ? [{ y, dy: cotangents[k] }] : []));
  const wrt = [...body.states, ...body.xs, ...body.constants].map((x) => inner.get(x) as Tensor);
  const gradients = pullBack(
    counted.map(({ y }) => y),
    counted.map(({ dy }) => dy),
    wrt,
  );

  const ds = body.states.map((s, k) => {
    const read = worth(dys[n + k] ?? null, s);
    const own = gradients[k] ?? fill(0, s.shape);
    return read ? add(own, read) : own;
  });
  const dx = gradients.slice(n, n + body.xs.length);
  const dc = gradients.slice(n + body.xs.length);

  // Results of the forward loop that it stored take the place of computing them again.
  const saved = new Map<Tensor, Tensor>();
  for (const [k, c] of body.constants.entries()) {
    saved.set(inner.get(c) as Tensor, constants[k] as Tensor);
  }
  for (const [k, y] of body.next.entries()) {
    const again = roots[k] as Tensor;
    if (!inner.has(y)) saved.set(again, element(y, outputs.after[k] as Tensor));
  }
  for (const [k, y] of recompute ? [] : body.ys.entries()) {
    saved.set(roots[n + k] as Tensor, element(y, outputs.ys[k] as Tensor));
  }
  const wanted = [...ds, ...dx, ...dc].filter((x) => x !== null);
  const known = substitute(wanted, saved).made;
  const final = (x: Tensor): Tensor => known.get(x) ?? x;
  const f32 = body.states.map((s, k) => ({ s, k })).filter(({ s }) => s.dtype === "f32");
  const { finals, ys, sums } = buildLoop({
    T,
    reverse: !reverse,
    recompute,
    mayLeave,
    hoist: mayLeave && !recompute,
    states: f32.map(({ s, k }) => ({
      input: carried[k] as Tensor,
      init: dys[k] ?? fill(0, s.shape),
      next: final(ds[k] as Tensor),
    })),
    xs,
    ys: dx.filter((d) => d !== null).map(final),
    sums: dc.filter((d) => d !== null).map(final),
  });
  const [states, stacked, constant] = [[...finals], ys.map(toStack), [...sums]];
  return [
    ...inits.map((x) => (x.dtype === "f32" ? (states.shift() ?? null) : null)),
    ...dx.map((d) => (d ? (stacked.shift() ?? null) : null)),
    ...dc.map((d) => (d ? (constant.shift() ?? null) : null)),
  ];
}
