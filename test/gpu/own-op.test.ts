import { expect, test } from "vitest";
import {
  adam,
  apply,
  apply1,
  compile,
  dense,
  dispatch,
  kernelSource,
  linearGrid,
  mean,
  module,
  notDifferentiable,
  type Op,
  placeholder,
  ShapeError,
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
