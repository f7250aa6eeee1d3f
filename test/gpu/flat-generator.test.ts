import { expect, test } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { key, normal } from "../../src/graph/random";
import { size } from "../../src/graph/shape";
import type { Tree } from "../../src/graph/tree";
import { type FlatOptions, flatGenerator } from "../../src/hyper/flat";
import { hyper } from "../../src/hyper/hyper";
import { cnn } from "../../src/nn/cnn";
import { dense } from "../../src/nn/dense";
import { meanSquaredError } from "../../src/nn/losses";
import { type Module, module, type ParamSpec, specs, type Values } from "../../src/nn/module";
import { bindSlab, countParameters, slabsOf } from "../../src/nn/slabs";
import { mul, tanh } from "../../src/ops/elementwise";
import { slice } from "../../src/ops/layout";
import { sum } from "../../src/ops/reduce";
import { constant, placeholder } from "../../src/ops/sources";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { Variables } from "../../src/schedule/variables";
import { trainStep } from "../../src/train/programs";
import { expectClose, testDevice } from "./check-case";

const NZ = 3;
const B = 5;
const context = { train: true, key: null };

/** A plain MLP, made of two dense layers: it knows nothing of generators. */
function mlp(inputs: number, hidden: number, outputs: number) {
  const [first, second] = [dense(inputs, hidden), dense(hidden, outputs)];
  return module(
    "mlp",
    { first: first.params, second: second.params },
    (c, p, x: Tensor) => {
      const h = tanh(first.apply(c, p.first, {}, x).outputs);
      return second.apply(c, p.second, {}, h).outputs;
    },
    [inputs],
  );
}

const random = (seed: number, n: number) => Float32Array.from(normal(key(seed), n));

type Parameters = Record<string, number[]>;

/** y = x Wᵀ + b, row by row, in f64; `x` is [rows, inputs]. */
function affineRow(
  x: readonly number[],
  weight: readonly number[],
  bias: readonly number[],
): number[] {
  return bias.map((b, o) => x.reduce((y, v, i) => y + v * (weight[o * x.length + i] ?? 0), b));
}

/** The MLP [2 → 3 → 2] of one sample with weights made from z, all by hand. */
function byHand(
  p: Parameters,
  hidden: number,
  z: readonly number[],
  x: readonly number[],
): number[] {
  let h = [...z];
  for (let k = 0; k < hidden; k++) {
    h = affineRow(h, p[`hidden${k}.weight`] ?? [], p[`hidden${k}.bias`] ?? []).map((v) =>
      Math.max(v, 0),
    );
  }
  const made = (path: string): number[] =>
    affineRow(h, p[`heads.${path}.weight`] ?? [], p[`heads.${path}.bias`] ?? []);
  const inner = affineRow(x, made("first.weight"), made("first.bias")).map(Math.tanh);
  return affineRow(inner, made("second.weight"), made("second.bias"));
}

interface Setup {
  readonly what: string;
  readonly options: FlatOptions;
  /** The condition's shape; null: z is a parameter. */
  readonly z: readonly number[] | null;
}

const setups: readonly Setup[] = [
  { what: "an embedding makes one set for the batch", options: { nz: NZ, hidden: [4] }, z: null },
  { what: "a condition makes one set for the batch", options: { nz: NZ, conditions: 1 }, z: [NZ] },
  {
    what: "a condition makes a set for every sample",
    options: { nz: NZ, hidden: [4, 3], conditions: 1 },
    z: [B, NZ],
  },
];

for (const { what, options, z: shape } of setups) {
  test(`all weights of a plain MLP: ${what}`, async () => {
    const device = await testDevice();
    const target = mlp(2, 3, 2);
    const generator = flatGenerator(target.params, options as FlatOptions & { conditions: 1 });
    const net = hyper(target, { generator, conditions: options.conditions as 1 });
    const [x, z, cotangent] = [random(1, B * 2), shape && random(2, size(shape)), random(3, B * 2)];
    const { tensor, values } = bindSlab(net.params, slabsOf(net).parameters);
    const inputs = { ...(shape && { z: placeholder("z", shape) }), x: placeholder("x", [B, 2]) };
    const y = net.apply(
      context,
      values,
      {},
      ...(Object.values(inputs) as [Tensor, Tensor]),
    ).outputs;
    const loss = sum(mul(y, constant(cotangent, [B, 2])));
    const wrt = [tensor as Tensor, ...(shape ? [inputs.z as Tensor] : [])];
    const [g, dz = g] = gradient(loss, wrt) as [Tensor, Tensor?];
    const variables = new Variables(device, 4);
    // Biases start at zero: anything else tells more.
    const { variable } = slabsOf(net).parameters;
    const start = variable.initial(4);
    for (const { name, shape: s, offset } of variable.entries) {
      if (name.endsWith("bias"))
        start.set(
          random(offset, size(s)).map((v) => 0.3 * v),
          offset,
        );
    }
    variables.write(variable, start);
    const executable = await compile(device, { inputs, outputs: { y, g, dz } }, { variables });
    const got = await executable.run({ x, ...(z && { z }) });
    executable.dispose();
    variables.dispose();

    const forward = (slab: Float64Array, condition: readonly number[]): number[] => {
      const p: Parameters = {};
      for (const { name, shape: s, offset } of variable.entries) {
        p[name.slice("generator.".length)] = [...slab.subarray(offset, offset + size(s))];
      }
      return Array.from({ length: B }, (_, b) => {
        const own =
          shape === null
            ? (p.z ?? [])
            : shape.length === 1
              ? condition
              : condition.slice(b * NZ, (b + 1) * NZ);
        return byHand(p, options.hidden?.length ?? 0, own, [...x.subarray(2 * b, 2 * b + 2)]);
      }).flat();
    };
    const at = Float64Array.from(start);
    const condition = [...(z ?? [])];
    expectClose(got.y as Float32Array, forward(at, condition), 3e-6, "outputs");
    const total = (slab: Float64Array, from: readonly number[]): number =>
      forward(slab, from).reduce((n, v, i) => n + v * (cotangent[i] ?? 0), 0);
    const h = 1e-5;
    for (const { name, shape: s, offset } of variable.entries) {
      const want = Array.from({ length: size(s) }, (_, i) => {
        const moved = (by: number) =>
          total(
            at.map((v, k) => (k === offset + i ? v + by : v)),
            condition,
          );
        return (moved(h) - moved(-h)) / (2 * h);
      });
      expectClose(
        (got.g as Float32Array).subarray(offset, offset + size(s)),
        want,
        1e-5,
        `gradient of ${name}`,
      );
    }
    if (!shape) return;
    const want = condition.map((_, i) => {
      const moved = (by: number) =>
        total(
          at,
          condition.map((v, k) => (k === i ? v + by : v)),
        );
      return (moved(h) - moved(-h)) / (2 * h);
    });
    expectClose(got.dz as Float32Array, want, 1e-5, "gradient of z");
  });
}

