import { apply, type Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { type Shape, size } from "../../src/graph/shape";
import {
  batchNormEvaluation,
  batchNormGradientOp,
  batchNormOp,
  batchNormTraining,
} from "../../src/ops/batch-norm";
import { add, relu as reluOf, sigmoid } from "../../src/ops/elementwise";
import type { CaseInput, Nd, OpCase } from "./case";

interface Options {
  readonly eps?: number;
  readonly momentum?: number;
  readonly relu?: boolean;
}

/** Indices of the elements of channel c of x [N, C, ...]. */
function channelOf([N = 1, C = 1, ...rest]: Shape, c: number): number[] {
  const area = size(rest);
  return Array.from({ length: N * area }, (_, i) => {
    return (Math.floor(i / area) * C + c) * area + (i % area);
  });
}

/** Mean and biased variance of some elements. */
function moments(data: Float64Array, at: readonly number[]): readonly [number, number] {
  const mean = at.reduce((s, i) => s + (data[i] as number), 0) / at.length;
  const squares = at.reduce((s, i) => s + ((data[i] as number) - mean) ** 2, 0);
  return [mean, squares / at.length];
}

type Five = readonly [Nd, Nd, Nd, Nd, Nd];

/** y by statistics of each channel. */
function normalised(
  [x, scale, shift]: readonly Nd[],
  statistics: (c: number, at: readonly number[]) => readonly [number, number],
  { eps = 1e-5, relu = false }: Options,
): Nd {
  const { shape, data } = x as Nd;
  const y = new Float64Array(data.length);
  for (let c = 0; c < (shape[1] ?? 1); c++) {
    const at = channelOf(shape, c);
    const [mean, variance] = statistics(c, at);
    const [g, b] = [scale?.data[c] as number, shift?.data[c] as number];
    for (const i of at) {
      const v = (((data[i] as number) - mean) / Math.sqrt(variance + eps)) * g + b;
      y[i] = relu ? Math.max(0, v) : v;
    }
  }
  return { shape, data: y };
}

const trained = (inputs: readonly Nd[], options: Options): Nd =>
  normalised(inputs, (_, at) => moments((inputs[0] as Nd).data, at), options);

/** The next running mean and variance. */
function running([x, , , mean, variance]: Five, { momentum = 0.1 }: Options): [Nd, Nd] {
  const found = Array.from(mean.data, (_, c) => {
    const at = channelOf(x.shape, c);
    const [m, v] = moments(x.data, at);
    return [m, (v * at.length) / (at.length - 1)] as const;
  });
  const next = (old: Nd, k: 0 | 1): Nd => ({
    shape: old.shape,
    data: old.data.map((o, c) => (1 - momentum) * o + momentum * (found[c]?.[k] as number)),
  });
  return [next(mean, 0), next(variance, 1)];
}

const inputs = (shape: Shape, more: Partial<CaseInput> = {}): CaseInput[] => [
  { shape, low: -3, high: 3, ...more },
  { shape: shape.slice(1, 2), low: -0.5, high: 1.5 },
  { shape: shape.slice(1, 2) },
  { shape: shape.slice(1, 2) },
  { shape: shape.slice(1, 2), low: 0.5, high: 2 },
];

type Tensors = readonly [Tensor, Tensor, Tensor, Tensor, Tensor];

const say = (shape: Shape, options: Options): string =>
  `[${shape.join(", ")}]${options.relu ? " with ReLU" : ""}${options.eps ? ` eps ${options.eps}` : ""}`;

/** y alone, since running statistics have no gradient. */
function trainingCase(shape: Shape, options: Options = {}, more: Partial<OpCase> = {}): OpCase {
  return {
    name: `batch norm ${say(shape, options)}`,
    ops: ["batch_norm", "batch_norm_gradient"],
    inputs: inputs(shape),
    build: (...x) => batchNormTraining(...(x as unknown as Tensors), options).y,
    oracle: (...x) => trained(x, options),
    // Sums of a channel, each good to a few roundings, and one root.
    tolerance: 1e-6,
    ...more,
  };
}

/** y and the running statistics. */
function statisticsCase(shape: Shape, options: Options = {}, more: Partial<OpCase> = {}): OpCase {
  return {
    ...trainingCase(shape, options),
    name: `batch norm's running statistics ${say(shape, options)}`,
    build: (...x) => {
      const { y, mean, variance } = batchNormTraining(...(x as unknown as Tensors), options);
      return [y, mean, variance];
    },
    oracle: (...x) => [trained(x, options), ...running(x as unknown as Five, options)],
    gradients: [],
    ...more,
  };
}

/** The gradient op by itself, at sizes that differences would take too long for. */
function gradientCase(shape: Shape, options: Options = {}): OpCase {
  const { eps = 1e-5, relu = false } = options;
  return {
    name: `gradient of batch norm ${say(shape, options)}`,
    ops: ["batch_norm_gradient"],
    inputs: [...inputs(shape), { shape }],
    build: (...inputs) => {
      const dy = inputs[5] as Tensor;
      const given = inputs.slice(0, 5);
      const stats = apply(batchNormOp, { eps, relu, momentum: 0.1 }, ...given).slice(3);
      return apply(batchNormGradientOp, { relu }, ...given.slice(0, 3), ...stats, dy);
    },
    oracle: (...inputs) => {
      const [x, scale, shift, , , dy] = inputs as [Nd, Nd, Nd, Nd, Nd, Nd];
      const dx = new Float64Array(x.data.length);
      const dscale = new Float64Array(scale.data.length);
      const dshift = new Float64Array(scale.data.length);
      for (const [c, g] of scale.data.entries()) {
        const at = channelOf(shape, c);
        const [mean, variance] = moments(x.data, at);
        const factor = 1 / Math.sqrt(variance + eps);
        const hat = at.map((i) => ((x.data[i] as number) - mean) * factor);
        const open = hat.map((h) => !relu || h * g + (shift.data[c] as number) > 0);
        const passed = at.map((i, k) => (open[k] ? (dy.data[i] as number) : 0));
        dshift[c] = passed.reduce((s, d) => s + d, 0);
        dscale[c] = passed.reduce((s, d, k) => s + d * (hat[k] as number), 0);
        const [m1, m2] = [dshift[c] / at.length, dscale[c] / at.length];
        for (const [k, i] of at.entries()) {
          dx[i] = ((passed[k] as number) - m1 - (hat[k] as number) * m2) * g * factor;
        }
      }
      return [
        { shape, data: dx },
        { shape: scale.shape, data: dscale },
        { shape: scale.shape, data: dshift },
      ];
    },
    // Sums of thousands of terms of both signs: rounding is relative to their magnitudes.
    tolerance: 4e-6,
    gradients: [],
  };
}

function evaluationCase(shape: Shape, options: Options = {}): OpCase {
  return {
    name: `batch norm by given statistics ${say(shape, options)}`,
    ops: ["add", "sub", "mul", "rsqrt"],
    inputs: inputs(shape),
    build: (...x) => batchNormEvaluation(...(x as unknown as Tensors), options),
    oracle: (...x) => {
      const [, , , mean, variance] = x as unknown as Five;
      const given = (c: number) => [mean.data[c] as number, variance.data[c] as number] as const;
      return normalised(x, given, options);
    },
    tolerance: 1e-6,
  };
}

const { NaN: nan } = Number;

/** Cases of src/ops/batch-norm.ts. */
export const batchNormCases: readonly OpCase[] = [
  trainingCase([2, 3, 4, 5]),
  trainingCase([3, 2, 3, 5], { relu: true }),
  trainingCase([1, 4, 6, 6], { relu: true, eps: 1e-3 }),
  trainingCase([1, 2, 7, 1]),
  trainingCase([7, 3]),
  trainingCase([9, 6, 1, 1], { relu: true, eps: 1e-3 }),
  trainingCase([40, 2, 7]),
  trainingCase([6, 3, 8, 8], { relu: true }),
  // Parameters alone: differences of their few elements are quick at sizes of several chunks.
  trainingCase([70, 2, 8, 8], { relu: true }, { gradients: [1, 2] }),
  trainingCase([2, 1, 90, 91], {}, { gradients: [1, 2] }),
  statisticsCase([4, 3, 5, 7]),
  statisticsCase([2, 5], { momentum: 0.3, eps: 0.1, relu: true }),
  statisticsCase([3, 2, 2], { momentum: 1 }),
  statisticsCase([3, 2, 2], { momentum: 0 }),
  // Chunks of images and of planes, vectors and not, more planes than lanes.
  statisticsCase([9, 3, 41, 41], { relu: true }),
  statisticsCase([1, 2, 150, 100]),
  statisticsCase([1, 1, 151, 111]),
  statisticsCase([5000, 3]),
  statisticsCase([700, 70, 2, 2]),
  gradientCase([9, 3, 41, 41], { relu: true }),
  gradientCase([1, 2, 150, 100]),
  gradientCase([5000, 3]),
  gradientCase([33, 70, 4, 4], { relu: true }),
  {
    ...trainingCase([4, 3, 8, 8]),
    name: "batch norm of mean 1000 and deviation 1, where a sum of squares would lose the variance",
    inputs: inputs([4, 3, 8, 8], { low: 1000 - Math.sqrt(3), high: 1000 + Math.sqrt(3) }),
    // Numbers near 1,000 are good to 6e-5, a ten-thousandth of their spread; the oracle has them as
    // they are, so that only sums count: the mean is off by one rounding of 1,000.
    tolerance: 1e-4,
  },
  {
    ...statisticsCase([8, 2, 9, 9], { momentum: 1 }),
    name: "batch norm's statistics of mean 1000 and deviation 1",
    inputs: inputs([8, 2, 9, 9], { low: 1000 - Math.sqrt(3), high: 1000 + Math.sqrt(3) }),
    build: (...x) => {
      const { mean, variance } = batchNormTraining(...(x as unknown as Tensors), { momentum: 1 });
      return [mean, variance];
    },
    oracle: (...x) => running(x as unknown as Five, { momentum: 1 }),
  },
  {
    ...statisticsCase([16, 1, 17, 17]),
    name: "batch norm of a channel whose first element lies far off",
    inputs: inputs([16, 1, 17, 17], {
      values: Object.assign([...uniform(key(7), 16 * 17 * 17)].map(Math.fround), { 0: 1e4 }),
    }),
    // It is taken off the other elements of its lane before they are squared.
    tolerance: 1e-5,
  },
  {
    ...statisticsCase([2, 3, 4], { relu: true }),
    name: "batch norm with ReLU of a channel with NaN, of a constant one and of another",
    inputs: inputs([2, 3, 4], {
      values: [1, 2, 3, nan, 5, 5, 5, 5, 1, 2, 3, 4, 5, 6, 7, 8, 5, 5, 5, 5, 4, -3, 2, 1],
    }),
  },
  {
    ...trainingCase([3, 2, 4, 4]),
    name: "batch norm whose epilogue is a sigmoid",
    build: (...x) => sigmoid(batchNormTraining(...(x as unknown as Tensors)).y),
    oracle: (...x) => {
      const { shape, data } = trained(x, {});
      return { shape, data: data.map((v) => 1 / (1 + Math.exp(-v))) };
    },
  },
  {
    ...trainingCase([3, 2, 5, 3]),
    name: "batch norm with ReLU whose epilogue adds a tensor, before another ReLU",
    inputs: [...inputs([3, 2, 5, 3]), { shape: [3, 2, 5, 3] }],
    build: (...x) => {
      const { y } = batchNormTraining(...(x.slice(0, 5) as unknown as Tensors), { relu: true });
      return reluOf(add(y, x[5] as Tensor));
    },
    oracle: (...x) => {
      const { shape, data } = trained(x, { relu: true });
      return { shape, data: data.map((v, i) => Math.max(0, v + (x[5]?.data[i] as number))) };
    },
  },
  evaluationCase([2, 3, 4, 5], { relu: true }),
  evaluationCase([3, 2, 3, 5]),
  evaluationCase([1, 4, 1, 1], { eps: 0.1 }),
  evaluationCase([1, 4]),
];
