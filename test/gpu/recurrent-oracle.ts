import { ShapeError } from "../../src/graph/shape";

/** Recurrent cells in f64 for one sample, from their equations: what the modules are compared with. */

/** A matrix or vector as rows. */
export interface Matrix {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** Values by dotted path. */
export type Values = Readonly<Record<string, Matrix>>;

type Vector = readonly number[];

/** What `lstm` and the others were made with, as far as the numbers depend on it. */
export interface CellSpec {
  readonly cell: "rnn" | "gru" | "lstm";
  readonly gates: string;
  readonly forgetBias?: number;
  readonly eps?: number;
}

const at = (values: Values, name: string): Matrix => {
  const found = values[name];
  if (!found) throw new ShapeError(`no value ${name}`);
  return found;
};
const vector = ({ data }: Matrix): number[] => Array.from(data);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const zip = (f: (...x: number[]) => number, ...xs: readonly Vector[]): number[] =>
  (xs[0] as Vector).map((_, i) => f(...xs.map((x) => x[i] as number)));
const plus = (a: Vector, b: Vector): number[] => zip((x, y) => (x as number) + (y as number), a, b);
const times = (a: Vector, b: Vector): number[] =>
  zip((x, y) => (x as number) * (y as number), a, b);

/** x W for W [in, out], from element `from` of its data on. */
export function product(x: Vector, W: Matrix, from = 0): number[] {
  const columns = W.shape[W.shape.length - 1] as number;
  return Array.from({ length: columns }, (_, j) =>
    x.reduce((sum, v, i) => sum + v * (W.data[from + i * columns + j] as number), 0),
  );
}

function layerNorm(x: Vector, norm: Matrix, row: number, eps: number): number[] {
  const n = x.length;
  const mean = x.reduce((s, v) => s + v, 0) / n;
  const variance = x.reduce((s, v) => s + (v - mean) ** 2, 0) / n;
  return x.map(
    (v, i) =>
      ((v - mean) / Math.sqrt(variance + eps)) * (norm.data[row * n + i] as number) +
      (norm.data[(5 + row) * n + i] as number),
  );
}

/** The parts of the state that a step leaves. */
export interface StepState {
  readonly h: number[];
  readonly c?: number[];
}

/** From the two summands of the pre-activations, bias included, to the next state. */
export function update(
  spec: CellSpec,
  p: Values,
  state: StepState,
  recurrent: Vector,
  input: Vector,
  mask?: Vector,
): StepState {
  const H = state.h.length;
  const part = (x: Vector, name: string): Vector => {
    const k = spec.gates.indexOf(name);
    return x.slice(k * H, (k + 1) * H);
  };
  if (spec.cell === "rnn") return { h: plus(recurrent, input).map(Math.tanh) };
  if (spec.cell === "gru") {
    const gate = (name: string): Vector =>
      plus(part(recurrent, name), part(input, name)).map(sigmoid);
    const [r, z] = [gate("r"), gate("z")];
    const n = plus(part(input, "n"), times(r, part(recurrent, "n"))).map(Math.tanh);
    return { h: zip((zi = 0, ni = 0, hi = 0) => (1 - zi) * ni + zi * hi, z, n, state.h) };
  }
  const { eps = 1e-5, forgetBias = 1 } = spec;
  const pre = plus(recurrent, input);
  const gate = (name: string): Vector => {
    const x = part(pre, name);
    return p.norm ? layerNorm(x, p.norm, spec.gates.indexOf(name), eps) : x;
  };
  const g = gate("g").map(Math.tanh);
  const f = gate("f").map((x) => sigmoid(x + forgetBias));
  const written = times(gate("i").map(sigmoid), mask ? times(g, mask) : g);
  const c = plus(times(f, state.c as number[]), written);
  const shown = p.norm ? layerNorm(c, p.norm, 4, eps) : c;
  return { h: times(gate("o").map(sigmoid), shown.map(Math.tanh)), c };
}

/** One step of a plain cell. */
export function step(
  spec: CellSpec,
  p: Values,
  state: StepState,
  x: Vector,
  mask?: Vector,
): StepState {
  const input = product(x, at(p, "W_x"));
  const biased = p.b ? plus(input, vector(p.b)) : input;
  return update(spec, p, state, product(state.h, at(p, "W_h")), biased, mask);
}

/** The parameters under a branch. */
export function under(p: Values, branch: string): Values {
  const prefix = `${branch}.`;
  return Object.fromEntries(
    Object.entries(p).flatMap(([name, x]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), x]] : [],
    ),
  );
}

