import type { Device } from "../gpu/device";
import type { HostTensor } from "../nn/slabs";
import { countParameters } from "../nn/slabs";
import { compile, type Executable } from "../schedule/executable";
import { Variables } from "../schedule/variables";
import {
  type Checkpoint,
  type CheckpointMetadata,
  checkData,
  restoreCheckpoint,
  writeCheckpoint,
} from "./checkpoint";
import { type Evaluated, type JsonObject, metricsOf, type RunEvent } from "./events";
import { parametersByPart } from "./models";
import { optimizerOf, schedule } from "./settings";
import { Flight, type Task } from "./task";

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
  readonly task: Task;
  /** Go on from here; its settings must be the run's, but for the number of steps. */
  readonly resume?: Checkpoint;
  /** Ends the run after the step under way, with a snapshot; while it compiles, without one. */
  readonly signal?: AbortSignal;
  /** Told of all that happens, in order. */
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
  /** `test_error` or `bits_per_character`, `validation_…`, `train_samples`, `parameters`, … */
  readonly metrics: Readonly<Record<string, number>>;
  /** Where the task has weights worth a picture: as the plain network has them, by path. */
  readonly weights: ReadonlyMap<string, HostTensor>;
}

// Steps over which the speed is averaged.
const SPEED_WINDOW = 20;

