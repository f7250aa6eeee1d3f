import { describe, expect, test } from "vitest";
import { Device } from "../../src/gpu/device";
import { key, uniform } from "../../src/graph/random";
import { hyperLstm } from "../../src/hyper/hyper-lstm";
import type { Cell } from "../../src/nn/cell";
import { languageModel } from "../../src/nn/language-model";
import { lstm } from "../../src/nn/recurrent";
import { adam } from "../../src/optim/optimizer";
import { compile, type Program } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import { sequenceEvaluation, sequenceStep } from "../../src/train/sequence-programs";
import { testDevice } from "./check-case";
import { countingDevice } from "./counting-device";

const [V, B] = [50, 32];
const sizes = { inputs: V, units: 256 };
const hyper = { ...sizes, hyperUnits: 64, nz: 16 };

/** Dispatches of one time step, at most, forward and forward and backward together. */
const cells: readonly { name: string; cell: () => Cell; forward: number; backward: number }[] = [
  { name: "LSTM", cell: () => lstm(sizes), forward: 3, backward: 4 },
  {
    name: "layer-norm LSTM",
    cell: () => lstm({ ...sizes, layerNorm: true }),
    forward: 5,
    backward: 6,
  },
  {
    name: "HyperLSTM",
    cell: () => hyperLstm({ ...hyper, layerNorm: false }),
    forward: 6,
    backward: 10,
  },
  { name: "layer-norm HyperLSTM", cell: () => hyperLstm(hyper), forward: 8, backward: 12 },
];

function inputs(T: number) {
  const symbols = (seed: number): Uint32Array =>
    Uint32Array.from(uniform(key(seed), T * B), (u) => Math.floor(u * V));
  return {
    x: symbols(1),
    labels: symbols(2),
    weight: new Float32Array(T * B).fill(1),
    keep: new Float32Array([1]),
  };
}

/** A wrapped device for all tests here, so that kernels are compiled once. */
async function wrapped() {
  const real = await testDevice();
  const { device: gpu, calls } = countingDevice(real.gpu);
  return { device: new Device(gpu, real.adapter, false, false), calls };
}
const counting = wrapped();

/** What a wrapped device sees of the second run of a program. */
async function count(program: Program, T: number) {
  const { device, calls } = await counting;
  const variables = new Variables(device, 1);
  const executable = await compile(device, program, { variables });
  await executable.run(inputs(T));
  const before = { ...calls };
  await executable.run(inputs(T));
  const { stats } = executable;
  const dispatches = calls.dispatches - before.dispatches;
  expect(dispatches).toBe(stats.dispatches);
  expect(calls.passes - before.passes).toBe(stats.passes);
  expect(calls.submits - before.submits).toBe(stats.submits);
  expect(calls.objects - before.objects).toBe(0);
  expect(calls.objects).toBe(device.counts.created);
  const [forward = 0, backward = 0] = loopSizes(executable.plan);
  executable.dispose();
  variables.dispose();
  expect(calls.buffersAlive).toBe(0);
  return { dispatches, forward, backward };
}

/** Dispatches of one iteration of each loop of a plan. */
function loopSizes({ dispatches }: { dispatches: readonly { loops: readonly object[] }[] }) {
  const sizes = new Map<object, number>();
  for (const { loops } of dispatches) {
    for (const loop of loops) sizes.set(loop, (sizes.get(loop) ?? 0) + 1);
  }
  return [...sizes.values()];
}

describe("a time step, counted by a wrapped device", () => {
  for (const { name, cell, forward, backward } of cells) {
    test(`${name}: the loops' dispatches grow with T, the rest does not, no objects are made`, async () => {
      const model = languageModel(cell(), V);
      const optimizer = adam({ clip: { norm: 1 } });
      const outside: number[] = [];
      for (const T of [25, 50, 100]) {
        const made = await count(sequenceStep(model, optimizer, { batch: B, length: T }), T);
        expect(made.forward).toBeLessThanOrEqual(forward);
        expect(made.backward).toBeLessThanOrEqual(backward);
        outside.push(made.dispatches - T * (made.forward + made.backward));
      }
      expect(outside[1]).toBe(outside[0]);
      expect(outside[2]).toBe(outside[0]);
      const once = await count(sequenceEvaluation(model, { batch: B, length: 25 }), 25);
      expect(once.forward).toBeLessThanOrEqual(forward);
    });
  }
});
