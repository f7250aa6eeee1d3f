import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { generateDigits } from "../../src/data/digits";
import { digitsSplit, type ImageSet } from "../../src/data/images";
import { key, permutation } from "../../src/graph/random";

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

/** Multinomial logistic regression on pixels by SGD with momentum; what each epoch came to. */
function trainLinear(train: ImageSet, count: number, test: ImageSet, epochs: number) {
  const pixels = 784;
  const batch = 50;
  const weight = new Float64Array((pixels + 1) * 10); // the last row is the bias
  const velocity = new Float64Array(weight.length);
  const gradient = new Float64Array(weight.length);
  const p = new Float64Array(10);
  const input = (set: ImageSet, sample: number, i: number) =>
    i < pixels ? (set.images[sample * pixels + i] ?? 0) / 255 : 1;

  /** Softmax of W x + b into p; whether the likeliest class is the label. */
  const predict = (set: ImageSet, sample: number): boolean => {
    p.fill(0);
    for (let i = 0; i <= pixels; i++) {
      const x = input(set, sample, i);
      if (x === 0) continue;
      for (let c = 0; c < 10; c++) p[c] = (p[c] ?? 0) + x * (weight[i * 10 + c] ?? 0);
    }
    const most = Math.max(...p);
    const answer = p.indexOf(most);
    const powers = p.map((score) => Math.exp(score - most));
    const sum = powers.reduce((a, b) => a + b);
    p.set(powers.map((power) => power / sum));
    return answer === set.labels[sample];
  };

  const history: { loss: number; train: number; test: number }[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = 0.1 * (1 - epoch / epochs);
    const order = permutation(key(epoch), count);
    let loss = 0;
    let right = 0;
    for (let start = 0; start < count; start += batch) {
      gradient.fill(0);
      for (const sample of order.subarray(start, start + batch)) {
        if (predict(train, sample)) right++;
        const label = train.labels[sample] ?? 0;
        loss -= Math.log(p[label] ?? 0);
        p[label] = (p[label] ?? 0) - 1;
        for (let i = 0; i <= pixels; i++) {
          const x = input(train, sample, i) / batch;
          if (x === 0) continue;
          for (let c = 0; c < 10; c++) {
            gradient[i * 10 + c] = (gradient[i * 10 + c] ?? 0) + x * (p[c] ?? 0);
          }
        }
      }
      for (let i = 0; i < weight.length; i++) {
        const v = 0.9 * (velocity[i] ?? 0) + (gradient[i] ?? 0);
        velocity[i] = v;
        weight[i] = (weight[i] ?? 0) - rate * v;
      }
    }
    let correct = 0;
    for (let sample = 0; sample < test.count; sample++) if (predict(test, sample)) correct++;
    history.push({ loss: loss / count, train: right / count, test: correct / test.count });
  }
  return history;
}

test("a linear classifier, trained to convergence on 8,000, stays below 90 %", () => {
  const { train, test } = digitsSplit();
  const history = trainLinear(train, 8000, test, 32);
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
