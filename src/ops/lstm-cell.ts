import { lstmCell as lstmCellKernel } from "../../shaders/lstm_cell.wgsl";
import { lstmCellGradient as lstmCellGradientKernel } from "../../shaders/lstm_cell_gradient.wgsl";
import { dispatch, type Target } from "../gpu/dispatch";
import { expectShape } from "../graph/expect";
import {
  apply,
  type Node,
  notDifferentiable,
  type Op,
  type Operand,
  scratch,
  type Tensor,
} from "../graph/node";
import type { TensorType } from "../graph/shape";
import {
  type CellAttrs,
  type CellUpdateOptions,
  cellAttrs,
  cellLaunch,
  cellUniforms,
  expectCell,
  optionalInputs,
} from "./cell";
import { concat } from "./layout";
import { expectRowsFit, rowGroups } from "./row-workgroups";

export type { CellUpdateOptions } from "./cell";

const sizesOf = (c: Tensor): readonly [number, number] => [c.shape[0] ?? 0, c.shape[1] ?? 0];

/** From (pre, c, norm and mask where there are) the next c and h; see `lstmCell`. */
export const lstmCellOp: Op<CellAttrs> = {
  name: "lstm_cell",
  shape(attrs, pre, c, ...optional) {
    const [rows, hidden] = expectCell("lstm_cell", attrs, c, optional);
    expectShape("lstm_cell", "pre", pre, [rows, 4 * hidden]);
    return [c, c];
  },
  dispatch(node, target) {
    const [pre, c] = node.inputs;
    // Without scales they are not looked at, and bound to anything.
    return [cellDispatch(node, { hg: pre, xg: pre, d: pre, c }, 2, false, target)];
  },
  gradient(node, [dc, dh]) {
    const { norm, mask } = optionalInputs(node, 2);
    const from = { pre: node.inputs[0], c: node.inputs[1], norm, mask };
    return lstmCellGradient(node.attrs, from, dc ?? null, dh ?? null);
  },
};

/**
 * The kernel of a cell's step, of pre-activations (given as hg) or, as a hyper cell's, of products
 * and their scales.
 * @param optional the first of the node's inputs that is norm or mask
 */
export function cellDispatch(
  node: Node<CellAttrs>,
  { hg, xg, d, c }: Readonly<Record<"hg" | "xg" | "d" | "c", Tensor>>,
  optional: number,
  hyper: boolean,
  target: Target,
) {
  const { norm, mask } = optionalInputs(node, optional);
  const sizes = sizesOf(c);
  const { overrides, ...launch } = cellLaunch(node.attrs, sizes, target);
  const [c_next, h_next] = node.outputs;
  return dispatch(lstmCellKernel, {
    // What is not looked at is bound to anything.
    bind: { hg, xg, d, c, norm: norm ?? hg, mask: mask ?? hg, c_next, h_next },
    uniforms: cellUniforms(node.attrs, sizes),
    overrides: { ...overrides, HYPER: Number(hyper) },
    ...launch,
    flops: sizes[0] * sizes[1] * ((norm ? 120 : 60) + (hyper ? (norm ? 120 : 30) : 0)),
  });
}

/** Which of the gradients of c' and h' flow, beside what the cell was. */
export interface CellGradientAttrs extends CellAttrs {
  readonly dh: boolean;
  readonly dc: boolean;
}

/** A group of rows is done by one workgroup; loops and sums of the kernel over each of them. */
const BACKWARD = { passes: 7, inner: 7, sums: 7 };

/**
 * From (pre, cm, then norm, dh and dc where there are) the gradients of pre and c, and with layer
 * norm the partial sums [G, 2, 5, H] of norm's. cm is c [B, H], or with a mask [B, 2H] = (c, mask):
 * a kernel has eight bindings at most.
 */
