import { batchSource } from "../data/batches";
import type { ImageSet, ImageSplit } from "../data/images";
import type { Device } from "../gpu/device";
import type { Target } from "../gpu/dispatch";
import type { HostTensor } from "../hyper/bake";
import { crossEntropy } from "../nn/losses";
import { countParameters } from "../nn/slabs";
import { compile, type Executable } from "../schedule/executable";
import { Variables } from "../schedule/variables";
import {
  type Checkpoint,
  type CheckpointMetadata,
  checkData,
  checkTensors,
  fingerprint,
  restoreCheckpoint,
  runVariables,
  writeCheckpoint,
} from "./checkpoint";
import type { JsonObject, RunEvent } from "./events";
import { evaluation, trainStep } from "./programs";
import {
  type AnyModel,
  augmentation,
  buildModel,
  optimizer as makeOptimizer,
  plainWeights,
  schedule,
  type TrainSettings,
} from "./tasks";

/** The loss of a step was NaN or infinite; the last snapshot is of before. */
export class NonFiniteLossError extends Error {
  override readonly name = "NonFiniteLossError";
  constructor(
    readonly step: number,
    readonly loss: number,
  ) {
    super(
      `hyperloom: the loss of step ${step} is ${loss}; training stops here. Try a lower learning rate ` +
        "or clipping; the last checkpoint is from before",
    );
  }
}

/** What a run needs. */
export interface TrainOptions {
  readonly device: Device;
  readonly settings: TrainSettings;
  readonly data: ImageSplit;
  /** Go on from here; its settings must be the run's, but for the number of steps. */
  readonly resume?: Checkpoint;
  /** Ends the run after the step under way, with a snapshot. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
  /** Keeps a checkpoint's bytes; the run waits for it. */
  readonly onSnapshot?: (
    kind: "last" | "best",
    bytes: Uint8Array<ArrayBuffer>,
  ) => void | Promise<void>;
  /** A snapshot after so many steps, and after so many seconds; default 500 and 60. */
  readonly snapshots?: { readonly steps: number; readonly seconds: number };
  /** For the start event. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** What a run leaves. */
export interface TrainResult {
  /** False where the signal ended it before its last step or its test. */
  readonly completed: boolean;
  readonly step: number;
  /** `test_error`, `validation_error`, `train_samples`, `test_samples`, `parameters`, … */
  readonly metrics: Readonly<Record<string, number>>;
  /** All weights as the plain network has them, by path. */
  readonly weights: ReadonlyMap<string, HostTensor>;
}

/** Samples that one evaluation step takes, by class of adapter: large enough to pay, small enough to stop. */
export const evaluationBatch: Readonly<Record<Target["adapter"], number>> = {
  software: 100,
  gpu: 1000,
};

// Runs whose results are still under way: enough to keep the queue busy, few enough to stop soon.
const IN_FLIGHT = 2;
// Steps over which the speed is averaged.
const SPEED_WINDOW = 20;

/** A running total over samples. */
export interface Evaluated {
  readonly loss: number;
  /** Share that was wrong. */
  readonly error: number;
  readonly samples: number;
}

/**
 * Runs an `evaluation` program over a whole set, each sample counted once; null where the signal
 * ended it.
 */
export async function evaluate(
  executable: Executable,
  set: ImageSet,
  onProgress: (done: number, total: number) => void = () => {},
  signal?: AbortSignal,
): Promise<Evaluated | null> {
  const batch = executable.program.inputs.x?.shape[0] ?? 1;
  const source = batchSource(set, { batch, seed: 0, shuffle: false });
  let [loss, correct, done] = [0, 0, 0];
  const flight = new Flight();
  for (let k = 0; k < source.perEpoch && !signal?.aborted; k++) {
    const { images: x, labels, weight, size } = source.at(k);
    await flight.add(
      executable.run({ x, labels, weight }).then((outputs) => {
        loss += (outputs.loss?.[0] ?? Number.NaN) * size;
        correct += outputs.correct?.[0] ?? Number.NaN;
        done += size;
        onProgress(done, set.count);
      }),
    );
  }
  await flight.land();
  if (done < set.count) return null;
  return { loss: loss / done, error: (done - correct) / done, samples: done };
}

/** Promises under way, at most IN_FLIGHT of them, in order. */
class Flight {
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

/** Parameters by the first part of their path. */
export function parametersByPart(model: AnyModel): Record<string, number> {
  const branches = Object.entries(model.params as Readonly<Record<string, AnyModel["params"]>>);
  return Object.fromEntries(branches.map(([name, branch]) => [name, countParameters(branch)]));
}

/**
 * Trains a model on images: shuffled anew each epoch, validated at the end of each, tested at the
 * end of the run. Equal settings and data give equal bits, whether or not the run was interrupted
 * and resumed in between. The variables and executables it makes are freed at its end.
 * @throws NonFiniteLossError naming the step; CheckpointError where `resume` is of another run;
 *   DeviceLostError. What `onSnapshot` has by then is good.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { settings, device, data, resume } = options;
  const model = buildModel(settings.model);
  const identity = await fingerprint(data.train);
  if (resume) {
    checkTensors(resume, runVariables(model, settings));
    await checkData(resume, data.train);
  }
  const variables = new Variables(device, settings.seed);
  const made: Executable[] = [];
  try {
    const optimizer = makeOptimizer(settings);
    const batch = evaluationBatch[device.target.adapter];
    const programs = [
      trainStep(model, crossEntropy, optimizer, { batch: settings.batch }),
      evaluation(model, crossEntropy, { batch }),
    ];
    for (const program of programs) made.push(await compile(device, program, { variables }));
    if (resume) restoreCheckpoint(resume, variables, runVariables(model, settings));
    const metadata: Omit<CheckpointMetadata, "progress"> = {
      model: settings.model,
      settings: settings as unknown as JsonObject,
      optimizer: optimizer.settings,
      data: identity,
    };
    const [step, evaluator] = made as [Executable, Executable];
    return await new Run(options, model, variables, step, evaluator, metadata).run();
  } finally {
    for (const executable of made) executable.dispose();
    variables.dispose();
  }
}

/** One run of `train`, everything compiled. */
class Run {
  readonly #emit: (event: RunEvent) => void;
  readonly #began = performance.now();
  readonly #finished: number[] = [];
  #snapshotAt = performance.now();
  #bestError: number;
  #validationError: number;
  /** The last step that was validated. */
  #validated: number;
  /** Whether the test is done, with which a run ends. */
  #tested = false;
  /** Steps whose results have come. */
  #done: number;

