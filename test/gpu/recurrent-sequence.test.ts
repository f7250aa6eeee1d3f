import { expect, test } from "vitest";
import type { Device } from "../../src/gpu/device";
import type { Tensor } from "../../src/graph/node";
import { key, normal } from "../../src/graph/random";
import { type Shape, ShapeError, size } from "../../src/graph/shape";
import { leaves, type Tree } from "../../src/graph/tree";
import { hyperCell } from "../../src/hyper/hyper-cell";
import { hyperLstm } from "../../src/hyper/hyper-lstm";
import { hyperRnn } from "../../src/hyper/hyper-rnn";
import { type Cell, stack, zeroState } from "../../src/nn/cell";
import { dropoutCell } from "../../src/nn/cell-dropout";
import { languageModel } from "../../src/nn/language-model";
import { bind, type Context, specs } from "../../src/nn/module";
import { gru, lstm, rnn } from "../../src/nn/recurrent";
import { overSequence } from "../../src/nn/sequence";
import { fill } from "../../src/ops/elementwise";
import { gather } from "../../src/ops/gather";
import { concat, slice } from "../../src/ops/layout";
import { constant } from "../../src/ops/sources";
import { reshape } from "../../src/ops/views";
import { compile } from "../../src/schedule/executable";
import { expectClose, testDevice } from "./check-case";

const [T, B, X] = [4, 3, 5];
const sizes = { inputs: X, units: 7 };
const evaluate: Context = { train: false, key: null };
const training: Context = { train: true, key: constant(Uint32Array.of(1, 2, 3, 0), [4]) };
const isTensor = (x: Tree<Tensor>): x is Tensor => Array.isArray((x as { shape?: unknown }).shape);

function random(seed: number, shape: Shape): Tensor {
  return constant(Float32Array.from(normal(key(seed), size(shape), 0.5)), shape);
}
function parametersOf({ params }: Pick<Cell, "params">): Tree<Tensor> {
  return bind(
    params,
    specs(params).map(({ value }, k) => random(100 + k, value.shape)),
  );
}
const tensorsOf = (tree: unknown): Tensor[] =>
  leaves(tree as Tree<Tensor>, isTensor).map(({ value }) => value);

async function run(device: Device, tensors: readonly Tensor[]): Promise<Float32Array[]> {
  const outputs = Object.fromEntries(tensors.map((x, k) => [k, x]));
  const executable = await compile(device, { inputs: {}, outputs });
  const got = await executable.run();
  executable.dispose();
  return tensors.map((_, k) => got[k] as Float32Array);
}
async function expectEqual(
  device: Device,
  got: readonly Tensor[],
  want: readonly Tensor[],
): Promise<void> {
  expect(got.map(({ shape }) => shape)).toEqual(want.map(({ shape }) => shape));
  const all = await run(device, [...got, ...want]);
  for (const k of got.keys()) {
    const expected = all[got.length + k] as Float32Array;
    expectClose(all[k] as Float32Array, expected, 2e-6, `tensor ${k}`);
  }
}

const xs = random(1, [T, B, X]);
const at = (x: Tensor, from: number, to: number): Tensor =>
  slice(x, [from, ...x.shape.slice(1).map(() => 0)], [to, ...x.shape.slice(1)]);
const element = (x: Tensor, t: number): Tensor => reshape(at(x, t, t + 1), x.shape.slice(1));

const small = { hyperUnits: 3, nz: 2 };
const cells: readonly Cell[] = [
  rnn(sizes),
  gru(sizes),
  lstm({ ...sizes, layerNorm: true }),
  hyperRnn({ ...sizes, ...small }),
  hyperRnn({ ...sizes, ...small, form: "full" }),
  hyperLstm({ ...sizes, ...small }),
  hyperCell(gru(sizes), gru({ inputs: X, units: 3 }), { nz: 2 }),
  stack([hyperLstm({ ...sizes, ...small }), lstm({ inputs: 7, units: 4 })]),
];

test("a sequence is the step again and again, and two halves with carried state are the whole", async () => {
  const device = await testDevice();
  for (const cell of cells) {
    const params = parametersOf(cell);
    const whole = overSequence(cell, evaluate, params, zeroState(cell, B), xs);
    const first = overSequence(cell, evaluate, params, zeroState(cell, B), at(xs, 0, 2));
    const second = overSequence(cell, evaluate, params, first.state, at(xs, 2, T));
    let state = zeroState(cell, B);
    const steps: Tensor[] = [];
    for (let t = 0; t < T; t++) {
      const made = cell.apply(evaluate, params, state, element(xs, t));
      state = made.state as Tree<Tensor>;
      steps.push(reshape(made.outputs, [1, B, cell.units]));
    }
    const want = [concat(steps, 0), ...tensorsOf(state)];
    await expectEqual(device, [whole.outputs, ...tensorsOf(whole.state)], want);
    const halves = concat([first.outputs, second.outputs], 0);
    await expectEqual(device, [halves, ...tensorsOf(second.state)], want);
  }
});

