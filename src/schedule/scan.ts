import { expect } from "../graph/expect";
import type { Tensor } from "../graph/node";
import { equal, ShapeError, show } from "../graph/shape";
import { concat, slice } from "../ops/layout";
import { reshape } from "../ops/views";
import { buildLoop } from "./loop";
import { stepInput } from "./over-time";

/** What a step makes. */
export interface Step {
  /** The states after the step, one for each before it, of the same shape. */
  readonly states: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** How a scan runs. */
export interface ScanOptions {
  /** Steps; needed where there are no xs. */
  readonly length?: number;
  /** From the last element of xs to the first. */
  readonly reverse?: boolean;
  /**
   * The gradient computes the step again from its states and inputs, instead of keeping what the
   * step stores for all T: less memory, more time.
   */
  readonly recompute?: boolean;
  /**
   * Steps in a chunk: only the states between chunks are kept, and the gradient runs a chunk's
   * steps again. What the steps store is then as long as a chunk, so that it fits into a binding; xs
   * and outputs stay whole.
   */
  readonly chunk?: number;
}

/**
 * Applies `step` to x = xs[0], xs[1], … and to the states that the step before left. The step is
 * traced once: neither the graph nor the number of kernels depends on T. What needs no state runs
 * before the loop, what no later step needs after it, each once for all T (ops with `overTime`).
 *
 * @param step from states and the elements of xs at one time to new states and outputs
 * @param states initial states
 * @param xs [T, ...] each
 * @returns the states after the last step, and each output stacked, [T, ...]
 * @throws ShapeError where the xs differ in length or a new state in shape from the old one
 */
export function scan(
  step: (states: readonly Tensor[], xs: readonly Tensor[]) => Step,
  states: readonly Tensor[],
  xs: readonly Tensor[],
  options: ScanOptions = {},
): { readonly states: readonly Tensor[]; readonly outputs: readonly Tensor[] } {
  const { reverse = false, recompute = false, chunk } = options;
  const T = lengthOf(xs, options);
  if (chunk !== undefined && chunk < T) return chunked(step, states, xs, { ...options, chunk }, T);
  const inputs = states.map(stepInput);
  const elements = xs.map((stack) => ({
    input: stepInput({ shape: stack.shape.slice(1), dtype: stack.dtype }),
    stack,
  }));
  const made = step(
    inputs,
    elements.map(({ input }) => input),
  );
  checkStates(states, made.states);
  const { finals, ys } = buildLoop({
    T,
    reverse,
    recompute,
    mayLeave: true,
    hoist: true,
    states: states.map((init, k) => ({
      input: inputs[k] as Tensor,
      init,
      next: made.states[k] as Tensor,
    })),
    xs: elements,
    ys: made.outputs,
    sums: [],
  });
  return { states: finals, outputs: ys };
}

function lengthOf(xs: readonly Tensor[], { length, chunk }: ScanOptions): number {
  const T = length ?? xs[0]?.shape[0];
  if (T === undefined) throw new ShapeError("hyperloom: scan: give xs or a length");
  for (const x of xs) {
    expect(x.shape[0] === T, "scan", "the first axis of an input", x.shape[0], `be T = ${T}`);
  }
  const isCount = (n: number): boolean => Number.isInteger(n) && n >= 1;
  if (!isCount(T) || !isCount(chunk ?? 1)) {
    throw new ShapeError(
      `hyperloom: scan: ${T} steps in chunks of ${chunk ?? T}; give integers from 1 on`,
    );
  }
  return T;
}

function checkStates(before: readonly Tensor[], after: readonly Tensor[]): void {
  const states = after.length;
  expect(
    states === before.length,
    "scan",
    "the number of states of a step",
    states,
    `be ${before.length}`,
  );
  for (const [k, { shape, dtype }] of before.entries()) {
    const y = after[k] as Tensor;
    const good = equal(y.shape, shape) && y.dtype === dtype;
    expect(
      good,
      "scan",
      `state ${k}`,
      `${y.dtype} ${show(y.shape)}`,
      `be ${dtype} ${show(shape)} after a step as before it`,
    );
  }
}

/** A scan over chunks of a scan over steps, and one over the steps that are left. */
function chunked(
  step: Parameters<typeof scan>[0],
  states: readonly Tensor[],
  xs: readonly Tensor[],
  options: ScanOptions & { readonly chunk: number },
  T: number,
): ReturnType<typeof scan> {
  const { chunk, reverse = false, recompute = false } = options;
  const whole = Math.floor(T / chunk);
  const left = T - whole * chunk;
  const part = (x: Tensor, from: number, to: number): Tensor =>
    from === 0 && to === T
      ? x
      : slice(x, [from, ...x.shape.slice(1).map(() => 0)], [to, ...x.shape.slice(1)]);
  const tail = (from: readonly Tensor[]): ReturnType<typeof scan> =>
    scan(
      step,
      from,
      xs.map((x) => part(x, T - left, T)),
      { reverse, recompute, length: left },
    );
  const first = left > 0 && reverse ? tail(states) : null;
  const inits = first?.states ?? states;
  const inputs = inits.map(stepInput);
  const elements = xs.map((x) => {
    const stack = reshape(part(x, 0, whole * chunk), [whole, chunk, ...x.shape.slice(1)]);
    return { input: stepInput({ shape: stack.shape.slice(1), dtype: x.dtype }), stack };
  });
  const inner = scan(
    step,
    inputs,
    elements.map(({ input }) => input),
    { reverse, recompute, length: chunk },
  );
  const { finals, ys } = buildLoop({
    T: whole,
    reverse,
    recompute: true,
    mayLeave: false,
    hoist: false,
    states: inits.map((init, k) => ({
      input: inputs[k] as Tensor,
      init,
      next: inner.states[k] as Tensor,
    })),
    xs: elements,
    ys: inner.outputs,
    sums: [],
  });
  const outputs = ys.map((y) => reshape(y, [whole * chunk, ...y.shape.slice(2)]));
  const last = left > 0 && !reverse ? tail(finals) : null;
  const ends = first ?? last;
  if (!ends) return { states: finals, outputs };
  return {
    states: last?.states ?? finals,
    outputs: outputs.map((y, k) => concat([y, ends.outputs[k] as Tensor], 0)),
  };
}
