import { describe, expect, test, vi } from "vitest";
import { key, uniform } from "../../src/graph/random";
import { readSafetensors, writeSafetensors } from "../../src/io/safetensors";
import { dense } from "../../src/nn/dense";
import { crossEntropy } from "../../src/nn/losses";
import { slabsOf } from "../../src/nn/slabs";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import {
  type Checkpoint,
  CheckpointError,
  checkpointModel,
  loadCheckpoint,
  readCheckpoint,
  saveCheckpoint,
} from "../../src/train/checkpoint";
import { momentVariables, prediction, trainStep } from "../../src/train/programs";
import { checkpointSettings } from "../../src/train/checkpoint-settings";
import type { AnyModel } from "../../src/train/image-models";
import { loadModel } from "../../src/train/load-model";
import { buildModel, modelSpec } from "../../src/train/models";
import { testDevice } from "./check-case";

const spec = modelSpec("hyper-cnn", {
  input: [1, 8, 8],
  channels: [2, 3],
  kernelSize: 3,
  nz: 2,
  d: 2,
});
const optimizer = adam();
const BATCH = 4;

function batchOf(step: number) {
  return {
    x: Float32Array.from(uniform(key(step), BATCH * 64)),
    labels: Uint32Array.from({ length: BATCH }, (_, i) => (i + step) % 10),
    weight: new Float32Array(BATCH).fill(1),
  };
}

/** A store after some steps of a model of its own. */
async function trained(steps: number) {
  const device = await testDevice();
  const model = buildModel(spec);
  const variables = new Variables(device, 7);
  const program = trainStep(model, crossEntropy, optimizer, { batch: BATCH });
  const step = await compile(device, program, { variables });
  for (let k = 0; k < steps; k++) await step.run(batchOf(k));
  return { device, model, variables, step };
}

const wanted = (model: AnyModel) => {
  const { variable } = slabsOf(model).parameters;
  return [variable, ...momentVariables(variable, optimizer)];
};

/** A saved checkpoint with some of its metadata and tensors changed. */
function altered(
  bytes: Uint8Array,
  metadata: Readonly<Record<string, string>>,
  rename: (name: string) => string | null = (name) => name,
): Uint8Array {
  const found = readSafetensors(bytes, "saved");
  const tensors = [...found.tensors].flatMap(([name, tensor]) => {
    const renamed = rename(name);
    return renamed === null ? [] : [{ ...tensor, name: renamed }];
  });
  return writeSafetensors(tensors, new Map([...found.metadata, ...Object.entries(metadata)]));
}