test("a stack feeds each layer with the outputs of the one below, states under the layers' names", async () => {
  const device = await testDevice();
  const layers = [gru(sizes), lstm({ inputs: 7, units: 4 })] as const;
  const both = stack(layers);
  expect(specs(both.state).map(({ path }) => path)).toEqual(["layer0.h", "layer1.h", "layer1.c"]);
  expect([both.inputs, both.units]).toEqual([X, 4]);
  const params = parametersOf(both) as Record<string, Tree<Tensor>>;
  const state = {
    layer0: { h: random(2, [B, 7]) },
    layer1: { h: random(3, [B, 4]), c: random(4, [B, 4]) },
  };
  const x = element(xs, 0);
  const made = both.apply(evaluate, params, state, x);
  const below = layers[0].apply(evaluate, params.layer0 as never, state.layer0, x);
  const above = layers[1].apply(evaluate, params.layer1 as never, state.layer1, below.outputs);
  await expectEqual(
    device,
    [made.outputs, ...tensorsOf(made.state)],
    [above.outputs, ...tensorsOf(below.state), ...tensorsOf(above.state)],
  );
  expect(() => stack([gru(sizes), gru(sizes)])).toThrow(/layer 1 takes inputs of 5, layer 0 has 7/);
  expect(() => stack([])).toThrow(ShapeError);
});

test("the order of gates is a matter of storage", async () => {
  const device = await testDevice();
  const options = { ...sizes, ...small };
  const [ours, other] = [hyperLstm(options), hyperLstm({ ...options, gates: "ogif" })];
  const from = [..."ogif"].map((gate) => "ifgo".indexOf(gate));
  // Axis of the gates and blocks along it, by the last part of a parameter's name.
  const gatesOf = (path: string, shape: Shape): readonly [number, readonly number[]] => {
    if (path.endsWith("norm")) return [1, [...from, 4]];
    return /^(W_z|b_z|D)$/.test(path) ? [1, from] : [shape.length - 1, from];
  };
  const params = parametersOf(ours);
  const permuted = bind(
    other.params,
    leaves(params, isTensor).map(({ path, value: x }) => {
      const [axis, blocks] = gatesOf(path, x.shape);
      const width = (x.shape[axis] as number) / blocks.length;
      const part = (k: number): Tensor =>
        slice(
          x,
          x.shape.map((_, a) => (a === axis ? k * width : 0)),
          x.shape.map((d, a) => (a === axis ? (k + 1) * width : d)),
        );
      return concat(blocks.map(part), axis);
    }),
  );
  const state = zeroState(ours, B);
  const a = overSequence(ours, evaluate, params, state, xs);
  const b = overSequence(other, evaluate, permuted, state, xs);
  await expectEqual(device, [b.outputs, ...tensorsOf(b.state)], [a.outputs, ...tensorsOf(a.state)]);
});

/** A context that writes down which masks are asked for, and gives ones. */
function watched(): { context: Context; asked: [number, number, Shape][] } {
  const asked: [number, number, Shape][] = [];
  const mask = (shape: Shape, keep: number, site: number): Tensor => {
    asked.push([site, keep, shape]);
    return fill(1, shape);
  };
  return { context: { train: true, key: null, mask }, asked };
}

test("every dropout of a stack has a site of its own, and evaluation has none", () => {
  const cell = hyperLstm({ ...sizes, ...small, recurrentKeep: 0.9, hyperRecurrentKeep: 0.8 });
  const layer = dropoutCell(cell, { input: 0.7, output: 0.6 });
  const upper = lstm({ inputs: 7, units: 4, recurrentKeep: 0.5 });
  const all = stack([
    stack([layer]),
    stack([upper, lstm({ inputs: 4, units: 4, recurrentKeep: 0.4 })]),
  ]);
  const { context, asked } = watched();
  const apply = (c: Context) => all.apply(c, parametersOf(all), zeroState(all, B), element(xs, 0));
  apply(context);
  expect(asked.map(([, keep, shape]) => [keep, shape])).toEqual([
    [0.7, [B, X]],
    [0.8, [B, 3]],
    [0.9, [B, 7]],
    [0.6, [B, 7]],
    [0.5, [B, 4]],
    [0.4, [B, 4]],
  ]);
  const sites = asked.map(([site]) => site);
  expect(new Set(sites).size).toBe(sites.length);
  expect(Math.max(...sites)).toBeLessThan(all.sites);
  apply({ ...context, train: false });
  expect(asked.length).toBe(6);
  expect(() => apply({ train: true, key: null })).toThrow(/give the context a key/);
  const wrong: Context = { train: true, key: null, mask: () => fill(1, [2]) };
  expect(() => apply(wrong)).toThrow(/is \[2\], must be \[3, 5\]/);
  expect(() => dropoutCell(upper, { input: 1.5 })).toThrow(/input is 1.5/);
});

