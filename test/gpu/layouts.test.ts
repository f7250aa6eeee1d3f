import { expect, test } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { key, normal } from "../../src/graph/random";
import { size } from "../../src/graph/shape";
import {
  type G1910Options,
  g1910Generator,
  g1910Kernel,
  g1910Parameters,
} from "../../src/hyper/layouts";
import { staticGenerator } from "../../src/hyper/static";
import type { Values } from "../../src/nn/module";
import { add, mul } from "../../src/ops/elementwise";
import { sum } from "../../src/ops/reduce";
import { constant, placeholder } from "../../src/ops/sources";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { expectClose, testDevice } from "./check-case";

const random = (seed: number, n: number) => Float32Array.from(normal(key(seed), n));
const context = { train: false, key: null };

/** The kernels of g1910/HyperNetworks in f64, as that code computes them. */
function byHand(p: Record<string, ArrayLike<number>>, options: G1910Options): number[][] {
  const { kernels, outputs: O, inputs: I, kernelSize: f, nz } = options;
  const get = (name: string, i: number): number => p[name]?.[i] ?? Number.NaN;
  let e = 0;
  return kernels.map(([rows, columns]) => {
    const kernel = new Array<number>(rows * O * columns * I * f * f);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, e++) {
        const flat: number[] = [];
        for (let s = 0; s < I; s++) {
          const h: number[] = [];
          for (let k = 0; k < nz; k++) {
            let sum = get("b2", s * nz + k);
            for (let n = 0; n < nz; n++)
              sum += get("z", e * nz + n) * get("w2", n * I * nz + s * nz + k);
            h.push(sum);
          }
          for (let q = 0; q < O * f * f; q++) {
            flat.push(
              h.reduce((sum, v, k) => sum + v * get("w1", k * O * f * f + q), get("b1", q)),
            );
          }
        }
        // flat, read in row-major order, is [O, I, f, f].
        for (let o = 0; o < O; o++) {
          for (let i = 0; i < I; i++) {
            for (let a = 0; a < f * f; a++) {
              const [to, from] = [row * O + o, column * I + i];
              kernel[(to * columns * I + from) * f * f + a] = flat[(o * I + i) * f * f + a] ?? 0;
            }
          }
        }
      }
    }
    return kernel;
  });
}

test("g1910's layout: channels that mix, several kernels, its order of tiles, gradients", async () => {
  const device = await testDevice();
  const options: G1910Options = {
    kernels: [
      [2, 3],
      [1, 1],
      [3, 1],
    ],
    outputs: 5,
    inputs: 3,
    kernelSize: 2,
    nz: 4,
  };
  const generator = g1910Generator(options);
  const entries = Object.entries(generator.params);
  const data: Record<string, Float32Array> = {};
  const inputs: Record<string, Tensor> = {};
  for (const [k, [name, { shape }]] of entries.entries()) {
    data[name] = random(k, size(shape));
    inputs[name] = placeholder(name, shape);
  }
  const made = generator.apply(context, inputs as Values<typeof generator.params>, {}).outputs;
  expect(made.map(({ shape }) => shape)).toEqual([
    [10, 9, 2, 2],
    [5, 3, 2, 2],
    [15, 3, 2, 2],
  ]);
  const cotangents = made.map(({ shape }, k) => random(10 + k, size(shape)));
  const loss = made
    .map((kernel, k) => sum(mul(kernel, constant(cotangents[k] as Float32Array, kernel.shape))))
    .reduce((a, b) => add(a, b));
  const outputs: Record<string, Tensor> = {};
  for (const [k, kernel] of made.entries()) outputs[`kernel${k}`] = kernel;
  for (const [k, dx] of gradient(loss, Object.values(inputs)).entries())
    outputs[`d${entries[k]?.[0]}`] = dx;
  const executable = await compile(device, { inputs, outputs });
  const got = await executable.run(data);
  executable.dispose();

  const total = (p: Record<string, ArrayLike<number>>): number =>
    byHand(p, options).reduce(
      (n, kernel, l) => kernel.reduce((m, v, i) => m + v * (cotangents[l]?.[i] ?? 0), n),
      0,
    );
  for (const [k, kernel] of byHand(data, options).entries()) {
    expectClose(got[`kernel${k}`] as Float32Array, kernel, 2e-6, `kernel ${k}`);
  }
  for (const [name] of entries) {
    const from = Float64Array.from(data[name] as Float32Array);
    // The loss is linear in each number, so that a difference over any step is its derivative.
    const want = [...from].map((_, i) => {
      const moved = (by: number) =>
        total({ ...data, [name]: from.map((v, j) => (j === i ? v + by : v)) });
      return (moved(1) - moved(-1)) / 2;
    });
    expectClose(got[`d${name}`] as Float32Array, want, 3e-6, `gradient of ${name}`);
  }
});

test("for as many inputs as outputs g1910's kernel is the paper's with the channels exchanged", async () => {
  const device = await testDevice();
  const sizes = { outputs: 3, inputs: 3, kernelSize: 3, nz: 2 };
  const values = {
    z: constant(random(1, 2), [1, 2]),
    w1: constant(random(2, 54), [2, 27]),
    b1: constant(random(3, 27), [27]),
    w2: constant(random(4, 12), [2, 6]),
    b2: constant(random(5, 6), [6]),
  };
  const paper = staticGenerator({ kernels: [sizes], ...sizes });
  const [ours] = paper.apply(context, g1910Parameters(values, sizes), {}).outputs;
  const [theirs] = g1910Generator({ kernels: [[1, 1]], ...sizes }).apply(
    context,
    values,
    {},
  ).outputs;
  const program = { inputs: {}, outputs: { ours: ours as Tensor, theirs: theirs as Tensor } };
  const executable = await compile(device, program);
  const got = await executable.run();
  executable.dispose();
  for (let o = 0; o < 3; o++) {
    for (let i = 0; i < 3; i++) {
      const [a, b] = [(o * 3 + i) * 9, (i * 3 + o) * 9];
      expect(got.theirs?.slice(a, a + 9)).toEqual(got.ours?.slice(b, b + 9));
    }
  }
});

test("g1910's tiles lie output blocks slow, input blocks fast", async () => {
  const device = await testDevice();
  const tiles = constant(
    Float32Array.from({ length: 6 }, (_, e) => e),
    [6, 1, 1, 1, 1],
  );
  const kernel = g1910Kernel(tiles, [3, 2]);
  expect(kernel.shape).toEqual([3, 2, 1, 1]);
  const executable = await compile(device, { inputs: {}, outputs: { kernel } });
  expect([...((await executable.run()).kernel ?? [])]).toEqual([0, 1, 2, 3, 4, 5]);
  executable.dispose();
});
