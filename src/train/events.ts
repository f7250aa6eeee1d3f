import type { AdapterDescription } from "../gpu/device";

/** A value that survives JSON. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;

/** Named values that survive JSON. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** What a run counts. */
export type Unit = "images" | "characters" | "sequences";

/** What is measured besides the loss; which of them, depends on the task. */
export interface Measures {
  /** Share p that was wrong. */
  readonly error?: number | undefined;
  /** Of the error, were the n samples drawn anew: √(p (1 − p) / n). */
  readonly standard_error?: number | undefined;
  /** Share that was right. */
  readonly accuracy?: number | undefined;
  /** The loss in bits. */
  readonly bits_per_character?: number | undefined;
}

/** What a whole pass over a part of the data found. */
export interface Evaluated extends Measures {
  /** Mean in nats. */
  readonly loss: number;
  /** Samples, or predictions, that it is the mean of. */
  readonly samples: number;
}

/** What a run is about to do: sent once, before the first step. */
export interface StartEvent {
  readonly event: "start";
  /** "train", "eval", … */
  readonly command: string;
  /** Of hyperloom and of the runtime. */
  readonly versions: Readonly<Record<string, string>>;
  readonly adapter: AdapterDescription;
  /** What is counted. */
  readonly unit: Unit;
  /** Where the data come from, and how many units there are of each part. */
  readonly data: { readonly source: string } & Readonly<Record<string, string | number>>;
  /** Every setting, resolved: presets and defaults are spelled out. */
  readonly settings: JsonObject;
  /** Parameters by part, such as `conv1`, `generator` or `hyper cell`. */
  readonly parameters: Readonly<Record<string, number>>;
  /** Counters of one step, where steps are taken. */
  readonly plan?: { readonly dispatches: number; readonly submits: number; readonly bytes: number };
  /** The step that this run goes on from; 0 for a fresh run. */
  readonly step: number;
  /** Steps when it is done. */
  readonly steps: number;
}

/** Kernels of a program that are compiled, before the run starts: for progress alone. */
export interface CompilingEvent {
  readonly event: "compiling";
  /** The program's name, such as `training step of hyper-cnn`. */
  readonly program: string;
  readonly done: number;
  readonly total: number;
}

/** One training step. */
export interface StepEvent {
  readonly event: "step";
  /** Counted from 1. */
  readonly step: number;
  readonly epoch: number;
  /** Mean over the batch before the update, in nats. */
  readonly loss: number;
  /** Share of the batch that was right. */
  readonly accuracy: number;
  readonly lr: number;
  /** Of the run's unit, over the last steps. */
  readonly imagesPerSecond?: number;
  readonly charactersPerSecond?: number;
  readonly sequencesPerSecond?: number;
  /** Since the run began. */
  readonly seconds: number;
}

/** Part of an evaluation: for progress alone. */
export interface EvaluatingEvent {
  readonly event: "evaluating";
  readonly split: string;
  readonly done: number;
  readonly total: number;
}

/** A whole pass over a part of the data. */
export interface EvalEvent extends Evaluated {
  readonly event: "eval";
  readonly split: string;
  readonly step: number;
}

/** A snapshot that was handed over to be kept. */
export interface CheckpointEvent {
  readonly event: "checkpoint";
  readonly kind: "last" | "best";
  readonly step: number;
  readonly bytes: number;
}

/** The end of a run that did what it was asked to. */
export interface DoneEvent {
  readonly event: "done";
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/** The end of a run that did not: interrupted, or failed for the reason given. */
export interface StoppedEvent {
  readonly event: "stopped";
  readonly step: number;
  readonly reason: string;
}

/** All that a run says: progress bars, logs and charts are readers of this one stream. */
export type RunEvent =
  | CompilingEvent
  | StartEvent
  | StepEvent
  | EvaluatingEvent
  | EvalEvent
  | CheckpointEvent
  | DoneEvent
  | StoppedEvent;

/** Units a second of a step. */
export function perSecond(step: StepEvent): number {
  const { imagesPerSecond, charactersPerSecond, sequencesPerSecond } = step;
  return imagesPerSecond ?? charactersPerSecond ?? sequencesPerSecond ?? Number.NaN;
}

/**
 * The metrics of a pass over a part: `test_loss`, `test_error`, …; of the test set the others go by
 * their names alone (`bits_per_character`, `accuracy`).
 */
export function metricsOf(
  split: string,
  { loss, error, standard_error: spread, ...rest }: Evaluated,
) {
  const { bits_per_character: bits, accuracy } = rest;
  const name = (metric: string): string => (split === "test" ? metric : `${split}_${metric}`);
  return {
    ...(error !== undefined && { [`${split}_error`]: error }),
    ...(spread !== undefined && { [`${split}_standard_error`]: spread }),
    ...(bits !== undefined && { [name("bits_per_character")]: bits }),
    ...(accuracy !== undefined && { [name("accuracy")]: accuracy }),
    [`${split}_loss`]: loss,
  };
}
