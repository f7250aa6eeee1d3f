import { expect, test } from "vitest";
import type { Device } from "../../src/gpu/device";
import { size } from "../../src/graph/shape";
import { hyper } from "../../src/hyper/hyper";
import { hyperCnn } from "../../src/hyper/hyper-cnn";
import {
  kernelMatrix,
  type StaticGenerator,
  staticGenerator,
  type StaticOptions,
} from "../../src/hyper/static";
import { cnn } from "../../src/nn/cnn";
import { specs } from "../../src/nn/module";
import { bindSlab, countParameters, slabsOf } from "../../src/nn/slabs";
import { compile } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import { prediction } from "../../src/train/programs";
import { testDevice } from "./check-case";

/** The kernels of a generator at its initial values for a seed, and those values. */
async function generate(device: Device, generator: StaticGenerator, seed: number) {
  const { parameters } = slabsOf(generator);
  const { values } = bindSlab(generator.params, parameters);
  const made = generator.apply({ train: false, key: null }, values, {}).outputs;
  const outputs = Object.fromEntries(made.map((kernel, k) => [k, kernel]));
  const executable = await compile(device, { inputs: {}, outputs }, { seed });
  const got = await executable.run();
  executable.dispose();
  const slab = parameters.variable.initial(seed);
  const initial = Object.fromEntries(
    parameters.variable.entries.map((e) => [
      e.name,
      slab.slice(e.offset, e.offset + size(e.shape)),
    ]),
  );
  return {
    kernels: made.map(({ shape }, k) => ({ shape, data: got[k] as Float32Array })),
    initial,
  };
}

function std(data: Float32Array): number {
  const mean = data.reduce((n, x) => n + x, 0) / data.length;
  return Math.sqrt(data.reduce((n, x) => n + (x - mean) ** 2, 0) / data.length);
}

test("the paper's counts: 12,544 weights become 4,240 and an embedding of 4", () => {
  const plain = specs(cnn().params).find(({ path }) => path === "conv2.kernel");
  expect(size(plain?.value.shape ?? [])).toBe(12_544);
  const net = hyperCnn();
  const own = net.generator.params;
  expect(countParameters(own)).toBe(4_244);
  expect(size(own.z.shape)).toBe(4);
  expect(countParameters(net.params)).toBe(countParameters(cnn().params) - 12_544 + 4_244);
  // N_z D + d (N_z + 1) N_in + f N_out f (d + 1), for any d.
  const { generator } = hyperCnn({ nz: 3, d: 5, channels: [6, 10], kernelSize: 3 });
  expect(countParameters(generator.params)).toBe(3 + 5 * 4 * 6 + 3 * 10 * 3 * 6);
});

const inits: readonly (StaticOptions & { readonly what: string })[] = [
  { what: "MNIST", kernels: [{ inputs: 16, outputs: 16 }], kernelSize: 7, nz: 4 },
  { what: "N_in < N_out", kernels: [{ inputs: 8, outputs: 24 }], kernelSize: 3, nz: 8 },
  {
    what: "N_in > N_out, d > N_z",
    kernels: [{ inputs: 32, outputs: 12 }],
    kernelSize: 3,
    nz: 4,
    d: 16,
  },
  { what: "d < N_z", kernels: [{ inputs: 24, outputs: 16 }], kernelSize: 7, nz: 16, d: 6 },
  { what: "N_z = 1", kernels: [{ inputs: 16, outputs: 32 }], kernelSize: 7, nz: 1, d: 8 },
  {
    what: "a residual network's layers",
    kernels: [
      { inputs: 16, outputs: 16 },
      { inputs: 16, outputs: 32 },
      { inputs: 64, outputs: 32 },
    ],
    kernelSize: 3,
    nz: 64,
  },
];

for (const { what, ...options } of inits) {
  test(`initial kernels have He's deviation within 20 %: ${what}`, async () => {
    const device = await testDevice();
    const generator = staticGenerator(options);
    for (const seed of [0, 1, 2]) {
      const { kernels } = await generate(device, generator, seed);
      for (const { shape, data } of kernels) {
        const [, inputs = 1, f = 1] = shape;
        const he = Math.sqrt(2 / (inputs * f * f));
        expect(Math.abs(std(data) / he - 1), `seed ${seed}, [${shape}]`).toBeLessThan(0.2);
      }
    }
  });
}

