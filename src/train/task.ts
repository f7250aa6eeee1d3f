import type { WaitOptions } from "../gpu/wait-options";
import type { Variable } from "../ops/sources";
import type { HostArray } from "../ops/sources";
import type { HostTensor } from "../nn/slabs";
import type { Executable, Program } from "../schedule/executable";
import type { Variables } from "../schedule/variables";
import type { Evaluated, JsonObject, Unit } from "./events";
import type { NamedModel } from "./models";
import type { RunSettings } from "./settings";

/** Parts of a data set that are measured. */
export type Split = "train" | "validation" | "test";

/** What one training step is given. */
export interface StepInputs {
  readonly inputs: Readonly<Record<string, HostArray>>;
  /** Samples (images, predictions) in it. */
  readonly size: number;
  readonly epoch: number;
}

/** How a pass over a part goes on; progress counts samples, and `signal` ends it. */
export type PassOptions = WaitOptions;

/**
 * All in which runs differ: the loop knows no images and no texts. Inputs of step t follow from t
 * alone, so that a run can go on from any step.
 */
export interface Task {
  readonly settings: RunSettings;
  readonly model: NamedModel;
  /** What is counted. */
  readonly unit: Unit;
  /** Units that a step goes through. */
  readonly stepSize: number;
  readonly data: { readonly source: string } & Readonly<Record<Split, number>>;
  /** Whether there is no test set of its own: the validation set's figures are the test's. */
  readonly validationIsTest: boolean;
  /** What recognises the training data, for checkpoints. */
  readonly identity: () => Promise<JsonObject>;
  /** What persists between steps, and so is in checkpoints. */
  readonly variables: readonly Variable[];
  /** Makes the programs: a training step with outputs `loss` and `correct`, and `evaluate`'s. */
  readonly programs: () => { readonly step: Program; readonly evaluation: Program };
  /** What step t = 1, 2, … is given. */
  readonly at: (t: number) => StepInputs;
  /** Whether the validation set is measured after step t, besides the last one. */
  readonly validates: (t: number) => boolean;
  /** A pass over one part, each sample counted once; null where the signal ended it. */
  readonly evaluate: (
    executable: Executable,
    split: Split,
    options: PassOptions,
  ) => Promise<Evaluated | null>;
  /** What the best checkpoint has the least of. */
  readonly score: (evaluated: Evaluated) => number;
  /** Weights worth a picture, at the end. */
  readonly weights?: (variables: Variables) => Promise<ReadonlyMap<string, HostTensor>>;
}

/** Runs whose results are still under way: enough to keep the queue busy, few enough to stop soon. */
const IN_FLIGHT = 2;

/** Promises under way, at most two of them, in order. */
export class Flight {
  #pending: Promise<void>[] = [];

  /** Takes one up, after waiting for the oldest where there are too many. */
  async add(work: Promise<void>): Promise<void> {
    // A failure is thrown when its turn comes; until then it must not count as unhandled.
    work.catch(() => undefined);
    this.#pending.push(work);
    if (this.#pending.length >= IN_FLIGHT) await this.#pending.shift();
  }

  /** Waits for all. */
  async land(): Promise<void> {
    while (this.#pending.length > 0) await this.#pending.shift();
  }
}

/** SHA-256 over some bytes one after another, in hexadecimal. */
export async function sha256(parts: readonly Uint8Array[]): Promise<string> {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The name of a source: where the files lay is nobody's business. */
export function nameOf(source: string): string {
  const [name = source] = source.split(/ from | downloaded/);
  return name;
}
