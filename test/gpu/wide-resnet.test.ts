import { describe, expect, test } from "vitest";
import type { ImageSet, ImageSplit } from "../../src/data/images";
import { Device } from "../../src/gpu/device";
import type { Tensor } from "../../src/graph/node";
import { key, normal, uniform } from "../../src/graph/random";
import { leaves, type Tree } from "../../src/graph/tree";
import { bake, loadBaked } from "../../src/hyper/bake";
import type { StaticParams } from "../../src/hyper/static";
import { hyperWideResNet, sharedWideResNet } from "../../src/hyper/wide-resnet";
import { crossEntropy } from "../../src/nn/losses";
import type { Values } from "../../src/nn/module";
import { isTensor } from "../../src/nn/sequence";
import { bindSlab, slabsOf } from "../../src/nn/slabs";
import { wideResNet, type WideResNetOptions } from "../../src/nn/wide-resnet";
import { add, mul, square } from "../../src/ops/elementwise";
import { sum } from "../../src/ops/reduce";
import { placeholder } from "../../src/ops/sources";
import { adam } from "../../src/optim/optimizer";
import { compile, type Executable } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { Variables } from "../../src/schedule/variables";
import { readCheckpoint } from "../../src/train/checkpoint";
import type { StepEvent } from "../../src/train/events";
import type { AnyModel } from "../../src/train/image-models";
import { imageTask } from "../../src/train/image-task";
import { train } from "../../src/train/loop";
import { modelSpec } from "../../src/train/models";
import { type Model, evaluation, prediction, trainStep } from "../../src/train/programs";
import type { ImageSettings } from "../../src/train/settings";
import { expectClose, testDevice } from "./check-case";
import { countingDevice } from "./counting-device";

const small = { depth: 10, width: 1, input: [3, 8, 8] } as const;
const regimes = { plain: wideResNet, hyper: hyperWideResNet, shared: sharedWideResNet } as const;

function noise(batch: number, [C, H, W]: readonly [number, number, number]) {
  return {
    x: Float32Array.from(normal(key(1), batch * C * H * W)),
    labels: Uint32Array.from({ length: batch }, (_, i) => i % 10),
    weight: new Float32Array(batch).fill(1),
  };
}

/** Five steps of training: losses, and the parameters and statistics that they end with. */
async function fiveSteps(
  device: Device,
  net: Model<never, never>,
  memory?: "low",
): Promise<{ losses: number[]; values: Float32Array[]; step: Executable }> {
  const batch = 6;
  const options = { batch, ...(memory && { memory }) };
  const step = await compile(device, trainStep(net, crossEntropy, adam({ lr: 1e-3 }), options), {
    seed: 2,
  });
  const inputs = noise(batch, small.input);
  const losses: number[] = [];
  for (let t = 0; t < 5; t++) losses.push((await step.run(inputs)).loss?.[0] as number);
  const values = (await step.variables.read(step.variables.all)) as Float32Array[];
  return { losses, values, step };
}

describe.each(Object.entries(regimes))("the %s Wide ResNet", (_, make) => {
  const build = (options: Partial<WideResNetOptions> = {}) =>
    make({ ...small, ...options }) as unknown as Model<never, never>;

  test("learns, and recomputing its blocks changes neither losses nor weights", async () => {
    const device = await testDevice();
    const kept = await fiveSteps(device, build({ l2: 1e-4 }));
    const again = await fiveSteps(device, build({ l2: 1e-4 }), "low");
    expect(kept.losses[4]).toBeLessThan(kept.losses[0] as number);
    expectClose(Float32Array.from(again.losses), kept.losses, 1e-5, "losses");
    for (const [k, values] of kept.values.entries()) {
      // Adam turns a gradient that is only rounding noise into a whole step: of biases in front of a
      // batch norm, 5 steps of 1e-3 either way.
      expectClose(again.values[k] as Float32Array, [...values], 1.1e-2, `variable ${k}`);
    }
    // With one block a group there are no bytes to save; `info --memory low` is tested at depth 40.
    expect(again.step.stats.dispatches).toBeGreaterThan(kept.step.stats.dispatches);
    kept.step.dispose();
    again.step.dispose();
  });

  test("is evaluated by its running statistics, whatever else is in the batch", async () => {
    const device = await testDevice();
    const net = build();
    const variables = new Variables(device, 3);
    const step = await compile(device, trainStep(net, crossEntropy, adam(), { batch: 6 }), {
      variables,
    });
    const inputs = noise(6, small.input);
    for (let t = 0; t < 3; t++) await step.run(inputs);
    const [six, two] = await Promise.all(
      [6, 2].map((batch) => compile(device, prediction(net, { batch }), { variables })),
    );
    const all = (await six?.run({ x: inputs.x }))?.y as Float32Array;
    const some = (await two?.run({ x: inputs.x.slice(0, 2 * 192) }))?.y as Float32Array;
    expectClose(some, [...all.subarray(0, 20)], 1e-5, "logits");
    for (const made of [step, six, two, variables]) made?.dispose();
  });
});

