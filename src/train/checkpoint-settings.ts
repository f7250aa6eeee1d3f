import { type Checkpoint, CheckpointError, checkpointModel } from "./checkpoint";
import type { Json, JsonObject } from "./events";
import { isSequenceName } from "./models";
import {
  type ImageTaskName,
  imageTaskNames,
  isSequenceTask,
  type OptimizerName,
  optimizerNames,
  type TrainSettings,
} from "./settings";

const isNumber = (x: Json | undefined, from: number, to: number): boolean =>
  typeof x === "number" && x >= from && x <= to;
const isWhole = (x: Json | undefined, from: number, to: number): boolean =>
  Number.isInteger(x) && isNumber(x, from, to);

/** Whether a value of a checkpoint is `RateSettings`. */
function isRate(x: Json | undefined): boolean {
  if (typeof x !== "object" || x === null || Array.isArray(x)) return false;
  const { kind, decay, floor, factors, until } = x as JsonObject;
  if (kind === "exponential") return isNumber(decay, 0, 1) && isNumber(floor, 0, 1e6);
  if (kind !== "steps") return kind === "constant";
  return (
    Array.isArray(factors) &&
    Array.isArray(until) &&
    factors.length === until.length + 1 &&
    factors.every((factor) => isNumber(factor, 0, 1e6)) &&
    until.every((step) => isWhole(step, 1, Number.MAX_SAFE_INTEGER))
  );
}

/**
 * The settings of the run that a checkpoint is from, checked.
 * @throws CheckpointError where it has none, or some that cannot be.
 */
export function checkpointSettings(checkpoint: Checkpoint): TrainSettings {
  const { file, settings, seed, step } = checkpoint;
  const { spec } = checkpointModel(checkpoint);
  const { task, preset, batch, steps, optimizer, lr, rate, clip } = settings;
  const { augment, memory, limit, seq, chunk, validation, delay } = settings;
  const sequence = isSequenceTask(String(task)) && isSequenceName(spec.name);
  const image = imageTaskNames.includes(task as ImageTaskName) && !isSequenceName(spec.name);
  const most = Number.MAX_SAFE_INTEGER;
  const good =
    typeof preset === "string" &&
    isWhole(batch, 1, 65_536) &&
    isWhole(steps, step, most) &&
    optimizerNames.includes(optimizer as OptimizerName) &&
    isNumber(lr, 0, 1e6) &&
    isRate(rate) &&
    isNumber(clip, 0, Number.MAX_VALUE) &&
    ((image &&
      typeof augment === "boolean" &&
      (memory === "normal" || memory === "low") &&
      isWhole(limit, 0, most)) ||
      (sequence &&
        isWhole(seq, 1, most) &&
        isWhole(chunk, 1, most) &&
        isWhole(validation, 1, most) &&
        isWhole(delay, task === "recall" ? 1 : 0, most)));
  if (!good) {
    throw new CheckpointError(file, "it has no settings of a training run to go on with");
  }
  return { ...(settings as unknown as TrainSettings), model: spec, seed } as TrainSettings;
}

/**
 * What an evaluation needs of the settings: those of the run, or, where a checkpoint has none,
 * windows of a size that suits every device.
 * @throws CheckpointError where the settings cannot be.
 */
export function evaluationSettings(checkpoint: Checkpoint): TrainSettings {
  if (Object.keys(checkpoint.settings).length > 0) return checkpointSettings(checkpoint);
  const { spec } = checkpointModel(checkpoint);
  const { seed, step } = checkpoint;
  const rates = { optimizer: "adam", lr: 1e-3, rate: { kind: "constant" }, clip: 0 };
  const base = { preset: "none", model: spec, seed, batch: 32, steps: step, ...rates };
  const { input } = spec.options;
  const imageTask = Array.isArray(input) && input[0] === 3 ? "cifar10" : "mnist";
  return isSequenceName(spec.name)
    ? ({ ...base, task: "text", seq: 64, chunk: 64, validation: 1, delay: 0 } as TrainSettings)
    : ({ ...base, task: imageTask, augment: false, memory: "normal", limit: 0 } as TrainSettings);
}

/** Whether settings are of a run on sequences. */
export function isSequenceRun(
  settings: TrainSettings,
): settings is Extract<TrainSettings, { seq: number }> {
  return "seq" in settings;
}
