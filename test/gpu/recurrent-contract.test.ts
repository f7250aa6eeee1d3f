import { describe, expect, test } from "vitest";
import { Device } from "../../src/gpu/device";
import { key, uniform } from "../../src/graph/random";
import { hyperLstm } from "../../src/hyper/hyper-lstm";
import type { Cell } from "../../src/nn/cell";
import { languageModel } from "../../src/nn/language-model";
import { lstm } from "../../src/nn/recurrent";
import { adam } from "../../src/optim/optimizer";
import { compile, type Program } from "../../src/schedule/executable";
import { plan } from "../../src/schedule/plan";
import { Variables } from "../../src/schedule/variables";
import { sequenceEvaluation, sequenceStep } from "../../src/train/sequence-programs";
import { testDevice } from "./check-case";
import { countingDevice } from "./counting-device";

const [V, B] = [50, 32];
/** The sizes that the README's tables are measured at, which are planned here, and some that run. */
const wide = { inputs: V, units: 256, hyperUnits: 64, nz: 16 };
const narrow = { inputs: V, units: 16, hyperUnits: 8, nz: 4 };
type Sizes = typeof wide;

/** Dispatches of one time step, at most, forward and forward and backward together. */
const cells: readonly {
  readonly name: string;
  readonly cell: (sizes: Sizes) => Cell;
  readonly forward: number;
  readonly backward: number;
}[] = [
  { name: "LSTM", cell: ({ inputs, units }) => lstm({ inputs, units }), forward: 3, backward: 4 },
  {
    name: "layer-norm LSTM",
    cell: ({ inputs, units }) => lstm({ inputs, units, layerNorm: true }),
    forward: 5,
    backward: 6,
  },
  {
    name: "HyperLSTM",
    cell: (sizes) => hyperLstm({ ...sizes, layerNorm: false }),
    forward: 6,
    backward: 10,
  },
  { name: "layer-norm HyperLSTM", cell: hyperLstm, forward: 8, backward: 12 },
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

/** Dispatches of a run and of one iteration of each loop, as planned for the adapter here. */
async function planned({ outputs, updates }: Program) {
  const { target } = await testDevice();
  const { dispatches, cuts } = plan(
    [...Object.values(outputs), ...(updates?.values() ?? [])],
    target,
  );
  const sizes = new Map<object, number>();
  for (const { loops } of dispatches) {
    for (const loop of loops) sizes.set(loop, (sizes.get(loop) ?? 0) + 1);
  }
  const [forward = 0, backward = 0] = [...sizes.values()];
  return { dispatches: cuts.at(-1) ?? 0, submits: cuts.length, forward, backward };
}

/** A wrapped device has to see of the second run of a program what its plan says. */
async function expectAsPlanned(program: Program, T: number): Promise<void> {
  const { device, calls } = await counting;
  const { dispatches, submits } = await planned(program);
  const variables = new Variables(device, 1);
  const executable = await compile(device, program, { variables });
  await executable.run(inputs(T));
  const before = { ...calls };
  await executable.run(inputs(T));
  const { stats } = executable;
  expect(calls.dispatches - before.dispatches).toBe(dispatches);
  expect(calls.submits - before.submits).toBe(submits);
  expect(stats).toMatchObject({ dispatches, submits });
  expect(calls.passes - before.passes).toBe(stats.passes);
  expect(calls.objects - before.objects).toBe(0);
  expect(calls.objects).toBe(device.counts.created);
  executable.dispose();
  variables.dispose();
  expect(calls.buffersAlive).toBe(0);
}

describe("a time step, counted by a wrapped device", () => {
  for (const { name, cell, forward, backward } of cells) {
    test(`${name}: the loops' dispatches grow with T, the rest does not, no objects are made`, async () => {
      const optimizer = adam({ clip: { norm: 1 } });
      const step = (sizes: Sizes, length: number) =>
        sequenceStep(languageModel(cell(sizes), V), optimizer, { batch: B, length });
      const evaluation = (sizes: Sizes, length: number) =>
        sequenceEvaluation(languageModel(cell(sizes), V), { batch: B, length });
      for (const length of [3, 7]) await expectAsPlanned(step(narrow, length), length);
      await expectAsPlanned(evaluation(narrow, 3), 3);

      for (const sizes of [narrow, wide]) {
        const outside = new Set<number>();
        for (const T of [25, 50, 100]) {
          const made = await planned(step(sizes, T));
          expect(made.forward).toBeGreaterThan(0);
          expect(made.forward).toBeLessThanOrEqual(forward);
          expect(made.backward).toBeGreaterThan(0);
          expect(made.backward).toBeLessThanOrEqual(backward);
          outside.add(made.dispatches - T * (made.forward + made.backward));
        }
        expect([...outside]).toHaveLength(1);
        const once = await planned(evaluation(sizes, 25));
        expect(once.forward).toBeGreaterThan(0);
        expect(once.forward).toBeLessThanOrEqual(forward);
      }
    });
  }
});
