import { kindOf } from "../gpu/device-array";
import { expect } from "../graph/expect";
import { apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { type DType, type Shape, show, size, type TensorType } from "../graph/shape";

/** Host numbers of a tensor: the array type follows the dtype. */
export type HostArray = Float32Array | Int32Array | Uint32Array;

const KINDS: Readonly<Record<DType, string>> = {
  f32: "Float32Array",
  i32: "Int32Array",
  u32: "Uint32Array",
};

/** The dtype whose host array type this is. @throws ShapeError for anything else. */
export function dtypeOf(data: HostArray): DType {
  const found = Object.entries(KINDS).find(([, kind]) => kind === kindOf(data));
  expect(
    found !== undefined,
    "constant",
    "the data",
    kindOf(data),
    `be ${Object.values(KINDS).join(" or ")}`,
  );
  return found?.[0] as DType;
}

/** @throws ShapeError unless `data` are the host numbers of a tensor of this type and shape. */
export function expectData(
  op: string,
  name: string,
  data: HostArray,
  { dtype, shape }: TensorType,
): void {
  const [kind, n] = [KINDS[dtype], size(shape)];
  const is = `${kindOf(data)} of ${data.length} values`;
  const good = kindOf(data) === kind && data.length === n;
  expect(good, op, name, is, `be ${kind} ${show(shape)} of ${n}`);
}

/** What persists between runs: parameters, optimiser moments, running statistics. */
export interface Variable {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  /** The initial values for a seed, made when a store first needs them. */
  readonly initial: (seed: number) => HostArray;
  /** What lies in it, by the names that checkpoints use; offsets in elements. */
  readonly entries: readonly VariableEntry[];
}

/** One named tensor within a variable. */
export interface VariableEntry {
  readonly name: string;
  readonly shape: Shape;
  readonly offset: number;
}

const source = "it is a source; differentiate with respect to it instead";

/** A value that the host gives at every run. */
export const placeholderOp: Op<{ name: string; shape: Shape; dtype: DType }> = {
  name: "placeholder",
  shape: ({ shape, dtype }) => [{ shape, dtype }],
  dispatch: () => [],
  gradient: notDifferentiable(source),
};

/** A value that stays on the device between runs. */
export const variableOp: Op<Variable> = {
  name: "variable",
  shape: ({ shape, dtype }) => [{ shape, dtype }],
  dispatch: () => [],
  gradient: notDifferentiable(source),
};

/** A value fixed when the graph is built, uploaded once. */
export const constantOp: Op<{ data: HostArray; shape: Shape }> = {
  name: "constant",
  shape: ({ data, shape }) => {
    const must = `be ${size(shape)} for shape ${show(shape)}`;
    expect(data.length === size(shape), "constant", "the number of values", data.length, must);
    return [{ shape, dtype: dtypeOf(data) }];
  },
  dispatch: () => [],
  gradient: notDifferentiable(source),
};

/** A tensor whose values are given by name at every run. */
export function placeholder(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  return apply1(placeholderOp, { name, shape, dtype });
}

/** The present value of a variable. */
export function read(variable: Variable): Tensor {
  return apply1(variableOp, variable);
}

/** A tensor of fixed values; the dtype follows the array. @throws ShapeError on a wrong count. */
export function constant(data: HostArray, shape: Shape): Tensor {
  return apply1(constantOp, { data, shape });
}
