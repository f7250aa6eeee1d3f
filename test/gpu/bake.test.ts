import { expect, test } from "vitest";
import { key, normal } from "../../src/graph/random";
import { bake, loadBaked } from "../../src/hyper/bake";
import { flatGenerator } from "../../src/hyper/flat";
import { hyper } from "../../src/hyper/hyper";
import { hyperCnn } from "../../src/hyper/hyper-cnn";
import { cnn } from "../../src/nn/cnn";
import { dense } from "../../src/nn/dense";
import { crossEntropy } from "../../src/nn/losses";
import { specs } from "../../src/nn/module";
import { bindSlab, slabsOf } from "../../src/nn/slabs";
import { placeholder } from "../../src/ops/sources";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import { prediction, trainStep } from "../../src/train/programs";
import { testDevice } from "./check-case";

const random = (seed: number, n: number) => Float32Array.from(normal(key(seed), n));

test("a baked hyper-CNN is the plain CNN, bit for bit", async () => {
  const device = await testDevice();
  const sizes = { input: [1, 14, 14], channels: [6, 8], kernelSize: 5 } as const;
  const batch = 4;
  const model = hyperCnn({ ...sizes, nz: 3, d: 5 });
  const variables = new Variables(device, 1);
  // Some steps of training, so that nothing is at its start.
  const program = trainStep(model, crossEntropy, adam({ lr: 0.01 }), { batch });
  const step = await compile(device, program, { variables });
  const x = random(1, batch * 14 * 14);
  for (let t = 0; t < 3; t++) {
    await step.run({
      x,
      labels: Uint32Array.of(3, 1, 4, 1),
      weight: new Float32Array(batch).fill(1),
    });
  }
  step.dispose();
  const baked = await bake(model, variables);
  expect([...baked.parameters.keys()]).toEqual([
    "conv1.kernel",
    "conv1.bias",
    "conv2.kernel",
    "conv2.bias",
    "fc.weight",
    "fc.bias",
  ]);
  expect(baked.parameters.get("conv2.kernel")?.shape).toEqual([8, 6, 5, 5]);

  const plain = cnn(sizes);
  const own = new Variables(device, 99);
  loadBaked(plain, baked, own);
  const hyperNet = await compile(device, prediction(model, { batch }), { variables });
  const plainNet = await compile(device, prediction(plain, { batch }), { variables: own });
  const [{ y: a }, { y: b }] = await Promise.all([hyperNet.run({ x }), plainNet.run({ x })]);
  expect(new Uint32Array(b?.buffer as ArrayBuffer)).toEqual(
    new Uint32Array(a?.buffer as ArrayBuffer),
  );
  expect(new Set(a).size).toBeGreaterThan(20);
  for (const made of [hyperNet, plainNet, variables, own]) made.dispose();
});

test("a conditional hypernetwork is baked for one condition, not for one per sample", async () => {
  const device = await testDevice();
  const target = dense(3, 2);
  const generator = flatGenerator(target.params, { nz: 4, hidden: [5], conditions: 1 });
  const model = hyper(target, { generator, conditions: 1 });
  const variables = new Variables(device, 2);
  const z = { shape: [4], data: random(3, 4) };
  const baked = await bake(model, variables, [z]);
  const own = new Variables(device);
  loadBaked(target, baked, own);
  const x = placeholder("x", [2, 3]);
  const input = placeholder("z", [4]);
  const context = { train: false, key: null };
  const hyperValues = bindSlab(model.params, slabsOf(model).parameters).values;
  const y = model.apply(context, hyperValues, {}, input, x).outputs;
  const plainValues = bindSlab(target.params, slabsOf(target).parameters).values;
  const plain = target.apply(context, plainValues, {}, x).outputs;
  const data = random(4, 6);
  const one = await compile(device, { inputs: { x, z: input }, outputs: { y } }, { variables });
  const two = await compile(device, { inputs: { x }, outputs: { y: plain } }, { variables: own });
  expect((await two.run({ x: data })).y).toEqual((await one.run({ x: data, z: z.data })).y);

  const perSample = bake(model, variables, [{ shape: [2, 4], data: random(5, 8) }]);
  await expect(perSample).rejects.toThrow("makes weight per sample, [2, 2, 3]");
  for (const made of [one, two, variables, own]) made.dispose();
});

test("values baked for another module are refused by name", async () => {
  const device = await testDevice();
  const [target, other] = [dense(3, 2), dense(3, 4)];
  const model = hyper(target, { generator: flatGenerator(target.params, { nz: 1 }) });
  expect(specs(model.params).map(({ path }) => path)).toEqual([
    "generator.z",
    "generator.heads.weight.weight",
    "generator.heads.weight.bias",
    "generator.heads.bias.weight",
    "generator.heads.bias.bias",
  ]);
  const variables = new Variables(device);
  const baked = await bake(model, variables);
  expect(() => loadBaked(other, baked, variables)).toThrow("weight [4, 3] was baked as [2, 3]");
  variables.dispose();
});
