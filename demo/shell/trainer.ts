/**
 * What every training worker does beside its model: the gate of pause and step, pictures now and
 * then, snapshots to go on from, and a device that is lost in the middle.
 */
import { type Device, requestDevice } from "hyperloom";
import { type Handlers, serve } from "./channel";
import type { Tensors, Values } from "./film";

/** Facts of a run by name. */
export type About = Readonly<Record<string, number | string>>;

/** What is known once a run can begin. */
export interface Ready {
  readonly adapter: { readonly name: string; readonly software: boolean };
  /** Steps of the whole run, and those taken already. */
  readonly steps: number;
  readonly step: number;
  /** Parameters that learn, and weights that they make. */
  readonly learned: number;
  readonly made: number;
  /** What else the page should know: settings that a checkpoint decides. */
  readonly about: About;
}

/** What a training worker says by itself. */
export type TrainingEvent =
  | { readonly kind: "step"; readonly step: number; readonly values: Values; perSecond: number }
  | { readonly kind: "frame"; readonly step: number; readonly tensors: Tensors }
  | { readonly kind: "progress"; readonly what: string; readonly share: number }
  | { readonly kind: "done"; readonly values: Values }
  | { readonly kind: "stopped"; readonly why: Stopped; readonly message: string };

/** Why a run stopped: its device is gone, its numbers left all bounds, or anything else. */
export type Stopped = "lost" | "diverged" | "failed";

/** A number of a step that is none; the same step from the same snapshot comes to it again. */
class DivergedError extends Error {
  override readonly name = "DivergedError";
}

/** One run on one device, made by the page's worker. */
export interface Session {
  readonly steps: number;
  /** Steps taken before, of a run that goes on. */
  readonly step: number;
  readonly learned: number;
  readonly made: number;
  readonly about: About;
  /** Samples of a step, for the speed. */
  readonly batch: number;
  /** Takes the next step. */
  train(): Promise<Values>;
  /** What is recorded and drawn: parameters, states. */
  frame(): Promise<Tensors>;
  /** All that the run goes on from, bit for bit. */
  snapshot(): Promise<Uint8Array<ArrayBuffer>>;
  /** After the last step, such as a test; what it gives or throws once `signal` ended it is dropped. */
  finish?(progress: (what: string, share: number) => void, signal: AbortSignal): Promise<Values>;
  /** What still compiles beside the training: the device waits for it before it ends. */
  settled?(): Promise<unknown>;
  /** Frees what it holds on the device; the device is the trainer's. */
  dispose(): void;
}

/** Settings that every page's worker gets. */
export interface CommonSettings {
  /** Milliseconds of training between two pictures. */
  readonly period: number;
}

/** Makes a run: a fresh one, or one that goes on from a snapshot or an opened checkpoint. */
export type Open<S> = (
  device: Device,
  settings: S,
  from: Uint8Array<ArrayBuffer> | null,
  /** What messages call it. */
  name: string,
) => Promise<Session>;

/** What a run starts from. */
interface Asked<S> {
  readonly settings: S;
  /** A checkpoint; "last": the last snapshot; null: the start. */
  readonly from: Uint8Array<ArrayBuffer> | "last" | null;
  /** The checkpoint's file, for messages. */
  readonly name?: string;
}

// Host snapshots: so seldom that reading them is no matter, so often that little is lost.
const SNAPSHOT_MS = 3000;

