import { appendFileSync, copyFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readSafetensors } from "../io/safetensors";
import type { EvalEvent, JsonObject, RunEvent, StartEvent, StepEvent } from "../train/events";
import type { ModelSpec } from "../train/models";
import { kernelPicture, lossCurve } from "./charts";
import type { CheckpointFile } from "./checkpoint-file";
import { chooseKernels } from "./inspect-weights";
import type { JobEvent, WarningEvent } from "./job";
import { count, type Output } from "./output";
import { Progress } from "./progress";
import { writeResult } from "./run-folder";

/** Checkpoints in a run's folder, by what a job calls them. */
export const runFiles: Readonly<Record<string, string>> = {
  last: "checkpoint.safetensors",
  best: "best.safetensors",
};

/** Beyond so many kernels a picture has some of each group. */
const MOST_KERNELS = 12;

/** Reads a run's events: log, words, progress, and what the pictures need. */
export class Recorder {
  readonly #progress: Progress;
  readonly #log: string;
  #steps: StepEvent[] = [];
  #evaluations: EvalEvent[] = [];
  // Warnings wait for the start: a run that is refused says that alone.
  readonly #early: WarningEvent[] = [];
  #begun = false;
  #classes = 10;
  #data = "";

  constructor(
    readonly folder: string,
    readonly output: Output,
    readonly describe: (start: StartEvent) => string[],
  ) {
    this.#progress = new Progress(output.stream);
    this.#log = join(folder, "log.jsonl");
  }

  /** Takes over log and best checkpoint of the run that is resumed, so that curve and log are one. */
  continue({ path, checkpoint }: CheckpointFile): void {
    const from = dirname(path);
    const best = join(from, runFiles.best as string);
    if (existsSync(best)) copyFileSync(best, join(this.folder, runFiles.best as string));
    const log = join(from, "log.jsonl");
    const lines = existsSync(log) ? readFileSync(log, "utf8").split("\n") : [];
    for (const line of lines) {
      const event = parse(line);
      if (!event || !("step" in event) || event.step > checkpoint.step) continue;
      if (event.event === "step" || event.event === "eval") this.#keep(event);
    }
  }

  /** Takes in one event. */
  on(event: JobEvent): void {
    if (event.event === "warning") {
      if (this.#begun) this.#warn(event as WarningEvent);
      else this.#early.push(event as WarningEvent);
      return;
    }
    const run = event as RunEvent;
    if (run.event === "start") {
      this.#progress.pause();
      this.#begun = true;
      for (const warning of this.#early) this.#warn(warning);
      const said = { ...run, out: this.folder };
      const lines = this.describe(run);
      this.output.event(said);
      this.#keep(said);
      for (const line of lines) this.output.say(line);
      this.#sayRun(run);
    } else {
      this.output.event(run);
      if (this.#begun && run.event !== "evaluating") this.#keep(run);
    }
    if (run.event === "step" && run.step === 1) this.#sayFirst(run.loss);
    this.#progress.on(run);
  }

  #warn(event: WarningEvent): void {
    this.output.warn(event.message);
    this.output.event(event);
  }

  /** Makes room for words. */
  pause(): void {
    this.#progress.pause();
  }

  /** Writes loss.svg, and kernels.png where there are kernels: of deep networks some, by group. */
  async pictures(name: string, weights: Uint8Array | null): Promise<void> {
    if (this.#steps.length > 0) {
      const title = `${name} on ${this.#data}`;
      const curve = await lossCurve(title, this.#steps, this.#evaluations);
      await writeResult(join(this.folder, "loss.svg"), curve);
    }
    if (!weights) return;
    const { tensors } = readSafetensors(weights, "weights");
    const all = [...tensors.keys()].filter((path) => path.endsWith("kernel"));
    const chosen =
      all.length > MOST_KERNELS
        ? chooseKernels(all.map((path) => ({ path, generated: path.startsWith("group") })))
        : all;
    const kernels = chosen.flatMap((path) => tensors.get(path) ?? []);
    await writeResult(join(this.folder, "kernels.png"), await kernelPicture(kernels));
  }

  #keep(event: RunEvent): void {
    appendFileSync(this.#log, `${JSON.stringify(event)}\n`);
    if (event.event === "step") this.#steps.push(event);
    if (event.event === "eval") this.#evaluations.push(event);
  }

  #sayRun(start: StartEvent): void {
    const { settings, steps, step, data, unit } = start;
    const { preset, batch, seq, chunk, optimizer, clip, seed, model } = settings;
    const { options } = model as unknown as ModelSpec;
    this.#classes = Number(options.classes ?? options.outputs);
    this.#data = data.source.replace(/ (from|downloaded) .*$/, "");
    const { optimizer: rule, lr } = optimizer as JsonObject;
    const size = Number(batch) * (unit === "characters" ? Number(seq) : 1);
    const what = unit === "characters" ? `${batch} × ${seq} characters` : `${batch} ${unit}`;
    this.output.say(
      `run        ${count(steps)} steps of ${what} (${((steps * size) / Number(data.train)).toFixed(2)} epochs), ` +
        `${rule === "sgd" ? "nesterov" : rule} ${lr}${clip ? `, clip ${clip}` : ""}, seed ${seed}, preset ${preset}`,
    );
    if (chunk !== undefined && Number(chunk) < Number(seq)) {
      this.output.say(
        `chunks     of ${chunk} of a window's ${seq} steps, so that bindings hold them`,
      );
    }
    this.output.say(`out        ${this.folder}`);
    if (step === 0) return;
    this.output.say(
      `resumed    at step ${count(step)}; weights, moments, schedule, random numbers and data order${start.unit === "characters" ? " and carried states" : ""} restored`,
    );
  }

  /** A first loss far from that of a guess says that something is wrong. */
  #sayFirst(loss: number): void {
    const guess = Math.log(this.#classes);
    this.output.say(
      `first loss ${loss.toFixed(3)}; a guess among ${this.#classes} has ${guess.toFixed(3)}`,
    );
    if (loss > 2 * guess)
      this.output.warn("the first loss is far from a guess's: look at data and rate");
  }
}

function parse(line: string): RunEvent | null {
  try {
    return JSON.parse(line) as RunEvent;
  } catch {
    return null;
  }
}
