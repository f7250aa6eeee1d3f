import { expect, test, vi } from "vitest";
import { dozeUntil } from "../../src/gpu/doze";

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Turns of the event loop until some work is over. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let [turns, over] = [0, false];
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await work;
  over = true;
  return turns;
}

test("the event loop of Node sleeps in its turns while work is waited for, and wakes behind it", async () => {
  const works = [later(60), later(100)];
  for (const work of works) dozeUntil(work);
  // A nap takes a millisecond or more, so there is room for one turn each; hot there are thousands.
  expect(await turnsDuring(Promise.all(works))).toBeLessThan(110);
  expect(await turnsDuring(later(100))).toBeGreaterThan(500);
});

test("work that fails ends the sleep as well, and stays the caller's to handle", async () => {
  const failing = later(5).then(() => Promise.reject(new Error("lost")));
  dozeUntil(failing);
  await expect(failing).rejects.toThrow("lost");
  expect(await turnsDuring(later(100))).toBeGreaterThan(500);
});

test("answers one after another take one nap a turn, however many there were", async () => {
  const naps = vi.spyOn(Atomics, "wait").mockReturnValue("timed-out");
  const answers = 50;
  for (let i = 0; i < answers; i++) {
    const work = new Promise((resolve) => setImmediate(resolve));
    dozeUntil(work);
    await work;
  }
  const taken = naps.mock.calls.length;
  naps.mockRestore();
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThanOrEqual(2 * answers);
});
