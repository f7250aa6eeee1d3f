import { describe, expect, test } from "vitest";
import { key, uniform } from "../../src/graph/random";
import { ShapeError } from "../../src/graph/shape";
import { flatGenerator } from "../../src/hyper/flat";
import { hyper } from "../../src/hyper/hyper";
import { batchNorm } from "../../src/nn/batch-norm";
import type { Loss } from "../../src/nn/losses";
import { type Slab, slabsOf } from "../../src/nn/slabs";
import { batchNormEvaluation, batchNormTraining } from "../../src/ops/batch-norm";
import { add, sigmoid, square, sub } from "../../src/ops/elementwise";
import { mean, sum } from "../../src/ops/reduce";
import { type HostArray, placeholder } from "../../src/ops/sources";
import { SLAB_ALIGNMENT } from "../../src/ops/views";
import { sgd } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { plan } from "../../src/schedule/plan";
import { Variables } from "../../src/schedule/variables";
import { prediction, trainStep } from "../../src/train/programs";
import { expectClose, testDevice } from "./check-case";

const [N, C, H, W] = [6, 3, 4, 5] as const;
const AREA = H * W;

/** Batch k of x [N, C, H, W]: each channel, and each batch, with a mean and a spread of its own. */
const batch = (k: number): Float32Array =>
  Float32Array.from(uniform(key(50 + k), N * C * AREA), (u, i) => {
    const c = Math.floor(i / AREA) % C;
    return (2 * u - 1) * (c + 1) + k - c;
  });

/** Mean and unbiased variance of channel c. */
function moments(x: Float32Array, c: number): readonly [number, number] {
  const own = x.filter((_, i) => Math.floor(i / AREA) % C === c);
  const mean = own.reduce((s, v) => s + v, 0) / own.length;
  return [mean, own.reduce((s, v) => s + (v - mean) ** 2, 0) / (own.length - 1)];
}

/** Running statistics after some batches: mean, then variance. */
function running(batches: readonly Float32Array[], momentum: number): [number[], number[]] {
  const found: [number[], number[]] = [[], []];
  for (let c = 0; c < C; c++) {
    let [mean, variance] = [0, 1];
    for (const x of batches) {
      const [m, v] = moments(x, c);
      mean += momentum * (m - mean);
      variance += momentum * (v - variance);
    }
    found[0].push(mean);
    found[1].push(variance);
  }
  return found;
}

const squares: Loss = {
  name: "squares",
  targets: ({ shape }) => ({ target: { shape, dtype: "f32" } }),
  apply: (y, { target }) => ({ loss: mean(square(sub(y, target as typeof y))), metrics: {} }),
};

const target = Float32Array.from(uniform(key(99), N * C * AREA));

const options = { batch: N, input: [C, H, W] };

/** The two values of channels in a slab of parameters or of state. */
const halves = (slab: HostArray): readonly [HostArray, HostArray] => [
  slab.slice(0, C),
  slab.slice(SLAB_ALIGNMENT, SLAB_ALIGNMENT + C),
];

