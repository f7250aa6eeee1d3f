import { type AdapterDescription, type Device, requestDevice } from "../gpu/device";
import type { Target } from "../gpu/dispatch";
import { writeSafetensors } from "../io/safetensors";
import { countParameters } from "../nn/slabs";
import { compile } from "../schedule/executable";
import { Variables } from "../schedule/variables";
import {
  type Checkpoint,
  checkpointModel,
  readCheckpoint,
  restoreCheckpoint,
} from "../train/checkpoint";
import {
  checkpointSettings,
  evaluationSettings,
  isSequenceRun,
} from "../train/checkpoint-settings";
import { metricsOf, type RunEvent } from "../train/events";
import type { ImagePresetName } from "../train/image-presets";
import { imageSettings, imageTask } from "../train/image-task";
import { train } from "../train/loop";
import { modelVariables, parametersByPart } from "../train/models";
import type { SequenceModelName } from "../train/sequence-models";
import type { SequencePresetName } from "../train/sequence-presets";
import { sequenceSettings } from "../train/sequence-settings";
import { fitChunk, sequenceTask } from "../train/sequence-task";
import {
  type ImageSettings,
  type ImageTaskName,
  resumedSettings,
  type SequenceTaskName,
  type TaskName,
  type TrainSettings,
} from "../train/settings";
import type { Split, Task } from "../train/task";
import { type DataSpec, type JobContext, type JobData, readData, type WarningEvent } from "./job";
import type { RunFlags } from "./train-flags";

/** Runs `work` on a device of the context, and gives the device back. */
export async function withDevice<T>(
  { gpu, adapter, variants, emit }: JobContext,
  work: (device: Device) => Promise<T>,
): Promise<T> {
  const onWarning = (message: string): void => emit<WarningEvent>({ event: "warning", message });
  const device = await requestDevice({ gpu, adapter, variants, onWarning });
  try {
    return await work(device);
  } finally {
    device.dispose();
  }
}

/** What a run is asked to be. */
export interface TrainChoice {
  readonly task: TaskName;
  readonly model: string;
  readonly preset: string;
  readonly flags: RunFlags;
}

/** What to train. Files: those of the data; `checkpoint` where `resume` names one. */
export interface TrainSpec extends TrainChoice {
  readonly data: DataSpec;
  /** Name of the checkpoint to go on from. */
  readonly resume?: string;
}

/** How a run ended. */
export interface TrainOutcome {
  readonly completed: boolean;
  readonly step: number;
  readonly settings: TrainSettings;
  readonly metrics: Readonly<Record<string, number>>;
}

/** The settings of a fresh run. @throws SettingsError for what does not go together. */
export function freshSettings(
  { task, model, preset, flags }: TrainChoice,
  adapter: Target["adapter"],
  data: JobData,
): TrainSettings {
  if (data.kind === "images") {
    const chosen = {
      task: task as ImageTaskName,
      model,
      preset: preset as ImagePresetName,
      flags,
    };
    return imageSettings(chosen, adapter, data.split.train);
  }
  const chosen = {
    task: task as SequenceTaskName,
    model: model as SequenceModelName,
    preset: preset as SequencePresetName,
    flags,
  };
  return sequenceSettings(chosen, adapter, data.data);
}

/** Steps of a pass over the data of a run. */
export function stepsPerEpoch(settings: TrainSettings, data: JobData): number {
  if (data.kind === "images") return Math.ceil(data.split.train.count / settings.batch);
  const { batch, seq: length = 1 } = settings as TrainSettings & { readonly seq?: number };
  return data.data.train({ batch, length, seed: 0 }).perEpoch;
}

/** The task of a run. */
export function taskOf(settings: TrainSettings, data: JobData, adapter: Target["adapter"]): Task {
  if (data.kind === "images") return imageTask(settings as ImageSettings, data.split, adapter);
  if (!isSequenceRun(settings)) throw new Error(`internal: ${settings.task} on sequences`);
  return sequenceTask(settings, data.data);
}

