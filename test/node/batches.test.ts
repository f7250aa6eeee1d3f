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
import { cifarSplit, type ImageSet, limitTraining, mnistSplit, split } from "../../src/data/images";
import { channelStatistics } from "../../src/data/normalization";

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

test("an epoch has each sample once; the last batch begins again with weight 0", () => {
  const all = [...batches(set, plain)];
  expect(all.map((batch) => batch.size)).toEqual([5, 5, 5, 5, 3]);
  expect(all.map((batch) => batch.index)).toEqual([0, 1, 2, 3, 4]);
  expect(labelsOf(all)).toEqual(inOrder);
  const last = all[4] as Batch;
  expect([...last.weight]).toEqual([1, 1, 1, 0, 0]);
  expect([...last.labels]).toEqual([20, 21, 22, 0, 1]);
  expect(last.shape).toEqual([5, 2, 4, 5]);
  expect(last.images.subarray(3 * 40)).toEqual(all[0]?.images.subarray(0, 2 * 40));
  const [only] = batches(images(2, 1, 1, 1), plain);
  expect([...(only?.labels ?? [])]).toEqual([0, 1, 0, 1, 0]);
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

const colour = images(12, 3, 32, 32);
const statistics = { mean: [0.5, 0.25, 0.125], std: [0.25, 0.5, 2] };

test("the crop of a padded colour image, mirrored or not, is one and the same in each channel", () => {
  const augment = [padAndCrop(4, 32), horizontalFlip()];
  // All channels of an image alike, so that a change of one channel alone would show.
  const grey = {
    ...colour,
    images: colour.images.map((_, i) => colour.images[i - (i % 3072) + (i % 1024)] ?? 0),
  };
  const options = { batch: 12, seed: 5, shuffle: true, augment, scale: 1 };
  const batch = batchAt(grey, options, 0);
  expect(batch.shape).toEqual([12, 3, 32, 32]);
  for (let row = 0; row < 12; row++) {
    const [red, green, blue] = [0, 1, 2].map((c) =>
      batch.images.subarray(row * 3072 + c * 1024, row * 3072 + (c + 1) * 1024),
    );
    expect(green).toEqual(red);
    expect(blue).toEqual(red);
  }
  const coloured = batchAt(colour, options, 0);
  for (let row = 0; row < 12; row++) {
    // The red plane is that of `grey`: the same places are padded in all planes of the image.
    const at = row * 3072;
    expect(coloured.images.subarray(at, at + 1024)).toEqual(batch.images.subarray(at, at + 1024));
    const black = (c: number) =>
      Array.from(coloured.images.subarray(at + c * 1024, at + (c + 1) * 1024), (x) => x === 0);
    expect(black(1)).toEqual(black(0));
    expect(black(2)).toEqual(black(0));
  }
});

test("normalisation is per channel, after augmentation: padding is black", () => {
  const options = { batch: 5, seed: 2, shuffle: true, augment: [padAndCrop(4, 32)] };
  for (let step = 0; step < 3; step++) {
    const raw = batchAt(colour, { ...options, scale: 1 }, step);
    const batch = batchAt(colour, { ...options, normalize: statistics }, step);
    expect(batch.labels).toEqual(raw.labels);
    const expected = raw.images.map((pixel, i) => {
      const c = Math.floor(i / 1024) % 3;
      return (pixel / 255 - (statistics.mean[c] as number)) / (statistics.std[c] as number);
    });
    expect(batch.images).toEqual(expected);
    if (step === 0) expect(raw.images.includes(0)).toBe(true);
  }
  const refused = [
    { mean: [0, 0], std: [1, 1] },
    { mean: [0, 0, 0], std: [1, 1] },
    { mean: [0, 0, 0], std: [1, 0, 1] },
    { mean: [0, Number.NaN, 0], std: [1, 1, 1] },
  ];
  for (const normalize of refused) {
    expect(() => batchSource(colour, { ...options, normalize })).toThrow("for 3 channels");
  }
});

test("channelStatistics are mean and standard deviation over all pixels of each channel", () => {
  const { mean, std } = channelStatistics(colour);
  for (let c = 0; c < 3; c++) {
    const pixels = Array.from(colour.images).filter((_, i) => Math.floor(i / 1024) % 3 === c);
    const middle = pixels.reduce((a, b) => a + b) / pixels.length;
    const variance = pixels.reduce((a, b) => a + (b - middle) ** 2, 0) / pixels.length;
    expect(mean[c]).toBeCloseTo(middle / 255, 12);
    expect(std[c]).toBeCloseTo(Math.sqrt(variance) / 255, 12);
  }
  // What they normalise has mean 0 and deviation 1, whatever the order of the images.
  const scale = 64;
  const normalize = channelStatistics(colour, scale);
  const options = { batch: 12, seed: 1, shuffle: true, scale, normalize };
  const { images: x } = batchAt(colour, options, 0);
  for (let c = 0; c < 3; c++) {
    const values = Array.from(x).filter((_, i) => Math.floor(i / 1024) % 3 === c);
    const sum = (f: (value: number) => number) =>
      values.reduce((a, value) => a + f(value), 0) / values.length;
    expect(sum((value) => value)).toBeCloseTo(0, 5);
    expect(sum((value) => value * value)).toBeCloseTo(1, 5);
  }
  expect(() => channelStatistics(split(colour, 2, 2))).toThrow("statistics of 0 images");
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

test("CIFAR's last tenth validates; a limit takes the first of the rest", () => {
  const train = images(50000, 1, 1, 1);
  const parts = cifarSplit({ train, test: set });
  expect([parts.train.count, parts.validation.count, parts.test]).toEqual([45000, 5000, set]);
  expect(parts.validation.images).toEqual(train.images.slice(45000));
  const limited = limitTraining(parts, 7);
  expect(limited.train.count).toBe(7);
  expect(limited.train.images).toEqual(train.images.slice(0, 7));
  expect([limited.validation, limited.test]).toEqual([parts.validation, set]);
  expect(limitTraining(parts, 45000).train).toEqual(parts.train);
  for (const wrong of [0, 45001, 1.5, Number.NaN]) {
    expect(() => limitTraining(parts, wrong)).toThrow(
      `a limit of ${wrong} of 45000 training images; give an integer from 1 to 45000`,
    );
  }
});