test("input and output dropout leave the states alone; symbols are dropped whole", async () => {
  const device = await testDevice();
  const cell = lstm(sizes);
  const params = parametersOf(cell);
  const state = zeroState(cell, B);
  const x = element(xs, 0);
  const dropped = dropoutCell(cell, { output: 0.5 }).apply(training, params, state, x);
  const plain = cell.apply(training, params, state, x);
  await expectEqual(device, tensorsOf(dropped.state), tensorsOf(plain.state));
  const [kept = [], all = []] = await run(device, [dropped.outputs, plain.outputs]);
  const ratios = Array.from(kept, (v, i) => v / (all[i] ?? 1));
  for (const r of ratios) expect([0, 2]).toContain(Math.round(r * 1e4) / 1e4);
  expect(new Set(ratios.map((r) => r > 1)).size).toBe(2);

  // A symbol whose mask is 0 at its place is no input at all; elsewhere the mask does not matter.
  const symbols = constant(Uint32Array.of(4, 0, 2), [3]);
  const scale = (values: readonly number[]): Context => {
    const mask = new Float32Array(B * X).fill(7);
    for (const [b, v] of values.entries()) mask[b * X + ([4, 0, 2][b] as number)] = v;
    return { train: true, key: null, mask: () => constant(mask, [B, X]) };
  };
  const masked = dropoutCell(cell, { input: 0.5 }).apply(scale([2, 0, 1]), params, state, symbols);
  const vectors = new Float32Array(B * X);
  vectors[4] = 2;
  vectors[2 * X + 2] = 1;
  const want = cell.apply(evaluate, params, state, constant(vectors, [B, X]));
  await expectEqual(device, tensorsOf(masked.state), tensorsOf(want.state));
});

test("every time step draws its own masks, the same ones at every run", async () => {
  const device = await testDevice();
  const cell = lstm({ ...sizes, units: 64, recurrentKeep: 0.5 });
  const ones = fill(1, [T, B, X]);
  const params = bind(
    cell.params,
    specs(cell.params).map(({ path, value }) => fill(path === "W_h" ? 0 : 0.1, value.shape)),
  );
  const masksOf = async (): Promise<string[]> => {
    const { outputs, state } = overSequence(cell, training, params, zeroState(cell, B), ones);
    const [h = new Float32Array()] = await run(device, [outputs, ...tensorsOf(state)]);
    // At the first step c is tanh(g) dropped or kept; later a sum: where it falls, it was dropped.
    const width = B * 64;
    return Array.from({ length: T }, (_, t) =>
      Array.from({ length: width }, (_, i) =>
        (h[t * width + i] as number) > (t === 0 ? 0 : (h[(t - 1) * width + i] as number)) ? 1 : 0,
      ).join(""),
    );
  };
  const masks = await masksOf();
  expect(new Set(masks).size).toBe(T);
  for (const mask of masks) {
    const kept = [...mask].filter((bit) => bit === "1").length / mask.length;
    expect(kept).toBeGreaterThan(0.35);
    expect(kept).toBeLessThan(0.65);
  }
  expect(await masksOf()).toEqual(masks);
});

test("a language model reads out h W_s + b_s, at one step and over a sequence", async () => {
  const device = await testDevice();
  const model = languageModel(stack([gru(sizes), lstm({ inputs: 7, units: 4 })]), 11);
  const params = parametersOf(model) as Record<string, Tree<Tensor>>;
  const symbols = constant(
    Uint32Array.from({ length: T * B }, (_, i) => (i * 3) % X),
    [T, B],
  );
  const state = zeroState(model, B);
  const made = overSequence(model, evaluate, params, state, symbols);
  const cell = overSequence(model.cell, evaluate, params.cell as never, state, symbols);
  expect(made.outputs.shape).toEqual([T, B, 11]);
  await expectEqual(device, [made.outputs], [model.readout(params, cell.outputs)]);
  // The same symbols as one-hot vectors.
  const eye = constant(
    Float32Array.from({ length: X * X }, (_, i) => (i % (X + 1) === 0 ? 1 : 0)),
    [X, X],
  );
  const vectors = overSequence(model, evaluate, params, state, gather(eye, symbols));
  await expectEqual(device, [made.outputs], [vectors.outputs]);
  const wide = () => model.apply(evaluate, params, state, fill(1, [B, 6]));
  expect(wide).toThrow(/x is f32 \[3, 6\]; it takes f32 \[B, 5\]/);
});
