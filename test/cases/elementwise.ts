import type { Tensor } from "../../src/graph/node";
import { broadcast, broadcastStrides, size, strides } from "../../src/graph/shape";
import * as e from "../../src/ops/elementwise";
import type { CaseInput, Nd, OpCase } from "./case";

/** Applies f to the broadcast elements of its operands. */
function map(f: (...x: number[]) => number, ...operands: readonly Nd[]): Nd {
  const shape = operands.map((o) => o.shape).reduce((a, b) => broadcast("oracle", a, b));
  const own = strides(shape);
  const from = operands.map((o) => broadcastStrides(o.shape, shape));
  const data = new Float64Array(size(shape)).map((_, i) => {
    const at = (s: readonly number[]): number =>
      s.reduce(
        (sum, stride, axis) =>
          sum + stride * (Math.floor(i / (own[axis] ?? 1)) % (shape[axis] ?? 1)),
        0,
      );
    return f(...operands.map((o, k) => o.data[at(from[k] ?? [])] ?? 0));
  });
  return { shape, data };
}

// WGSL allows exp, log, sin … some ulps, and adapters differ: 4e-6 for tanh near 0, 2e-5 for log
// near 1 are the worst measured; plain arithmetic is good to an ulp.
const ARITHMETIC = 3e-7;
const TRANSCENDENTAL = 2e-5;

const unary = (
  name: string,
  op: (x: Tensor) => Tensor,
  f: (x: number) => number,
  tolerance: number,
  low: number,
  high: number,
): OpCase => ({
  name: `${name}: 3×5×7`,
  ops: [name],
  inputs: [{ shape: [3, 5, 7], low, high }],
  build: (x) => op(x as Tensor),
  oracle: (x) => map(f, x as Nd),
  tolerance,
});

const binary = (
  name: string,
  op: (a: Tensor, b: Tensor) => Tensor,
  f: (a: number, b: number) => number,
  a: readonly number[],
  b: readonly number[],
  range: Partial<CaseInput> = {},
  gradients?: readonly number[],
): OpCase => ({
  name: `${name}: [${a}] with [${b}]`,
  ops: [name],
  inputs: [
    { shape: a, low: -2, high: 2, ...range },
    { shape: b, low: 0.5, high: 2, ...range },
  ],
  build: (x, y) => op(x as Tensor, y as Tensor),
  oracle: (x, y) => map(f, x as Nd, y as Nd),
  tolerance: ARITHMETIC,
  ...(gradients && { gradients }),
});

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const none: readonly number[] = [];

/** Every elementwise op, broadcasting of every kind, and chains that the scheduler fuses. */
/** Ops of one operand that NaN goes through. */
const nanThrough = {
  exp: e.exp,
  log: e.log,
  sqrt: e.sqrt,
  sin: e.sin,
  abs: e.abs,
  sigmoid: e.sigmoid,
  tanh: e.tanh,
  softplus: e.softplus,
  relu: e.relu,
};

