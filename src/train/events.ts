import type { AdapterDescription } from "../gpu/device";

/** A value that survives JSON. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;

/** Named values that survive JSON. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** What a run is about to do: sent once, before the first step. */
export interface StartEvent {
  readonly event: "start";
  /** "train", "eval", … */
  readonly command: string;
  /** Of hyperloom and of the runtime. */
  readonly versions: Readonly<Record<string, string>>;
  readonly adapter: AdapterDescription;
  /** Where the images come from, and how many there are of each part. */
  readonly data: { readonly source: string } & Readonly<Record<string, string | number>>;
  /** Every setting, resolved: presets and defaults are spelled out. */
  readonly settings: JsonObject;
  /** Parameters by part, such as `conv1` or `generator`. */
  readonly parameters: Readonly<Record<string, number>>;
  /** Counters of one step, where steps are taken. */
  readonly plan?: { readonly dispatches: number; readonly submits: number; readonly bytes: number };
  /** The step that this run goes on from; 0 for a fresh run. */
  readonly step: number;
  /** Steps when it is done. */
  readonly steps: number;
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
  /** Over the last steps. */
  readonly imagesPerSecond: number;
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
export interface EvalEvent {
  readonly event: "eval";
  readonly split: string;
  readonly step: number;
  readonly loss: number;
  /** Share that was wrong. */
  readonly error: number;
  readonly samples: number;
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
  | StartEvent
  | StepEvent
  | EvaluatingEvent
  | EvalEvent
  | CheckpointEvent
  | DoneEvent
  | StoppedEvent;
