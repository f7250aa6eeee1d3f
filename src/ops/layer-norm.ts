import { layerNorm as layerNormKernel } from "../../shaders/layer_norm.wgsl";
import { layerNormGradient as layerNormGradientKernel } from "../../shaders/layer_norm_gradient.wgsl";
import { dispatch, linearGrid, type Target } from "../gpu/dispatch";
import { expectEps, expectShape, lastAxis } from "../graph/expect";
import { apply, apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { size, type TensorType } from "../graph/shape";
import { expectRowsFit, rowGroups, rowLanes, type RowWork, rowTrips } from "./row-workgroups";
import { everyStep } from "./time-axis";

/** What a layer norm depends on besides its inputs. */
export interface LayerNormAttrs {
  readonly eps: number;
}

/** Loops of the kernels over a row, and their sums over the lanes. */
const FORWARD = { rows: 1, passes: 3, sums: 2 };
const BACKWARD = { passes: 4, sums: 3 };

/** Overrides and loops of a kernel whose workgroups do `work` each. */
function launch(work: RowWork, target: Target) {
  const overrides = rowLanes(work, target);
  return { overrides, ...rowTrips(work, overrides) };
}

/** From (x, scale, shift) the rows normalised; see `layerNorm`. */
export const layerNormOp: Op<LayerNormAttrs> = {
  name: "layer_norm",
  epilogue: true,
  shape(_, x, scale, shift) {
    const width = lastAxis("layer_norm", x);
    expectShape("layer_norm", "scale", scale, [width]);
    expectShape("layer_norm", "shift", shift, [width]);
    expectRowsFit("layer_norm", { ...FORWARD, width });
    return [x];
  },
  dispatch(node, target) {
    const [x, scale, shift] = node.inputs;
    const width = size(scale.shape);
    const rows = size(x.shape) / width;
    return [
      dispatch(layerNormKernel, {
        bind: { x, scale, shift, y: node.outputs[0] },
        uniforms: { rows, width, inverse: 1 / width, epsilon: node.attrs.eps },
        ...launch({ ...FORWARD, width }, target),
        grid: linearGrid(rows),
        flops: size(x.shape) * 20,
      }),
    ];
  },
  gradient(node, [dy]) {
    const attrs = { ...node.attrs, steps: null };
    if (!dy) return [null, null, null];
    return apply(layerNormGradientOp, attrs, node.inputs[0], node.inputs[1], dy);
  },
  overTime(attrs, [x, scale, shift], [time, ...parameters]) {
    // Parameters of each step are another op.
    if (!time || parameters.includes(true)) return null;
    return [apply1(layerNormOp, attrs, x, scale, shift)];
  },
};

/** What the gradient of a layer norm depends on besides its inputs. */
export interface LayerNormGradientAttrs extends LayerNormAttrs {
  /** Length of the first axis where its steps get partial sums of their own. */
  readonly steps: number | null;
}

/** What is summed over the rows of a step in one go, and how often. */
function groupsOf(steps: number | null, x: TensorType, width: number) {
  const rows = size(x.shape) / width / (steps ?? 1);
  return { rows, ...rowGroups(rows) };
}

/**
 * From (x, scale, dy) the gradient of x, and of scale and shift as partial sums [G, D] over groups
 * of rows, or [T, G, D] over those of each of T steps. One dispatch.
 */
export const layerNormGradientOp: Op<LayerNormGradientAttrs> = {
  name: "layer_norm_gradient",
  shape({ steps }, x) {
    const name = "layer_norm_gradient";
    const width = lastAxis(name, x);
    const { span, groups } = groupsOf(steps, x, width);
    expectRowsFit(name, { ...BACKWARD, rows: span, width });
    const sums: TensorType = {
      shape: [...(steps === null ? [] : [steps]), groups, width],
      dtype: "f32",
    };
    return [x, sums, sums];
  },
  dispatch(node, target) {
    const [x, scale, dy] = node.inputs;
    const [dx, dscale, dshift] = node.outputs;
    const { eps, steps: time } = node.attrs;
    const width = size(scale.shape);
    const steps = time ?? 1;
    const { rows, groups, span } = groupsOf(time, x, width);
    return [
      dispatch(layerNormGradientKernel, {
        bind: { x, scale, dy, dx, dscale, dshift },
        uniforms: { steps, rows, groups, span, width, inverse: 1 / width, epsilon: eps },
        ...launch({ ...BACKWARD, rows: span, width }, target),
        grid: linearGrid(steps * groups),
        flops: size(x.shape) * 50,
      }),
    ];
  },
  gradient: notDifferentiable(
    "second derivatives through layer norm are not provided; compose it from mean() and rsqrt()",
  ),
  overTime(attrs, [x, scale, dy], [xTime, scaleTime, dyTime], T) {
    if (scaleTime || attrs.steps !== null) return null;
    const inputs = [everyStep(x, xTime, T), scale, everyStep(dy, dyTime, T)];
    return apply(layerNormGradientOp, { ...attrs, steps: T }, ...inputs);
  },
};

/**
 * Layer norm over the last axis (Ba, Kiros and Hinton 2016), in one dispatch each way:
 * y = (x - mean) / sqrt(variance + eps) · scale + shift, with the biased variance.
 * @param x [..., D]
 * @param scale [D]
 * @param shift [D]
 * @param options eps, default 1e-5
 * @returns y of x's shape. NaN anywhere in a row makes all of it NaN.
 * @throws ShapeError where D disagrees, x is a scalar or not f32, or eps is not positive.
 */
export function layerNorm(
  x: Tensor,
  scale: Tensor,
  shift: Tensor,
  { eps = 1e-5 }: { readonly eps?: number } = {},
): Tensor {
  expectEps("layer_norm", eps);
  return apply1(layerNormOp, { eps }, x, scale, shift);
}
