import type { Tensor } from "../src/graph/node";
import { fold, key, uniform } from "../src/graph/random";
import { type Shape, size } from "../src/graph/shape";
import type { HostArray } from "../src/ops/sources";
import { pullBack } from "../src/schedule/gradient";
import { Inputs, type KernelCase } from "./kernel-case";

/** Numbers in f64, in the order of a tensor's elements. */
export type Values = Float64Array;

/** An op as a graph, and as the same function of numbers in f64. */
export interface Reference {
  /** Shapes of the inputs by name, with the values of those that are not uniform in [-1, 1). */
  readonly inputs: Readonly<Record<string, Shape | readonly [Shape, HostArray]>>;
  readonly build: (...x: readonly Tensor[]) => readonly [Tensor, ...Tensor[]];
  readonly f64: (...x: readonly Values[]) => readonly Values[];
}

const isGiven = (spec: Shape | readonly [Shape, HostArray]): spec is readonly [Shape, HostArray] =>
  typeof spec[0] === "object";

function made({ inputs, build }: Reference) {
  const all = new Inputs();
  const tensors = Object.entries(inputs).map(([name, spec]) =>
    isGiven(spec) ? all.tensor(name, ...spec)[0] : all.tensor(name, spec)[0],
  );
  const exact = () => Object.values(all.values()).map((values) => Float64Array.from(values));
  return { all, tensors, exact, outputs: build(...tensors) };
}

const bytesOf = (outputs: readonly Tensor[]): number =>
  outputs.reduce((n, y) => n + 4 * size(y.shape), 0);

// exp, log and tanh of software adapters are good to 2e-5 of their value; sums of a row add to it.
const TOLERANCE = 3e-5;

/** The op itself. */
export function forwardCase(reference: Reference, flops = 0): KernelCase {
  const { all, exact, outputs } = made(reference);
  return {
    outputs,
    inputs: all.values,
    flops,
    bytes: all.bytes + bytesOf(outputs),
    wrong: (got) => {
      const expected = reference.f64(...exact());
      for (const [k, values] of expected.entries()) {
        const y = got[k] as HostArray;
        const allowed = TOLERANCE * values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        for (const [i, value] of values.entries()) {
          if (!(Math.abs((y[i] as number) - value) <= allowed)) {
            return `element ${i} of output ${k} is ${y[i]}, expected ${value} within ${allowed.toPrecision(2)}`;
          }
        }
      }
      return null;
    },
  };
}

// Gradients chain two or three of the errors of their op.
const GRADIENT_TOLERANCE = 1e-4;
/** Directions in each input along which a gradient is compared, and elements that one moves. */
const DIRECTIONS = 4;
const MOVED = 16;
// So small that next to no ReLU of a channel of thousands changes sides.
const STEP = 1e-6;

/**
 * The gradients of Σ dy · y, with dy drawn, compared with differences of the f64 function along
 * directions of a few random elements each.
 * @param wrt Numbers of the inputs to differentiate by.
 * @param timed The ops that are the gradient; what else has to run before is not timed.
 */
export function gradientCase(
  reference: Reference,
  wrt: readonly number[],
  timed: readonly string[],
  flops = 0,
): KernelCase {
  const { all, tensors, exact, outputs: forward } = made(reference);
  const cotangents = forward.map(({ shape }, k) => all.tensor(`dy${k}`, shape)[0]);
  const by = wrt.map((k) => tensors[k] as Tensor);
  const found = pullBack(forward, cotangents, by);
  if (found.some((d) => d === null)) throw new Error("internal: an input has no gradient");
  const outputs = found as [Tensor, ...Tensor[]];
  return {
    outputs,
    inputs: all.values,
    flops,
    bytes: all.bytes + bytesOf(outputs),
    timed,
    wrong: (got) => {
      const given = exact();
      const [x, dy] = [given.slice(0, tensors.length), given.slice(tensors.length)];
      const loss = (): number =>
        reference
          .f64(...x)
          .reduce((s, y, k) => s + y.reduce((t, v, i) => t + v * (dy[k]?.[i] as number), 0), 0);
      for (const [k, gradient] of got.entries()) {
        const at = x[wrt[k] as number] as Values;
        const draws = uniform(fold(key(4), `${k}`), 2 * DIRECTIONS * MOVED);
        const largest = (gradient as Float32Array).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
        for (let n = 0; n < DIRECTIONS; n++) {
          const moves = Array.from({ length: MOVED }, (_, j) => {
            const [where = 0, far = 0] = draws.slice(2 * (n * MOVED + j));
            return [Math.floor(where * at.length), 2 * far - 1] as const;
          });
          const moved = (by: number): number => {
            const before = at.slice();
            for (const [i, far] of moves) at[i] = (at[i] as number) + by * far;
            const value = loss();
            at.set(before);
            return value;
          };
          const expected = (moved(STEP) - moved(-STEP)) / (2 * STEP);
          const terms = moves.map(([i, far]) => (gradient[i] as number) * far);
          const value = terms.reduce((s, t) => s + t, 0);
          const scale = terms.reduce((s, t) => s + Math.abs(t), 0) + largest;
          const allowed = GRADIENT_TOLERANCE * scale;
          if (!(Math.abs(value - expected) <= allowed)) {
            return `gradient ${k} along direction ${n} is ${value}, expected ${expected} within ${allowed.toPrecision(2)}`;
          }
        }
      }
      return null;
    },
  };
}
