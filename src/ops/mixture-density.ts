import { mixtureDensity as mixtureDensityKernel } from "../../shaders/mixture_density.wgsl";
import { mixtureDensityGradient } from "../../shaders/mixture_density_gradient.wgsl";
import { dispatch, linearGrid } from "../gpu/dispatch";
import { expect, expectShape, expectType } from "../graph/expect";
import { apply, apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { show, type TensorType } from "../graph/shape";
import { rowsOverTime } from "./time-axis";

// Of the gradient.
const WORKGROUP = 64;
// Two loops run over them, which one adapter ends after 65,535 trips in all.
const MAX_COMPONENTS = 16_384;

/** What is kept of each row for the gradient; see the shader. */
const STATS = 4;

function sizesOf({ shape }: TensorType): { rows: number; components: number } {
  const [rows = 0, row = 0] = shape;
  return { rows, components: (row - 1) / 6 };
}

/** From (raw, points): nll [R], and for the gradient logs [R, M] and stats [R, 4]. */
export const mixtureDensityOp: Op<null> = {
  name: "mixture_density",
  shape(_, raw, points) {
    expectType("mixture_density", "raw", raw, 2);
    const { rows, components } = sizesOf(raw);
    const good = Number.isInteger(components) && components > 0 && components <= MAX_COMPONENTS;
    const must = `have rows of 6 M + 1 numbers for M = 1 to ${MAX_COMPONENTS} components`;
    expect(good, "mixture_density", "raw", show(raw.shape), must);
    expectShape("mixture_density", "points", points, [rows, 3]);
    return [
      { shape: [rows], dtype: "f32" },
      { shape: [rows, components], dtype: "f32" },
      { shape: [rows, STATS], dtype: "f32" },
    ];
  },
  dispatch(node, target) {
    const [raw, points] = node.inputs;
    const { rows, components } = sizesOf(raw);
    // A row is one invocation on software adapters, up to 32 on GPUs.
    const lanes =
      target.adapter === "software" ? 1 : Math.min(32, 2 ** Math.ceil(Math.log2(components)));
    const rowsAtOnce = target.adapter === "software" ? 4 : 64 / lanes;
    const perLane = Math.ceil(components / lanes);
    return [
      dispatch(mixtureDensityKernel, {
        bind: {
          raw,
          points,
          nll: node.outputs[0],
          logs: node.outputs[1],
          stats: node.outputs[2],
        },
        uniforms: { rows, components },
        overrides: { LANES: lanes, ROWS: rowsAtOnce },
        grid: linearGrid(rows / rowsAtOnce),
        flops: rows * components * 80,
        trips: 2 * (perLane + 1 + lanes),
        longestLoop: Math.max(perLane + 1, lanes),
      }),
    ];
  },
  gradient(node, [dnll]) {
    if (!dnll) return [null, null];
    const [raw, points] = node.inputs;
    const given = [raw, points, node.outputs[1], node.outputs[2], dnll];
    return [apply1(mixtureDensityGradientOp, null, ...given), null];
  },
  overTime: (...over) => rowsOverTime(mixtureDensityOp, ...over),
};

/** From (raw, points, logs, stats, dnll) the gradient of `mixtureDensityOp` by raw. */
export const mixtureDensityGradientOp: Op<null> = {
  name: "mixture_density_gradient",
  shape: (_, raw) => [raw],
  dispatch(node) {
    const [raw, points, logs, stats, dnll] = node.inputs;
    const { rows, components } = sizesOf(raw);
    return [
      dispatch(mixtureDensityGradient, {
        bind: { raw, points, logs, stats, dnll, draw: node.outputs[0] },
        uniforms: { rows, components },
        grid: linearGrid((rows * components) / WORKGROUP),
        flops: rows * components * 80,
        trips: 0,
      }),
    ];
  },
  gradient: notDifferentiable("second derivatives of the mixture density are not provided"),
  overTime: (...over) => rowsOverTime(mixtureDensityGradientOp, ...over),
};

/**
 * Negative log-likelihood, in nats, of points under a mixture of M bivariate normals and a Bernoulli
 * variable for the end of a stroke (Graves 2013, arXiv 1308.0850, equations 15 to 26, with
 * e = sigmoid(ê); he prints the opposite sign). Without clamps, and right for |ρ̂| and log σ of any
 * size that f32 can tell apart: 1 − ρ² is made from ρ̂. Points get no gradient. One dispatch each way.
 * @param raw [R, 6M + 1]: ê, then M each of π̂, μ1, μ2, log σ1, log σ2, ρ̂ with ρ = tanh ρ̂
 * @param points [R, 3]: x1, x2 and x3, 1 at the end of a stroke, else 0
 * @returns [R]
 * @throws ShapeError for other shapes or dtypes, or M above 16,384.
 */
export function mixtureDensity(raw: Tensor, points: Tensor): Tensor {
  const [nll] = apply(mixtureDensityOp, null, raw, points);
  return nll;
}
