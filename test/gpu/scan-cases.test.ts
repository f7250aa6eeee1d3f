import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { type Shape, size } from "../../src/graph/shape";
import { sgd } from "../../src/optim/optimizer";
import { add, fill, mul, sub, tanh } from "../../src/ops/elementwise";
import { concat } from "../../src/ops/layout";
import { lstmCell } from "../../src/ops/lstm-cell";
import { matmul, matmulPair } from "../../src/ops/matmul";
import { sum } from "../../src/ops/reduce";
import { placeholder } from "../../src/ops/sources";
import { slabLayout, unpack } from "../../src/ops/views";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { scan, type ScanOptions } from "../../src/schedule/scan";
import { deviceAs, expectClose } from "./check-case";
import { unrolled } from "./unrolled";

// Steps whose shape is unusual, each against the graph written out.

type Given = (name: string, ...shape: Shape) => Tensor;
type Build = (
  loop: typeof scan,
  given: Given,
  options: ScanOptions,
) => { readonly outputs: readonly Tensor[]; readonly wrt: readonly Tensor[] };

const [T, B] = [3, 2];

const cases: Readonly<Record<string, Build>> = {
  "a constant's whole gradient is read by what leaves the loop too": (loop, given, options) => {
    const [x, k] = [given("x", T, B, 16), given("k", B, 16)];
    const [h0, c0] = [given("h0", B, 4), given("c0", B, 4)];
    const made = loop(
      ([h, c], [e]) => {
        const wide = concat([h, h, h, h] as Tensor[], 1);
        const next = lstmCell(add(mul(wide, e as Tensor), k), c as Tensor);
        return { states: [next.h, next.c], outputs: [next.h] };
      },
      [h0, c0],
      [x],
      options,
    );
    return { outputs: [...made.states, ...made.outputs], wrt: [x, k, h0, c0] };
  },
  "a loop in a loop starts from a constant": (loop, given, options) => {
    const [x, k, h0] = [given("x", T, B, 4), given("k", B, 4), given("h0", B, 4)];
    const u = given("u", 2, B, 4);
    const made = loop(
      ([h], [e]) => {
        const inner = loop(
          ([g], [v]) => ({ states: [tanh(add(g as Tensor, v as Tensor))], outputs: [] }),
          [add(mul(h as Tensor, e as Tensor), k)],
          [u],
          {},
        );
        return { states: inner.states, outputs: [] };
      },
      [h0],
      [x],
      options,
    );
    return { outputs: made.states, wrt: [x, k, h0, u] };
  },
  "a residual step reads its state through two bindings": (loop, given, options) => {
    const [x, h0, w] = [given("x", T, B, 8), given("h0", B, 8), given("w", 8, 8)];
    const made = loop(
      ([h], [e]) => {
        const moved = tanh(add(matmul(h as Tensor, w), e as Tensor));
        return { states: [add(mul(h as Tensor, 0.5), moved)], outputs: [] };
      },
      [h0],
      [x],
      options,
    );
    return { outputs: made.states, wrt: [x, h0, w] };
  },
  "a state times itself": (loop, given, options) => {
    const [x, h0] = [given("x", T, 8, 8), given("h0", 8, 8)];
    const made = loop(
      ([h], [e]) => ({
        states: [tanh(add(matmul(h as Tensor, h as Tensor), e as Tensor))],
        outputs: [],
      }),
      [h0],
      [x],
      options,
    );
    return { outputs: made.states, wrt: [x, h0] };
  },
  "a pair of products of one state": (loop, given, options) => {
    const [x, h0] = [given("x", T, B, 8), given("h0", B, 8)];
    const [w, v] = [given("w", 8, 8), given("v", 8, 8)];
    const made = loop(
      ([h], [e]) => {
        const both = matmulPair(h as Tensor, w, h as Tensor, v);
        return { states: [tanh(add(both, e as Tensor))], outputs: [] };
      },
      [h0],
      [x],
      options,
    );
    return { outputs: made.states, wrt: [x, h0, w, v] };
  },
  "ranges of a state change places": (loop, given, options) => {
    const [x, h0] = [given("x", T, 128), given("h0", 128)];
    const made = loop(
      ([h], [e]) => {
        const [a, b] = unpack(h as Tensor, slabLayout([[64], [64]])) as [Tensor, Tensor];
        return { states: [add(concat([b, a], 0), mul(e as Tensor, 0.1))], outputs: [] };
      },
      [h0],
      [x],
      options,
    );
    return { outputs: made.states, wrt: [x, h0] };
  },
  "everything leaves the loop": (loop, given, options) => {
    const [x, w] = [given("x", T, B, 8), given("w", 8, 4)];
    const made = loop(
      (_, [e]) => ({ states: [], outputs: [tanh(matmul(e as Tensor, w))] }),
      [],
      [x],
      options,
    );
    return { outputs: made.outputs, wrt: [x, w] };
  },
};

