import { expect, test } from "vitest";
import {
  adam,
  adamW,
  apply,
  apply1,
  compile,
  constantRate,
  dense,
  dispatch,
  gradient,
  hyperCnn,
  kernelSource,
  linearGrid,
  type Loss,
  mean,
  meanSquaredError,
  type Model,
  module,
  notDifferentiable,
  type Op,
  placeholder,
  sgd,
  ShapeError,
  sin,
  slabsOf,
  square,
  sub,
  type Tensor,
  trainStep,
} from "../../src/index";
import type { Nd } from "../cases/case";
import { checkCase, testDevice } from "./check-case";

// An op as a user of the package defines it: two shaders, a shape rule, a gradient.

const HEAD = `
  fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(-x)); }
  @group(0) @binding(0) var<storage, read> a: array<f32>;
  @group(0) @binding(1) var<storage, read> b: array<f32>;`;

const forward = kernelSource(
  `${HEAD}
  @group(0) @binding(2) var<storage, read_write> y: array<f32>;
  @group(0) @binding(3) var<uniform> elements: u32;
  @compute @workgroup_size(64)
  fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) lane: u32) {
    let i = (wid.x + wid.y * groups.x) * 64u + lane;
    if (i < elements) { y[i] = a[i] * b[i] * sigmoid(b[i]); }
  }`,
  { name: "swiglu" },
);

const backward = kernelSource(
  `${HEAD}
  @group(0) @binding(2) var<storage, read> dy: array<f32>;
  @group(0) @binding(3) var<storage, read_write> da: array<f32>;
  @group(0) @binding(4) var<storage, read_write> db: array<f32>;
  @group(0) @binding(5) var<uniform> elements: u32;
  @compute @workgroup_size(64)
  fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) lane: u32) {
    let i = (wid.x + wid.y * groups.x) * 64u + lane;
    if (i >= elements) { return; }
    let s = sigmoid(b[i]);
    da[i] = dy[i] * b[i] * s;
    db[i] = dy[i] * a[i] * s * (1.0 + b[i] * (1.0 - s));
  }`,
  { name: "swiglu_gradient" },
);

const elementsOf = ({ shape }: Tensor): number => shape.reduce((n, d) => n * d, 1);

const swigluOp: Op<null> = {
  name: "swiglu",
  shape: (_, a, b) => {
    if (a.shape.join() !== b.shape.join()) {
      throw new ShapeError(`swiglu: [${a.shape}] and [${b.shape}] must be equal`);
    }
    return [a];
  },
  dispatch: ({ inputs: [a, b], outputs: [y] }) => {
    const elements = elementsOf(y);
    return [
      dispatch(forward, {
        bind: { a, b, y },
        uniforms: { elements },
        grid: linearGrid(elements / 64),
        flops: 6 * elements,
        trips: 0,
      }),
    ];
  },
  gradient: ({ inputs: [a, b] }, [dy]) =>
    dy ? apply(swigluGradientOp, null, a, b, dy) : [null, null],
};

const swigluGradientOp: Op<null> = {
  name: "swiglu_gradient",
  shape: (_, a, b) => [a, b],
  dispatch: ({ inputs: [a, b, dy], outputs: [da, db] }) => {
    const elements = elementsOf(da);
    return [
      dispatch(backward, {
        bind: { a, b, dy, da, db },
        uniforms: { elements },
        grid: linearGrid(elements / 64),
        flops: 12 * elements,
        trips: 0,
      }),
    ];
  },
  gradient: notDifferentiable("second derivatives are not needed here"),
};

const swiglu = (a: Tensor, b: Tensor): Tensor => apply1(swigluOp, null, a, b);

test("an op of one's own agrees with its oracle, its gradient with central differences", async () => {
  expect.hasAssertions();
  await checkCase(await testDevice(), {
    name: "swiglu",
    ops: ["swiglu"],
    inputs: [
      { shape: [7, 13], low: -2, high: 2 },
      { shape: [7, 13], low: -4, high: 4 },
    ],
    build: (a, b) => swiglu(a as Tensor, b as Tensor),
    oracle: (a, b) => {
      const [x, z] = [a as Nd, b as Nd];
      return {
        shape: x.shape,
        data: x.data.map(
          (v, i) => (v * (z.data[i] as number)) / (1 + Math.exp(-(z.data[i] as number))),
        ),
      };
    },
    // exp and a division, 6e-7 each on software adapters.
    tolerance: 2e-6,
  });
});

test("its shape rule refuses before anything runs, by its own words", () => {
  const [a, b] = [placeholder("a", [2, 3]), placeholder("b", [3, 2])];
  expect(() => swiglu(a, b)).toThrow("swiglu: [2,3] and [3,2] must be equal");
});