/** The kernels of the small network, each once, of the values of its parameters. */
function distinctKernels(values: Tree<Tensor>): Tensor[] {
  const direct = leaves<Tensor>(values, isTensor)
    .filter(({ path }) => /(^|\.)kernel\d?$/.test(path))
    .map(({ value }) => value);
  const own = (values as Record<string, Values<StaticParams>>).generator;
  if (!own || !("B_out" in own)) return direct;
  const { generator } = hyperWideResNet(small);
  return [...direct, ...generator.apply({ train: false, key: null }, own, {}).outputs];
}

test.each([
  ["plain", 1 + 6],
  ["hyper", 1 + 6],
  ["shared", 1 + 3],
] as const)(
  "the penalty of the %s one is λ Σ K² over %i kernels, each once",
  async (name, count) => {
    const device = await testDevice();
    const l2 = 0.25;
    const net = regimes[name]({ ...small, l2 }) as unknown as AnyModel;
    const slabs = slabsOf(net);
    const { tensor, values } = bindSlab(net.params, slabs.parameters);
    const state = bindSlab(net.state, slabs.state);
    const x = placeholder("x", [1, ...small.input]);
    const context = { train: false, key: null };
    const { penalty } = net.apply(context, values, state.values, x);
    const kernels = distinctKernels(values);
    expect(kernels.length).toBe(count);
    const sums = kernels.map((kernel) => sum(square(kernel)));
    const wanted = mul(
      sums.reduce((a, b) => add(a, b)),
      l2,
    );
    const [d] = gradient(penalty as Tensor, [tensor as Tensor]);
    const [dwanted] = gradient(wanted, [tensor as Tensor]);
    const named = Object.fromEntries(kernels.map((kernel, k) => [`kernel ${k}`, kernel]));
    const outputs = { penalty: penalty as Tensor, d: d as Tensor, dwanted: dwanted as Tensor };
    const run = await compile(
      device,
      { inputs: {}, outputs: { ...outputs, ...named } },
      { seed: 4 },
    );
    const read = (await run.run({})) as Record<string, Float32Array>;
    const squares = kernels.map((_, k) => [...(read[`kernel ${k}`] ?? [])].map((v) => v * v));
    const total = squares.flat().reduce((a, b) => a + b, 0);
    expectClose(read.penalty as Float32Array, [l2 * total], 1e-5 * l2 * total, "penalty");
    expectClose(read.d as Float32Array, [...(read.dwanted as Float32Array)], 1e-5, "gradient");
    expect(Math.max(...(read.d as Float32Array).map(Math.abs))).toBeGreaterThan(0.01);
    run.dispose();
  },
);

test("generating 966 tiles takes 2 dispatches, their gradients 6 at most, as a wrapped device counts", async () => {
  const real = await testDevice();
  const { device: gpu, calls } = countingDevice(real.gpu);
  // Dispatches alone are counted: kernels are those that the other tests have compiled.
  const device = Object.assign(new Device(gpu, real.adapter, false, false), {
    pipelines: real.pipelines,
  });
  const sizes = { depth: 40, width: 2, input: [3, 8, 8] } as const;
  const inputs = noise(2, sizes.input);
  const nets = [wideResNet(sizes), hyperWideResNet(sizes)] as unknown as Model<never, never>[];
  const counted = async (training: boolean): Promise<number[]> => {
    const counts: number[] = [];
    for (const net of nets) {
      const program = training
        ? trainStep(net, crossEntropy, adam(), { batch: 2 })
        : evaluation(net, crossEntropy, { batch: 2 });
      const executable = await compile(device, program, { seed: 1 });
      const before = calls.dispatches;
      await executable.run(inputs);
      counts.push(calls.dispatches - before);
      expect(calls.dispatches - before).toBe(executable.stats.dispatches);
      executable.dispose();
    }
    return counts;
  };
  const [plain = 0, generated = 0] = await counted(false);
  expect(generated - plain).toBe(2);
  const [plainStep = 0, generatedStep = 0] = await counted(true);
  expect(generatedStep - plainStep).toBeLessThanOrEqual(2 + 6);
});

