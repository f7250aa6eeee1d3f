import { expect, test } from "vitest";
import {
  evaluationStreams,
  type StreamSource,
  type StreamWindow,
  streams,
} from "../../src/data/streams";

/** Symbols that tell their position: token i is i + 1, so that a padded 0 is no symbol. */
const text = (n: number) => Uint32Array.from({ length: n }, (_, i) => i + 1);

/** How often each position is predicted in an epoch, and checks of every window on the way. */
function predicted(source: StreamSource, n: number, batch: number, length: number): number[] {
  const times = new Array<number>(n).fill(0);
  const before = new Map<number, number>();
  let total = 0;
  for (let k = 0; k < source.perEpoch; k++) {
    const window = source.at(k);
    expect(window.shape).toEqual([length, batch]);
    expect([window.first, window.epoch, window.index]).toEqual([k === 0, 0, k]);
    let size = 0;
    for (let t = 0; t < length; t++) {
      for (let b = 0; b < batch; b++) {
        const i = t * batch + b;
        const [x, label, weight] = [window.x[i] ?? -1, window.labels[i] ?? -1, window.weight[i]];
        if (weight === 0) {
          expect([x, label]).toEqual([0, 0]);
          continue;
        }
        expect(weight).toBe(1);
        expect(label).toBe(x + 1);
        // Contiguous: within a stream each input is the label before, across windows too.
        if (t > 0 || k > 0) expect(x).toBe(before.get(b));
        before.set(b, label);
        times[label - 1] = (times[label - 1] ?? 0) + 1;
        size++;
      }
    }
    expect(window.size).toBe(size);
    expect(size).toBeGreaterThan(0);
    total += size;
  }
  expect(source.count).toBe(total);
  return times;
}

const sizes: [number, number, number][] = [
  [97, 5, 7],
  [101, 5, 10],
  [102, 5, 10],
  [96, 5, 19],
  [23, 1, 4],
  [9, 8, 3],
  [10, 8, 3],
  [64, 7, 100],
  [100, 3, 1],
];

test("training predicts each symbol once but the first and the rest at the end, never", () => {
  for (const [n, batch, length] of sizes) {
    const each = Math.floor((n - 1) / batch);
    const source = streams(text(n), { batch, length });
    expect(source.perEpoch).toBe(Math.ceil(each / length));
    expect(source.count).toBe(batch * each);
    const times = predicted(source, n, batch, length);
    expect(times).toEqual(
      text(n).reduce<number[]>((all, _, i) => all.concat(i >= 1 && i <= batch * each ? 1 : 0), []),
    );
  }
});

test("evaluation scores symbols 1 to n - 1, each exactly once", () => {
  for (const [n, batch, length] of [...sizes, [2, 4, 5], [4, 7, 2]] as const) {
    const source = evaluationStreams(text(n), { batch, length });
    expect(source.count).toBe(n - 1);
    expect(source.perEpoch).toBe(Math.ceil(Math.ceil((n - 1) / batch) / length));
    expect(predicted(source, n, batch, length)).toEqual([0, ...new Array(n - 1).fill(1)]);
  }
});

test("streams lie one after another: where each begins, and how far apart", () => {
  const starts = (window: StreamWindow) => [...window.x.subarray(0, window.shape[1])];
  expect(starts(streams(text(24), { batch: 5, length: 2 }).at(0))).toEqual([1, 5, 9, 13, 17]);
  // 23 predictions in 5 streams: 5, 5, 5, 4, 4.
  const whole = evaluationStreams(text(24), { batch: 5, length: 2 });
  expect(starts(whole.at(0))).toEqual([1, 6, 11, 16, 20]);
  expect([...whole.at(2).weight]).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
});

test("window number t is the same whichever windows were asked for before", () => {
  const tokens = Uint8Array.from({ length: 500 }, (_, i) => (i * 7) % 50);
  const source = streams(tokens, { batch: 4, length: 9 });
  const forward = Array.from({ length: 2 * source.perEpoch }, (_, k) => source.at(k));
  const again = streams(tokens, { batch: 4, length: 9 });
  for (let k = forward.length - 1; k >= 0; k--) expect(again.at(k)).toEqual(forward[k]);
  const second = again.at(source.perEpoch + 3);
  expect([second.epoch, second.index, second.first]).toEqual([1, 3, false]);
  expect(again.at(source.perEpoch).first).toBe(true);
  expect(second.x).toEqual(again.at(3).x);
  // Arrays are not shared between windows.
  source.at(3).x.fill(99);
  expect(source.at(3).x).toEqual(again.at(3).x);
});

test("two half windows are one whole window", () => {
  const tokens = text(81);
  const whole = streams(tokens, { batch: 4, length: 10 });
  const half = streams(tokens, { batch: 4, length: 5 });
  for (let k = 0; k < whole.perEpoch; k++) {
    expect([...half.at(2 * k).x, ...half.at(2 * k + 1).x]).toEqual([...whole.at(k).x]);
  }
});

test("sizes that cannot be are refused with both numbers", () => {
  expect(() => streams(text(8), { batch: 8, length: 4 })).toThrow(
    "a text of 8 symbols cannot be cut into 8 streams, which takes 9",
  );
  expect(() => evaluationStreams(text(1), { batch: 1, length: 4 })).toThrow("takes 2");
  expect(() => streams(text(8), { batch: 0, length: 4 })).toThrow("0 streams in windows of 4");
  expect(() => streams(text(8), { batch: 2, length: 1.5 })).toThrow("windows of 1.5");
  const source = streams(text(8), { batch: 2, length: 3 });
  for (const bad of [-1, 0.5, Number.NaN]) expect(() => source.at(bad)).toThrow("window number");
});
