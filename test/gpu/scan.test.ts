import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { type Shape, size } from "../../src/graph/shape";
import { add, fill, mul, sigmoid, sub, tanh } from "../../src/ops/elementwise";
import { linear } from "../../src/ops/generate";
import { concat, slice } from "../../src/ops/layout";
import { matmul } from "../../src/ops/matmul";
import { sum } from "../../src/ops/reduce";
import { softmax } from "../../src/ops/softmax-cross-entropy";
import { placeholder } from "../../src/ops/sources";
import { reshape } from "../../src/ops/views";
import { compile } from "../../src/schedule/executable";
import { pullBack } from "../../src/schedule/gradient";
import { plan } from "../../src/schedule/plan";
import { scan, type ScanOptions, type Step } from "../../src/schedule/scan";
import { deviceAs, expectClose, testDevice } from "./check-case";
import { unrolled } from "./unrolled";

type Cell = (
  w: readonly Tensor[],
  states: readonly Tensor[],
  x: Tensor,
) => { readonly states: readonly Tensor[]; readonly outputs: readonly Tensor[] };

interface Sizes {
  readonly B: number;
  readonly X: number;
  readonly H: number;
}

interface CellCase {
  readonly name: string;
  readonly cell: Cell;
  readonly states: (s: Sizes) => readonly Shape[];
  readonly weights: (s: Sizes) => readonly Shape[];
}

const columns = (x: Tensor, k: number, H: number): Tensor =>
  slice(x, [0, k * H], [x.shape[0] as number, (k + 1) * H]);

const rnn: CellCase = {
  name: "RNN",
  states: ({ B, H }) => [[B, H]],
  weights: ({ X, H }) => [[X, H], [H, H], [H]],
  cell: ([Wx, Wh, b], [h], x) => {
    const next = tanh(
      add(matmul(h as Tensor, Wh as Tensor), add(matmul(x, Wx as Tensor), b as Tensor)),
    );
    return { states: [next], outputs: [next] };
  },
};

const lstm: CellCase = {
  name: "LSTM",
  states: ({ B, H }) => [
    [B, H],
    [B, H],
  ],
  weights: ({ X, H }) => [[X, 4 * H], [H, 4 * H], [4 * H], [H, 3]],
  cell: ([Wx, Wh, b, Wy], [h, c], x) => {
    const H = (h as Tensor).shape[1] as number;
    const pre = add(matmul(h as Tensor, Wh as Tensor), add(matmul(x, Wx as Tensor), b as Tensor));
    const [i, f, g, o] = [0, 1, 2, 3].map((k) => columns(pre, k, H)) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const c1 = add(mul(sigmoid(f), c as Tensor), mul(sigmoid(i), tanh(g)));
    const h1 = mul(sigmoid(o), tanh(c1));
    // An output that no state needs, and one that is a state.
    return { states: [h1, c1], outputs: [tanh(matmul(h1, Wy as Tensor)), c1] };
  },
};

/** Weights of which one is computed from the other, outside the loop. */
const tied: CellCase = {
  name: "tied weights",
  states: ({ B, H }) => [[B, H]],
  weights: ({ X, H }) => [
    [X, H],
    [H, H],
  ],
  cell: ([Wx, Wh], [h], x) => {
    const twice = mul(tanh(Wh as Tensor), 2);
    const once = add(matmul(h as Tensor, Wh as Tensor), matmul(x, Wx as Tensor));
    const next = tanh(add(once, mul(matmul(h as Tensor, twice), 0.3)));
    return { states: [next], outputs: [next] };
  },
};

/** A state that stays as it is, one that is the input, one that does not depend on the others. */
const odd: CellCase = {
  name: "odd states",
  states: ({ B, H, X }) => [
    [B, H],
    [B, X],
    [B, H],
  ],
  weights: ({ X, H }) => [[X, H], [H]],
  cell: ([W, b], [kept, last, total], x) => {
    const now = add(mul(total as Tensor, 0.5), matmul(sub(x, last as Tensor), W as Tensor));
    const states = [kept as Tensor, x, add(now, b as Tensor)];
    return { states, outputs: [x, kept as Tensor, mul(now, kept as Tensor), b as Tensor] };
  },
};

/** The state as the second operand of its product. */
const rightHand: CellCase = {
  name: "states on the right",
  states: ({ B, H }) => [[H, B]],
  weights: ({ X, H }) => [
    [H, X],
    [H, H],
  ],
  cell: ([Wx, Wh], [h], x) => {
    const input = matmul(Wx as Tensor, x, { transposeB: true });
    const next = tanh(add(matmul(Wh as Tensor, h as Tensor), input));
    return { states: [next], outputs: [next] };
  },
};

/** Ops that leave the loop by rules of their own, and one whose gradients are two outputs. */
const layers: CellCase = {
  name: "dense layers",
  states: ({ B, H }) => [[B, H]],
  weights: ({ X, H }) => [[H, X], [H], [H, H], [3, H], [3]],
  cell: ([Wx, b, Wh, Wy, by], [h], x) => {
    const before = linear(x, Wx as Tensor, b as Tensor);
    const next = tanh(add(before, matmul(h as Tensor, Wh as Tensor, { transposeB: true })));
    const y = softmax(linear(next, Wy as Tensor, by as Tensor));
    return { states: [next], outputs: [concat([y, reshape(sum(next, [1]), [-1, 1])], 1)] };
  },
};

