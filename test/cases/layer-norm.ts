import { listed, type Tensor } from "../../src/graph/node";
import type { Shape } from "../../src/graph/shape";
import { sigmoid } from "../../src/ops/elementwise";
import { layerNorm, layerNormGradientOp, layerNormOp } from "../../src/ops/layer-norm";
import { sum } from "../../src/ops/reduce";
import type { CaseInput, Nd, OpCase } from "./case";
import { normalise } from "./lstm-cell";

function oracle(x: Nd, scale: Nd, shift: Nd, eps: number): Nd {
  const width = scale.data.length;
  const data = new Float64Array(x.data.length);
  for (let at = 0; at < data.length; at += width) {
    const row = normalise([...x.data.slice(at, at + width)], eps);
    data.set(
      row.map((v, j) => v * (scale.data[j] as number) + (shift.data[j] as number)),
      at,
    );
  }
  return { shape: x.shape, data };
}

const inputs = (shape: Shape, more: Partial<CaseInput> = {}): CaseInput[] => [
  { shape, low: -3, high: 3, ...more },
  { shape: shape.slice(-1), low: -0.5, high: 1.5 },
  { shape: shape.slice(-1) },
];

function layerNormCase(shape: Shape, eps = 1e-5, more: Partial<OpCase> = {}): OpCase {
  return {
    name: `layer norm [${shape.join(", ")}] eps ${eps}`,
    ops: ["layer_norm", "layer_norm_gradient"],
    inputs: inputs(shape),
    build: (...x) => {
      const [v, scale, shift] = x as [Tensor, Tensor, Tensor];
      return layerNorm(v, scale, shift, { eps });
    },
    oracle: (...x) => {
      const [v, scale, shift] = x as [Nd, Nd, Nd];
      return oracle(v, scale, shift, eps);
    },
    // Sums of a row, each good to a few roundings, and one root.
    tolerance: 1e-6,
    ...more,
  };
}

/** As overTime makes it: gradients of parameters summed over groups of rows within each step. */
const stepwise: OpCase = {
  name: "layer norm's gradient of parameters for each of 3 steps of 35 rows",
  ops: ["layer_norm_gradient"],
  inputs: [...inputs([3, 5, 7, 6]), { shape: [3, 5, 7, 6] }],
  build: (...x) => {
    const [v, scale, shift, dy] = x as [Tensor, Tensor, Tensor, Tensor];
    const stacked = listed([true, false, false]);
    const y = layerNormOp.overTime?.({ eps: 1e-3 }, listed([v, scale, shift]), stacked, 3) ?? [];
    const attrs = { eps: 1e-3, steps: null };
    const back = layerNormGradientOp.overTime?.(
      attrs,
      listed([v, scale, dy]),
      listed([true, false, true]),
      3,
    );
    const [dx, dscale, dshift] = back as [Tensor, Tensor, Tensor];
    return [...y, dx, sum(dscale, [1]), sum(dshift, [1])];
  },
  oracle: (...x) => {
    const [v, scale, shift, dy] = x as [Nd, Nd, Nd, Nd];
    const eps = 1e-3;
    const width = scale.data.length;
    const dx = new Float64Array(v.data.length);
    const dscale = new Float64Array(3 * width);
    const dshift = new Float64Array(3 * width);
    for (let b = 0; b < v.data.length / width; b++) {
      const row = [...v.data.slice(b * width, (b + 1) * width)];
      const g = [...dy.data.slice(b * width, (b + 1) * width)];
      const hat = normalise(row, eps);
      const mean = (values: readonly number[]) => values.reduce((s, e) => s + e, 0) / width;
      const centre = mean(row);
      const deviation = Math.sqrt(mean(row.map((e) => (e - centre) ** 2)) + eps);
      const scaled = g.map((e, j) => e * (scale.data[j] as number));
      const [m1, m2] = [mean(scaled), mean(scaled.map((e, j) => e * (hat[j] as number)))];
      for (let j = 0; j < width; j++) {
        const [h, e] = [hat[j] as number, g[j] as number];
        dx[b * width + j] = ((scaled[j] as number) - m1 - h * m2) / deviation;
        const at = Math.floor(b / 35) * width + j;
        dscale[at] = (dscale[at] as number) + e * h;
        dshift[at] = (dshift[at] as number) + e;
      }
    }
    return [
      oracle(v, scale, shift, eps),
      { shape: v.shape, data: dx },
      { shape: [3, width], data: dscale },
      { shape: [3, width], data: dshift },
    ];
  },
  tolerance: 1e-6,
  gradients: [],
};

const { NaN: nan } = Number;

/** Cases of src/ops/layer-norm.ts. */
export const layerNormCases: readonly OpCase[] = [
  layerNormCase([1]),
  layerNormCase([3, 7]),
  layerNormCase([5, 8], 1e-3),
  layerNormCase([2, 3, 5, 4]),
  layerNormCase([37, 3], 0.1),
  layerNormCase([3, 130]),
  layerNormCase([2, 300]),
  layerNormCase([270, 16], 1e-5, { gradients: [1, 2] }),
  layerNormCase([2, 5000], 1e-5, { gradients: [] }),
  {
    ...layerNormCase([4, 12]),
    name: "layer norm whose epilogue is a sigmoid",
    build: (...x) => {
      const [v, scale, shift] = x as [Tensor, Tensor, Tensor];
      return sigmoid(layerNorm(v, scale, shift));
    },
    oracle: (...x) => {
      const [v, scale, shift] = x as [Nd, Nd, Nd];
      const { shape, data } = oracle(v, scale, shift, 1e-5);
      return { shape, data: data.map((e) => 1 / (1 + Math.exp(-e))) };
    },
  },
  {
    ...layerNormCase([3, 64]),
    name: "layer norm far from 0, where a sum of squares would lose the variance",
    inputs: inputs([3, 64], { low: 999, high: 1001 }),
    // Numbers near 1,000 are good to 6e-5, a ten-thousandth of their spread; the oracle has them as
    // they are, so that only sums count: the mean is off by one rounding of 1,000.
    tolerance: 1e-4,
  },
  {
    ...layerNormCase([3, 4]),
    name: "layer norm of a row with NaN and of one that is constant",
    inputs: inputs([3, 4], { values: [1, 2, nan, 4, 5, 5, 5, 5, 1, 2, 3, 4] }),
    gradients: [],
  },
  stepwise,
];