/** What a page can ask a training worker; pages' own questions come beside these. */
export function trainer<S extends CommonSettings>(open: Open<S>) {
  let device: Device | null = null;
  let session: Session | null = null;
  let kept: Uint8Array<ArrayBuffer> | null = null;
  let [starting, running] = [false, false];
  let loop: Promise<void> = Promise.resolve();
  let test: AbortController | null = null;
  let taken = 0;
  // What waits for the step under way, since a snapshot is of one step.
  const waiting: (() => Promise<void>)[] = [];
  let emit: (event: TrainingEvent, transfer?: Transferable[]) => void = () => {};
  // Time of training since the last picture and snapshot, and the samples of that time.
  let [busy, samples, unkept] = [0, 0, 0];
  let period = 200;
  // The step of the last picture; of a run that was just made there is none.
  let pictured = -1;

  const current = (): Session => {
    if (!session) throw new Error("nothing was started");
    return session;
  };

  const picture = async (): Promise<void> => {
    const tensors = await current().frame();
    pictured = taken;
    emit({ kind: "frame", step: taken, tensors });
  };

  /** The picture of the last step, where a pause came after the time for it. */
  const settle = async (): Promise<void> => {
    if (session && pictured !== taken && device?.lost === false) await picture();
  };

  const advance = async (): Promise<void> => {
    const run = current();
    if (pictured < 0) await picture();
    const began = performance.now();
    const values = await run.train();
    taken++;
    const spent = performance.now() - began;
    busy += spent;
    unkept += spent;
    samples += run.batch;
    for (const [name, value] of Object.entries(values)) {
      if (!Number.isFinite(value)) throw new DivergedError(`${name} of step ${taken} is ${value}`);
    }
    const perSecond = (1000 * samples) / busy;
    emit({ kind: "step", step: taken, values, perSecond });
    if (busy > period || !running || taken >= run.steps) {
      [busy, samples] = [0, 0];
      await picture();
    }
    if (unkept > SNAPSHOT_MS) {
      unkept = 0;
      kept = await run.snapshot();
    }
  };

  const stop = (error: unknown): void => {
    running = false;
    const why = device?.lost ? "lost" : error instanceof DivergedError ? "diverged" : "failed";
    const message = (error as Error).message.replace("hyperloom: ", "");
    emit({ kind: "stopped", why, message });
  };

  const end = async (): Promise<void> => {
    const progress = (what: string, share: number): void => emit({ kind: "progress", what, share });
    test = new AbortController();
    const { signal } = test;
    try {
      const values = (await current().finish?.(progress, signal)) ?? {};
      if (!signal.aborted) emit({ kind: "done", values });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };

  const work = async (): Promise<void> => {
    try {
      while (running && taken < current().steps) {
        await advance();
        for (let next = waiting.shift(); next; next = waiting.shift()) await next();
      }
      if (taken >= current().steps && running) await end();
      running = false;
    } catch (error) {
      stop(error);
    }
    for (const next of waiting.splice(0)) await next();
  };

  /** Ends training after the step under way, and a test at once. */
  const rest = (): Promise<void> => {
    running = false;
    test?.abort();
    return loop;
  };

  const close = (): void => {
    session?.dispose();
    device?.dispose();
    session = device = null;
  };

  const begin = async (asked: Asked<S>): Promise<Ready> => {
    await rest();
    const [from, name] =
      asked.from === "last" ? [kept, "the last snapshot"] : [asked.from, asked.name ?? "the file"];
    const next = await requestDevice();
    let opened: Session;
    try {
      opened = await open(next, asked.settings, from, name);
    } catch (error) {
      // The run before this one stays as it was.
      next.dispose();
      throw error;
    }
    close();
    device = next;
    session = opened;
    period = asked.settings.period;
    kept = from;
    taken = session.step;
    pictured = -1;
    [busy, samples, unkept] = [0, 0, 0];
    const { vendor, architecture, description, software } = device.adapter;
    const called = [vendor, architecture, description].filter(Boolean).join(" ") || "unnamed";
    const { steps, learned, made, about } = session;
    const adapter = { name: called, software };
    return { adapter, steps, step: taken, learned, made, about };
  };

  const handlers = {
    /** A new device and run. @throws Error while another start is under way. */
    start: async (asked: Asked<S>): Promise<Ready> => {
      if (starting) throw new Error("a run is being started already; wait until it is ready");
      starting = true;
      try {
        return await begin(asked);
      } finally {
        starting = false;
      }
    },
    /** Goes on until paused or over. */
    train: (_: null): void => {
      if (running) return;
      running = true;
      loop = loop.then(work);
    },
    /** Ends after the step under way; the last picture is of that step. */
    pause: async (_: null): Promise<void> => {
      running = false;
      // In turn, so that who asks twice waits for the same step and picture.
      loop = loop.then(settle).catch(stop);
      await loop;
    },
    /** One step. */
    step: async (_: null): Promise<void> => {
      if (running || taken >= current().steps) return;
      loop = loop.then(advance).catch(stop);
      await loop;
    },
    /** The present state as a checkpoint. */
    save: (_: null): Promise<Uint8Array<ArrayBuffer>> => {
      const save = async (): Promise<Uint8Array<ArrayBuffer>> => {
        kept = await current().snapshot();
        return kept;
      };
      if (!running) return loop.then(save);
      return new Promise((resolve, reject) => {
        waiting.push(() => save().then(resolve, reject));
      });
    },
    /** Loses the device on purpose. */
    unplug: (_: null): void => device?.gpu.destroy(),
    /** Frees all. */
    dispose: async (_: null): Promise<void> => {
      await rest();
      await session?.settled?.();
      close();
    },
  };

  return {
    handlers,
    /** The session at hand. @throws Error where nothing was started. */
    current,
    /** Begins to answer: the handlers above and the page's own. */
    serve(own: Handlers = {}): void {
      emit = serve<TrainingEvent>({ ...handlers, ...own });
    },
  };
}

/** What a page asks of any training worker. */
export type TrainerHandlers<S extends CommonSettings> = ReturnType<typeof trainer<S>>["handlers"];