test("every generated kernel starts within 20 % of He's scale for its own fan-in", async () => {
  const device = await testDevice();
  for (const [width, nz] of [
    [1, 64],
    [2, 64],
    [4, 64],
    [1, 16],
    [1, 4],
  ] as const) {
    const net = hyperWideResNet({ depth: 40, width, nz });
    const variables = new Variables(device, 5);
    const { parameters } = await bake(net, variables);
    variables.dispose();
    const ratios = net.paths.map((path) => {
      const { shape, data } = parameters.get(path) as { shape: number[]; data: Float32Array };
      const [, inputs = 1, f = 1] = shape;
      const mean = data.reduce((s, v) => s + v, 0) / data.length;
      const variance = data.reduce((s, v) => s + (v - mean) ** 2, 0) / data.length;
      return { path, ratio: Math.sqrt(variance) / Math.sqrt(2 / (f * f * inputs)) };
    });
    expect(ratios.length).toBe(36);
    const shown = ratios.map(({ path, ratio }) => `${path} ${ratio.toFixed(3)}`).join("\n");
    console.log(`WRN-40-${width}, N_z = ${nz}, std over He's:\n${shown}`);
    for (const { path, ratio } of ratios) {
      expect(Math.abs(ratio - 1), `${path} of width ${width}, N_z ${nz}`).toBeLessThan(0.2);
    }
  }
});

test("a baked hyper Wide ResNet is the plain one, bit for bit", async () => {
  const device = await testDevice();
  const net = hyperWideResNet({ ...small, nz: 8 });
  const variables = new Variables(device, 1);
  const step = await compile(device, trainStep(net, crossEntropy, adam(), { batch: 6 }), {
    variables,
  });
  const inputs = noise(6, small.input);
  for (let t = 0; t < 3; t++) await step.run(inputs);
  const plain = wideResNet(small);
  const own = new Variables(device, 99);
  loadBaked(plain, await bake(net, variables), own);
  const made = await compile(device, prediction(net, { batch: 6 }), { variables });
  const baked = await compile(device, prediction(plain, { batch: 6 }), { variables: own });
  const [a, b] = [(await made.run({ x: inputs.x })).y, (await baked.run({ x: inputs.x })).y];
  expect(new Uint32Array(b?.buffer as ArrayBuffer)).toEqual(
    new Uint32Array(a?.buffer as ArrayBuffer),
  );
  expect(new Set(a).size).toBeGreaterThan(20);
  for (const one of [step, made, baked, variables, own]) one.dispose();
});

/** Coloured noise of 8 × 8 pixels. */
function coloured(count: number, seed: number): ImageSet {
  return {
    images: Uint8Array.from(uniform(key(seed), count * 192), (u) => 256 * u),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 10),
    count,
    channels: 3,
    height: 8,
    width: 8,
    classes: 10,
    source: "noise",
  };
}

test.each(["adam", "nesterov"] as const)(
  "a resumed run with %s is an unbroken one, bit for bit",
  async (optimizer) => {
    const device = await testDevice();
    const data: ImageSplit = {
      train: coloured(20, 1),
      validation: coloured(6, 2),
      test: coloured(5, 3),
    };
    const settings: ImageSettings = {
      task: "cifar10",
      preset: "toy",
      model: modelSpec("hyper-wrn", {
        ...small,
        nz: 8,
        d: 8,
        l2: 1e-4,
        normalize: { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.25] },
      }),
      seed: 3,
      batch: 6,
      steps: 6,
      optimizer,
      lr: 0.01,
      rate: { kind: "steps", factors: [1, 0.2], until: [3] },
      clip: 0,
      augment: true,
      memory: "normal",
      limit: 0,
    };
    const run = async (from?: Uint8Array) => {
      const lasts: Uint8Array[] = [];
      const steps: StepEvent[] = [];
      await train({
        device,
        task: imageTask(settings, data, "software"),
        snapshots: { steps: 1, seconds: 1000 },
        ...(from && { resume: readCheckpoint(from, "snapshot") }),
        onEvent: (event) => {
          if (event.event === "step") steps.push(event);
        },
        onSnapshot: (kind, bytes) => {
          if (kind === "last") lasts.push(bytes);
        },
      });
      return { lasts, losses: steps.map(({ loss }) => loss), rates: steps.map(({ lr }) => lr) };
    };
    const whole = await run();
    expect(whole.rates).toEqual([0.01, 0.01, 0.01, 0.002, 0.002, 0.002]);
    for (const k of [2, 4]) {
      const rest = await run(whole.lasts[k - 1]);
      expect(rest.losses).toEqual(whole.losses.slice(k));
      const [a, b] = [rest, whole].map(({ lasts }) =>
        readCheckpoint(lasts.at(-1) as Uint8Array, "end"),
      );
      expect(a?.tensors).toEqual(b?.tensors);
    }
  },
);
