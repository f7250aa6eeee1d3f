/** What the demo's training workers share, with runs that take no GPU. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Session, trainer, type TrainingEvent } from "../../demo/shell/trainer";

const adapter = { vendor: "none", architecture: "", description: "", software: true };
vi.mock("hyperloom", () => ({
  requestDevice: async () => ({ lost: false, adapter, counts: { buffers: 0 }, dispose: () => {} }),
}));

let events: TrainingEvent[];
beforeEach(() => {
  events = [];
  const postMessage = ({ event }: { event: TrainingEvent }): void => void events.push(event);
  vi.stubGlobal("self", { postMessage });
});
afterEach(() => vi.unstubAllGlobals());

const fresh = { settings: { period: 1e9 }, from: null };
const kinds = (): string[] => events.map(({ kind }) => kind);

/** A worker's handlers; its runs have two steps of loss 1 unless told otherwise. */
function workerOf(own: Partial<Session>) {
  const session: Session = {
    ...{ steps: 2, step: 0, learned: 1, made: 1, about: {}, batch: 1 },
    train: async () => ({ loss: 1 }),
    frame: async () => ({}),
    snapshot: async () => new Uint8Array(1),
    dispose: () => {},
    ...own,
  };
  const { handlers, serve } = trainer(async () => session);
  serve();
  return handlers;
}

test("a second start is refused while the first is under way", async () => {
  const worker = workerOf({});
  const first = worker.start(fresh);
  await expect(worker.start(fresh)).rejects.toThrow(
    "a run is being started already; wait until it is ready",
  );
  expect((await first).steps).toBe(2);
  expect((await worker.start(fresh)).steps).toBe(2);
});

test("who pauses twice waits twice for the step under way, which is drawn once", async () => {
  const ends: (() => void)[] = [];
  const worker = workerOf({
    train: () =>
      new Promise((resolve) => {
        ends.push(() => resolve({ loss: 1 }));
      }),
  });
  await worker.start(fresh);
  worker.train(null);
  await vi.waitFor(() => expect(ends).toHaveLength(1));
  const seen: number[] = [];
  const pauses = [1, 2].map(() => worker.pause(null).then(() => seen.push(events.length)));
  await new Promise((resolve) => {
    setTimeout(resolve);
  });
  expect(seen).toEqual([]);
  ends[0]?.();
  await Promise.all(pauses);
  // The picture before the first step, the step, and its picture.
  expect(kinds()).toEqual(["frame", "step", "frame"]);
  expect(seen).toEqual([3, 3]);
});

test.each(["dispose", "start"] as const)(
  "%s abandons a test and hears no more of it",
  async (by) => {
    let ended = 0;
    const worker = workerOf({
      finish: (progress, signal) => {
        progress("Testing", 0);
        return new Promise((_, reject) => {
          signal.onabort = () => {
            ended++;
            reject(signal.reason);
          };
        });
      },
    });
    await worker.start(fresh);
    worker.train(null);
    await vi.waitFor(() => expect(kinds()).toContain("progress"));
    await (by === "start" ? worker.start(fresh) : worker.dispose(null));
    expect(ended).toBe(1);
    expect(kinds().slice(-1)).toEqual(["progress"]);
  },
);

test("a test that goes on to its end is told of", async () => {
  const worker = workerOf({ finish: async () => ({ error: 0.5 }) });
  await worker.start(fresh);
  worker.train(null);
  await vi.waitFor(() => expect(events.at(-1)).toEqual({ kind: "done", values: { error: 0.5 } }));
});

test.each([
  ["diverged", "loss of step 2 is NaN", async () => ({ loss: Number.NaN })],
  ["failed", "no room", () => Promise.reject(new Error("hyperloom: no room"))],
] as const)(
  "a run that has %s says so, and keeps the steps before",
  async (why, message, train) => {
    let taken = 0;
    const worker = workerOf({
      train: () => (taken++ === 0 ? Promise.resolve({ loss: 1 }) : train()),
    });
    await worker.start(fresh);
    worker.train(null);
    await vi.waitFor(() => expect(events.at(-1)).toEqual({ kind: "stopped", why, message }));
    expect(events.filter(({ kind }) => kind === "step")).toMatchObject([{ step: 1 }]);
  },
);