export const elementwiseCases: readonly OpCase[] = [
  unary("neg", e.neg, (x) => -x, ARITHMETIC, -2, 2),
  unary("abs", e.abs, Math.abs, ARITHMETIC, -2, 2),
  unary("exp", e.exp, Math.exp, TRANSCENDENTAL, -10, 3),
  unary("log", e.log, Math.log, TRANSCENDENTAL, 0.1, 9),
  unary("sqrt", e.sqrt, Math.sqrt, ARITHMETIC, 0.1, 9),
  unary("rsqrt", e.rsqrt, (x) => 1 / Math.sqrt(x), 1e-6, 0.1, 9),
  unary("square", e.square, (x) => x * x, ARITHMETIC, -2, 2),
  // sin is off by up to 1.9e-4 absolute on one adapter.
  unary("sin", e.sin, Math.sin, 3e-4, -4, 4),
  unary("cos", e.cos, Math.cos, 3e-4, -4, 4),
  unary("relu", e.relu, (x) => Math.max(x, 0), ARITHMETIC, -2, 2),
  unary("sigmoid", e.sigmoid, sigmoid, TRANSCENDENTAL, -8, 8),
  unary("tanh", e.tanh, Math.tanh, TRANSCENDENTAL, -4, 4),
  unary("softplus", e.softplus, softplus, TRANSCENDENTAL, -8, 8),
  binary("add", e.add, (a, b) => a + b, [3, 1, 5], [4, 1]),
  binary("add", e.add, (a, b) => a + b, [2, 8, 3, 4], [8, 1, 1]),
  binary("add", e.add, (a, b) => a + b, [2, 7, 3, 3], [7, 1, 1]),
  binary("sub", e.sub, (a, b) => a - b, [5, 8], [8]),
  binary("sub", e.sub, (a, b) => a - b, [7], [5, 1]),
  binary("mul", e.mul, (a, b) => a * b, [5, 7], [5, 7]),
  binary("mul", e.mul, (a, b) => a * b, [], [3, 3]),
  binary("div", e.div, (a, b) => a / b, [2, 3, 4], [3, 1]),
  binary("maximum", e.maximum, Math.max, [11], [11]),
  binary("minimum", e.minimum, Math.min, [11], [11]),
  binary("equal", e.equalTo, (a, b) => Number(a === b), [4], [4], { values: [1, 2, 3, 4] }, none),
  binary("not_equal", e.notEqual, (a, b) => Number(a !== b), [9], [9], {}, none),
  binary("less", e.less, (a, b) => Number(a < b), [9], [9], {}, none),
  binary("less_equal", e.lessEqual, (a, b) => Number(a <= b), [9], [9], {}, none),
  binary("greater", e.greater, (a, b) => Number(a > b), [9], [9], {}, none),
  binary("greater_equal", e.greaterEqual, (a, b) => Number(a >= b), [9], [9], {}, none),
  {
    name: "where: mask [5, 1], [5, 7], scalar",
    ops: ["where", "fill"],
    inputs: [{ shape: [5, 1], values: [0, 1, 0, 2, -1] }, { shape: [5, 7] }],
    build: (m, a) => e.where(m as Tensor, a as Tensor, 0.25),
    oracle: (m, a) => map((c, x) => (c !== 0 ? x : 0.25), m as Nd, a as Nd),
    tolerance: ARITHMETIC,
    gradients: [1],
  },
  {
    name: "cast: u32 to f32",
    ops: ["cast"],
    inputs: [{ shape: [6], dtype: "u32", values: [0, 1, 2, 3, 70000, 9] }],
    build: (x) => e.cast(x as Tensor, "f32"),
    oracle: (x) => x as Nd,
    tolerance: 0,
  },
  ...Object.entries(nanThrough).map(
    ([name, f]): OpCase => ({
      name: `${name} of NaN is NaN, by itself and in a chain`,
      ops: [name],
      inputs: [{ shape: [3], values: [Number.NaN, Number.NaN, Number.NaN] }],
      build: (x) => [f(x as Tensor), e.sigmoid(e.exp(f(e.mul(x as Tensor, 2))))],
      oracle: (x) => [x as Nd, x as Nd],
      tolerance: 0,
      gradients: [],
    }),
  ),
  {
    name: "a chain of nine ops on three operands",
    ops: [],
    inputs: [{ shape: [5, 7] }, { shape: [7] }, { shape: [5, 1], low: 0.5, high: 1 }],
    build: (a, b, c) => {
      const s = e.sigmoid(e.add(e.mul(a as Tensor, 2), b as Tensor));
      return e.tanh(e.sub(e.mul(s, e.sub(1, s)), e.div(e.square(s), c as Tensor)));
    },
    oracle: (a, b, c) =>
      map(
        (x, y, z) => {
          const s = sigmoid(2 * x + y);
          return Math.tanh(s * (1 - s) - (s * s) / z);
        },
        a as Nd,
        b as Nd,
        c as Nd,
      ),
    tolerance: TRANSCENDENTAL,
  },
  {
    name: "a value read by two chains",
    ops: [],
    inputs: [{ shape: [13] }],
    build: (x) => {
      const y = e.exp(x as Tensor);
      return [e.add(y, 1), e.mul(e.tanh(y), y)];
    },
    oracle: (x) => [
      map((v) => Math.exp(v) + 1, x as Nd),
      map((v) => Math.tanh(Math.exp(v)) * Math.exp(v), x as Nd),
    ],
    tolerance: TRANSCENDENTAL,
  },
];
