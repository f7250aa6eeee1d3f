import { describe, expect, test } from "vitest";
import { listed, type Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { type Shape, ShapeError, size } from "../../src/graph/shape";
import { add, mul, rsqrt, sigmoid, square, sub, tanh } from "../../src/ops/elementwise";
import {
  hyperLstmCell,
  hyperScale,
  hyperScaleGradientOp,
  hyperScaleOp,
} from "../../src/ops/hyper-lstm-cell";
import { slice } from "../../src/ops/layout";
import { type CellUpdateOptions, lstmCell } from "../../src/ops/lstm-cell";
import { mean, sum } from "../../src/ops/reduce";
import { constant, placeholder } from "../../src/ops/sources";
import { reshape } from "../../src/ops/views";
import { compile } from "../../src/schedule/executable";
import { reachable } from "../../src/graph/substitute";
import { gradient } from "../../src/schedule/gradient";
import { deviceAs, expectClose } from "./check-case";

type Cell = { readonly c: Tensor; readonly h: Tensor };

/** Uniform numbers between -1 and 1. */
function random(seed: number, shape: Shape): Tensor {
  const data = Float32Array.from(uniform(key(seed), size(shape)), (v) => 2 * v - 1);
  return constant(data, shape);
}

/** Runs a program of constants; its outputs by name. */
async function run(adapter: "software" | "gpu", outputs: Readonly<Record<string, Tensor>>) {
  const executable = await compile(
    await deviceAs(adapter),
    { inputs: {}, outputs },
    { poison: true },
  );
  const got = await executable.run();
  executable.dispose();
  return got as Record<string, Float32Array>;
}

/** c', h' and the gradients of `inputs` of a random sum over them. */
function everything(made: Cell, inputs: readonly Tensor[]): Tensor[] {
  const loss = add(
    sum(mul(made.c, random(101, made.c.shape))),
    sum(mul(made.h, random(102, made.h.shape))),
  );
  return [made.c, made.h, ...gradient(loss, inputs)];
}

/** The cell of elementwise ops and reductions. */
function composed(pre: Tensor, c: Tensor, options: CellUpdateOptions): Cell {
  const { gates = "ifgo", forgetBias = 0, eps = 1e-5, norm = null, mask = null } = options;
  const [rows = 0, hidden = 0] = c.shape;
  const normalised = (x: Tensor, k: number): Tensor => {
    if (!norm) return x;
    const row = (which: number): Tensor =>
      reshape(slice(norm, [which, k, 0], [which + 1, k + 1, hidden]), [1, hidden]);
    const off = sub(x, mean(x, [1], { keepDims: true }));
    const variance = mean(square(off), [1], { keepDims: true });
    return add(mul(mul(off, rsqrt(add(variance, eps))), row(0)), row(1));
  };
  const gate = (name: string): Tensor => {
    const k = gates.indexOf(name);
    return normalised(slice(pre, [0, k * hidden], [rows, (k + 1) * hidden]), k);
  };
  const g = tanh(gate("g"));
  const kept = mask ? mul(mask, g) : g;
  const f = sigmoid(add(gate("f"), forgetBias));
  const next = add(mul(f, c), mul(sigmoid(gate("i")), kept));
  return { c: next, h: mul(sigmoid(gate("o")), tanh(normalised(next, 4))) };
}

const [rows, hidden] = [6, 20];
const norm = random(3, [2, 5, hidden]);
const mask = constant(
  Float32Array.from({ length: rows * hidden }, (_, k) => (k % 5 ? 1.25 : 0)),
  [rows, hidden],
);
const options: Readonly<Record<string, CellUpdateOptions>> = {
  plain: {},
  "with a forget bias, dropout and another order": { gates: "ogfi", forgetBias: 1, mask },
  normalised: { norm },
  "normalised, with everything": { norm, gates: "igfo", forgetBias: 1, eps: 1e-3, mask },
};

describe.each(["software", "gpu"] as const)("on a %s adapter", (adapter) => {
  test.each(Object.entries(options))("the cell is its equations: %s", async (_, option) => {
    const pre = mul(random(1, [rows, 4 * hidden]), 3);
    const c = random(2, [rows, hidden]);
    const inputs = [pre, c, ...(option.norm ? [option.norm] : [])];
    const one = everything(lstmCell(pre, c, option), inputs);
    const many = everything(composed(pre, c, option), inputs);
    const got = await run(
      adapter,
      Object.fromEntries([...one.map((t, k) => [`a${k}`, t]), ...many.map((t, k) => [`b${k}`, t])]),
    );
    for (const k of one.keys()) {
      const want = got[`b${k}`] as Float32Array;
      expectClose(got[`a${k}`] as Float32Array, want, 1e-5, `value ${k}`);
    }
  });

  test.each(Object.entries(options))(
    "a hyper cell is scales, then a cell: %s",
    async (_, option) => {
      const [hg, xg] = [random(1, [rows, 4 * hidden]), random(2, [rows, 4 * hidden])];
      const [d, c] = [random(4, [3, 4, rows, hidden]), random(5, [rows, hidden])];
      const inputs = [hg, xg, d, c, ...(option.norm ? [option.norm] : [])];
      const one = everything(hyperLstmCell(hg, xg, d, c, option), inputs);
      const two = everything(lstmCell(hyperScale(hg, xg, d), c, option), inputs);
      const got = await run(
        adapter,
        Object.fromEntries([
          ...one.map((t, k) => [`a${k}`, t]),
          ...two.map((t, k) => [`b${k}`, t]),
        ]),
      );
      for (const k of one.keys()) {
        const [a, b] = [got[`a${k}`] as Float32Array, got[`b${k}`] as Float32Array];
        // Forward, pre is rounded in one kernel and may not be in the other; backward is the same.
        if (k < 2) expectClose(a, b, 2e-6, `output ${k}`);
        else expect(a, `gradient ${k - 2}`).toEqual(b);
      }
    },
  );

  test("scales over all steps are those of each step, gradients too", async () => {
    const [T, B, H] = [3, 2, 5];
    const gates = [B, 4 * H];
    const [hg, xg] = [random(1, [T, ...gates]), random(2, gates)];
    const [d, dpre] = [random(3, [T, 3, 4, B, H]), random(4, [T, ...gates])];
    const at = (x: Tensor, t: number): Tensor => {
      const [, ...shape] = x.shape;
      const rest = shape.map(() => 0);
      return reshape(slice(x, [t, ...rest], [t + 1, ...shape]), shape);
    };
    const stacked = [true, false, true];
    const all = hyperScaleOp.overTime?.(null, listed([hg, xg, d]), listed(stacked), T) ?? [];
    const back =
      hyperScaleGradientOp.overTime?.(
        null,
        listed([dpre, hg, xg, d]),
        listed([true, ...stacked]),
        T,
      ) ?? [];
    const together = [...all, ...back];
    expect(together.map(({ shape }) => shape[0])).toEqual([T, T, T, T]);
    const outputs: Record<string, Tensor> = {};
    for (const [k, y] of together.entries()) outputs[`all${k}`] = y;
    for (let t = 0; t < T; t++) {
      const from = [at(hg, t), xg, at(d, t)] as const;
      const pre = hyperScale(...from);
      const loss = sum(mul(pre, at(dpre, t)));
      for (const [k, y] of [pre, ...gradient(loss, from)].entries()) outputs[`${t} ${k}`] = y;
    }
    const got = await run(adapter, outputs);
    for (const k of together.keys()) {
      const whole = got[`all${k}`] as Float32Array;
      const steps = Array.from({ length: T }, (_, t) => [...(got[`${t} ${k}`] as Float32Array)]);
      expectClose(whole, steps.flat(), 2e-7, `value ${k}`);
    }
  });

  test.each([false, true])("NaN in a row stays in it, normalised: %s", async (normalised) => {
    const values = Float32Array.from({ length: 3 * 32 }, (_, k) => Math.sin(k));
    values[32 + 9] = Number.NaN;
    const [pre, c] = [constant(values, [3, 32]), random(2, [3, 8])];
    const given = normalised ? { norm: random(3, [2, 5, 8]) } : {};
    const [next, h, dpre, dc] = everything(lstmCell(pre, c, given), [pre, c]) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const got = await run(adapter, { next, h, dpre, dc });
    for (const name of ["next", "h", "dpre", "dc"]) {
      const value = got[name] as Float32Array;
      const bad = [0, 1, 2].map((b) => {
        const n = value.length / 3;
        return value.slice(b * n, (b + 1) * n).filter(Number.isNaN).length;
      });
      // Without layer norm it is one unit: its c' and h', and its four gates on the way back.
      expect([bad[0], bad[2]], name).toEqual([0, 0]);
      expect(bad[1], name).toBe(normalised ? value.length / 3 : name === "dpre" ? 4 : 1);
    }
  });
});

test("a cell is one dispatch forward and one backward, a hyper cell one and three", () => {
  const target = {
    adapter: "software",
    limits: {
      maxStorageBufferBindingSize: 2 ** 27,
      maxBufferSize: 2 ** 28,
      maxComputeWorkgroupStorageSize: 16_384,
      maxComputeInvocationsPerWorkgroup: 256,
      maxStorageBuffersPerShaderStage: 8,
    },
    features: new Set<string>(),
  } as const;
  const count = (roots: readonly Tensor[]): number =>
    reachable(roots).reduce((n, node) => n + node.op.dispatch(node, target).length, 0);
  const [pre, c] = [placeholder("pre", [3, 20]), placeholder("c", [3, 5])];
  const [d, n] = [placeholder("d", [3, 4, 3, 5]), placeholder("n", [2, 5, 5])];
  const [dc, dh] = [placeholder("dc", [3, 5]), placeholder("dh", [3, 5])];
  const cell = lstmCell(pre, c, { norm: n }).c.node;
  const hyper = hyperLstmCell(pre, pre, d, c, { norm: n }).c.node;
  expect([cell, hyper].map((node) => count(node.outputs))).toEqual([1, 1]);
  const back = [cell, hyper].map((node) =>
    count(node.op.gradient(node, listed([dc, dh])).filter((x) => x !== null)),
  );
  expect(back).toEqual([1, 3]);
});

test.each<[string, () => unknown]>([
  ['gates is "iffo"', () => lstmCell(pre(), c(), { gates: "iffo" })],
  ["eps is 0", () => lstmCell(pre(), c(), { eps: 0 })],
  ["forgetBias is NaN", () => lstmCell(pre(), c(), { forgetBias: Number.NaN })],
  ["pre is [3, 20], must be [3, 24]", () => lstmCell(pre(), placeholder("c", [3, 6]))],
  ["c is [15], must be [B, H]", () => lstmCell(pre(), placeholder("c", [15]))],
  ["c is u32", () => lstmCell(pre(), placeholder("c", [3, 5], "u32"))],
  [
    "norm is [2, 4, 5], must be [2, 5, 5]",
    () => lstmCell(pre(), c(), { norm: placeholder("n", [2, 4, 5]) }),
  ],
  ["mask is [5], must be [3, 5]", () => lstmCell(pre(), c(), { mask: placeholder("m", [5]) })],
  [
    "d is [3, 4, 2, 5], must be [3, 4, 3, 5]",
    () => hyperLstmCell(pre(), pre(), placeholder("d", [3, 4, 2, 5]), c()),
  ],
  [
    "d is [4, 3, 3, 5], must be [..., 3, 4, B, H]",
    () => hyperScale(pre(), pre(), placeholder("d", [4, 3, 3, 5])),
  ],
  [
    "xg is [3, 21], must be [3, 20]",
    () => hyperScale(pre(), placeholder("xg", [3, 21]), placeholder("d", [3, 4, 3, 5])),
  ],
  [
    "trips of its loops",
    () => lstmCell(placeholder("p", [1, 16e6]), placeholder("c", [1, 4e6]), { norm: big(4e6) }),
  ],
])("refused: %s", (message, build) => {
  expect(build).toThrow(ShapeError);
  expect(build).toThrow(message);
});

const pre = (): Tensor => placeholder("pre", [3, 20]);
const c = (): Tensor => placeholder("c", [3, 5]);
const big = (hidden: number): Tensor => placeholder("norm", [2, 5, hidden]);

test("the gradient of a batch that no workgroup can sum is refused", () => {
  const [B, H] = [40_000, 16_384];
  const made = lstmCell(placeholder("p", [B, 4 * H]), placeholder("c", [B, H]), { norm: big(H) });
  const { node } = made.c;
  const dc = placeholder("dc", [B, H]);
  expect(() => node.op.gradient(node, listed([dc, null]))).toThrow("157 rows of 16384 elements");
});
