import { type Checkpoint, CheckpointError, checkpointModel } from "./checkpoint";
import type { Json } from "./events";
import { isSequenceName } from "./models";
import { isSequenceTask, type TrainSettings } from "./settings";

const isNumber = (x: Json | undefined, from: number, to: number): boolean =>
  typeof x === "number" && x >= from && x <= to;
const isWhole = (x: Json | undefined, from: number, to: number): boolean =>
  Number.isInteger(x) && isNumber(x, from, to);

/**
 * The settings of the run that a checkpoint is from, checked.
 * @throws CheckpointError where it has none, or some that cannot be.
 */
export function checkpointSettings(checkpoint: Checkpoint): TrainSettings {
  const { file, settings, seed, step } = checkpoint;
  const { spec } = checkpointModel(checkpoint);
  const { task, preset, batch, steps, lr, decay, floor, clip } = settings;
  const { augment, seq, chunk, validation, delay } = settings;
  const sequence = isSequenceTask(String(task)) && isSequenceName(spec.name);
  const image = task === "mnist" && !isSequenceName(spec.name);
  const most = Number.MAX_SAFE_INTEGER;
  const good =
    typeof preset === "string" &&
    isWhole(batch, 1, 65_536) &&
    isWhole(steps, step, most) &&
    isNumber(lr, 0, 1e6) &&
    isNumber(decay, 0, 1) &&
    isNumber(floor, 0, 1e6) &&
    isNumber(clip, 0, Number.MAX_VALUE) &&
    ((image && typeof augment === "boolean") ||
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
  const rates = { lr: 1e-3, decay: 1, floor: 0, clip: 0 };
  const base = { preset: "none", model: spec, seed, batch: 32, steps: step, ...rates };
  return isSequenceName(spec.name)
    ? ({ ...base, task: "text", seq: 64, chunk: 64, validation: 1, delay: 0 } as TrainSettings)
    : ({ ...base, task: "mnist", augment: false } as TrainSettings);
}

/** Whether settings are of a run on sequences. */
export function isSequenceRun(
  settings: TrainSettings,
): settings is Extract<TrainSettings, { seq: number }> {
  return "seq" in settings;
}