const random = (shape: Shape, seed: number, most = 0.8): Float32Array =>
  Float32Array.from(uniform(key(seed), size(shape)), (u) => most * (2 * u - 1));

// Of up to 16 × 16 elements: a larger matrix makes differences of rounding grow from step to step.
const MOST_WEIGHT = 0.4;

/** Outputs, final states and all gradients of a cell over time, by `loop`. */
function program(c: CellCase, T: number, s: Sizes, loop: typeof scan, options: ScanOptions) {
  const weights = c.weights(s).map((shape, k) => placeholder(`w${k}`, shape));
  const states = c.states(s).map((shape, k) => placeholder(`s${k}`, shape));
  const xs = placeholder("x", [T, s.B, s.X]);
  const step = (states: readonly Tensor[], [x]: readonly Tensor[]): Step =>
    c.cell(weights, states, x as Tensor);
  const made = loop(step, states, [xs], options);
  const results = [...made.states, ...made.outputs];
  const cots = results.map((y, k) => placeholder(`cot${k}`, y.shape));
  const inputs: Record<string, Tensor> = { x: xs };
  const host: Record<string, Float32Array> = { x: random(xs.shape, 1) };
  for (const [list, name] of [
    [weights, "w"],
    [states, "s"],
    [cots, "cot"],
  ] as const) {
    for (const [k, t] of list.entries()) {
      inputs[`${name}${k}`] = t;
      host[`${name}${k}`] = random(
        t.shape,
        100 * k + name.length + name.charCodeAt(0),
        name === "w" ? MOST_WEIGHT : undefined,
      );
    }
  }
  const wrt = [...weights, ...states, xs];
  const outputs: Record<string, Tensor> = {};
  for (const [k, y] of results.entries()) outputs[`y${k}`] = y;
  for (const [k, d] of pullBack(results, cots, wrt).entries()) {
    outputs[`d${k}`] = d ?? fill(0, wrt[k]?.shape ?? []);
  }
  return { program: { inputs, outputs }, host };
}

async function compare(c: CellCase, T: number, s: Sizes, options: ScanOptions, tolerance = 2e-6) {
  for (const adapter of ["software", "gpu"] as const) {
    const device = await deviceAs(adapter);
    const want = program(c, T, s, unrolled, options);
    const got = program(c, T, s, scan, options);
    const reference = await compile(device, want.program, { poison: true });
    const expected = await reference.run(want.host);
    reference.dispose();
    const before = device.counts.buffers;
    const looped = await compile(device, got.program, { poison: true });
    const first = await looped.run(got.host);
    const second = await looped.run(got.host);
    expect(looped.stats.createdSinceCompile).toBe(0);
    looped.dispose();
    expect(device.counts.buffers).toBe(before);
    for (const [name, value] of Object.entries(expected)) {
      expectClose(first[name] as Float32Array, value, tolerance, `${c.name} ${name} (${adapter})`);
      expect(second[name]).toEqual(first[name]);
    }
  }
}

const aligned: Sizes = { B: 4, X: 16, H: 16 };
const uneven: Sizes = { B: 3, X: 5, H: 7 };

describe("scan is the loop written out, forward and backward", () => {
  for (const c of [tied, rnn, lstm, odd, rightHand, layers]) {
    for (const [name, s] of Object.entries({ aligned, uneven })) {
      test(`${c.name}, ${name} sizes`, () => compare(c, 5, s, {}));
      test(`${c.name}, ${name} sizes, backwards in time`, () =>
        compare(c, 4, s, { reverse: true }));
      test(`${c.name}, ${name} sizes, recomputed`, () => compare(c, 4, s, { recompute: true }));
      test(`${c.name}, ${name} sizes, in chunks`, () => compare(c, 7, s, { chunk: 2 }));
    }
  }
  test("one step", () => compare(lstm, 1, uneven, {}));
  test("chunks backwards in time", () => compare(lstm, 5, uneven, { chunk: 2, reverse: true }));
});

test("nodes and kernels do not depend on the number of steps", async () => {
  const device = await testDevice();
  const [ten, thousand] = [10, 1000].map((T) => {
    const { program: p } = program(lstm, T, { B: 2, X: 8, H: 32 }, scan, {});
    const { dispatches } = plan(Object.values(p.outputs), device.target);
    const names = (inside: boolean): string[] =>
      dispatches.flatMap(({ dispatch, loops }) =>
        loops.length > 0 === inside ? [dispatch.kernel.name] : [],
      );
    // Products over all steps take the kernel that fits their size, in one sum or in several.
    return { body: names(true), around: names(false).filter((n) => !/matmul|reduce/.test(n)) };
  });
  expect(ten?.body.length).toBeGreaterThan(3);
  expect(ten?.around.length).toBeGreaterThan(3);
  expect(thousand).toEqual(ten);
});
