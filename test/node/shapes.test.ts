import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type ImageSet, shapesSplit } from "../../src/data/images";
import { generateShapes, shapeNames } from "../../src/data/shapes";
import { trainLinear } from "./linear";

const BYTES = 3 * 32 * 32;

test("sample i depends on seed and i alone, and its bytes never change", () => {
  const all = generateShapes({ count: 100, seed: 4 });
  const some = generateShapes({ count: 20, seed: 4, from: 70 });
  expect(some.images).toEqual(all.images.slice(70 * BYTES, 90 * BYTES));
  expect(some.labels).toEqual(all.labels.slice(70, 90));
  expect(generateShapes({ count: 20, seed: 5, from: 70 }).images).not.toEqual(some.images);
  // Equal on every engine: a change of this hash changes the data set.
  const hash = createHash("sha256").update(all.images).update(all.labels).digest("hex");
  expect(hash).toBe("a0e862f437ab8ad3358d313fe27a4caced9c4011728aa2a82b0a122654e971e0");
});

test("classes and colours are balanced, and stripes lie as their names say", () => {
  const { images, labels } = generateShapes({ count: 2000, seed: 1 });
  const counts = new Array<number>(10).fill(0);
  let [lying, right] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as number;
    counts[label] = (counts[label] ?? 0) + 1;
    const name = shapeNames[label];
    if (name !== "horizontal stripes" && name !== "vertical stripes") continue;
    let [alongX, alongY] = [0, 0];
    for (let at = 0; at < BYTES; at++) {
      const [x, y] = [at % 32, Math.floor(at / 32) % 32];
      const here = images[i * BYTES + at] as number;
      if (x > 0) alongX += (here - (images[i * BYTES + at - 1] as number)) ** 2;
      if (y > 0) alongY += (here - (images[i * BYTES + at - 32] as number)) ** 2;
    }
    lying++;
    if (alongY > alongX === (name === "horizontal stripes")) right++;
  }
  for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(60);
  expect(right / lying).toBeGreaterThan(0.97);
  for (let c = 0; c < 3; c++) {
    const plane = images.filter((_, i) => Math.floor(i / 1024) % 3 === c);
    expect(Math.abs(plane.reduce((a, b) => a + b, 0) / plane.length - 128)).toBeLessThan(3);
  }
});

/** The share of images nearest to the mean training image of their class. */
function nearestMean(train: ImageSet, test: ImageSet): number {
  const sums = Array.from({ length: 10 }, () => new Float64Array(BYTES));
  const counts = new Float64Array(10);
  train.labels.forEach((label, i) => {
    counts[label] = (counts[label] ?? 0) + 1;
    for (let at = 0; at < BYTES; at++) {
      const sum = sums[label] as Float64Array;
      sum[at] = (sum[at] as number) + (train.images[i * BYTES + at] as number);
    }
  });
  const means = sums.map((sum, label) => sum.map((value) => value / (counts[label] as number)));
  let right = 0;
  test.labels.forEach((label, i) => {
    const distances = means.map((mean) =>
      mean.reduce((d, value, at) => d + (value - (test.images[i * BYTES + at] as number)) ** 2, 0),
    );
    if (distances.indexOf(Math.min(...distances)) === label) right++;
  });
  return right / test.count;
}

test("pixels alone do not tell classes apart: class means and a linear classifier near chance", () => {
  const { train, test } = shapesSplit({ train: 3000, validation: 1, test: 1000 });
  expect(nearestMean(train, test)).toBeLessThan(0.2);
  const history = trainLinear(train, 3000, test, { epochs: 5, rate: 0.01, black: -0.5 });
  const [first, last] = [history[0], history[4]];
  // It does learn what can be learnt by heart, and has nothing of it on unseen images.
  expect(last?.loss).toBeLessThan(first?.loss ?? 0);
  expect(last?.train).toBeGreaterThan(0.25);
  expect(Math.max(...history.map((epoch) => epoch.test))).toBeLessThan(0.25);
});

test("the parts of the shapes split are disjoint and do not depend on each other's size", () => {
  const small = shapesSplit({ train: 30, validation: 20, test: 10 });
  const large = shapesSplit({ train: 40, validation: 30, test: 10 });
  expect(large.test.images).toEqual(small.test.images);
  expect(large.validation.images.slice(0, 20 * BYTES)).toEqual(small.validation.images);
  expect(large.train.labels.slice(0, 30)).toEqual(small.train.labels);
  const pictures = new Set<string>();
  for (const part of [large.train, large.validation, large.test]) {
    const { count, channels, height, width, classes, source } = part;
    expect([channels, height, width, classes, source]).toEqual([3, 32, 32, 10, "generated shapes"]);
    expect(part.labels.length).toBe(count);
    for (let i = 0; i < count; i++) {
      pictures.add(part.images.slice(i * BYTES, (i + 1) * BYTES).join());
    }
  }
  expect(pictures.size).toBe(80);
});
