import { expect, test } from "vitest";
import {
  generateMatrix,
  generatorParameters,
  logits,
  MADE,
  softmax,
} from "../../demo/static/network";
import { generateDigits } from "../../src/data/digits";
import { key, normal } from "../../src/graph/random";
import { size } from "../../src/graph/shape";
import { bake } from "../../src/hyper/bake";
import { hyperCnn } from "../../src/hyper/hyper-cnn";
import { kernelMatrix } from "../../src/hyper/static";
import { countParameters, slabsOf } from "../../src/nn/slabs";
import { compile } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import { prediction } from "../../src/train/programs";
import { testDevice } from "./check-case";

/** Largest difference, in shares of the largest value of the reference. */
function apart(found: Float32Array, reference: Float32Array): number {
  const most = reference.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
  return found.reduce((a, x, k) => Math.max(a, Math.abs(x - (reference[k] ?? Infinity))), 0) / most;
}

for (const nz of [4, 3]) {
  test(`the demo's page generates kernels and reads digits as the library does, N_z ${nz}`, async () => {
    const device = await testDevice();
    const net = hyperCnn({ nz });
    const variables = new Variables(device, 5);
    const { variable } = slabsOf(net).parameters;
    // Nothing at its start: biases are zero there.
    const slab = Float32Array.from(normal(key(8), size(variable.shape)), (x) => x / 4);
    variables.write(variable, slab);
    const tensors = Object.fromEntries(
      variable.entries.map(({ name, shape, offset }) => [
        name,
        slab.slice(offset, offset + size(shape)),
      ]),
    );
    const matrix = generateMatrix(tensors, tensors["generator.z"] as Float32Array);
    const { data, shape } = (await bake(net, variables)).parameters.get("conv2.kernel") ?? {};
    const baked = kernelMatrix(data as Float32Array, shape ?? []);
    expect(matrix).toHaveLength(MADE);
    expect(apart(matrix, baked)).toBeLessThan(1e-6);

    const { images } = generateDigits({ count: 2, seed: 3 });
    const x = Float32Array.from(images, (byte) => byte / 255);
    const predict = await compile(device, prediction(net, { batch: 2 }), { variables });
    const y = (await predict.run({ x })).y as Float32Array;
    for (const k of [0, 1]) {
      const own = logits(tensors, matrix, x.subarray(k * 784, (k + 1) * 784));
      expect(apart(own, y.slice(10 * k, 10 * k + 10))).toBeLessThan(1e-5);
    }
    const shares = softmax(y.slice(0, 10));
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    expect(shares.indexOf(Math.max(...shares))).toBe(
      y.slice(0, 10).indexOf(Math.max(...y.slice(0, 10))),
    );
    predict.dispose();
    variables.dispose();
  });
}

test("the demo's page counts the generator's parameters as the library does", () => {
  for (const nz of [1, 4, 16]) {
    expect(generatorParameters(nz)).toBe(countParameters(hyperCnn({ nz }).generator.params));
  }
});
