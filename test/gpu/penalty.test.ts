import { expect, test } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { hyper } from "../../src/hyper/hyper";
import { staticGenerator } from "../../src/hyper/static";
import { heNormal } from "../../src/nn/init";
import { module, type ParamSpec } from "../../src/nn/module";
import { bindSlab, slabsOf } from "../../src/nn/slabs";
import { mul } from "../../src/ops/elementwise";
import { sum } from "../../src/ops/reduce";
import { unpack } from "../../src/ops/views";
import { placeholder } from "../../src/ops/sources";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { expectClose, testDevice } from "./check-case";

const [O, I, F] = [3, 2, 3];
const context = { train: true, key: null };
const kernel: ParamSpec = { shape: [O, I, F, F], init: heNormal(18), fanIn: 18, kind: "weight" };

/** A target that only hands its kernels on: y = x · Σ K1 + Σ K2. */
const target = module("target", { a: { kernel }, b: { kernel } }, (_, p, x: Tensor) =>
  mul(x, sum(mul(p.a.kernel, p.b.kernel))),
);
const generator = () =>
  staticGenerator({ kernels: [{ outputs: O, inputs: I }], kernelSize: F, nz: 4 });

test("L2 on generated kernels is λ Σ K², goes through the generator, and adds up when hypers nest", async () => {
  const device = await testDevice();
  const inner = hyper(target, {
    generator: generator(),
    paths: ["a.kernel"],
    branch: "first",
    l2: 0.5,
  });
  const net = hyper(inner, {
    generator: generator(),
    paths: ["b.kernel"],
    branch: "second",
    l2: 0.25,
  });
  const slab = slabsOf(net).parameters;
  const { tensor, values } = bindSlab(net.params, slab);
  const { outputs, penalty } = net.apply(context, values, {}, placeholder("x", [1]));
  const [slabGradient] = gradient(penalty as Tensor, [tensor as Tensor]);
  const gradients = unpack(slabGradient as Tensor, slab.layout);
  const named = new Map(slab.variable.entries.map(({ name }, k) => [name, gradients[k] as Tensor]));
  // The kernels again, by the same generators and values.
  const made = (branch: string): Tensor => {
    const own = (values as unknown as Record<string, never>)[branch] as never;
    return generator().apply(context, own, {}).outputs[0] as Tensor;
  };
  const run = await compile(
    device,
    {
      inputs: {},
      outputs: {
        penalty: penalty as Tensor,
        a: made("first"),
        b: made("second"),
        dfirst: named.get("first.B_out") as Tensor,
        dsecond: named.get("second.B_out") as Tensor,
      },
    },
    { seed: 3 },
  );
  const got = await run.run();
  run.dispose();
  expect(outputs.shape).toEqual([1]);
  const [a, b] = [got.a as Float32Array, got.b as Float32Array];
  const squares = (k: Float32Array): number => k.reduce((s, v) => s + v * v, 0);
  expectClose(got.penalty as Float32Array, [0.5 * squares(a) + 0.25 * squares(b)], 1e-5, "penalty");
  // d/dB_out[r, o·f + c] = 2λ Σ_i K[o, i, r, c]
  const dB = (k: Float32Array, lambda: number): number[] =>
    Array.from({ length: F * O * F }, (_, e) => {
      const [r, o, c] = [Math.floor(e / (O * F)), Math.floor((e % (O * F)) / F), e % F];
      let s = 0;
      for (let i = 0; i < I; i++) s += k[((o * I + i) * F + r) * F + c] ?? 0;
      return 2 * lambda * s;
    });
  expectClose(got.dfirst as Float32Array, dB(a, 0.5), 1e-5, "first.B_out");
  expectClose(got.dsecond as Float32Array, dB(b, 0.25), 1e-5, "second.B_out");
});
