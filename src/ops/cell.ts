import { type Grid, linearGrid, type Target } from "../gpu/dispatch";
import { expect, expectEps, expectGates, expectShape, expectType } from "../graph/expect";
import type { Node, Tensor } from "../graph/node";
import { show, type TensorType } from "../graph/shape";
import { expectRowsFit, GATE_TRIPS, type RowWork, rowLanes, rowTrips } from "./row-workgroups";

/** What the LSTM cell and the HyperLSTM cell have in common, from their gates on. */
export interface CellUpdateOptions {
  /** The order of the four gates in the pre-activations: i, f, g, o; default "ifgo". */
  readonly gates?: string;
  /** Added to the forget gate, after its layer norm; default 0. */
  readonly forgetBias?: number;
  /**
   * Layer norm of each gate and of c on the way out: [2, 5, H], scales γ before shifts β, each of
   * the four gates in the order `gates` and then of c. Default: none.
   */
  readonly norm?: Tensor | null;
  /** Added to the variances of the layer norm, inside the root; default 1e-5. */
  readonly eps?: number;
  /** Recurrent dropout: [B, H], what tanh(g) is multiplied by (0 or 1 / keep). Default: none. */
  readonly mask?: Tensor | null;
}

/** `CellUpdateOptions` as an op keeps them; norm and mask are inputs where they are true. */
export interface CellAttrs {
  readonly gates: string;
  readonly forgetBias: number;
  readonly eps: number;
  readonly norm: boolean;
  readonly mask: boolean;
}

/**
 * Attributes of a cell, and its optional inputs in their order.
 * @throws ShapeError where `gates` is no order of i, f, g and o, or a number is not one.
 */
export function cellAttrs(
  op: string,
  { gates = "ifgo", forgetBias = 0, norm = null, eps = 1e-5, mask = null }: CellUpdateOptions,
): { readonly attrs: CellAttrs; readonly inputs: readonly Tensor[] } {
  expectGates(op, gates);
  expect(Number.isFinite(forgetBias), op, "forgetBias", forgetBias, "be finite");
  expectEps(op, eps);
  return {
    attrs: { gates, forgetBias, eps, norm: norm !== null, mask: mask !== null },
    inputs: [norm, mask].filter((x) => x !== null),
  };
}

/** Loops of a cell's kernel over a row with layer norm, and its sums over the lanes. */
const FORWARD = { rows: 1, passes: 5, inner: 3, sums: 4 };

/**
 * [B, H] of a cell from its c [B, H]; checks norm [2, 5, H] and mask [B, H] where there are any.
 * @throws ShapeError naming the shapes that disagree.
 */
export function expectCell(
  op: string,
  attrs: CellAttrs,
  c: TensorType,
  optional: readonly TensorType[],
): readonly [number, number] {
  expectType(op, "c", c);
  const [rows = 0, hidden = 0] = c.shape;
  expect(c.shape.length === 2, op, "c", show(c.shape), "be [B, H]");
  const [norm, mask] = attrs.norm ? optional : [undefined, ...optional];
  if (norm) {
    expectShape(op, "norm", norm, [2, 5, hidden]);
    expectRowsFit(op, { ...FORWARD, width: hidden });
  }
  if (mask) expectShape(op, "mask", mask, [rows, hidden]);
  return [rows, hidden];
}

/** The inputs norm and mask of a cell's node, the first of them at `from`; null where it has none. */
export function optionalInputs(
  node: Node<CellAttrs>,
  from: number,
): { readonly norm: Tensor | null; readonly mask: Tensor | null } {
  const { norm, mask } = node.attrs;
  return {
    norm: norm ? (node.inputs[from] as Tensor) : null,
    mask: mask ? (node.inputs[from + Number(norm)] as Tensor) : null,
  };
}

/** Lanes of a kernel without layer norm, which shares nothing among them. */
const FLAT_LANES = 64;

interface Launch {
  readonly overrides: Readonly<Record<string, number>>;
  readonly grid: Grid;
  readonly trips: number;
  readonly longestLoop: number;
}

/**
 * Overrides, grid and loops of a cell's kernel: with layer norm `groups` workgroups that do `work` each,
 * else the units of all rows one after another.
 */
export function cellLaunch(
  { gates, norm, mask }: CellAttrs,
  [rows, hidden]: readonly [number, number],
  target: Target,
  groups = rows,
  work: Omit<RowWork, "width"> = FORWARD,
): Launch {
  const block = Object.fromEntries([...gates].map((gate, k) => [gate.toUpperCase(), k]));
  const lanes = rowLanes({ ...work, width: hidden }, target);
  const units = lanes.VECTORS ? hidden / 4 : hidden;
  return {
    overrides: {
      ...block,
      ...lanes,
      ...(norm ? {} : { LANES: FLAT_LANES }),
      NORM: Number(norm),
      MASK: Number(mask),
    },
    grid: linearGrid(norm ? groups : (rows * units) / FLAT_LANES),
    ...(norm ? rowTrips({ ...work, width: hidden }, lanes) : { trips: GATE_TRIPS, longestLoop: 4 }),
  };
}

/** The uniforms that all kernels of cells have. */
export function cellUniforms(
  { eps, forgetBias }: CellAttrs,
  [rows, hidden]: readonly [number, number],
): Record<"rows" | "hidden" | "inverse" | "epsilon" | "forget_bias", number> {
  return { rows, hidden, inverse: 1 / hidden, epsilon: eps, forget_bias: forgetBias };
}
