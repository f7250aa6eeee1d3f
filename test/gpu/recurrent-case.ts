import { expect } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { size } from "../../src/graph/shape";
import { leaves, type Tree } from "../../src/graph/tree";
import type { Cell } from "../../src/nn/cell";
import { bind, type Context, specs } from "../../src/nn/module";
import type { CaseInput, Nd, OpCase } from "../cases/case";
import type { Values } from "./recurrent-oracle";

/** Numbers by path. */
type Numbers = Readonly<Record<string, readonly number[]>>;

/** From parameters and, of one sample, the state before, x and a mask, to the state after. */
export type SampleOracle = (
  p: Values,
  state: Numbers,
  x: readonly number[],
  mask: readonly number[] | undefined,
) => Numbers;

const isTensor = (x: Tree<Tensor>): x is Tensor => Array.isArray((x as { shape?: unknown }).shape);

/**
 * One step of a cell against an oracle: outputs, next state and the gradients by all parameters,
 * states and x (for `symbols` not by x). `masked`: the first dropout asked for gets a mask of that
 * width as an input. Some of the variances of layer norms are far below 1, hence 2e-5.
 */
export function cellCase(
  name: string,
  cell: Cell,
  oracle: SampleOracle,
  { symbols, masked }: { symbols?: readonly number[]; masked?: number } = {},
): OpCase {
  const [parameters, states] = [specs(cell.params), specs(cell.state)];
  const [s, at] = [parameters.length, parameters.length + states.length];
  const B = symbols?.length ?? 3;
  const inputs: CaseInput[] = [
    ...parameters.map(({ value }) => ({ shape: value.shape })),
    ...states.map(({ value }) => ({ shape: [B, ...value.shape] })),
    symbols ? { shape: [B], dtype: "u32", values: symbols } : { shape: [B, cell.inputs] },
    ...(masked ? [{ shape: [B, masked], low: 0, high: 2 }] : []),
  ];
  // A mask is drawn, not learned.
  const differentiable = inputs.flatMap(({ dtype = "f32" }, k) =>
    dtype === "f32" && k <= at ? [k] : [],
  );
  return {
    name,
    ops: [],
    tolerance: 2e-5,
    inputs,
    gradients: differentiable,
    build: (...tensors) => {
      const mask = tensors[at + 1];
      const context: Context = {
        train: mask !== undefined,
        key: null,
        ...(mask && { mask: () => mask }),
      };
      const made = cell.apply(
        context,
        bind(cell.params, tensors.slice(0, s)),
        bind(cell.state, tensors.slice(s, at)),
        tensors[at] as Tensor,
      );
      const after = leaves(made.state as Tree<Tensor>, isTensor);
      expect(after.map(({ path }) => path)).toEqual(states.map(({ path }) => path));
      return [made.outputs, ...after.map(({ value }) => value)];
    },
    oracle: (...values) => {
      const p = Object.fromEntries(parameters.map(({ path }, k) => [path, values[k] as Nd]));
      const row = ({ shape, data }: Nd, b: number): number[] => {
        const width = size(shape) / B;
        return Array.from(data.slice(b * width, (b + 1) * width));
      };
      const samples = Array.from({ length: B }, (_, b) => {
        const before = states.map(({ path }, k) => [path, row(values[s + k] as Nd, b)] as const);
        const x = symbols
          ? Array.from({ length: cell.inputs }, (_, v) => (v === symbols[b] ? 1 : 0))
          : row(values[at] as Nd, b);
        const mask = values[at + 1];
        return oracle(p, Object.fromEntries(before), x, mask && row(mask, b));
      });
      const stacked = (path: string): Nd => {
        const data = samples.flatMap((sample) => [...(sample[path] as readonly number[])]);
        return { shape: [B, data.length / B], data: Float64Array.from(data) };
      };
      return [stacked("h"), ...states.map(({ path }) => stacked(path))];
    },
  };
}
