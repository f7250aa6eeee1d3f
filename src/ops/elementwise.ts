import { expect } from "../graph/expect";
import { apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { broadcast, type DType, type Shape, type TensorType } from "../graph/shape";

/**
 * Elementwise ops. Each record is its scalar expression in WGSL and its derivative; the scheduler
 * writes one kernel for a whole chain of them, or folds the chain into the kernel that makes its
 * input. In expressions `T` is f32 or vec4f, `B` bool or vec4<bool>; functions named `safe_*` and
 * `is_nan` stand in `elementwise-kernel.ts` of schedule. NaN goes through every one of them.
 */
type Rule = (y: Tensor, dy: Tensor, ...x: readonly Tensor[]) => readonly (Tensor | null)[];

function joinTypes(name: string, inputs: readonly TensorType[]): TensorType {
  let { shape, dtype } = inputs[0] as TensorType;
  for (const x of inputs.slice(1)) {
    shape = broadcast(name, shape, x.shape);
    expect(
      x.dtype === dtype,
      name,
      "the type of an input",
      x.dtype,
      `be ${dtype} as another's; cast one`,
    );
    dtype = x.dtype;
  }
  return { shape, dtype };
}

/** The record of an op whose expression has its inputs by the letters of `names`, in their order. */
function elementwise(
  name: string,
  names: string,
  expression: string,
  rule: Rule,
  result?: DType,
): Op<null> {
  return {
    name,
    shape(_, ...inputs) {
      const { shape, dtype } = joinTypes(name, inputs);
      return [{ shape, dtype: result ?? dtype }];
    },
    dispatch: () => [],
    gradient: (node, [dy]) =>
      dy ? rule(node.outputs[0], dy, ...node.inputs) : node.inputs.map(() => null),
    expression: (_, args) =>
      expression.replace(/\b[abmx]\b/g, (letter) => args[names.indexOf(letter)] ?? ""),
  };
}

/** A number where a tensor is expected becomes a scalar constant inside the expression. */
export type TensorOrNumber = Tensor | number;

/** One number, broadcast at no cost: it is written into the kernels that read it. */
export const fillOp: Op<{ value: number; shape: Shape }> = {
  name: "fill",
  shape: ({ shape }) => [{ shape, dtype: "f32" }],
  dispatch: () => [],
  gradient: () => [],
  expression: ({ value }) => literal(value),
};

/** A WGSL f32 literal of type T, exact for every f32, infinities and NaN included. */
function literal(value: number): string {
  const f = Math.fround(value);
  if (Number.isFinite(f)) return `T(${/[.e]/.test(String(f)) ? f : `${f}.0`})`;
  return Number.isNaN(f) ? "not_a_number()" : `${f < 0 ? "-" : ""}infinity()`;
}

/** A tensor that is `value` everywhere. */
export function fill(value: number, shape: Shape = []): Tensor {
  return apply1(fillOp, { value, shape });
}

function tensor(x: TensorOrNumber): Tensor {
  return typeof x === "number" ? fill(x) : x;
}

const unary =
  (op: Op<null>) =>
  (x: TensorOrNumber): Tensor =>
    apply1(op, null, tensor(x));
const binary =
  (op: Op<null>) =>
  (a: TensorOrNumber, b: TensorOrNumber): Tensor =>
    apply1(op, null, tensor(a), tensor(b));

/** The record of `add`. */
export const addOp = elementwise("add", "ab", "(a + b)", (_, dy) => [dy, dy]);
/** a + b with NumPy broadcasting, as for every function of two tensors here. */
export const add = binary(addOp);
/** The record of `sub`. */
export const subOp = elementwise("sub", "ab", "(a - b)", (_, dy) => [dy, neg(dy)]);
/** a - b. */
export const sub = binary(subOp);
/** The record of `mul`. */
export const mulOp = elementwise("mul", "ab", "(a * b)", (_, dy, a, b) => [mul(dy, b), mul(dy, a)]);
/** a · b, element by element. */
export const mul = binary(mulOp);
/** a / b. */
export const div = binary(
  elementwise("div", "ab", "(a / b)", (y, dy, _, b) => [div(dy, b), neg(mul(dy, div(y, b)))]),
);
/** The larger of a and b; where they are equal the gradient goes to a. */
export const maximum = binary(
  elementwise("maximum", "ab", "safe_max(a, b)", (_, dy, a, b) => [
    where(greaterEqual(a, b), dy, 0),
    where(greaterEqual(a, b), 0, dy),
  ]),
);
/** The smaller of a and b; where they are equal the gradient goes to a. */
export const minimum = binary(
  elementwise("minimum", "ab", "safe_min(a, b)", (_, dy, a, b) => [
    where(lessEqual(a, b), dy, 0),
    where(lessEqual(a, b), 0, dy),
  ]),
);
/** The record of `neg`. */
export const negOp = elementwise("neg", "x", "(-x)", (_, dy) => [neg(dy)]);
/** -x. */
export const neg = unary(negOp);
/** |x|. */
export const abs = unary(
  elementwise("abs", "x", "abs(x)", (_, dy, x) => [where(less(x, 0), neg(dy), dy)]),
);
/** e to the x. */
export const exp = unary(elementwise("exp", "x", "safe_exp(x)", (y, dy) => [mul(dy, y)]));
/** The natural logarithm. */
export const log = unary(elementwise("log", "x", "safe_log(x)", (_, dy, x) => [div(dy, x)]));
/** The square root. */
export const sqrt = unary(elementwise("sqrt", "x", "sqrt(x)", (y, dy) => [div(mul(dy, 0.5), y)]));
/** 1 / sqrt(x). */
export const rsqrt = unary(
  elementwise("rsqrt", "x", "inverseSqrt(x)", (y, dy) => [mul(mul(dy, -0.5), mul(y, mul(y, y)))]),
);
/** x². */
export const square = unary(
  elementwise("square", "x", "(x * x)", (_, dy, x) => [mul(dy, mul(x, 2))]),
);
/** The sine; adapters may be off by 2e-4 for |x| up to 10. */
export const sin = unary(elementwise("sin", "x", "sin(x)", (_, dy, x) => [mul(dy, cos(x))]));
/** The cosine; see `sin`. */
export const cos = unary(elementwise("cos", "x", "cos(x)", (_, dy, x) => [neg(mul(dy, sin(x)))]));
/** max(x, 0); the gradient at 0 is 0, read off the output. */
export const relu = unary(
  elementwise("relu", "x", "select(x, T(0.0), x < T(0.0))", (y, dy) => [
    where(greater(y, 0), dy, 0),
  ]),
);
/** 1 / (1 + exp(-x)), without overflow. */
export const sigmoid = unary(
  elementwise("sigmoid", "x", "safe_sigmoid(x)", (y, dy) => [mul(dy, mul(y, sub(1, y)))]),
);
/** The hyperbolic tangent, right for any x. */
export const tanh = unary(
  elementwise("tanh", "x", "safe_tanh(x)", (y, dy) => [mul(dy, sub(1, mul(y, y)))]),
);
/** log(1 + exp(x)), without overflow. */
export const softplus = unary(
  elementwise("softplus", "x", "safe_softplus(x)", (_, dy, x) => [mul(dy, sigmoid(x))]),
);

const compare = (name: string, operator: string) =>
  binary({
    ...elementwise(name, "ab", `select(T(0.0), T(1.0), a ${operator} b)`, () => [], "f32"),
    gradient: notDifferentiable("a comparison is constant almost everywhere; use where()"),
  });

/** 1 where a = b, else 0. */
export const equalTo = compare("equal", "==");
/** 1 where a ≠ b, else 0. */
export const notEqual = compare("not_equal", "!=");
/** 1 where a < b, else 0. */
export const less = compare("less", "<");
/** 1 where a ≤ b, else 0. */
export const lessEqual = compare("less_equal", "<=");
/** 1 where a > b, else 0. */
export const greater = compare("greater", ">");
/** 1 where a ≥ b, else 0. */
export const greaterEqual = compare("greater_equal", ">=");

const whereOp = elementwise("where", "mab", "select(b, a, m != T(0.0))", (_, dy, m) => [
  null,
  where(m, dy, 0),
  where(m, 0, dy),
]);

/** a where mask is not 0, b elsewhere; all three broadcast. */
export function where(mask: TensorOrNumber, a: TensorOrNumber, b: TensorOrNumber): Tensor {
  return apply1(whereOp, null, tensor(mask), tensor(a), tensor(b));
}

const castOp: Op<{ dtype: DType }> = {
  name: "cast",
  shape: ({ dtype }, x) => [{ shape: x.shape, dtype }],
  dispatch: () => [],
  gradient: (node, [dy]) => [
    dy && node.inputs[0].dtype === "f32" && node.attrs.dtype === "f32" ? dy : null,
  ],
  expression: ({ dtype }, [x]) => `${{ f32: "T", i32: "I", u32: "U" }[dtype]}(${x})`,
};

/** x converted to another dtype by value. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : apply1(castOp, { dtype }, x);
}