describe("a checkpoint", () => {
  test("names every tensor, its shape, and what the run was", async () => {
    const { variables, step } = await trained(2);
    const settings = { batch: BATCH };
    const bytes = await saveCheckpoint(variables, {
      model: spec,
      settings,
      optimizer: optimizer.settings,
    });
    const checkpoint = readCheckpoint(bytes, "saved");
    expect(checkpoint).toMatchObject({ seed: 7, step: 2, settings, data: {}, progress: {} });
    expect(checkpoint.model).toEqual(spec);
    expect(checkpoint.optimizer).toMatchObject({ optimizer: "adam", lr: 1e-3, beta2: 0.999 });
    const shapes = Object.fromEntries([...checkpoint.tensors].map(([name, t]) => [name, t.shape]));
    const parameters = {
      "conv1.kernel": [2, 1, 3, 3],
      "conv1.bias": [2],
      "conv2.bias": [3],
      "fc.weight": [10, 12],
      "fc.bias": [10],
      "generator.z": [1, 2],
      "generator.W_i": [2, 2, 2],
      "generator.B_i": [2, 2],
      "generator.W_out": [3, 9, 2],
      "generator.B_out": [3, 9],
    };
    const all = Object.entries(parameters).flatMap(([name, shape]) =>
      ["", "adam.m.", "adam.v."].map((prefix) => [prefix + name, shape]),
    );
    expect(shapes).toEqual(Object.fromEntries(all));
    step.dispose();
    variables.dispose();
  });

  test("restores a run bit for bit: the next step is the one that would have come", async () => {
    const first = await trained(3);
    const bytes = await saveCheckpoint(first.variables, { model: spec });
    const second = await trained(1);
    const expected = { model: "hyper-cnn", variables: wanted(second.model) };
    loadCheckpoint(bytes, "saved", second.variables, expected);
    expect(second.variables.step).toBe(3);
    for (const { step } of [first, second]) await step.run(batchOf(3));
    const after = await Promise.all(
      [first, second].map(({ variables }) => saveCheckpoint(variables, { model: spec })),
    );
    expect(after[1]).toEqual(after[0]);
    for (const { step, variables } of [first, second]) {
      step.dispose();
      variables.dispose();
    }
  });

  test("restored before anything is compiled, it takes the place of initial values", async () => {
    const first = await trained(2);
    const bytes = await saveCheckpoint(first.variables, { model: spec });
    const { device } = first;
    const model = buildModel(spec);
    const { parameters } = slabsOf(model);
    const initial = vi.spyOn(parameters.variable, "initial");
    const variables = new Variables(device, 8);
    const created = device.counts.created;
    loadCheckpoint(bytes, "saved", variables, { variables: wanted(model) });
    expect(device.counts.created).toBe(created);
    // It can be saved as it is, and run.
    const names = (file: Uint8Array) => [...readSafetensors(file, "saved").tensors.keys()].sort();
    expect(names(await saveCheckpoint(variables, { model: spec }))).toEqual(names(bytes));
    const program = trainStep(model, crossEntropy, optimizer, { batch: BATCH });
    const step = await compile(device, program, { variables });
    expect(initial).not.toHaveBeenCalled();
    for (const executable of [first.step, step]) await executable.run(batchOf(2));
    const [mine, theirs] = await Promise.all(
      [variables, first.variables].map((v) => v.read(v.all)),
    );
    expect(mine).toEqual(theirs);
    for (const made of [first.step, step, first.variables, variables]) made.dispose();
  });

  test("is refused, in one line and before any work on the device, where it does not fit", async () => {
    const { device, model, variables, step } = await trained(1);
    const bytes = await saveCheckpoint(variables, { model: spec });
    const store = new Variables(device, 7);
    const created = device.counts.created;
    const load = (file: Uint8Array, expected = "hyper-cnn"): void => {
      loadCheckpoint(file, "run/checkpoint", store, { model: expected, variables: wanted(model) });
    };
    const cases: readonly (readonly [() => void, RegExp])[] = [
      [() => load(bytes, "cnn"), /is of the model hyper-cnn, must be of cnn/],
      [() => load(bytes.subarray(0, bytes.length - 1)), /cut short|whole/],
      [() => load(bytes.subarray(0, 100)), /cut short/],
      [() => load(bytes.subarray(0, 5)), /5 bytes/],
      [
        () => load(bytes.slice().buffer as unknown as Uint8Array),
        /it is ArrayBuffer, must be a Uint8Array: new Uint8Array\(arrayBuffer\)/,
      ],
      [() => load(new Uint8Array(0)), /0 bytes/],
      [
        () => load(altered(bytes, {}, (n) => (n === "fc.bias" ? null : n))),
        /lacks the tensor fc.bias/,
      ],
      [
        () =>
          load(
            altered(
              bytes,
              {},
              (n) => ({ "fc.bias": "conv1.bias", "conv1.bias": "fc.bias" })[n] ?? n,
            ),
          ),
        /conv1\.bias is f32 \[10\], must be f32 \[2\]/,
      ],
      [() => load(altered(bytes, { format: "hyperloom checkpoint 99" })), /format is/],
      [() => load(altered(bytes, { step: "-1" })), /its step is no number/],
      [() => load(altered(bytes, { model: "[]" })), /its model is no JSON object/],
      [() => load(altered(bytes, { model: "{" })), /its model is not valid JSON/],
      [() => load(altered(bytes, { model: "{}" })), /no name and options/],
      [() => load(writeSafetensors([])), /no checkpoint of hyperloom/],
    ];
    for (const [attempt, reason] of cases) {
      let error: unknown;
      try {
        attempt();
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(CheckpointError);
      const { message } = error as CheckpointError;
      expect(message).toMatch(reason);
      expect(message).toMatch(/^hyperloom: run\/checkpoint: [^\n]+$/);
    }
    expect(device.counts.created).toBe(created);
    expect(store.step).toBe(0);
    step.dispose();
    variables.dispose();
  });

  test("rebuilds no model that does not exist, and resumes no run that it does not describe", async () => {
    const { variables, step } = await trained(1);
    const bytes = await saveCheckpoint(variables, { model: spec });
    const read = (metadata: Readonly<Record<string, unknown>>): Checkpoint => {
      const texts = Object.entries(metadata).map(([k, v]) => [k, JSON.stringify(v)]);
      return readCheckpoint(altered(bytes, Object.fromEntries(texts)), "saved");
    };
    const model = (name: string, options: unknown) => read({ model: { name, options } });
    const bad: readonly Checkpoint[] = [
      model("constructor", {}),
      model("hyper-cnn", { toString: 1 }),
      model("hyper-cnn", { channels: "16" }),
      model("hyper-cnn", { channels: [16, 1e9] }),
      model("hyper-cnn", { kernelSize: -1 }),
    ];
    for (const checkpoint of bad) {
      expect(() => checkpointModel(checkpoint)).toThrow(CheckpointError);
    }
    expect(() => checkpointSettings(read({ settings: {} }))).toThrow(CheckpointError);
    expect(() => checkpointSettings(read({ settings: { task: "mnist", batch: 0 } }))).toThrow(
      CheckpointError,
    );
    step.dispose();
    variables.dispose();
  });
});

describe("loadModel", () => {
  test("predicts from bytes alone, any number of samples", async () => {
    const { device, model, variables, step } = await trained(2);
    const bytes = await saveCheckpoint(variables, { model: spec });
    const n = 11;
    const x = Float32Array.from(uniform(key(5), n * 64));
    const direct = await compile(device, prediction(model, { batch: n }), { variables });
    const expected = (await direct.run({ x })).y as Float32Array;
    const buffers = device.counts.buffers;

    const loaded = await loadModel(device, bytes, { batch: 4 });
    const y = await loaded.predict(x);
    expect(y.length).toBe(n * 10);
    for (const [i, v] of y.entries()) expect(v).toBeCloseTo(expected[i] as number, 5);
    expect(loaded.checkpoint.step).toBe(2);
    await expect(loaded.predict(x.subarray(1))).rejects.toThrow(/no multiple of 64/);
    loaded.dispose();
    expect(device.counts.buffers).toBe(buffers);
    direct.dispose();
    step.dispose();
    variables.dispose();
  });

  test("takes a module of one's own in place of a named model", async () => {
    const device = await testDevice();
    const net = dense(3, 2);
    const variables = new Variables(device, 1);
    const program = prediction(net, { batch: 5, input: [3] });
    const executable = await compile(device, program, { variables });
    const x = Float32Array.from(uniform(key(2), 15));
    const expected = (await executable.run({ x })).y;
    const bytes = await saveCheckpoint(variables, { model: { name: net.name, options: {} } });
    await expect(loadModel(device, bytes)).rejects.toThrow(/no model dense/);
    const loaded = await loadModel(device, bytes, { model: net, input: [3], batch: 5 });
    expect(await loaded.predict(x)).toEqual(expected);
    loaded.dispose();
    executable.dispose();
    variables.dispose();
  });
});