/** Part of a stack of matrices [.., rows, columns] by its flat number. */
function slot(W: Matrix, k: number): { W: Matrix; from: number } {
  const [rows = 1, columns = 1] = W.shape.slice(-2);
  return { W, from: k * rows * columns };
}

/** The hyper cell's step and the embeddings z[kind][gate] of one sample (equations 9 to 11). */
function embeddings(
  hyper: CellSpec,
  p: Values,
  G: number,
  inner: StepState,
  h: Vector,
  x: Vector,
  source: "fresh" | "previous",
): { z: number[][][]; next: StepState } {
  const own = under(p, "hyper");
  const recurrent = plus(product(h, at(own, "W_xh")), product(inner.h, at(own, "W_hh")));
  const input = plus(product(x, at(own, "W_xx")), vector(at(own, "b")));
  const next = update(hyper, own, inner, recurrent, input);
  const from = source === "fresh" ? next.h : inner.h;
  const [W_z, b_z] = [at(p, "W_z"), at(p, "b_z")];
  const nz = W_z.shape[3] as number;
  const z = [0, 1, 2].map((kind) =>
    Array.from({ length: G }, (_, k) => {
      const { W, from: offset } = slot(W_z, kind * G + k);
      const bias = (n: number): number =>
        kind === 2 ? 0 : (b_z.data[(kind * G + k) * nz + n] as number);
      return product(from, W, offset).map((v, n) => v + bias(n));
    }),
  );
  return { z, next };
}

/** One step of a `hyperCell`: the main cell's state and the hyper cell's. */
export function hyperStep(
  main: CellSpec,
  hyper: CellSpec,
  p: Values,
  state: StepState,
  inner: StepState,
  x: Vector,
  source: "fresh" | "previous",
  mask?: Vector,
): { state: StepState; inner: StepState } {
  const G = main.gates.length;
  const { z, next } = embeddings(hyper, p, G, inner, state.h, x, source);
  const D = at(p, "D");
  // d[kind] over all gates, one after another.
  const d = z.map((gates, kind) =>
    gates.flatMap((zk, k) => {
      const { W, from } = slot(D, kind * G + k);
      return product(zk, W, from);
    }),
  ) as [number[], number[], number[]];
  const bias = p.b_0 ? plus(d[2], vector(p.b_0)) : d[2];
  const recurrent = times(d[0], product(state.h, at(p, "W_h")));
  const input = plus(times(d[1], product(x, at(p, "W_x"))), bias);
  return { state: update(main, p, state, recurrent, input, mask), inner: next };
}

/** One step of the HyperRNN's full form, from the sample's own weights (equation 5). */
export function fullStep(
  p: Values,
  state: StepState,
  inner: StepState,
  x: Vector,
): { state: StepState; inner: StepState } {
  const spec: CellSpec = { cell: "rnn", gates: "h" };
  const { z, next } = embeddings(spec, p, 1, inner, state.h, x, "fresh");
  const [z_h, z_x, z_b] = z.map(([only]) => only as number[]) as [number[], number[], number[]];
  const weights = (W: Matrix, of: Vector): Matrix => {
    const [rows = 1, nz = 1, columns = 1] = W.shape;
    const data = Array.from({ length: rows * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      return of.reduce(
        (sum, zn, n) => sum + zn * (W.data[(row * nz + n) * columns + column] as number),
        0,
      );
    });
    return { shape: [rows, columns], data };
  };
  const recurrent = product(state.h, weights(at(p, "W_hz"), z_h));
  const bias = plus(product(z_b, at(p, "W_bz")), vector(at(p, "b_0")));
  const input = plus(product(x, weights(at(p, "W_xz"), z_x)), bias);
  return { state: update(spec, p, state, recurrent, input), inner: next };
}
