import { type AdapterDescription, type Device, requestDevice } from "../gpu/device";
import { writeSafetensors } from "../io/safetensors";
import { crossEntropy } from "../nn/losses";
import { countParameters, slabsOf } from "../nn/slabs";
import { compile } from "../schedule/executable";
import { Variables } from "../schedule/variables";
import {
  checkpointModel,
  checkpointSettings,
  readCheckpoint,
  restoreCheckpoint,
} from "../train/checkpoint";
import type { RunEvent } from "../train/events";
import { evaluate, evaluationBatch, parametersByPart, train } from "../train/loop";
import { evaluation } from "../train/programs";
import {
  type ModelName,
  type PresetName,
  resumedSettings,
  type TrainFlags,
  type TrainSettings,
  trainSettings,
} from "../train/tasks";
import { type ImageSpec, type JobContext, type Part, readImages, type WarningEvent } from "./job";

/** Runs `work` on a device of the context, and gives the device back. */
export async function withDevice<T>(
  { gpu, adapter, emit }: JobContext,
  work: (device: Device) => Promise<T>,
): Promise<T> {
  const onWarning = (message: string): void => {
    const warning: WarningEvent = { event: "warning", message };
    emit(warning);
  };
  const device = await requestDevice({ gpu, adapter, onWarning });
  try {
    return await work(device);
  } finally {
    device.dispose();
  }
}

/** What to train. Files: the parts of the data set; `checkpoint` where `resume` names one. */
export interface TrainSpec {
  readonly model: ModelName;
  readonly preset: PresetName;
  readonly flags: TrainFlags;
  readonly data: ImageSpec;
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

/** Trains; writes `last` and `best` (checkpoints), and `weights`: safetensors of the plain network. */
export async function trainJob(spec: TrainSpec, context: JobContext): Promise<TrainOutcome> {
  const { read, write, emit, signal, versions } = context;
  const part = (name: Part) => readImages(spec.data, name, read);
  const data = {
    train: await part("train"),
    validation: await part("validation"),
    test: await part("test"),
  };
  const resume = spec.resume ? readCheckpoint(await read("checkpoint"), spec.resume) : undefined;
  return withDevice(context, async (device) => {
    const settings = resume
      ? resumedSettings(checkpointSettings(resume), spec.flags, data.train.count)
      : trainSettings(spec, device.target.adapter, data.train.count);
    const { weights, ...outcome } = await train({
      device,
      settings,
      data,
      ...(resume && { resume }),
      signal,
      versions,
      onEvent: (event: RunEvent) => emit(event),
      onSnapshot: write,
    });
    const tensors = [...weights].map(([name, { shape, data }]) => ({
      name,
      shape,
      dtype: "f32" as const,
      data: data as Float32Array,
    }));
    await write("weights", writeSafetensors(tensors));
    return { ...outcome, settings };
  });
}

/** What to evaluate. Files: the part of the data set; `checkpoint`. */
export interface EvaluateSpec {
  readonly checkpoint: string;
  readonly part: Part;
  readonly data: ImageSpec;
}

/** Evaluates a checkpoint on one part of a data set. */
export async function evaluateJob(
  spec: EvaluateSpec,
  context: JobContext,
): Promise<Readonly<Record<string, number>>> {
  const { read, emit, signal, versions } = context;
  const checkpoint = readCheckpoint(await read("checkpoint"), spec.checkpoint);
  const { model, spec: named } = checkpointModel(checkpoint);
  const set = await readImages(spec.data, spec.part, read);
  const began = performance.now();
  return withDevice(context, async (device) => {
    const { parameters, state } = slabsOf(model);
    const variables = new Variables(device, checkpoint.seed);
    const batch = evaluationBatch[device.target.adapter];
    const program = evaluation(model, crossEntropy, { batch });
    const executable = await compile(device, program, { variables });
    const wanted = [parameters.variable, ...(state ? [state.variable] : [])];
    restoreCheckpoint(checkpoint, variables, wanted);
    const { dispatches, submits, bytesPlanned } = executable.stats;
    const { step } = checkpoint;
    const say = (event: RunEvent): void => emit(event);
    say({
      event: "start",
      command: "eval",
      versions,
      adapter: device.adapter,
      data: { source: set.source, [spec.part]: set.count },
      settings: { checkpoint: spec.checkpoint, part: spec.part, batch, model: { ...named } },
      parameters: parametersByPart(model),
      plan: { dispatches, submits, bytes: bytesPlanned },
      step,
      steps: step,
    });
    const progress = (done: number, total: number): void =>
      say({ event: "evaluating", split: spec.part, done, total });
    const found = await evaluate(executable, set, progress, signal);
    executable.dispose();
    variables.dispose();
    if (!found) throw new Error("hyperloom: the evaluation was interrupted");
    say({ event: "eval", split: spec.part, step, ...found });
    const metrics = {
      [`${spec.part}_error`]: found.error,
      [`${spec.part}_loss`]: found.loss,
      [`${spec.part}_samples`]: found.samples,
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

const LIMITS = [
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