export const lstmCellGradientOp: Op<CellGradientAttrs> = {
  name: "lstm_cell_gradient",
  shape({ mask, norm }, pre, { shape }) {
    const [rows = 0, columns = 0] = shape;
    const hidden = mask ? columns / 2 : columns;
    const c: TensorType = { shape: [rows, hidden], dtype: "f32" };
    if (!norm) return [pre, c];
    const { span, groups } = rowGroups(rows);
    expectRowsFit("lstm_cell_gradient", { ...BACKWARD, rows: span, width: hidden });
    return [pre, c, { shape: [groups, 2, 5, hidden], dtype: "f32" }];
  },
  dispatch(node, target) {
    const { attrs } = node;
    const [pre, cm, ...optional] = node.inputs;
    const [dpre, dcPrev] = node.outputs;
    const sizes = sizesOf(dcPrev);
    const take = (there: boolean) => (there ? (optional.shift() ?? pre) : pre);
    const [norm, dh, dc] = [take(attrs.norm), take(attrs.dh), take(attrs.dc)];
    const { span, groups } = rowGroups(sizes[0]);
    const launch = cellLaunch(attrs, sizes, target, groups, { ...BACKWARD, rows: span });
    return [
      dispatch<Operand, GradientBinding, string, string>(lstmCellGradientKernel, {
        bind: {
          pre,
          cm,
          norm,
          dh,
          dc,
          dpre,
          dc_prev: dcPrev,
          // A writable binding must not be another one's as well.
          dnorm: node.outputs[2] ?? scratch(4),
        },
        uniforms: { ...cellUniforms(attrs, sizes), span },
        overrides: { ...launch.overrides, DH: Number(attrs.dh), DC: Number(attrs.dc) },
        grid: launch.grid,
        trips: launch.trips,
        longestLoop: launch.longestLoop,
        flops: sizes[0] * sizes[1] * (attrs.norm ? 300 : 100),
      }),
    ];
  },
  gradient: notDifferentiable("second derivatives through an LSTM cell are not provided"),
};

type GradientBinding = "pre" | "cm" | "norm" | "dh" | "dc" | "dpre" | "dc_prev" | "dnorm";

/** What a cell is made from; `pre` may have been made again. */
export interface CellInputs {
  readonly pre: Tensor;
  readonly c: Tensor;
  readonly norm: Tensor | null;
  readonly mask: Tensor | null;
}

/**
 * The gradients of (pre, c, norm and mask where there are) from those of c' and h', null where none
 * flows: one dispatch, beside that of (c, mask) in one tensor.
 */
export function lstmCellGradient(
  attrs: CellAttrs,
  { pre, c, norm, mask }: CellInputs,
  dc: Tensor | null,
  dh: Tensor | null,
): (Tensor | null)[] {
  const cm = mask ? concat([c, mask], 1) : c;
  const optional = [norm, dh, dc].filter((x) => x !== null);
  const has = { dh: dh !== null, dc: dc !== null };
  const made = apply(lstmCellGradientOp, { ...attrs, ...has }, pre, cm, ...optional);
  return [...made, ...(mask ? [null] : [])];
}

/**
 * One step of an LSTM from the pre-activations of its gates, in one dispatch each way:
 * c' = σ(f + forgetBias) c + σ(i) mask tanh(g), h' = σ(o) tanh(c'). With layer norm each gate is
 * normalised on its own over H before that (biased variance), and tanh takes LN(c'), while c' is
 * carried on as it is: equations 10 and 13 of Ha, Dai and Le 2016.
 * @param pre [B, 4H], W_h h + W_x x + b in blocks of H in the order `options.gates`
 * @param c [B, H]
 * @returns c' and h' [B, H]. The mask gets no gradient.
 * @throws ShapeError naming the shapes that disagree, or a wrong option.
 */
export function lstmCell(
  pre: Tensor,
  c: Tensor,
  options: CellUpdateOptions = {},
): { readonly c: Tensor; readonly h: Tensor } {
  const { attrs, inputs } = cellAttrs("lstm_cell", options);
  const [next, h] = apply(lstmCellOp, attrs, pre, c, ...inputs);
  return { c: next, h };
}
