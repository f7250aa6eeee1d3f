import { expect, test } from "vitest";
import {
  type Augmentation,
  type Batch,
  batchAt,
  batches,
  batchSource,
  horizontalFlip,
  padAndCrop,
} from "../../src/data/batches";
import { type ImageSet, mnistSplit, split } from "../../src/data/images";

/** `count` images whose pixels tell sample, channel and place apart (as far as a byte can). */
function images(count: number, channels: number, height: number, width: number): ImageSet {
  const size = channels * height * width;
  return {
    images: Uint8Array.from({ length: count * size }, (_, i) => 1 + ((i * 31) % 251)),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 256),
    count,
    channels,
    height,
    width,
    classes: 256,
    source: "test",
  };
}

const set = images(23, 2, 4, 5);
const plain = { batch: 5, seed: 1, shuffle: false };
const shuffled = { batch: 5, seed: 1, shuffle: true };
const labelsOf = (all: Iterable<Batch>) =>
  [...all].flatMap((batch) => [...batch.labels.subarray(0, batch.size)]);
const inOrder = Array.from({ length: 23 }, (_, i) => i);

test("an epoch has each sample once; the last batch is padded with weight 0", () => {
  const all = [...batches(set, plain)];
  expect(all.map((batch) => batch.size)).toEqual([5, 5, 5, 5, 3]);
  expect(all.map((batch) => batch.index)).toEqual([0, 1, 2, 3, 4]);
  expect(labelsOf(all)).toEqual(inOrder);
  const last = all[4] as Batch;
  expect([...last.weight]).toEqual([1, 1, 1, 0, 0]);
  expect([...last.labels]).toEqual([20, 21, 22, 0, 0]);
  expect(last.shape).toEqual([5, 2, 4, 5]);
  expect(last.images.subarray(3 * 40).every((x) => x === 0)).toBe(true);
  const expected = Float32Array.from(set.images.subarray(20 * 40), (byte) => byte / 255);
  expect(last.images.subarray(0, 3 * 40)).toEqual(expected);
  const [first] = batches(set, { ...plain, scale: 1 });
  expect([...(first?.images.subarray(0, 3) ?? [])]).toEqual([1, 32, 63]);
});

test("shuffling is a new permutation for each seed and epoch, and images follow their labels", () => {
  const orders = [shuffled, { ...shuffled, epoch: 1 }, { ...shuffled, seed: 2 }].map((options) =>
    labelsOf(batches(set, options)),
  );
  for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual(inOrder);
  expect(new Set([...orders, inOrder].map(String)).size).toBe(4);
  expect(labelsOf(batches(set, shuffled))).toEqual(orders[0]);
  for (const batch of batches(set, shuffled)) {
    for (let row = 0; row < batch.size; row++) {
      const start = (batch.labels[row] as number) * 40;
      const mine = Float32Array.from(set.images.subarray(start, start + 40), (byte) => byte / 255);
      expect(batch.images.subarray(row * 40, row * 40 + 40)).toEqual(mine);
    }
  }
});

test("batchAt gives the very batch that iterating gives, in every epoch", () => {
  const options = { ...shuffled, augment: [padAndCrop(2, 4), horizontalFlip()] };
  const iterated = [0, 1, 2].flatMap((epoch) => [...batches(set, { ...options, epoch })]);
  expect(iterated.length).toBe(15);
  for (let step = 14; step >= 0; step--) {
    expect(batchAt(set, options, step)).toEqual(iterated[step]);
  }
  expect(batchAt(set, { ...options, epoch: 2 }, 1)).toEqual(iterated[11]);
  const source = batchSource(set, options);
  for (const step of [7, 2, 11, 0, 14]) expect(source.at(step)).toEqual(iterated[step]);
  // The changes of an image depend on its position in the epoch, not on the batch it is in.
  const pixels = (batch: number) =>
    [...batches(set, { ...options, batch })].flatMap((b) => [...b.images.subarray(0, b.size * 32)]);
  expect(pixels(5)).toEqual(pixels(23));
  const alike = { ...set, images: set.images.map((_, i) => set.images[i % 40] ?? 0) };
  expect(batchAt(alike, options, 0).images).not.toEqual(batchAt(alike, options, 1).images);
  // Augmentation is drawn anew in each epoch.
  const unshuffled = { ...options, shuffle: false };
  expect(batchAt(set, unshuffled, 0).images).not.toEqual(batchAt(set, unshuffled, 5).images);
});

