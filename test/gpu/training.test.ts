import { describe, expect, test } from "vitest";
import { digitsSplit } from "../../src/data/images";
import { requestDevice } from "../../src/gpu/device";
import { DeviceLostError } from "../../src/gpu/errors";
import { crossEntropy } from "../../src/nn/losses";
import { compile } from "../../src/schedule/executable";
import { CheckpointError, readCheckpoint } from "../../src/train/checkpoint";
import type { RunEvent, StepEvent } from "../../src/train/events";
import { evaluateImages, imageSettings, imageTask } from "../../src/train/image-task";
import { NonFiniteLossError, type TrainOptions, train } from "../../src/train/loop";
import { buildModel, modelSpec } from "../../src/train/models";
import { evaluation } from "../../src/train/programs";
import type { ImageSettings } from "../../src/train/settings";
import { testDevice } from "./check-case";

// 7 steps an epoch, the last of them smaller.
const toyData = digitsSplit({ train: 52, validation: 11, test: 23 });
const toy: ImageSettings = {
  task: "mnist",
  preset: "toy",
  model: modelSpec("hyper-cnn", { channels: [3, 2], kernelSize: 3, nz: 2, d: 3 }),
  seed: 3,
  batch: 8,
  steps: 10,
  optimizer: "adam",
  lr: 0.01,
  rate: { kind: "exponential", decay: 0.9, floor: 0.005 },
  clip: 1,
  augment: true,
  memory: "normal",
  limit: 0,
};

interface Ran {
  readonly events: readonly RunEvent[];
  readonly steps: readonly StepEvent[];
  /** Snapshots in order. */
  readonly snapshots: readonly { readonly kind: string; readonly bytes: Uint8Array }[];
  readonly last: Uint8Array;
}

/** Runs the toy and gathers what it says and hands over. */
async function run(
  {
    settings = toy,
    data = toyData,
    ...options
  }: Partial<Omit<TrainOptions, "task">> & { settings?: ImageSettings; data?: typeof toyData } = {},
  more: (event: RunEvent) => void = () => {},
): Promise<Ran & { error?: unknown }> {
  const events: RunEvent[] = [];
  const snapshots: { kind: string; bytes: Uint8Array }[] = [];
  let error: unknown;
  await train({
    device: await testDevice(),
    task: imageTask(settings, data, "software"),
    onEvent: (event) => {
      if (event.event !== "compiling") events.push(event);
      more(event);
    },
    onSnapshot: (kind, bytes) => {
      snapshots.push({ kind, bytes });
    },
    ...options,
  }).catch((thrown: unknown) => {
    error = thrown;
  });
  const steps = events.filter((e) => e.event === "step");
  const last = snapshots.filter(({ kind }) => kind === "last").at(-1)?.bytes ?? new Uint8Array();
  return { events, steps, snapshots, last, ...(error !== undefined && { error }) };
}

/** Weights, moments and step of a checkpoint. */
function state(bytes: Uint8Array) {
  const { tensors, step } = readCheckpoint(bytes, "snapshot");
  return { step, tensors: Object.fromEntries(tensors) };
}

const losses = ({ steps }: Ran) => steps.map(({ step, loss }) => [step, loss]);

