/**
 * The state machine of a run: a stored film, then a worker that starts, trains, pauses, ends, fails
 * or loses its device. It owns the worker and the buttons; the page draws.
 */
import { type Connection, connect, type Handlers, type WorkerError } from "./channel";
import { Film, type Frame, type Point, type Values, writeFilm } from "./film";
import { calm, element, enable, percent, problem, sayAdapter } from "./frame";
import { measurePage } from "./measured";
import type { CommonSettings, Ready, TrainerHandlers, TrainingEvent } from "./trainer";

/** Where a run is, and what the big button then says. */
const LABELS = {
  film: "Train",
  starting: "Starting …",
  training: "Pause",
  paused: "Train",
  testing: "Testing …",
  over: "Train again",
  failed: "Train again",
} as const;
/** Where a run is; "film": nothing was started, the stored film is shown. */
export type RunState = keyof typeof LABELS;

/** How a page takes part in its run. */
export interface RunOptions<S> {
  /** A new worker, whose `trainer` serves. */
  worker(): Worker;
  /** Settings of a run that starts now. */
  settings(): S;
  /** A run is ready: nothing of it was trained, or it goes on from `ready.step`. */
  onReady?(ready: Ready): void;
  /** A snapshot of the run. */
  onFrame(frame: Frame): void;
  /** Numbers of a step. */
  onStep?(point: Point, perSecond: number): void;
  /** A sentence for the end of the run. */
  onDone(values: Values): string;
  /** The state has changed. */
  onState?(state: RunState): void;
  /** The film to show is another one: a new run's, or the stored one, now and after a reset. */
  onFilm?(film: Film, stored: boolean): void;
}

/** A run as the page sees it. */
export interface Run<H extends Handlers> {
  readonly state: RunState;
  /** Snapshots of the present run, or of the stored one. */
  readonly film: Film;
  /** Facts of the present run, null before. */
  readonly ready: Ready | null;
  /** The worker, once something was started. */
  readonly connection: Connection<H> | null;
  /** The worker, loaded now where nothing was started. */
  open(): Connection<H>;
  /** Presses Train: starts, or goes on. */
  train(): Promise<void>;
  /** Pauses after the step under way. */
  pause(): Promise<void>;
  /** Drops the run and its device; the stored film is shown again. */
  reset(): Promise<void>;
  /** Opens a checkpoint and waits, paused; a refused one leaves the run as it is. */
  resume(bytes: Uint8Array<ArrayBuffer>, file: string): Promise<boolean>;
  /** Loses the device on purpose; the run goes on from its last snapshot. */
  unplug(): Promise<void>;
}

/** A device that is lost sooner after another one is no accident. */
const SHORT_LIFE_MS = 15_000;

/** The way on after numbers that are none. */
const DIVERGED =
  "Its film stays. “Train again” starts over; another seed, or a smaller learning rate in the " +
  "program of “Take it with you”, may go further";

/** Between two pictures; fewer where motion is not wanted. */
const period = (): number => (calm() ? 5000 : 150);

/** Adds `period` to a page's settings. */
export const withPeriod = <S>(settings: S): S & CommonSettings => ({
  ...settings,
  period: period(),
});

/**
 * Fills `#run` with the buttons Train, Step and Reset, the progress bar and the status line.
 * @param storing The film that is shown before and after, told by `onFilm` once it is there.
 */