  constructor(
    readonly options: TrainOptions,
    readonly model: AnyModel,
    readonly variables: Variables,
    readonly step: Executable,
    readonly evaluator: Executable,
    readonly metadata: Omit<CheckpointMetadata, "progress">,
  ) {
    this.#emit = options.onEvent ?? (() => {});
    const { bestError, validationError, validated } = options.resume?.progress ?? {};
    this.#bestError = typeof bestError === "number" ? bestError : Number.POSITIVE_INFINITY;
    this.#validationError = typeof validationError === "number" ? validationError : Number.NaN;
    this.#validated = typeof validated === "number" ? validated : -1;
    this.#done = variables.step;
  }

  async run(): Promise<TrainResult> {
    this.#start();
    try {
      const completed = await this.#steps();
      const tested = completed ? await this.#evaluate("test") : null;
      if (tested) {
        this.#tested = true;
        await this.#snapshot("last");
      }
      const weights = await plainWeights(this.model, this.variables);
      const metrics = this.#metrics(tested);
      if (tested) {
        this.#emit({ event: "done", step: this.#done, metrics, seconds: this.#seconds() });
      } else {
        this.#emit({ event: "stopped", step: this.#done, reason: "interrupted" });
      }
      return { completed: tested !== null, step: this.#done, metrics, weights };
    } catch (error) {
      this.#emit({ event: "stopped", step: this.#done, reason: (error as Error).message });
      throw error;
    }
  }

  #seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }

  #start(): void {
    const { settings, data, device, versions = {} } = this.options;
    const { dispatches, submits, bytesPlanned } = this.step.stats;
    this.#emit({
      event: "start",
      command: "train",
      versions,
      adapter: device.adapter,
      data: {
        source: data.train.source,
        train: data.train.count,
        validation: data.validation.count,
        test: data.test.count,
      },
      settings: { ...this.metadata.settings, optimizer: this.metadata.optimizer },
      parameters: parametersByPart(this.model),
      plan: { dispatches, submits, bytes: bytesPlanned },
      step: this.variables.step,
      steps: settings.steps,
    });
  }

