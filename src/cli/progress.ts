import cliProgress from "cli-progress";
import {
  type CompilingEvent,
  type EvalEvent,
  type EvaluatingEvent,
  perSecond,
  type RunEvent,
  type StartEvent,
  type StepEvent,
} from "../train/events";
import { count, duration, measured, percent } from "./output";

// Without a terminal: one line now and then.
const LINE_MS = 10_000;

/** Shows a run's events: a bar on a terminal, else a plain line each ten seconds. */
export class Progress {
  readonly #bar: cliProgress.SingleBar | null;
  #start: StartEvent | null = null;
  #said = Number.NEGATIVE_INFINITY;
  #shown = false;

  constructor(readonly stream: NodeJS.WriteStream) {
    this.#bar = stream.isTTY
      ? new cliProgress.SingleBar({
          stream,
          format: "{bar} {value}/{total} · {text}",
          barCompleteChar: "█",
          barIncompleteChar: "░",
          barsize: 24,
          hideCursor: true,
          linewrap: true,
          fps: 8,
          gracefulExit: true,
        })
      : null;
  }

  /** Takes in one event. */
  on(event: RunEvent): void {
    if (event.event === "compiling") this.#compiling(event);
    else if (event.event === "start") this.#start = event;
    else if (event.event === "step") this.#step(event);
    else if (event.event === "evaluating") this.#evaluating(event);
    else if (event.event === "eval") this.#eval(event);
    else if (event.event === "done" || event.event === "stopped") this.pause();
  }

  /** Takes the bar away, so that words can follow; the next event brings it back. */
  pause(): void {
    if (this.#shown) this.#bar?.stop();
    this.#shown = false;
  }

  #show(value: number, total: number, text: string): void {
    if (this.#bar) {
      if (!this.#shown) this.#bar.start(total, value, { text });
      else this.#bar.update(value, { text });
      this.#bar.setTotal(total);
      this.#shown = true;
    } else if (performance.now() - this.#said >= LINE_MS) {
      this.#line(`${value}/${total} · ${text}`);
    }
  }

  #line(text: string): void {
    this.stream.write(`${text}\n`);
    this.#said = performance.now();
  }

  #eval(event: EvalEvent): void {
    const { split, loss, samples } = event;
    this.pause();
    this.#line(
      `${split} ${measured(event)}, loss ${loss.toFixed(4)} on ${count(samples)} ${this.#unit}`,
    );
    this.#said = performance.now();
  }

  get #unit(): string {
    return this.#start?.unit ?? "samples";
  }

  #step(event: StepEvent): void {
    const { step, loss, accuracy, epoch } = event;
    const steps = this.#start?.steps ?? step;
    const speed = perSecond(event);
    const { batch = 1, seq = 1 } = (this.#start?.settings ?? {}) as Readonly<
      Record<string, number>
    >;
    const left = ((steps - step) * batch * (this.#unit === "characters" ? seq : 1)) / speed;
    this.#show(
      step,
      steps,
      `epoch ${epoch + 1} · loss ${loss.toFixed(3)} · accuracy ${percent(accuracy).replace(/\.\d+/, "")} · ` +
        `${count(Math.round(speed))} ${this.#unit}/s · ${duration(left)} left`,
    );
  }

  /** Lines would come before those that say what runs at all: a bar alone shows it. */
  #compiling({ done, total }: CompilingEvent): void {
    if (this.#bar) this.#show(done, total, "compiling kernels");
  }

  #evaluating({ split, done, total }: EvaluatingEvent): void {
    this.#show(done, total, split === "test" ? "testing" : `${split} ${this.#unit}`);
    if (done === total) this.pause();
  }
}