test("an MLP made per sample learns one function for each condition", async () => {
  const device = await testDevice();
  const target = mlp(2, 8, 1);
  const generator = flatGenerator(target.params, { nz: 2, hidden: [8], conditions: 1 });
  const net = hyper(target, { generator, conditions: 1 });
  // A training step takes one tensor: condition and x side by side.
  const joined: Module<typeof net.params, typeof net.state> = {
    ...net,
    apply: (c, p, s, both) => {
      const rows = both.shape[0] ?? 1;
      return net.apply(c, p, s, slice(both, [0, 0], [rows, 2]), slice(both, [0, 2], [rows, 4]));
    },
  };
  const rows = 32;
  const x = random(7, rows * 2);
  const both = new Float32Array(rows * 4);
  const y = new Float32Array(rows);
  for (let b = 0; b < rows; b++) {
    const [u = 0, v = 0] = x.subarray(2 * b, 2 * b + 2);
    both.set([b % 2, 1 - (b % 2), u, v], 4 * b);
    y[b] = b % 2 === 0 ? Math.tanh(u - v) : -Math.tanh(u + v);
  }
  const program = trainStep(joined, meanSquaredError, adam({ lr: 0.02 }), {
    batch: rows,
    input: [4],
  });
  const step = await compile(device, program, { seed: 1 });
  const losses: number[] = [];
  for (let t = 0; t < 80; t++) {
    const { loss } = await step.run({ x: both, target: y });
    losses.push(loss?.[0] ?? Number.NaN);
  }
  step.dispose();
  // The mean of y², what a network that ignores the condition reaches at best, is about 0.5.
  expect(losses[79]).toBeLessThan(0.05);
  expect(losses[79]).toBeLessThan(0.1 * (losses[0] ?? 0));
});

test("a flat generator starts at hyperfan-in and at the target's own biases", async () => {
  const device = await testDevice();
  const target = cnn({ input: [1, 16, 16], channels: [8, 12], kernelSize: 3 });
  const scale: ParamSpec = { shape: [40], init: () => new Float64Array(40).fill(1), kind: "scale" };
  const params: Tree<ParamSpec> = { ...target.params, scale };
  for (const hidden of [[], [64, 64]]) {
    const generator = flatGenerator(params, { nz: 16, hidden });
    const { values } = bindSlab(generator.params, slabsOf(generator).parameters);
    const made = generator.apply(context, values as Values<typeof generator.params>, {}).outputs;
    const paths = specs(params).map(({ path }) => path);
    const outputs = Object.fromEntries(made.map((value, k) => [paths[k] as string, value]));
    const executable = await compile(device, { inputs: {}, outputs }, { seed: 3 });
    const got = await executable.run();
    executable.dispose();
    for (const { path, value } of specs(params)) {
      const data = [...(got[path] ?? [])];
      if (value.fanIn === undefined) {
        expect(new Set(data)).toEqual(new Set([path === "scale" ? 1 : 0]));
        continue;
      }
      const std = Math.sqrt(data.reduce((n, v) => n + v * v, 0) / data.length);
      const he = Math.sqrt(2 / value.fanIn);
      // conv1 has 72 numbers, and hidden ReLU layers scatter |h|² for a single z.
      const within = data.length > 500 && hidden.length === 0 ? 0.1 : 0.45;
      expect(Math.abs(std / he - 1), `${path}, ${hidden.length} hidden`).toBeLessThan(within);
    }
  }
});

test("a flat generator counts what it says, and refuses a z of another size", () => {
  const target = mlp(2, 3, 2);
  const generator = flatGenerator(target.params, { nz: 4, hidden: [5], conditions: 1 });
  const made = countParameters(target.params);
  expect(made).toBe(2 * 3 + 3 + 3 * 2 + 2);
  expect(countParameters(generator.params)).toBe(4 * 5 + 5 + 5 * made + made);
  const { values } = bindSlab(generator.params, slabsOf(generator).parameters);
  expect(() =>
    generator.apply(
      context,
      values as Values<typeof generator.params>,
      {},
      placeholder("z", [2, 3]),
    ),
  ).toThrow("hyperloom: flat generator: z is [2, 3], must be [4], or [B, 4]");
});
