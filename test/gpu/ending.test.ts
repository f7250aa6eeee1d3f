import { expect, test } from "vitest";
import { digitsSplit } from "../../src/data/images";
import { type Device, requestDevice } from "../../src/gpu/device";
import type { WaitOptions } from "../../src/gpu/wait-options";
import { bake } from "../../src/hyper/bake";
import { hyperCnn } from "../../src/hyper/hyper-cnn";
import { crossEntropy } from "../../src/nn/losses";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import { saveCheckpoint } from "../../src/train/checkpoint";
import type { RunEvent } from "../../src/train/events";
import { imageSettings, imageTask, plainWeights } from "../../src/train/image-task";
import type { NamedModel } from "../../src/train/models";
import { buildModel, modelSpec } from "../../src/train/models";
import { loadModel } from "../../src/train/load-model";
import { train } from "../../src/train/loop";
import { trainStep } from "../../src/train/programs";

// Long calls, followed and ended. Each test has a device of its own, on which nothing is compiled,
// and a small model, since all of it is compiled anew.
async function onNewDevice(work: (device: Device) => Promise<void>): Promise<void> {
  const device = await requestDevice();
  try {
    await work(device);
    expect(device.counts, "what is left on the device").toMatchObject({ buffers: 0, bytes: 0 });
  } finally {
    device.dispose();
  }
}

/** Options that end the work at its k-th report, and what was reported. */
function endingAt(k: number): WaitOptions & { readonly reports: (readonly [number, number])[] } {
  const reports: (readonly [number, number])[] = [];
  const abort = new AbortController();
  const onProgress = (done: number, total: number): void => {
    reports.push([done, total]);
    if (reports.length === k) abort.abort(new Error("enough"));
  };
  return { reports, onProgress, signal: abort.signal };
}

const never = Number.POSITIVE_INFINITY;
const options = { input: [1, 8, 8], channels: [2, 3], kernelSize: 3, nz: 2, d: 2 } as const;
const spec = modelSpec("hyper-cnn", options);
const program = () => trainStep(hyperCnn(options), crossEntropy, adam({ lr: 1e-3 }), { batch: 2 });

test("compile counts the kernels as they come, and ends before anything is allocated", () =>
  onNewDevice(async (device) => {
    const early = AbortSignal.abort(new Error("not at all"));
    await expect(compile(device, program(), { signal: early })).rejects.toThrow("not at all");
    expect(device.counts.created).toBe(0);

    const ended = endingAt(1);
    await expect(compile(device, program(), ended)).rejects.toThrow("enough");
    expect(ended.reports).toHaveLength(1);
    expect(device.counts.buffers).toBe(0);

    const whole = endingAt(never);
    using step = await compile(device, program(), whole);
    const total = whole.reports.length;
    expect(whole.reports).toEqual(Array.from({ length: total }, (_, k) => [k + 1, total]));
    expect(total).toBe(device.pipelines.size);
    expect(step.stats.dispatches).toBeGreaterThanOrEqual(total);
  }));

test("train tells what it compiles, and ended there leaves nothing and keeps nothing", () =>
  onNewDevice(async (device) => {
    const data = digitsSplit({ train: 20, validation: 4, test: 4 });
    const chosen = {
      task: "mnist",
      model: "cnn",
      preset: "quick",
      flags: { steps: 1, batch: 4 },
    } as const;
    const settings = {
      ...imageSettings(chosen, "software", data.train),
      model: modelSpec("cnn", { channels: [2, 2], kernelSize: 3 }),
    };
    const task = imageTask(settings, data, "software");
    const abort = new AbortController();
    const events: RunEvent[] = [];
    let snapshots = 0;
    const result = await train({
      device,
      task,
      signal: abort.signal,
      onEvent: (event) => {
        events.push(event);
        abort.abort();
      },
      onSnapshot: () => void snapshots++,
    });
    expect(result).toEqual({ completed: false, step: 0, metrics: {}, weights: new Map() });
    expect(events).toEqual([
      { event: "compiling", program: "training step of cnn", done: 1, total: expect.any(Number) },
      { event: "stopped", step: 0, reason: "interrupted" },
    ]);
    expect(snapshots).toBe(0);
  }));

test("loadModel, its predict and bake count and end alike", () =>
  onNewDevice(async (device) => {
    const variables = new Variables(device, 1);
    const model = buildModel(spec) as NamedModel;
    using step = await compile(
      device,
      trainStep(model as never, crossEntropy, adam(), { batch: 2 }),
      { variables },
    );
    expect(step.stats.runs).toBe(0);
    const bytes = await saveCheckpoint(variables, {
      model: spec,
      settings: {},
      optimizer: {},
      data: {},
      progress: {},
    });
    await expect(loadModel(device, bytes, endingAt(1))).rejects.toThrow("enough");
    const loading = endingAt(never);
    const loaded = await loadModel(device, bytes, { batch: 4, ...loading });
    expect(loading.reports.at(-1)).toEqual([loading.reports.length, loading.reports.length]);
    const images = new Float32Array(10 * 64);
    const whole = endingAt(never);
    expect(await loaded.predict(images, whole)).toHaveLength(100);
    expect(whole.reports).toEqual([
      [4, 10],
      [8, 10],
      [10, 10],
    ]);
    const ended = endingAt(2);
    await expect(loaded.predict(images, ended)).rejects.toThrow("enough");
    expect(ended.reports).toEqual([
      [4, 10],
      [8, 10],
    ]);
    loaded.dispose();

    const hyper = hyperCnn(options);
    await expect(
      bake(hyper, variables, [], { signal: AbortSignal.abort(new Error("no")) }),
    ).rejects.toThrow("no");
    const baking = endingAt(never);
    await bake(hyper, variables, [], baking);
    expect(baking.reports.length).toBeGreaterThan(0);
    const noWeights = plainWeights(hyper, variables, {
      signal: AbortSignal.abort(new Error("no")),
    });
    await expect(noWeights).rejects.toThrow("no");
    const weighing = endingAt(never);
    expect((await plainWeights(hyper, variables, weighing)).size).toBeGreaterThan(2);
    expect(weighing.reports.length).toBeGreaterThan(0);
    variables.dispose();
  }));
