import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { RECALL_SYMBOLS, recall, recallSizes } from "../../src/data/recall";

const options = { delay: 9, batch: 7, sequences: 30, seed: 3 };

test("a sequence is a symbol, distractors, and a cue whose label is that symbol", () => {
  for (const symbols of [2, 5, RECALL_SYMBOLS, 256]) {
    for (const delay of [1, 2, 9]) {
      const source = recall({ ...options, delay, symbols });
      expect(recallSizes(symbols)).toEqual({ inputs: 2 * symbols + 1, classes: symbols });
      for (let k = 0; k < source.perEpoch; k++) {
        const { x, labels, weight, shape, size, first } = source.at(k);
        expect([shape, first]).toEqual([[delay + 1, 7], true]);
        for (let t = 0; t <= delay; t++) {
          for (let b = 0; b < 7; b++) {
            const i = t * 7 + b;
            const scored = t === delay && b < size;
            expect(weight[i]).toBe(scored ? 1 : 0);
            expect(labels[i]).toBe(scored ? x[i - delay * 7] : 0);
            const low = b >= size || t === 0 ? 0 : t === delay ? 2 * symbols : symbols;
            const high =
              b >= size ? 0 : t === 0 ? symbols - 1 : low + (t === delay ? 0 : symbols - 1);
            expect(x[i]).toBeGreaterThanOrEqual(low);
            expect(x[i]).toBeLessThanOrEqual(high);
          }
        }
      }
    }
  }
});

test("an epoch counts each sequence once; the next has new ones", () => {
  const source = recall(options);
  expect([source.perEpoch, source.count]).toEqual([5, 30]);
  const windows = Array.from({ length: 10 }, (_, k) => source.at(k));
  expect(windows.map(({ size }) => size)).toEqual([7, 7, 7, 7, 2, 7, 7, 7, 7, 2]);
  expect(windows.map(({ epoch }) => epoch)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
  expect(windows[5]?.index).toBe(0);
  expect(windows[5]?.x).not.toEqual(windows[0]?.x);
  const columns = windows.flatMap(({ x, size }) =>
    Array.from({ length: size }, (_, b) => x.filter((_, i) => i % 7 === b).join()),
  );
  expect(new Set(columns).size).toBe(60);
});

test("sequence i depends on seed, part, delay and i alone, and never changes", () => {
  const source = recall(options);
  const later = source.at(8);
  expect(recall(options).at(8)).toEqual(later);
  const column = (batch: number, i: number) =>
    recall({ ...options, batch })
      .at(Math.floor(i / batch))
      .x.filter((_, at) => at % batch === i % batch);
  expect(column(7, 17)).toEqual(column(5, 17));
  for (const other of [{ seed: 4 }, { part: "test" }, { delay: 10 }] as const) {
    const { x } = recall({ ...options, ...other }).at(0);
    expect([...x.subarray(0, 63)]).not.toEqual([...source.at(0).x.subarray(0, 63)]);
  }
  // Equal on every engine: a change of this hash changes the task.
  const hash = createHash("sha256")
    .update(new Uint8Array(source.at(0).x))
    .digest("hex");
  expect(hash).toBe("b9b4a6079f558365f72cc53585067c23050be115bcbf36735beaba264d036183");
});

test("no symbol is likelier than another, nor told by the distractors", () => {
  const source = recall({ delay: 4, batch: 1000, sequences: 16000, seed: 1, symbols: 4 });
  const joint = new Array<number>(16).fill(0);
  for (let k = 0; k < source.perEpoch; k++) {
    const { x, labels } = source.at(k);
    for (let b = 0; b < 1000; b++) {
      const pair = 4 * (labels[4000 + b] ?? 0) + (x[3000 + b] ?? 0) - 4;
      joint[pair] = (joint[pair] ?? 0) + 1;
    }
  }
  // 1000 expected in each of 16 cells, standard deviation 31.
  for (const count of joint) expect(Math.abs(count - 1000)).toBeLessThan(130);
});

test("sizes that cannot be are refused by name", () => {
  expect(() => recall({ ...options, delay: 0 })).toThrow("delay is 0");
  expect(() => recall({ ...options, batch: 1.5 })).toThrow("batch is 1.5");
  expect(() => recall({ ...options, sequences: -1 })).toThrow("sequences is -1");
  expect(() => recall({ ...options, symbols: 1 })).toThrow("recall of 1 symbols");
  expect(() => recall(options).at(-1)).toThrow("window number -1");
});