describe("a run", () => {
  test("is the same to the bit each time, and leaves nothing on the device", async () => {
    const device = await testDevice();
    const { buffers, bytes } = device.counts;
    const [first, second] = [await run(), await run()];
    expect(first.error).toBeUndefined();
    expect(losses(second)).toEqual(losses(first));
    expect(second.last).toEqual(first.last);
    expect(device.counts).toMatchObject({ buffers, bytes });
  });

  test("says what it does: start, each step, evaluations, checkpoints, done", async () => {
    const { events, steps, snapshots } = await run();
    expect(events[0]).toMatchObject({
      event: "start",
      settings: { ...toy, optimizer: { optimizer: "adam", clip: 1 } },
      data: { source: "generated digits", train: 52, validation: 11, test: 23 },
      step: 0,
      steps: 10,
    });
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 10 }, (_, k) => k + 1));
    expect(steps.map(({ epoch }) => epoch)).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    expect(steps.map(({ lr }) => lr)).toEqual(
      steps.map(({ step }) => Math.max(0.005, 0.01 * 0.9 ** (step - 1))),
    );
    const evaluations = events.filter((e) => e.event === "eval");
    expect(evaluations.map(({ split, step, samples }) => [split, step, samples])).toEqual([
      ["validation", 7, 11],
      ["validation", 10, 11],
      ["test", 10, 23],
    ]);
    const done = events.at(-1);
    expect(done).toMatchObject({
      event: "done",
      step: 10,
      metrics: { train_samples: 52, validation_samples: 11, test_samples: 23, steps: 10 },
    });
    const test = evaluations.at(-1);
    expect(done?.event === "done" && done.metrics.test_error).toBe(test?.error);
    expect(snapshots.map(({ kind }) => kind).slice(0, 2)).toEqual(["best", "last"]);
  });

  test("goes on from any step as if it had never stopped, bit for bit", async () => {
    const whole = await run({ snapshots: { steps: 1, seconds: 1000 } });
    const lasts = whole.snapshots.filter(({ kind }) => kind === "last");
    // Each step, and once more when the test is done.
    expect(lasts.length).toBe(11);
    for (const k of [1, 4, 7, 9]) {
      const resume = readCheckpoint(lasts[k - 1]?.bytes as Uint8Array, "snapshot");
      expect(resume.step).toBe(k);
      const rest = await run({ resume });
      expect(rest.error).toBeUndefined();
      expect(losses(rest)).toEqual(losses(whole).slice(k));
      expect(state(rest.last)).toEqual(state(whole.last));
    }
  });

  test("ends after the step under way when told to, and resumes from there", async () => {
    const whole = await run();
    const abort = new AbortController();
    const ended = await run({ signal: abort.signal }, (event) => {
      if (event.event === "step" && event.step === 3) abort.abort();
    });
    const { step } = state(ended.last);
    expect(step).toBeGreaterThanOrEqual(3);
    expect(step).toBeLessThanOrEqual(5);
    expect(ended.events.at(-1)).toEqual({ event: "stopped", step, reason: "interrupted" });
    expect(losses(ended)).toEqual(losses(whole).slice(0, step));
    const rest = await run({ resume: readCheckpoint(ended.last, "snapshot") });
    expect(state(rest.last)).toEqual(state(whole.last));
  });

  test("ended in a validation or in the test, makes up for it when resumed", async () => {
    // Several batches of evaluation, so that there is something to end.
    const data = digitsSplit({ train: 700, validation: 220, test: 450 });
    const settings = { ...toy, batch: 128 };
    const large = await run({ data, settings });
    for (const [split, step] of [
      ["validation", 6],
      ["validation", 10],
      ["test", 10],
    ] as const) {
      const abort = new AbortController();
      let steps = 0;
      const ended = await run({ data, settings, signal: abort.signal }, (event) => {
        if (event.event === "step") steps = event.step;
        if (event.event === "evaluating" && event.split === split && steps === step) abort.abort();
      });
      expect(ended.events.at(-1)).toEqual({ event: "stopped", step, reason: "interrupted" });
      const resume = readCheckpoint(ended.last, "snapshot");
      expect(resume.step).toBe(step);
      const rest = await run({ data, settings, resume });
      expect(rest.error).toBeUndefined();
      const evaluations = (ran: Ran) => ran.events.filter((e) => e.event === "eval");
      expect([...evaluations(ended), ...evaluations(rest)]).toEqual(evaluations(large));
      expect(rest.last).toEqual(large.last);
      const done = (ran: Ran) => ran.events.find((e) => e.event === "done")?.metrics;
      expect(done(rest)).toEqual(done(large));
    }
  });

  test("stops at a loss that is no number, naming the step, and keeps what was good", async () => {
    const wild = { ...toy, lr: 1e30, rate: { kind: "constant" as const }, clip: 0 };
    const { error, events, snapshots } = await run({
      settings: wild,
      snapshots: { steps: 1, seconds: 1000 },
    });
    expect(error).toBeInstanceOf(NonFiniteLossError);
    const { step, message } = error as NonFiniteLossError;
    expect(message).toMatch(new RegExp(`^hyperloom: the loss of step ${step} is `));
    expect(events.at(-1)).toMatchObject({ event: "stopped", reason: message });
    for (const { bytes } of snapshots) {
      for (const tensor of Object.values(state(bytes).tensors)) {
        expect(tensor.data.every((v) => Number.isFinite(v))).toBe(true);
      }
    }
  });

  test("ends with a typed error when the device is lost; the last snapshot goes on elsewhere", async () => {
    const whole = await run();
    const doomed = await requestDevice();
    const { error, last } = await run(
      { device: doomed, snapshots: { steps: 2, seconds: 1000 } },
      (event) => {
        if (event.event === "step" && event.step === 5) doomed.gpu.destroy();
      },
    );
    expect(error).toBeInstanceOf(DeviceLostError);
    expect(state(last).step).toBe(4);
    const rest = await run({ resume: readCheckpoint(last, "snapshot") });
    expect(state(rest.last)).toEqual(state(whole.last));
  });

  test("refuses a checkpoint of other data", async () => {
    const { last } = await run();
    const resume = readCheckpoint(last, "snapshot");
    const data = digitsSplit({ seed: 1, train: 52, validation: 11, test: 23 });
    const { error } = await run({ resume, data, settings: { ...toy, steps: 20 } });
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(/was trained on generated digits/);
  });
});

test("an evaluation counts each sample once, whatever the batch", async () => {
  const device = await testDevice();
  const model = buildModel(toy.model);
  const results = [];
  for (const batch of [1, 8, 23, 50]) {
    const executable = await compile(device, evaluation(model, crossEntropy, { batch }), {
      seed: 1,
    });
    results.push(await evaluateImages(executable, toyData.test));
    executable.dispose();
  }
  const [first, ...rest] = results;
  expect(first?.samples).toBe(23);
  for (const other of rest) {
    expect(other?.error).toBe(first?.error);
    expect(other?.loss).toBeCloseTo(first?.loss ?? 0, 5);
  }
});

// A guess is right in 10 %; test/node/cli.test.ts trains the whole network on, to 97 %.
test("a smaller hyper-CNN learns the embedded digits: seven in ten test images right in 60 steps", async () => {
  const data = digitsSplit({ train: 1920, validation: 50, test: 500 });
  const preset = {
    task: "mnist",
    model: "hyper-cnn",
    preset: "quick",
    flags: { seed: 1, steps: 60, batch: 32, lr: 0.005 },
  } as const;
  const settings = {
    ...imageSettings(preset, "software", data.train),
    model: modelSpec("hyper-cnn", { channels: [8, 8], kernelSize: 3 }),
  };
  const { events, error } = await run({ settings, data });
  expect(error).toBeUndefined();
  const done = events.at(-1);
  expect(done?.event === "done" ? done.metrics.test_error : 1).toBeLessThanOrEqual(0.3);
});
