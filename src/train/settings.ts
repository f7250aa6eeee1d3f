import { adam, type Optimizer, sgd } from "../optim/optimizer";
import { constantRate, exponentialRate, type Schedule, stepRate } from "../optim/schedule";
import type { ImageModelName } from "./image-models";
import type { ModelSpec } from "./models";
import type { SequenceModelName } from "./sequence-models";

/** What can be learnt from images. */
export const imageTaskNames = ["mnist", "cifar10"] as const;
/** One of `imageTaskNames`. */
export type ImageTaskName = (typeof imageTaskNames)[number];

/** What can be learnt from sequences: texts, and the memory task. */
export const sequenceTaskNames = ["text", "ptb", "enwik8", "recall"] as const;
/** One of `sequenceTaskNames`. */
export type SequenceTaskName = (typeof sequenceTaskNames)[number];

/** All that can be learnt. */
export const taskNames = [...imageTaskNames, ...sequenceTaskNames] as const;
/** One of `taskNames`. */
export type TaskName = (typeof taskNames)[number];

/** Whether a task is one of sequences. */
export function isSequenceTask(task: string): task is SequenceTaskName {
  return sequenceTaskNames.includes(task as SequenceTaskName);
}

/**
 * How the rate of step t follows from a run's `lr`: lr itself; max(floor, lr · decay^(t−1)); or
 * lr · factors[k] up to and including step until[k], the last factor ever after.
 */
export type RateSettings =
  | { readonly kind: "constant" }
  | { readonly kind: "exponential"; readonly decay: number; readonly floor: number }
  | {
      readonly kind: "steps";
      readonly factors: readonly number[];
      readonly until: readonly number[];
    };

/** Adam as PyTorch has it, or stochastic gradient descent with Nesterov's momentum of 0.9. */
export const optimizerNames = ["adam", "nesterov"] as const;
/** One of `optimizerNames`. */
export type OptimizerName = (typeof optimizerNames)[number];

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
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly rate: RateSettings;
  /** Largest global norm of the gradient; 0: no clipping. */
  readonly clip: number;
}

/** Every setting of a run on images. */
export interface ImageSettings extends RunSettings {
  readonly task: ImageTaskName;
  readonly model: ModelSpec<ImageModelName>;
  /** Images padded and cropped back at random, coloured ones flipped too. */
  readonly augment: boolean;
  /** "low" keeps less for the backward pass and computes it once more. */
  readonly memory: "normal" | "low";
  /** Training images, the first ones, that the run is limited to; 0: all. */
  readonly limit: number;
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
  readonly optimizer?: OptimizerName;
  readonly lr: number;
  readonly rate?: RateSettings;
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
): Pick<RunSettings, "seed" | "batch" | "steps" | "optimizer" | "lr" | "rate" | "clip"> {
  const { batch = chosen.batch, seed = 0 } = flags;
  const { length } = chosen;
  const given = "epochs" in length ? stepsOf(length.epochs, perEpoch(batch)) : length.steps;
  const steps = flags.epochs ? stepsOf(flags.epochs, perEpoch(batch)) : (flags.steps ?? given);
  return {
    seed,
    batch,
    steps,
    optimizer: chosen.optimizer ?? "adam",
    // A rate given by hand is meant to be that rate.
    lr: flags.lr ?? chosen.lr,
    rate: (flags.lr === undefined && chosen.rate) || { kind: "constant" },
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
export function schedule({ lr, rate }: RunSettings): Schedule {
  if (rate.kind === "exponential") return exponentialRate(lr, rate.decay, rate.floor);
  if (rate.kind === "constant") return constantRate(lr);
  return stepRate(
    rate.factors.map((factor) => lr * factor),
    rate.until,
  );
}

/** The optimiser of a run. */
export function optimizerOf(settings: RunSettings): Optimizer {
  const { clip, rate, lr } = settings;
  const options = {
    lr: rate.kind === "constant" ? lr : schedule(settings),
    ...(clip > 0 && { clip: { norm: clip } }),
  };
  return settings.optimizer === "adam"
    ? adam(options)
    : sgd({ ...options, momentum: 0.9, nesterov: true });
}