/** Trains; writes `last` and `best` (checkpoints), and `weights` of images: the plain network's. */
export async function trainJob(spec: TrainSpec, context: JobContext): Promise<TrainOutcome> {
  const { read, write, emit, signal, versions } = context;
  const data = await readData(spec.data, read);
  const resume = spec.resume ? readCheckpoint(await read("checkpoint"), spec.resume) : undefined;
  return withDevice(context, async (device) => {
    const settings = resume ? resumed(resume, spec, data) : chosenSettings(spec, data, device);
    const task = taskOf(settings, data, device.target.adapter);
    const { weights, ...outcome } = await train({
      device,
      task,
      ...(resume && { resume }),
      signal,
      versions,
      onEvent: emit,
      onSnapshot: write,
    });
    const tensors = [...weights].map(([name, { shape, data }]) => ({
      name,
      shape,
      dtype: "f32" as const,
      data: data as Float32Array,
    }));
    if (tensors.length > 0) await write("weights", writeSafetensors(tensors));
    return { ...outcome, settings };
  });
}

function resumed(resume: Checkpoint, { flags }: TrainSpec, data: JobData): TrainSettings {
  const settings = checkpointSettings(resume);
  return resumedSettings<TrainSettings>(settings, flags, stepsPerEpoch(settings, data));
}

/** A fresh run's settings, its chunks as long as the device allows unless they were given. */
function chosenSettings(spec: TrainSpec, data: JobData, { target }: Device): TrainSettings {
  const settings = freshSettings(spec, target.adapter, data);
  const given = !isSequenceRun(settings) || spec.flags.chunk !== undefined;
  return given ? settings : fitChunk(settings, target);
}

/** What to evaluate. Files: those of the data; `checkpoint`. */
export interface EvaluateSpec {
  readonly checkpoint: string;
  readonly part: Split;
  readonly data: DataSpec;
}

/** Evaluates a checkpoint on one part of a data set. */
export async function evaluateJob(
  spec: EvaluateSpec,
  context: JobContext,
): Promise<Readonly<Record<string, number>>> {
  const { read, emit, signal, versions } = context;
  const { part } = spec;
  const checkpoint = readCheckpoint(await read("checkpoint"), spec.checkpoint);
  const { model, spec: named } = checkpointModel(checkpoint);
  const data = await readData(spec.data, read);
  const began = performance.now();
  return withDevice(context, async (device) => {
    const task = taskOf(evaluationSettings(checkpoint), data, device.target.adapter);
    const variables = new Variables(device, checkpoint.seed);
    restoreCheckpoint(checkpoint, variables, modelVariables(task.model));
    const executable = await compile(device, task.programs().evaluation, { variables });
    const { dispatches, submits, bytesPlanned } = executable.stats;
    const { step } = checkpoint;
    const { batch } = task.settings;
    const say = emit<RunEvent>;
    say({
      event: "start",
      command: "eval",
      versions,
      adapter: device.adapter,
      unit: task.unit,
      data: { source: task.data.source, [part]: task.data[part] },
      settings: { checkpoint: spec.checkpoint, part, batch, model: { ...named } },
      parameters: parametersByPart(model),
      plan: { dispatches, submits, bytes: bytesPlanned },
      step,
      steps: step,
    });
    const onProgress = (done: number, total: number): void =>
      say({ event: "evaluating", split: part, done, total });
    const found = await task.evaluate(executable, part, { onProgress, signal });
    executable.dispose();
    variables.dispose();
    if (!found) throw new Error("hyperloom: the evaluation was interrupted");
    say({ event: "eval", split: part, step, ...found });
    const { bits_per_character: bits } = found;
    const metrics = {
      ...(bits !== undefined && { bits_per_character: bits }),
      ...metricsOf(part, found),
      [`${part}_samples`]: task.data[part],
      parameters: countParameters(model.params),
    };
    say({ event: "done", step, metrics, seconds: (performance.now() - began) / 1000 });
    return metrics;
  });
}

/** What a runtime's adapter offers. */
export interface Probe {
  readonly adapter: AdapterDescription;
  readonly features: readonly string[];
  /** Of the adapter: those that models run into. */
  readonly limits: Readonly<Record<string, number>>;
}

/** The limits that models run into. */
export const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/** Looks at the adapter that jobs would get, and opens a device on it. */
export async function probeJob(
  _spec: Readonly<Record<never, never>>,
  context: JobContext,
): Promise<Probe> {
  return withDevice(context, async ({ adapter, gpu }) => {
    const found = await context.gpu.requestAdapter({ powerPreference: "high-performance" });
    const { features, limits } = found ?? gpu;
    return {
      adapter,
      features: [...features].sort(),
      limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    };
  });
}