export function createRun<S extends CommonSettings, H extends TrainerHandlers<S>>(
  options: RunOptions<S>,
  storing: Film | Promise<Film>,
): Run<H> {
  element("run").innerHTML = `
    <button id="train" type="button" class="main">Train</button>
    <button id="step" type="button">Step</button>
    <button id="reset" type="button">Reset</button>
    <progress id="progress" value="0" max="1" aria-label="Steps of the run"></progress>
    <span id="status" role="status"></span>`;
  const [button, stepButton, resetButton] = ["train", "step", "reset"].map((id) =>
    element<HTMLButtonElement>(id),
  ) as [HTMLButtonElement, HTMLButtonElement, HTMLButtonElement];
  const progress = element<HTMLProgressElement>("progress");
  const status = element("status");

  let state: RunState = "film";
  let stored = new Film();
  let film = stored;
  let ready: Ready | null = null;
  /** The settings of the run at hand. */
  let begun: S | null = null;
  let connection: Connection<H> | null = null;
  let pressed = 0;
  // When a new device took over, and whether the old one was lost on purpose.
  let recovered = -Infinity;
  let wanted = false;
  let spoken = 0;
  /** What "Train again" goes on from after a failure. */
  let goesOnFrom: "last" | null = null;
  const measured = measurePage({
    film: () => writeFilm(film),
    dispose: async () => void (await connection?.ask("dispose", null as never)),
  });

  const enter = (next: RunState, say: string): void => {
    state = measured.state = next;
    button.textContent = LABELS[next];
    enable(button, next !== "starting" && next !== "testing");
    enable(stepButton, next === "film" || next === "paused");
    enable(resetButton, next !== "film" && next !== "starting");
    document.body.dataset.state = next;
    status.textContent = say;
    options.onState?.(next);
  };

  const ask = <K extends keyof TrainerHandlers<S> & string>(
    name: K,
    payload: Parameters<TrainerHandlers<S>[K]>[0],
  ): Promise<Awaited<ReturnType<TrainerHandlers<S>[K]>>> => {
    if (!connection) return Promise.reject(new Error("internal: no worker"));
    return (connection as unknown as Connection<TrainerHandlers<S>>).ask(name, payload);
  };

  const fail = (message: string, fix: string, from: "last" | null): void => {
    goesOnFrom = from;
    problem(message, fix);
    enter("failed", "");
  };

  /** The device is gone: the run goes on by itself, unless the last one did not live long. */
  const recover = async (): Promise<void> => {
    const at = measured.step;
    const again = performance.now() - recovered < SHORT_LIFE_MS && !wanted;
    wanted = false;
    if (again) {
      const fix = "“Train again” starts on another one, from the last snapshot";
      fail("The GPU device was lost, and so was the one after it", fix, "last");
      return;
    }
    if (!(await start("last"))) return;
    const from = ready?.step ?? 0;
    recovered = performance.now();
    await ask("train", null);
    enter("training", `The device was lost at step ${at}; a new one goes on from step ${from}.`);
  };

  const onEvent = (event: TrainingEvent): void => {
    if (event.kind === "step") {
      const { step, values, perSecond } = event;
      if (Number.isNaN(measured.firstStep)) measured.firstStep = performance.now() - pressed;
      measured.step = progress.value = step;
      film.point({ step, values });
      options.onStep?.({ step, values }, perSecond);
      const tenth = Math.floor((10 * step) / (ready?.steps ?? 1));
      if (tenth !== spoken && state === "training") {
        spoken = tenth;
        status.textContent = `Step ${step} of ${ready?.steps}.`;
      }
    } else if (event.kind === "frame") {
      const { step, tensors } = event;
      film.record({ step, tensors });
      options.onFrame({ step, tensors });
    } else if (event.kind === "progress") {
      if (state !== "testing") enter("testing", event.what);
      status.textContent = `${event.what}: ${percent(event.share)}.`;
    } else if (event.kind === "done") {
      enter("over", options.onDone(event.values));
    } else if (event.why === "lost") {
      quietly(recover());
    } else if (event.why === "diverged") {
      // From the last snapshot it would come to the same number.
      fail(`The run has ended: ${event.message}`, DIVERGED, null);
    } else {
      stopped(event.message);
    }
  };

  const stopped = (message: string): void =>
    fail(`Training stopped: ${message}`, "“Train again” goes on from the last snapshot", "last");

  const open = (): Connection<H> => {
    connection ??= connect<H, TrainingEvent>(options.worker(), onEvent, (message) => {
      connection = null;
      fail(`Training stopped: ${message}`, "“Train again” starts over", null);
    });
    return connection;
  };

  /** Waits for what no caller waits for: the end of the run at hand is no failure of it. */
  const quietly = (work: Promise<unknown>): void => {
    work.catch(({ name, message }: WorkerError) => {
      if (name === "EndedError") return;
      stopped(message);
    });
  };

  /** Starts a run; false where there is none, with the reason in the problem box. */
  const start = async (
    from: Uint8Array<ArrayBuffer> | "last" | null,
    file?: string,
  ): Promise<boolean> => {
    const before = state;
    enter("starting", from === "last" ? "A new device." : "Compiling for this adapter.");
    problem("");
    try {
      // What is set for the next run is nothing to the one that goes on.
      const settings = (from === "last" && begun) || options.settings();
      open();
      ready = await ask("start", {
        settings,
        from,
        ...(file && { name: file }),
      });
      begun = settings;
    } catch (error) {
      const { name, message } = error as WorkerError;
      if (name === "EndedError") return false;
      if (name === "NoDeviceError" && from === "last") {
        fail(message, "“Train again” tries once more, from the last snapshot", "last");
      } else if (name === "NoDeviceError") {
        problem(`This page cannot train here: ${message}`, "The stored run below goes on");
        connection?.end();
        connection = null;
        enter("film", "");
        if (film !== stored) {
          film = stored;
          options.onFilm?.(film, true);
        }
      } else if (from instanceof Uint8Array) {
        problem(message);
        enter(before, "");
      } else {
        fail(`Training cannot start: ${message}`, "“Train again” tries once more", from);
      }
      return false;
    }
    if (from !== "last") {
      recovered = -Infinity;
      film = new Film({ steps: ready.steps, ...ready.about });
      options.onFilm?.(film, false);
    }
    sayAdapter(ready.adapter);
    measured.step = progress.value = ready.step;
    progress.max = ready.steps;
    spoken = Math.floor((10 * ready.step) / ready.steps);
    options.onReady?.(ready);
    return true;
  };

  /** Ends the worker, and with it all that it has; the stored film is shown again. */
  const drop = (): void => {
    connection?.end();
    connection = null;
    ready = null;
    film = stored;
    measured.step = progress.value = 0;
    problem("");
    enter("film", "");
    options.onFilm?.(film, true);
  };

  const run: Run<H> = {
    get state() {
      return state;
    },
    get film() {
      return film;
    },
    get ready() {
      return ready;
    },
    get connection() {
      return connection;
    },
    open,
    async train() {
      if (state === "starting" || state === "training" || state === "testing") return;
      if (state !== "paused") {
        pressed = performance.now();
        measured.firstStep = Number.NaN;
        if (!(await start(state === "failed" && ready ? goesOnFrom : null))) return;
      }
      enter("training", "Training.");
      await ask("train", null);
    },
    async pause() {
      if (state !== "training") return;
      await ask("pause", null);
      if ((state as RunState) === "training") enter("paused", `Paused at step ${measured.step}.`);
    },
    async reset() {
      if (connection) await ask("dispose", null).catch(() => undefined);
      drop();
    },
    async resume(bytes, file) {
      if (state === "starting" || state === "testing") {
        problem(`${file} was not opened: wait until the run has started, or ended`);
        return false;
      }
      if (state === "training") await run.pause();
      if (!(await start(bytes, file))) return false;
      enter("paused", `Opened at step ${ready?.step} of ${ready?.steps}.`);
      return true;
    },
    async unplug() {
      if (state !== "training") return;
      wanted = true;
      await ask("unplug", null);
    },
  };

  button.onclick = () => quietly(state === "training" ? run.pause() : run.train());
  const takeStep = async (): Promise<void> => {
    if (state === "film") {
      pressed = performance.now();
      measured.firstStep = Number.NaN;
      if (!(await start(null))) return;
    }
    enter("paused", "");
    await ask("step", null);
    if (state === "paused") status.textContent = `Step ${measured.step}.`;
  };
  stepButton.onclick = () => quietly(takeStep());
  // The worker's script is there when it is asked for.
  button.onpointerenter = button.onfocus = () => void open();
  resetButton.onclick = () => void run.reset();
  // The device ends with the page, also where the page is kept for going back: such a page stands
  // still from here on, and hears no answer before it is back.
  window.addEventListener("pagehide", drop);
  enter("film", "");
  void Promise.resolve(storing).then((found) => {
    stored = found;
    if (state !== "film") return;
    film = stored;
    options.onFilm?.(film, true);
  });
  return run;
}
