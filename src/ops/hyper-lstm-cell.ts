import { hyperScale as hyperScaleKernel } from "../../shaders/hyper_scale.wgsl";
import { hyperScaleGradient as hyperScaleGradientKernel } from "../../shaders/hyper_scale_gradient.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expect, expectShape, expectType } from "../graph/expect";
import { apply, apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { type Shape, show, size, type TensorType } from "../graph/shape";
import {
  type CellAttrs,
  type CellUpdateOptions,
  cellAttrs,
  expectCell,
  optionalInputs,
} from "./cell";
import { cellDispatch, lstmCellGradient } from "./lstm-cell";
import { everyStep } from "./time-axis";

const WORKGROUP = 64;

/** Steps, B and H from d [..., 3, 4, B, H]; checks the others, [..., B, 4H]. */
function expectScales(
  op: string,
  d: TensorType,
  gates: Readonly<Record<string, TensorType>>,
): { readonly steps: Shape; readonly rows: number; readonly hidden: number } {
  expectType(op, "d", d);
  const steps = d.shape.slice(0, -4);
  const [kinds, blocks, rows = 0, hidden = 0] = d.shape.slice(-4);
  expect(kinds === 3 && blocks === 4, op, "d", show(d.shape), "be [..., 3, 4, B, H]");
  for (const [name, x] of Object.entries(gates)) {
    expectShape(op, name, x, [...steps, rows, 4 * hidden]);
  }
  return { steps, rows, hidden };
}

/** What both kernels of scales take. */
function scalesLaunch(pre: Tensor, d: Tensor) {
  const [rows = 0, hidden = 0] = d.shape.slice(-2);
  const vectors = size(pre.shape) / 4;
  return {
    uniforms: { vectors, rows, hidden },
    overrides: { WORKGROUP, VECTORS: Number(hidden % 4 === 0) },
    grid: linearGrid(vectors / WORKGROUP),
    trips: 0,
  };
}

/** pre from (hg, xg, d); see `hyperScale`. */
export const hyperScaleOp: Op<null> = {
  name: "hyper_scale",
  shape(_, hg, xg, d) {
    expectScales("hyper_scale", d, { hg, xg });
    return [hg];
  },
  dispatch(node) {
    const [hg, xg, d] = node.inputs;
    const [pre] = node.outputs;
    const flops = size(pre.shape) * 4;
    return [
      dispatch(hyperScaleKernel, { bind: { hg, xg, d, pre }, ...scalesLaunch(pre, d), flops }),
    ];
  },
  gradient(node, [dpre]) {
    return dpre ? apply(hyperScaleGradientOp, null, dpre, ...node.inputs) : [null, null, null];
  },
  overTime: (_, inputs, stacked, T) =>
    apply(hyperScaleOp, null, ...inputs.map((x, k) => everyStep(x, stacked[k], T))),
};

/** From (dpre, hg, xg, d) the gradients of hg, xg and d. One dispatch. */
export const hyperScaleGradientOp: Op<null> = {
  name: "hyper_scale_gradient",
  shape: (_, _dpre, hg, xg, d) => [hg, xg, d],
  dispatch(node) {
    const [dpre, hg, xg, d] = node.inputs;
    const [dhg, dxg, dd] = node.outputs;
    return [
      dispatch(hyperScaleGradientKernel, {
        bind: { dpre, hg, xg, d, dhg, dxg, dd },
        ...scalesLaunch(dpre, d),
        flops: size(dpre.shape) * 8,
      }),
    ];
  },
  gradient: notDifferentiable("second derivatives through the scales are not provided"),
  overTime: (_, inputs, stacked, T) =>
    apply(hyperScaleGradientOp, null, ...inputs.map((x, k) => everyStep(x, stacked[k], T))),
};

/** From (hg, xg, d, c, norm and mask where there are) the next c and h; see `hyperLstmCell`. */
export const hyperLstmCellOp: Op<CellAttrs> = {
  name: "hyper_lstm_cell",
  shape(attrs, hg, xg, d, c, ...optional) {
    const name = "hyper_lstm_cell";
    const [rows, hidden] = expectCell(name, attrs, c, optional);
    expectShape(name, "d", d, [3, 4, rows, hidden]);
    expectScales(name, d, { hg, xg });
    return [c, c];
  },
  dispatch(node, target) {
    const [hg, xg, d, c] = node.inputs;
    return [cellDispatch(node, { hg, xg, d, c }, 4, true, target)];
  },
  gradient(node, [dc, dh]) {
    const [hg, xg, d, c] = node.inputs;
    const { norm, mask } = optionalInputs(node, 4);
    const pre = hyperScale(hg, xg, d);
    const from = { pre, c, norm, mask };
    const [dpre, ...rest] = lstmCellGradient(node.attrs, from, dc ?? null, dh ?? null);
    return [...apply(hyperScaleGradientOp, null, dpre as Tensor, hg, xg, d), ...rest];
  },
};

/**
 * The pre-activations of a HyperLSTM's gates, d_0 hg + d_1 xg + d_2 element by element.
 * @param hg W_h h [..., B, 4H], four gates in blocks of H
 * @param xg W_x x, likewise
 * @param d [..., 3, 4, B, H]: the scales of hg, those of xg and the biases, each for the four gates
 *   in the order of the blocks
 * @returns pre [..., B, 4H], in one dispatch; its gradient is one more.
 * @throws ShapeError naming the shapes that disagree.
 */
export function hyperScale(hg: Tensor, xg: Tensor, d: Tensor): Tensor {
  return apply1(hyperScaleOp, null, hg, xg, d);
}

/**
 * One step of the main cell of a HyperLSTM in one dispatch: `lstmCell` of `hyperScale(hg, xg, d)`,
 * equations 12 and 13 of Ha, Dai and Le 2016. The gradient, three dispatches, makes pre again.
 * @param hg W_h h [B, 4H], in blocks of H in the order `options.gates`
 * @param xg W_x x, likewise
 * @param d [3, 4, B, H], see `hyperScale`
 * @param c [B, H]
 * @returns c' and h' [B, H]. The mask gets no gradient.
 * @throws ShapeError naming the shapes that disagree, or a wrong option.
 */
export function hyperLstmCell(
  hg: Tensor,
  xg: Tensor,
  d: Tensor,
  c: Tensor,
  options: CellUpdateOptions = {},
): { readonly c: Tensor; readonly h: Tensor } {
  const { attrs, inputs } = cellAttrs("hyper_lstm_cell", options);
  const [next, h] = apply(hyperLstmCellOp, attrs, hg, xg, d, c, ...inputs);
  return { c: next, h };
}
