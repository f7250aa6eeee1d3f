import { adam, type Optimizer } from "../optim/optimizer";
import { constantRate, exponentialRate, type Schedule } from "../optim/schedule";
import type { ImageModelName } from "./image-models";
import type { ModelSpec } from "./models";
import type { SequenceModelName } from "./sequence-models";

/** What can be learnt: images of digits, texts, and the memory task. */
export const taskNames = ["mnist", "text", "ptb", "enwik8", "recall"] as const;
export type TaskName = (typeof taskNames)[number];
export type SequenceTaskName = Exclude<TaskName, "mnist">;

/** Whether a task is one of sequences. */
export function isSequenceTask(task: string): task is SequenceTaskName {
  return task !== "mnist" && taskNames.includes(task as TaskName);
}

/** A setting that cannot be: with this task, this model or this data. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  constructor(message: string) {
    super(`hyperloom: ${message}`);
  }
}

/** Settings that every training run has, in the words of logs and checkpoints. */
export interface RunSettings {
  readonly task: string;
  readonly preset: string;
  readonly model: ModelSpec;
  readonly seed: number;
  readonly batch: number;
  /** Steps of the whole run, resumed parts included. */
  readonly steps: number;
  /** Rate of step t: max(floor, lr · decay^(t−1)). */
  readonly lr: number;
  readonly decay: number;
  readonly floor: number;
  /** Largest global norm of the gradient; 0: no clipping. */
  readonly clip: number;
}

/** Every setting of a run on images. */
export interface ImageSettings extends RunSettings {
  readonly model: ModelSpec<ImageModelName>;
  /** Images padded by 1 and cropped back at random. */
  readonly augment: boolean;
}

/** Every setting of a run on sequences. */
export interface SequenceSettings extends RunSettings {
  readonly task: SequenceTaskName;
  readonly model: ModelSpec<SequenceModelName>;
  /** Symbols that a step goes through in each of `batch` streams; backpropagation ends there. */
  readonly seq: number;
  /** Steps of a time chunk, `seq` for one chunk. */
  readonly chunk: number;
  /** Training steps from one validation to the next; the last step is followed by one too. */
  readonly validation: number;
  /** Of the memory task: steps between a symbol and its recall; else 0. */
  readonly delay: number;
}

/** All settings of a run. */
export type TrainSettings = ImageSettings | SequenceSettings;

/** Settings that beat a preset, of any task. */
export interface TrainFlags {
  readonly seed?: number;
  readonly epochs?: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly clip?: number;
}

/** Rates and length that a preset decides, of any task. */
export interface BasePreset {
  readonly batch: number;
  readonly lr: number;
  readonly decay?: number;
  readonly floor?: number;
  readonly clip?: number;
  readonly length: { readonly steps: number } | { readonly epochs: number };
}

/** Steps of `epochs` passes of `perEpoch` steps each. */
export function stepsOf(epochs: number, perEpoch: number): number {
  return Math.max(1, Math.round(epochs * perEpoch));
}

/**
 * What a preset and the flags that beat it make of rates and length.
 * @param perEpoch Steps of a pass over the data, by batch.
 */
export function baseSettings(
  chosen: BasePreset,
  flags: TrainFlags,
  perEpoch: (batch: number) => number,
): Pick<RunSettings, "seed" | "batch" | "steps" | "lr" | "decay" | "floor" | "clip"> {
  const { batch = chosen.batch, seed = 0 } = flags;
  const { length } = chosen;
  const given = "epochs" in length ? stepsOf(length.epochs, perEpoch(batch)) : length.steps;
  const steps = flags.epochs ? stepsOf(flags.epochs, perEpoch(batch)) : (flags.steps ?? given);
  return {
    seed,
    batch,
    steps,
    // A rate given by hand is meant to be that rate.
    lr: flags.lr ?? chosen.lr,
    decay: flags.lr === undefined ? (chosen.decay ?? 1) : 1,
    floor: flags.lr === undefined ? (chosen.floor ?? 0) : 0,
    clip: flags.clip ?? chosen.clip ?? 0,
  };
}

/** The settings of a resumed run: those of the checkpoint, but for its length. */
export function resumedSettings<S extends RunSettings>(
  from: S,
  flags: TrainFlags,
  perEpoch: number,
): S {
  const { steps = from.steps, epochs } = flags;
  return { ...from, steps: epochs ? stepsOf(epochs, perEpoch) : steps };
}

/** The learning rate of a run by step. */
export function schedule({ lr, decay, floor }: RunSettings): Schedule {
  return decay === 1 ? constantRate(lr) : exponentialRate(lr, decay, floor);
}

/** The optimiser of a run: Adam, as PyTorch has it. */
export function optimizerOf(settings: RunSettings): Optimizer {
  const { clip, decay, lr } = settings;
  return adam({
    lr: decay === 1 ? lr : schedule(settings),
    ...(clip > 0 && { clip: { norm: clip } }),
  });
}