describe("the module", () => {
  test("carries running statistics from step to step, and evaluation goes by them", async () => {
    const device = await testDevice();
    const net = batchNorm(C, { momentum: 0.25, relu: true });
    const variables = new Variables(device, 1);
    const program = trainStep(net, squares, sgd({ lr: 0.1 }), options);
    const step = await compile(device, program, { variables });
    const predict = await compile(device, prediction(net, options), { variables });
    const { parameters, state } = slabsOf(net);
    const stored = () => variables.read([parameters.variable, (state as Slab).variable]);

    const x = batch(9);
    const fresh = x.map((v) => Math.max(0, v / Math.sqrt(1 + 1e-5)));
    const { y: before } = await predict.run({ x });
    expectClose(before as HostArray, fresh, 1e-6, "y before training");

    const losses: number[] = [];
    const batches = [batch(0), batch(1), batch(0)];
    for (const x of batches) losses.push((await step.run({ x, target })).loss?.[0] as number);
    expect(losses[2]).toBeLessThan(losses[0] as number);
    const [trained, carried] = (await stored()) as [HostArray, HostArray];
    const [means, variances] = running(batches, 0.25);
    expectClose(halves(carried)[0], means, 1e-6, "running mean");
    expectClose(halves(carried)[1], variances, 1e-6, "running variance");
    const [scale, shift] = halves(trained);
    expect(scale.every((g) => Math.abs(g - 1) > 1e-3)).toBe(true);

    const { y } = await predict.run({ x });
    const want = Float64Array.from(x, (v, i) => {
      const c = Math.floor(i / AREA) % C;
      const hat = (v - (means[c] as number)) / Math.sqrt((variances[c] as number) + 1e-5);
      return Math.max(0, hat * (scale[c] as number) + (shift[c] as number));
    });
    expectClose(y as HostArray, want, 2e-6, "y in evaluation");
    expect(await stored()).toEqual([trained, carried]);
    step.dispose();
    predict.dispose();
    variables.dispose();
  });

  test("takes its parameters from another module", async () => {
    const device = await testDevice();
    const norm = batchNorm(C);
    const net = hyper(norm, { generator: flatGenerator(norm.params, { nz: 2 }) });
    const variables = new Variables(device, 1);
    const program = trainStep(net, squares, sgd({ lr: 0.1 }), options);
    const step = await compile(device, program, { variables });
    const losses = [];
    const batches = Array.from({ length: 5 }, () => batch(0));
    for (const x of batches) losses.push((await step.run({ x, target })).loss?.[0] as number);
    expect(losses.at(-1)).toBeLessThan(losses[0] as number);
    const [carried] = await variables.read([(slabsOf(net).state as Slab).variable]);
    expectClose(halves(carried as HostArray)[0], running(batches, 0.1)[0], 1e-6, "running mean");
    step.dispose();
    variables.dispose();
  });
});

const x = (...shape: number[]) => placeholder("x", shape);
const four = (C: number) => [x(C), x(C), x(C), x(C)] as const;

test("two dispatches each way, the second taking up what follows, and one in evaluation", async () => {
  const { target } = await testDevice();
  const given = four(16);
  const image = x(32, 16, 32, 32);
  const names = (outputs: Parameters<typeof plan>[0]) =>
    plan(outputs, { ...target, adapter: "software" }).dispatches.map((d) => d.dispatch.kernel.name);
  const { y, mean, variance } = batchNormTraining(image, ...given, { relu: true });
  expect(names([y, mean, variance])).toEqual(["batch_norm_statistics", "batch_norm"]);
  const dx = gradient(sum(y), [image]);
  expect(names(dx).filter((name) => name.startsWith("batch_norm"))).toEqual([
    "batch_norm_statistics",
    "batch_norm",
    "batch_norm_gradient_sums",
    "batch_norm_gradient",
  ]);
  expect(names([sigmoid(add(y, image))])).toEqual([
    "batch_norm_statistics",
    "batch_norm+add+sigmoid",
  ]);
  expect(names([batchNormEvaluation(image, ...given, { relu: true })])).toHaveLength(1);
});

test.each<[string, () => unknown]>([
  ["scale is [4], must be [5]", () => batchNormTraining(x(3, 5), x(4), x(5), x(5), x(5))],
  ["shift is [1], must be [5]", () => batchNormTraining(x(3, 5), x(5), x(1), x(5), x(5))],
  ["mean is [3], must be [5]", () => batchNormTraining(x(3, 5), x(5), x(5), x(3), x(5))],
  ["variance is [3, 5], must be", () => batchNormEvaluation(x(3, 5), x(5), x(5), x(5), x(3, 5))],
  ["batch_norm: x is [5], must be [N, C]", () => batchNormTraining(x(5), ...four(5))],
  ["x is i32", () => batchNormTraining(placeholder("x", [3, 5], "i32"), ...four(5))],
  [
    "batch_norm: x [1, 5, 1, 1] has 1 element for each channel",
    () => batchNormTraining(x(1, 5, 1, 1), ...four(5)),
  ],
  ["eps is 0", () => batchNormTraining(x(3, 5), ...four(5), { eps: 0 })],
  ["eps is -1", () => batchNormEvaluation(x(3, 5), ...four(5), { eps: -1 })],
  ["momentum is 1.5", () => batchNormTraining(x(3, 5), ...four(5), { momentum: 1.5 })],
  ["loops of its workgroups", () => batchNormTraining(x(2, 1, 2 ** 33), ...four(1))],
])("refused: %s", (message, build) => {
  expect(build).toThrow(ShapeError);
  expect(build).toThrow(message);
});

test("one image of one pixel is no matter in evaluation", () => {
  expect(batchNormEvaluation(x(1, 5, 1, 1), ...four(5)).shape).toEqual([1, 5, 1, 1]);
});