  /** Takes the steps that are left; false where the signal ended them. */
  async #steps(): Promise<boolean> {
    const { settings, data, signal, snapshots = { steps: 500, seconds: 60 } } = this.options;
    const { batch, seed, steps } = settings;
    const augment = augmentation(settings);
    const source = batchSource(data.train, { batch, seed, shuffle: true, augment });
    const flight = new Flight();
    const validates = (t: number): boolean => t > 0 && (t % source.perEpoch === 0 || t === steps);
    // The run that this one goes on from may have ended in its validation.
    const { step } = this.variables;
    if (validates(step) && this.#validated !== step) await this.#validate();
    for (let t = this.variables.step + 1; t <= steps; t++) {
      if (signal?.aborted) break;
      const { images: x, labels, weight, size, epoch } = source.at(t - 1);
      await flight.add(
        this.step.run({ x, labels, weight }).then((outputs) => {
          const [loss = Number.NaN] = outputs.loss ?? [];
          this.#report(t, epoch, loss, (outputs.correct?.[0] ?? 0) / size);
        }),
      );
      const due = performance.now() - this.#snapshotAt > 1000 * snapshots.seconds;
      if (validates(t)) {
        await flight.land();
        await this.#validate();
      } else if (t % snapshots.steps === 0 || due) {
        await flight.land();
        await this.#snapshot("last");
      }
    }
    await flight.land();
    if (this.#done < steps) await this.#snapshot("last");
    return !signal?.aborted;
  }

  /** Validates and keeps the weights; an interrupted validation is made up for when resumed. */
  async #validate(): Promise<void> {
    const { step } = this.variables;
    const validated = await this.#evaluate("validation");
    if (validated) {
      this.#validated = step;
      this.#validationError = validated.error;
    }
    if (validated && validated.error < this.#bestError) {
      this.#bestError = validated.error;
      await this.#snapshot("best");
    }
    await this.#snapshot("last");
  }

  #report(step: number, epoch: number, loss: number, accuracy: number): void {
    if (!Number.isFinite(loss)) throw new NonFiniteLossError(step, loss);
    const { settings } = this.options;
    this.#done = step;
    const now = performance.now();
    if (this.#finished.push(now) > SPEED_WINDOW) this.#finished.shift();
    const steps = this.#finished.length - 1;
    const spent = now - (this.#finished[0] ?? now);
    const stepsPerSecond = steps > 0 ? (1000 * steps) / spent : 1000 / (now - this.#began);
    this.#emit({
      event: "step",
      step,
      epoch,
      loss,
      accuracy,
      lr: schedule(settings).at(step),
      imagesPerSecond: stepsPerSecond * settings.batch,
      seconds: this.#seconds(),
    });
  }

  async #evaluate(split: "validation" | "test"): Promise<Evaluated | null> {
    const { data, signal } = this.options;
    const progress = (done: number, total: number): void =>
      this.#emit({ event: "evaluating", split, done, total });
    const evaluated = await evaluate(this.evaluator, data[split], progress, signal);
    // Time spent here is none of the steps'.
    this.#finished.length = 0;
    if (evaluated) this.#emit({ event: "eval", split, step: this.#done, ...evaluated });
    return evaluated;
  }

  async #snapshot(kind: "last" | "best"): Promise<void> {
    const { all, seed, step } = this.variables;
    const values = await this.variables.read(all);
    // The update of a step shows in the loss of the next one, which may never come.
    const broken = all.find((_, k) => (values[k] as Float32Array).some((v) => !Number.isFinite(v)));
    if (broken) throw new NonFiniteLossError(step + 1, Number.NaN);
    const progress: JsonObject = {
      ...(Number.isFinite(this.#bestError) && { bestError: this.#bestError }),
      ...(this.#validated >= 0 && {
        validated: this.#validated,
        validationError: this.#validationError,
      }),
      ...(this.#tested && { tested: true }),
    };
    const bytes = writeCheckpoint(all, values, { ...this.metadata, progress, seed, step });
    await this.options.onSnapshot?.(kind, bytes);
    this.#snapshotAt = performance.now();
    this.#emit({ event: "checkpoint", kind, step, bytes: bytes.length });
  }

  #metrics(tested: Evaluated | null): Record<string, number> {
    const { data } = this.options;
    return {
      ...(tested && { test_error: tested.error, test_loss: tested.loss }),
      ...(Number.isFinite(this.#validationError) && { validation_error: this.#validationError }),
      train_samples: data.train.count,
      validation_samples: data.validation.count,
      test_samples: data.test.count,
      parameters: countParameters(this.model.params),
      steps: this.#done,
    };
  }
}
