import { expect } from "../graph/expect";
import { apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { type DType, type Shape, show, size } from "../graph/shape";

/** Host numbers of a tensor: the array type follows the dtype. */
export type HostArray = Float32Array | Int32Array | Uint32Array;

/** The dtype whose host array type this is. */
export function dtypeOf(data: HostArray): DType {
  if (data instanceof Float32Array) return "f32";
  return data instanceof Int32Array ? "i32" : "u32";
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