test("its gradient has to be there, with an entry for each input", () => {
  const [a, b] = [placeholder("a", [2, 3]), placeholder("b", [2, 3])];
  const lossOf = (op: Op<null>): Tensor => mean(apply1(op, null, a, b));
  const { gradient: _, ...none } = swigluOp;
  expect(() => gradient(lossOf(none as Op<null>), [a])).toThrow("swiglu has no gradient; add one");
  const short: Op<null> = { ...swigluOp, gradient: (_, [dy]) => [dy as Tensor] };
  expect(() => gradient(lossOf(short), [b])).toThrow("swiglu: its gradient has 1 of 2 entries");
});

test("slips in a module, a loss or a call name what is wrong", () => {
  const inner = dense(2, 1);
  const params = { inner: inner.params };
  const options = { batch: 4 };
  const fine = module("fine", params, (c, p, x) => inner.apply(c, p.inner, {}, x).outputs, [2]);
  const careless = inner.apply as (...x: unknown[]) => unknown;
  const step = (net: unknown, loss: unknown = meanSquaredError, given: unknown = options) =>
    trainStep(net as Model, loss as Loss, adam(), given as typeof options);
  const own = (apply: (...x: never[]) => unknown) =>
    module("own", params, apply as () => Tensor, [2]);
  const wrong: readonly [() => unknown, string][] = [
    [() => step(own(() => undefined)), "own: outputs is undefined, must be a tensor"],
    [
      () => step(own((c: never, p: { inner: never }, x: never) => careless(c, p.inner, x))),
      "dense: apply(context, params, state, x): x is undefined, must be a tensor",
    ],
    [
      () => step(own((c: never, p: { inner: never }, x: never) => careless(c, p.inner, {}, x))),
      "own: outputs is object, must be a tensor", // { outputs, state }
    ],
    [
      () => step(fine, { ...meanSquaredError, apply: (y: Tensor) => mean(y) }),
      "mean-squared-error: loss is undefined, must be a tensor",
    ],
    [() => step(fine, meanSquaredError, {}), "fine: batch is undefined, must be a positive"],
    [() => step(fine, meanSquaredError, null), "fine: batch is undefined"],
    [() => sin([1, 2] as unknown as Tensor), "sin: input 0 is object, must be a tensor"],
    [() => slabsOf(hyperCnn({ nz: -1 })), "parameters: generator.z is [1, -1], must consist"],
    [() => slabsOf(dense(2, 0)), "parameters: weight is [0, 2], must consist of positive integers"],
  ];
  for (const [call, message] of wrong) expect(call, message).toThrow(message);
});

test("settings of optimisers that cannot be are refused by name", () => {
  const text = "0.1" as unknown as number;
  const wrong: readonly [() => unknown, string][] = [
    [() => adam({ lr: Number.NaN }), "adam: lr is NaN, must be in [0, Infinity)"],
    [() => adam({ lr: -1 }), "adam: lr is -1"],
    [() => adam({ lr: text }), "adam: lr is 0.1"],
    [() => adam({ beta1: 2 }), "adam: beta1 is 2, must be in [0, 1)"],
    [() => adamW({ weightDecay: -1 }), "adamw: weightDecay is -1"],
    [() => sgd({ momentum: 1 }), "sgd: momentum is 1, must be in [0, 1)"],
    [() => sgd({ clip: { norm: Number.NaN } }), "sgd: clip is NaN"],
  ];
  for (const [call, message] of wrong) expect(call, message).toThrow(message);
  expect(() => adam({ lr: constantRate(1e-3), beta1: 0 })).not.toThrow();
});

test("a model with it trains: x y is learnt, whose variance is 0.13", async () => {
  const [value, gate, out] = [dense(2, 16), dense(2, 16), dense(16, 1)];
  const params = { value: value.params, gate: gate.params, out: out.params };
  const net = module(
    "gated",
    params,
    (context, p, x) => {
      const a = value.apply(context, p.value, {}, x).outputs;
      const b = gate.apply(context, p.gate, {}, x).outputs;
      return out.apply(context, p.out, {}, swiglu(a, b)).outputs;
    },
    [2],
  );
  const squares = {
    name: "mean square",
    targets: ({ shape }: { readonly shape: readonly number[] }) =>
      ({ target: { shape, dtype: "f32" } }) as const,
    apply: (y: Tensor, { target }: Readonly<Record<string, Tensor>>) => ({
      loss: mean(square(sub(y, target as Tensor))),
      metrics: {},
    }),
  };
  const points = Array.from({ length: 256 }, (_, i) => [(i % 16) / 8 - 1, (i >> 4) / 8 - 1]);
  const data = {
    x: new Float32Array(points.flat()),
    target: Float32Array.from(points, ([x = 0, y = 0]) => x * y),
  };
  const program = trainStep(net, squares, adam({ lr: 1e-2 }), { batch: 256 });
  using step = await compile(await testDevice(), program, { seed: 1 });
  let loss = Number.NaN;
  for (let t = 0; t < 200; t++) loss = (await step.run(data)).loss?.[0] ?? Number.NaN;
  expect(loss).toBeLessThan(0.01);
});