function program(build: Build, loop: typeof scan, options: ScanOptions, differentiate: boolean) {
  const inputs: Record<string, Tensor> = {};
  const host: Record<string, Float32Array> = {};
  const given: Given = (name, ...shape) => {
    const made = placeholder(name, shape);
    const seed = Object.keys(inputs).length;
    inputs[name] = made;
    host[name] = Float32Array.from(uniform(key(seed), size(shape)), (u) => 1.6 * u - 0.8);
    return made;
  };
  const { outputs, wrt } = build(loop, given, options);
  const named: Record<string, Tensor> = {};
  for (const [k, y] of outputs.entries()) named[`output ${k}`] = y;
  if (differentiate) {
    const terms = outputs.map((y, k) => sum(mul(y, given(`cotangent ${k}`, ...y.shape))));
    const loss = terms.reduce((a, b) => add(a, b));
    for (const [k, d] of gradient(loss, wrt).entries()) named[`gradient ${k}`] = d;
  }
  return { program: { inputs, outputs: named }, host };
}

const ways: readonly ScanOptions[] = [
  {},
  { reverse: true },
  { recompute: true },
  { chunk: 2 },
  { chunk: 2, reverse: true },
];

describe("a step of any shape is the graph written out", () => {
  for (const [name, build] of Object.entries(cases)) {
    test(name, async () => {
      for (const adapter of ["software", "gpu"] as const) {
        const device = await deviceAs(adapter);
        for (const way of ways) {
          for (const differentiate of [false, true]) {
            const results: Readonly<Record<string, ArrayLike<number>>>[] = [];
            for (const loop of [unrolled, scan]) {
              const made = program(build, loop, way, differentiate);
              const executable = await compile(device, made.program, { poison: true });
              results.push(await executable.run(made.host));
              executable.dispose();
            }
            const [want, got] = results as [(typeof results)[0], (typeof results)[0]];
            for (const [y, values] of Object.entries(want)) {
              const what = `${y}, ${JSON.stringify(way)}, ${adapter}`;
              // A few products and tanh's of up to three steps.
              expectClose(got[y] as ArrayLike<number>, values, 4e-6, what);
            }
          }
        }
      }
    });
  }
});

test("what a loop cannot do is refused", () => {
  const [p, m, x] = [placeholder("p", [64]), placeholder("m", [64]), placeholder("x", [3, 64])];
  const scalars = placeholder("scalars", [8]);
  const step = (states: readonly Tensor[], [e]: readonly Tensor[]) => {
    const [now, moment] = states as [Tensor, Tensor];
    const updated = sgd({ lr: 0.1 }).update(now, sub(now, e as Tensor), [moment], scalars);
    return { states: [updated.parameters, ...updated.moments], outputs: [] };
  };
  expect(() => scan(step, [p, m], [x])).toThrow(/sgd_update updates in place/);
  expect(() => scan(() => ({ states: [], outputs: [] }), [], [x], { chunk: 2.5 })).toThrow(
    /3 steps in chunks of 2.5; give integers/,
  );
  const one = fill(1, [64]);
  expect(() => gradient(sum(mul(p, one)), [one])).toThrow(/is a number written into kernels/);
});