test("arrays are fresh for each batch unless reuse is asked for", () => {
  const [a, b] = batches(set, plain);
  expect(a?.images.buffer).not.toBe(b?.images.buffer);
  const source = batchSource(set, { ...shuffled, reuse: true });
  const full = source.at(0);
  const partial = source.at(4);
  expect(partial.images).toBe(full.images);
  expect(partial).toEqual(batchAt(set, shuffled, 4)); // nothing of batch 0 is left behind
});

/** All rows of `epochs` epochs of one image under some changes, as text, counted. */
function outcomes(one: ImageSet, augment: Augmentation[], epochs: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let epoch = 0; epoch < epochs; epoch++) {
    const options = { batch: 1, seed: 3, shuffle: true, augment, epoch, scale: 1 };
    const text = String([...(batchAt(one, options, 0).images ?? [])]);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

test("padAndCrop gives every crop of the padded image, all channels alike, equally often", () => {
  const one = images(1, 2, 3, 4);
  const expected = new Set<string>();
  for (let top = -1; top <= 1; top++) {
    for (let left = -1; left <= 2; left++) {
      const crop: number[] = [];
      for (let c = 0; c < 2; c++)
        for (let y = top; y < top + 3; y++)
          for (let x = left; x < left + 3; x++) {
            const inside = y >= 0 && y < 3 && x >= 0 && x < 4;
            crop.push(inside ? (one.images[(c * 3 + y) * 4 + x] as number) : 0);
          }
      expected.add(String(crop));
    }
  }
  const counts = outcomes(one, [padAndCrop(1, 3)], 2400);
  expect(new Set(counts.keys())).toEqual(expected);
  for (const count of counts.values()) expect(Math.abs(count - 200)).toBeLessThan(70);
});

test("horizontalFlip mirrors every second image left and right", () => {
  const one = images(1, 2, 2, 3);
  const rows = [0, 3, 6, 9].map((at) => [...one.images.subarray(at, at + 3)]);
  const mirrored = String(rows.flatMap((row) => row.reverse()));
  const counts = outcomes(one, [horizontalFlip()], 1000);
  expect(new Set(counts.keys())).toEqual(new Set([String([...one.images]), mirrored]));
  expect(Math.abs((counts.get(mirrored) ?? 0) - 500)).toBeLessThan(80);
});

test("what cannot be batched is refused with both numbers", () => {
  expect(() => batchAt(set, { ...plain, batch: 0 }, 0)).toThrow("batches of 0 from 23 images");
  expect(() => batchAt(set, plain, -1)).toThrow("batch number -1");
  expect(() => batchAt(split(set, 3, 3), plain, 0)).toThrow("from 0 images");
  expect(() => batchAt(set, { ...plain, augment: [padAndCrop(1, 7)] }, 0)).toThrow(
    "the crop is 7, the padded image 6 x 7",
  );
});

test("splits are views in order; MNIST's last twelfth validates", () => {
  const part = split(set, 7, 9);
  expect(part.images.buffer).toBe(set.images.buffer);
  expect(part.images).toEqual(set.images.slice(7 * 40, 9 * 40));
  expect([...part.labels]).toEqual([7, 8]);
  expect(() => split(set, 9, 24)).toThrow("images 9 to 24 of a set of 23");
  const train = images(60000, 1, 1, 1);
  const parts = mnistSplit({ train, test: set });
  expect([parts.train.count, parts.validation.count, parts.test]).toEqual([55000, 5000, set]);
  expect(parts.validation.images).toEqual(train.images.slice(55000));
});
