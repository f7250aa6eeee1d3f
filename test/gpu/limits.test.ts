import { expect, test } from "vitest";
import { requestDevice } from "../../src/gpu/device";
import { LimitError } from "../../src/gpu/errors";
import { hyperCnn } from "../../src/hyper/hyper-cnn";
import { crossEntropy } from "../../src/nn/losses";
import { exp } from "../../src/ops/elementwise";
import { placeholder } from "../../src/ops/sources";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { trainStep } from "../../src/train/programs";

test("a device with WebGPU's default limits trains, and refuses by number what exceeds them", async () => {
  const device = await requestDevice({ defaultLimits: true });
  expect(device.gpu.limits.maxStorageBufferBindingSize).toBe(2 ** 27);
  const program = trainStep(hyperCnn({ nz: 4 }), crossEntropy, adam({ lr: 1e-3 }), { batch: 4 });
  const step = await compile(device, program, { seed: 1 });
  const x = new Float32Array(4 * 784).map((_, i) => (i % 7) / 7);
  const batch = { x, labels: Uint32Array.of(1, 2, 3, 4), weight: Float32Array.of(1, 1, 1, 1) };
  const losses = [];
  for (let t = 0; t < 5; t++) losses.push((await step.run(batch)).loss?.[0] ?? Number.NaN);
  expect(losses[4]).toBeLessThan(losses[0] as number);
  step.dispose();
  expect(device.counts).toMatchObject({ buffers: 0, bytes: 0 });

  const { created } = device.counts;
  const large = placeholder("large", [2 ** 25 + 4]);
  const attempt = compile(device, { inputs: { large }, outputs: { y: exp(large) } });
  const error = await attempt.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LimitError);
  expect((error as Error).message).toContain("is 134217728, 134217744 needed; large does not fit");
  expect(device.counts.created).toBe(created);
  device.dispose();
});

test("a byte budget is kept before anything is allocated beyond it", async () => {
  const device = await requestDevice({ maxBytes: 2 ** 16 });
  const x = placeholder("x", [2 ** 14]);
  const attempt = compile(device, { inputs: { x }, outputs: { y: exp(x) } });
  await expect(attempt).rejects.toThrow(/byte budget \(maxBytes\) is 65536, \d+ needed/);
  expect(device.counts).toMatchObject({ buffers: 0, bytes: 0 });
  device.dispose();
});