test("tiles lie as in equation 3, several kernels share a generator, K reads as the paper's", async () => {
  const device = await testDevice();
  const [block, f, nz, d] = [{ inputs: 2, outputs: 3 }, 3, 4, 5];
  const layers = [
    { inputs: 4, outputs: 12 },
    { inputs: 2, outputs: 3 },
    { inputs: 6, outputs: 3 },
  ];
  const generator = staticGenerator({ kernels: layers, block, kernelSize: f, nz, d });
  const { kernels, initial } = await generate(device, generator, 5);
  expect(generator.params.z.shape).toEqual([2 * 4 + 1 + 3, nz]);
  const get = (name: string, i: number): number => initial[name]?.[i] ?? Number.NaN;
  /** K of one block by equations 1 and 2: [N_in·f, N_out·f]. */
  const blockMatrix = (m: number): number[][] =>
    Array.from({ length: block.inputs * f }, (_, row) => {
      const [i, r] = [Math.floor(row / f), row % f];
      return Array.from({ length: block.outputs * f }, (_, q) => {
        let sum = get("B_out", r * block.outputs * f + q);
        for (let k = 0; k < d; k++) {
          let a = get("B_i", i * d + k);
          for (let n = 0; n < nz; n++) a += get("W_i", (i * d + k) * nz + n) * get("z", m * nz + n);
          sum += get("W_out", (r * block.outputs * f + q) * d + k) * a;
        }
        return sum;
      });
    });
  let first = 0;
  for (const [l, { inputs, outputs }] of layers.entries()) {
    const { shape, data } = kernels[l] as { shape: readonly number[]; data: Float32Array };
    expect(shape).toEqual([outputs, inputs, f, f]);
    const K = kernelMatrix(data, shape);
    const across = outputs / block.outputs;
    for (let row = 0; row < inputs * f; row++) {
      for (let column = 0; column < outputs * f; column++) {
        // K1 K2 K3 K4 over K5 K6 K7 K8: input blocks down, output blocks across.
        const down = Math.floor(row / (block.inputs * f));
        const tile = first + down * across + Math.floor(column / (block.outputs * f));
        const want =
          blockMatrix(tile)[row % (block.inputs * f)]?.[column % (block.outputs * f)] ?? 0;
        expect(Math.abs((K[row * outputs * f + column] ?? Number.NaN) - want)).toBeLessThan(1e-6);
      }
    }
    first += (inputs / block.inputs) * across;
  }
});

test("a kernel that is no grid of blocks is refused", () => {
  const kernels = [{ inputs: 24, outputs: 16 }];
  const block = { inputs: 16, outputs: 16 };
  expect(() => staticGenerator({ kernels, block, kernelSize: 3, nz: 2 })).toThrow(
    "hyperloom: staticGenerator: a kernel of [16, 24] channels is no grid of blocks of [16, 16]",
  );
});

test("one model takes several generators, one around the other", async () => {
  const device = await testDevice();
  const target = cnn({ input: [1, 9, 9], channels: [4, 6], kernelSize: 3, classes: 3 });
  const kernel = (inputs: number, outputs: number, nz: number) =>
    staticGenerator({ kernels: [{ inputs, outputs }], kernelSize: 3, nz });
  const inner = hyper(target, { generator: kernel(4, 6, 2), paths: ["conv2.kernel"] });
  const generator = kernel(1, 4, 5);
  expect(() => hyper(inner, { generator, paths: ["conv1.kernel"] })).toThrow(
    "under generator; give another",
  );
  const outer = hyper(inner, { generator, paths: ["conv1.kernel"], branch: "first" });
  const paths = specs(outer.params).map(({ path }) => path);
  const variables = new Variables(device, 3);
  const net = await compile(device, prediction(outer, { batch: 2 }), { variables });
  const { y } = await net.run({ x: new Float32Array(2 * 81).fill(0.5) });
  net.dispose();
  variables.dispose();
  expect(new Set(paths).size).toBe(5 + 5 + 4);
  expect(y).toHaveLength(6);
  expect((y as Float32Array).every((v) => Number.isFinite(v) && v !== 0)).toBe(true);
});

test("hyper refuses what does not fit", () => {
  const target = cnn();
  const generator = staticGenerator({
    kernels: [{ inputs: 16, outputs: 8 }],
    kernelSize: 7,
    nz: 4,
  });
  expect(() => hyper(target, { generator, paths: ["conv3.kernel"] })).toThrow(
    "hyperloom: hyper: cnn has no parameter conv3.kernel; it has conv1.kernel, conv1.bias",
  );
  const net = hyper(target, { generator, paths: ["conv2.kernel"] });
  expect(() => prediction(net, { batch: 1 })).toThrow(
    "hyperloom: hyper: conv2.kernel must be [16, 16, 7, 7], alone or per sample; the generator made [8, 16, 7, 7]",
  );
});