/**
 * Trains as a task says, validates now and then, and tests at the end of the run. Equal settings and
 * data give equal bits, whether or not the run was interrupted and resumed in between. The variables
 * and executables it makes are freed at its end.
 * @throws NonFiniteLossError naming the step; CheckpointError where `resume` is of another run;
 *   DeviceLostError. What `onSnapshot` has by then is good.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { task, device, resume, signal, onEvent } = options;
  const identity = await task.identity();
  const variables = new Variables(device, task.settings.seed);
  if (resume) {
    restoreCheckpoint(resume, variables, task.variables);
    checkData(resume, identity);
  }
  const made: Executable[] = [];
  try {
    const { step, evaluation } = task.programs();
    for (const program of [step, evaluation]) {
      const { name = "program" } = program;
      const onProgress = (done: number, total: number): void =>
        onEvent?.({ event: "compiling", program: name, done, total });
      made.push(await compile(device, program, { variables, onProgress, signal }));
    }
    const metadata: Omit<CheckpointMetadata, "progress"> = {
      model: task.settings.model,
      settings: task.settings as unknown as JsonObject,
      optimizer: optimizerOf(task.settings).settings,
      data: identity,
    };
    return await new Run(options, variables, made as [Executable, Executable], metadata).run();
  } catch (error) {
    if (!signal?.aborted || error !== signal.reason) throw error;
    // Ended while compiling: there is nothing to keep.
    const at = resume?.step ?? 0;
    onEvent?.({ event: "stopped", step: at, reason: "interrupted" });
    return { completed: false, step: at, metrics: {}, weights: new Map() };
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
  readonly #step: Executable;
  readonly #evaluator: Executable;
  #snapshotAt = performance.now();
  #best: number;
  #validated: Evaluated | null = null;
  /** The last step that was validated. */
  #validatedAt = -1;
  /** Whether the test is done, with which a run ends. */
  #tested = false;
  /** Steps whose results have come. */
  #done: number;

  constructor(
    readonly options: TrainOptions,
    readonly variables: Variables,
    [step, evaluator]: readonly [Executable, Executable],
    readonly metadata: Omit<CheckpointMetadata, "progress">,
  ) {
    this.#step = step;
    this.#evaluator = evaluator;
    this.#emit = options.onEvent ?? (() => {});
    const { best, validated, validatedAt } = options.resume?.progress ?? {};
    this.#best = typeof best === "number" ? best : Number.POSITIVE_INFINITY;
    if (typeof validatedAt === "number") {
      this.#validatedAt = validatedAt;
      this.#validated = (validated as unknown as Evaluated | undefined) ?? null;
    }
    this.#done = variables.step;
  }

  async run(): Promise<TrainResult> {
    const { task } = this.options;
    this.#start();
    try {
      const completed = await this.#steps();
      const tested = completed ? await this.#test() : null;
      if (tested) {
        this.#tested = true;
        await this.#snapshot("last");
      }
      const weights = (await task.weights?.(this.variables)) ?? new Map<string, HostTensor>();
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
    const { task, device, versions = {} } = this.options;
    const { dispatches, submits, bytesPlanned } = this.#step.stats;
    this.#emit({
      event: "start",
      command: "train",
      versions,
      adapter: device.adapter,
      unit: task.unit,
      data: task.data,
      settings: { ...this.metadata.settings, optimizer: this.metadata.optimizer },
      parameters: parametersByPart(task.model),
      plan: { dispatches, submits, bytes: bytesPlanned },
      step: this.variables.step,
      steps: task.settings.steps,
    });
  }

  /** Takes the steps that are left; false where the signal ended them. */
  async #steps(): Promise<boolean> {
    const { task, signal, snapshots = { steps: 500, seconds: 60 } } = this.options;
    const { steps } = task.settings;
    const flight = new Flight();
    const validates = (t: number): boolean => t > 0 && (task.validates(t) || t === steps);
    // The run that this one goes on from may have ended in its validation.
    const { step } = this.variables;
    if (validates(step) && this.#validatedAt !== step) await this.#validate();
    for (let t = this.variables.step + 1; t <= steps; t++) {
      if (signal?.aborted) break;
      const { inputs, size, epoch } = task.at(t);
      await flight.add(
        this.#step.run(inputs).then((outputs) => {
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

  #report(step: number, epoch: number, loss: number, accuracy: number): void {
    if (!Number.isFinite(loss)) throw new NonFiniteLossError(step, loss);
    const { task } = this.options;
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
      lr: schedule(task.settings).at(step),
      [`${task.unit}PerSecond`]: stepsPerSecond * task.stepSize,
      seconds: this.#seconds(),
    });
  }

  /** Validates and keeps the weights; an interrupted validation is made up for when resumed. */
  async #validate(): Promise<void> {
    const { task } = this.options;
    const validated = await this.#evaluate("validation");
    if (validated) {
      this.#validated = validated;
      this.#validatedAt = this.variables.step;
      if (task.score(validated) < this.#best) {
        this.#best = task.score(validated);
        await this.#snapshot("best");
      }
    }
    await this.#snapshot("last");
  }

  /** The figures of the test set; null where the signal ended it. */
  async #test(): Promise<Evaluated | null> {
    if (this.options.task.validationIsTest && this.#validated) return this.#validated;
    return this.#evaluate("test");
  }

  async #evaluate(split: "validation" | "test"): Promise<Evaluated | null> {
    const { task, signal } = this.options;
    const onProgress = (done: number, total: number): void =>
      this.#emit({ event: "evaluating", split, done, total });
    const evaluated = await task.evaluate(this.#evaluator, split, { onProgress, signal });
    // Time spent here is none of the steps'.
    this.#finished.length = 0;
    if (evaluated) this.#emit({ event: "eval", split, step: this.#done, ...evaluated });
    return evaluated;
  }

  async #snapshot(kind: "last" | "best"): Promise<void> {
    const { seed, step } = this.variables;
    const kept = this.options.task.variables;
    const values = await this.variables.read(kept);
    // The update of a step shows in the loss of the next one, which may never come.
    if (values.some((array) => (array as Float32Array).some((v) => !Number.isFinite(v)))) {
      throw new NonFiniteLossError(step + 1, Number.NaN);
    }
    const progress: JsonObject = {
      ...(Number.isFinite(this.#best) && { best: this.#best }),
      ...(this.#validated && { validated: { ...this.#validated }, validatedAt: this.#validatedAt }),
      ...(this.#tested && { tested: true }),
    };
    const bytes = writeCheckpoint(kept, values, { ...this.metadata, progress, seed, step });
    await this.options.onSnapshot?.(kind, bytes);
    this.#snapshotAt = performance.now();
    this.#emit({ event: "checkpoint", kind, step, bytes: bytes.length });
  }

  #metrics(tested: Evaluated | null): Record<string, number> {
    const { data, model } = this.options.task;
    return {
      ...(tested && metricsOf("test", tested)),
      ...(this.#validated && metricsOf("validation", this.#validated)),
      train_samples: data.train,
      validation_samples: data.validation,
      test_samples: data.test,
      parameters: countParameters(model.params),
      steps: this.#done,
    };
  }
}
