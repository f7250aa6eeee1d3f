import type { Node, Operand, Tensor } from "../graph/node";
import { dependents, substitute } from "../graph/substitute";
import { type Body, type PlannedLoop, type ScanAttrs, scanOutputs } from "./loop-node";
import { stepInput } from "./over-time";
import { type Frame, type Place, slot, type Stride } from "./places";
import { stackStride } from "./stack";

/** The body with inputs of its own: one body may be planned more than once. */
function fresh(body: Body): Body {
  const inputs = [...body.states, ...body.xs, ...body.constants];
  const inner = new Map(inputs.map((x) => [x, stepInput(x)]));
  const of = (xs: readonly Tensor[]): Tensor[] => xs.map((x) => inner.get(x) as Tensor);
  const { roots } = substitute([...body.next, ...body.ys], inner);
  return {
    states: of(body.states),
    xs: of(body.xs),
    constants: of(body.constants),
    next: roots.slice(0, body.next.length),
    ys: roots.slice(body.next.length),
  };
}

/** The states that what is read of a loop follows from: those read, and what these depend on. */
function neededStates(
  body: Body,
  ys: readonly Tensor[],
  isRead: (state: number) => boolean,
): number[] {
  const needed = new Set([...body.states.keys()].filter(isRead));
  for (let before = -1; needed.size !== before; ) {
    before = needed.size;
    const roots = [...[...needed].map((k) => body.next[k] as Tensor), ...ys];
    for (const [k, s] of body.states.entries()) {
      if (roots.includes(s) || dependents(roots, new Set([s])).length > 0) needed.add(k);
    }
  }
  return [...needed].sort((a, b) => a - b);
}

/**
 * Lays out a loop. A state that is read stacked, before or after its steps, has a history: entry 0
 * is the initial state and entry i + 1 what iteration i leaves (from the end in a reversed loop), so
 * that both stacks are ranges of it. Any other state has two entries in turn.
 *
 * @param isRead whether an output of the node has readers
 */
export function planLoop(
  node: Node<ScanAttrs>,
  isRead: (x: Tensor) => boolean,
  places: ReadonlyMap<Operand, Place>,
  loops: readonly Frame[],
): PlannedLoop {
  const { T, reverse } = node.attrs;
  const body = fresh(node.attrs.body);
  const outputs = scanOutputs(node);
  const frame: Frame = { length: T, from: -1, to: -1 };
  const time = { first: reverse ? T - 1 : 0, by: reverse ? -1 : 1, modulo: T };
  const move = ({ storage, offset, strides }: Place, stride: Omit<Stride, "frame">): Place => ({
    storage,
    offset,
    strides: [...strides, { frame, ...stride }],
  });
  const inputs = new Map<Tensor, Place>();
  const placed = new Map<Tensor, Place>();
  const roots: { value: Tensor; place: Place }[] = [];
  const inits: { value: Tensor; place: Place }[] = [];
  const outer = (k: number): Place => places.get(node.inputs[k] as Tensor) as Place;

  const ys = body.ys.flatMap((value, k) => {
    const stack = outputs.ys[k] as Tensor;
    return isRead(stack) ? [{ value, stack }] : [];
  });
  for (const { value, stack } of ys) {
    const stride = stackStride(value.shape);
    const place: Place = { storage: slot(4 * T * stride, loops), offset: 0, strides: [] };
    placed.set(stack, place);
    roots.push({ value, place: move(place, { stride, ...time }) });
  }
  const reads = (k: number): Tensor[] =>
    [outputs.finals[k], outputs.before[k], outputs.after[k]].filter(
      (x): x is Tensor => x !== undefined && isRead(x),
    );
  const needed = neededStates(
    body,
    ys.map(({ value }) => value),
    (k) => reads(k).length > 0,
  );
  for (const k of needed) {
    const state = body.states[k] as Tensor;
    const stride = stackStride(state.shape);
    const [final, before, after] = [outputs.finals[k], outputs.before[k], outputs.after[k]] as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const history = isRead(before) || isRead(after);
    const modulo = history ? T + 1 : 2;
    const storage = slot(4 * modulo * stride, loops);
    const at = (entry: number): Place => ({ storage, offset: entry * stride, strides: [] });
    // A history is in the order of time, whichever way the loop runs.
    const start = history && reverse ? T : 0;
    const by = history && reverse ? -1 : 1;
    const entries = (first: number): Place => move(at(0), { stride, first, by, modulo });
    inputs.set(state, entries(start));
    inits.push({ value: node.inputs[k] as Tensor, place: at(start) });
    roots.push({ value: body.next[k] as Tensor, place: entries(start + by) });
    placed.set(final, at(history ? (reverse ? 0 : T) : T % 2));
    placed.set(before, at(reverse ? 1 : 0));
    placed.set(after, at(reverse ? 0 : 1));
  }
  const n = body.states.length;
  for (const [k, x] of body.xs.entries()) {
    inputs.set(x, move(outer(n + k), { stride: stackStride(x.shape), ...time }));
  }
  for (const [k, x] of body.constants.entries()) inputs.set(x, outer(n + body.xs.length + k));
  return { frame, inputs, roots, inits, outputs: placed };
}
