import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { generateDigits } from "../../src/data/digits";
import { digitsSplit } from "../../src/data/images";
import { trainLinear } from "./linear";

test("sample i depends on seed and i alone, and its bytes never change", () => {
  const all = generateDigits({ count: 300, seed: 4 });
  const some = generateDigits({ count: 40, seed: 4, from: 200 });
  expect(some.images).toEqual(all.images.slice(200 * 784, 240 * 784));
  expect(some.labels).toEqual(all.labels.slice(200, 240));
  expect(generateDigits({ count: 40, seed: 5, from: 200 }).images).not.toEqual(some.images);
  // Equal on every engine: a change of this hash changes the data set.
  const hash = createHash("sha256").update(all.images).update(all.labels).digest("hex");
  expect(hash).toBe("f9ba8467ba4d87a50f4c632eaea1f86179d508958d7d0ab74717ec51303df540");
});

test("digits look like MNIST's: classes, ink, margins and centre", () => {
  const { images, labels } = generateDigits({ count: 3000, seed: 1 });
  const counts = new Array<number>(10).fill(0);
  let inked = 0;
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as number;
    counts[label] = (counts[label] ?? 0) + 1;
    let [mass, mx, my, brightest] = [0, 0, 0, 0];
    for (let at = 0; at < 784; at++) {
      const value = images[i * 784 + at] as number;
      mass += value;
      mx += value * (at % 28);
      my += value * Math.floor(at / 28);
      brightest = Math.max(brightest, value);
      if (value > 0) inked++;
    }
    expect(brightest).toBeGreaterThan(150);
    expect(Math.abs(mx / mass - 13.5)).toBeLessThan(3);
    expect(Math.abs(my / mass - 13.5)).toBeLessThan(3);
  }
  for (const count of counts) expect(Math.abs(count - 300)).toBeLessThan(90);
  const share = inked / images.length; // MNIST: 0.19
  expect(share).toBeGreaterThan(0.12);
  expect(share).toBeLessThan(0.24);
});

test("a linear classifier, trained to convergence on 8,000, stays below 90 %", () => {
  const { train, test } = digitsSplit();
  const history = trainLinear(train, 8000, test, { epochs: 32, rate: 0.1, black: 0 });
  const before = history[23] ?? { loss: 0, train: 0, test: 0 };
  const last = history[31] ?? { loss: 0, train: 0, test: 0 };
  // Converged: the last quarter of the epochs changes little, least of all on unseen digits.
  expect(before.loss - last.loss).toBeLessThan(0.1 * last.loss);
  expect(Math.abs(before.test - last.test)).toBeLessThan(0.015);
  expect(last.train).toBeGreaterThan(0.88);
  // It was never better than that on unseen digits, so stopping early would not help it.
  expect(Math.max(...history.map((epoch) => epoch.test))).toBeLessThan(0.9);
  expect(last.test).toBeGreaterThan(0.8);
}, 60000);

test("the parts of the digits split are disjoint and do not depend on each other's size", () => {
  const small = digitsSplit({ train: 50, validation: 30, test: 20 });
  const large = digitsSplit({ train: 60, validation: 40, test: 20 });
  expect(large.test.images).toEqual(small.test.images);
  expect(large.validation.images.slice(0, 30 * 784)).toEqual(small.validation.images);
  expect(large.train.labels.slice(0, 50)).toEqual(small.train.labels);
  const pictures = new Set<string>();
  for (const part of [large.train, large.validation, large.test]) {
    expect([part.count, part.channels, part.height, part.width, part.classes]).toEqual([
      part.labels.length,
      1,
      28,
      28,
      10,
    ]);
    for (let i = 0; i < part.count; i++) {
      pictures.add(part.images.slice(i * 784, (i + 1) * 784).join());
    }
  }
  expect(pictures.size).toBe(120);
});
