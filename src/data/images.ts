import { generateDigits } from "./digits";
import { generateShapes } from "./shapes";

/** A labelled set of images of one size, held as bytes. */
export interface ImageSet {
  /** u8 [count, C, H, W]. */
  readonly images: Uint8Array;
  /** u8 [count], each below `classes`. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  /** Where the images come from, for people and events: `MNIST from /data/mnist`. */
  readonly source: string;
}

/** The three parts of a data set; no image is in two of them. */
export interface ImageSplit {
  readonly train: ImageSet;
  readonly validation: ImageSet;
  readonly test: ImageSet;
}

/**
 * Images `from` to `to` (exclusive) of a set, as views of the same bytes.
 * @throws RangeError unless 0 <= from <= to <= count, integers.
 */
export function split(set: ImageSet, from: number, to: number): ImageSet {
  if (
    !(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= set.count)
  )
    throw new RangeError(
      `hyperloom: images ${from} to ${to} of a set of ${set.count}; give a range within it`,
    );
  const bytes = set.channels * set.height * set.width;
  return {
    ...set,
    images: set.images.subarray(from * bytes, to * bytes),
    labels: set.labels.subarray(from, to),
    count: to - from,
  };
}

/** The last of `share` equal parts of the training images, rounded down, for validation. */
function splitTraining(sets: { train: ImageSet; test: ImageSet }, share: number): ImageSplit {
  const { train, test } = sets;
  const cut = train.count - Math.floor(train.count / share);
  return { train: split(train, 0, cut), validation: split(train, cut, train.count), test };
}

/**
 * The usual split of MNIST: the last twelfth of the training images (5,000 of 60,000, the paper's)
 * becomes the validation set; the test images stay whole.
 */
export function mnistSplit(sets: { train: ImageSet; test: ImageSet }): ImageSplit {
  return splitTraining(sets, 12);
}

/**
 * The usual split of CIFAR: the last tenth of the training images (5,000 of 50,000, the paper's)
 * becomes the validation set; the test images stay whole.
 */
export function cifarSplit(sets: { train: ImageSet; test: ImageSet }): ImageSplit {
  return splitTraining(sets, 10);
}

/**
 * A split with the first `count` of its training images; validation and test stay whole.
 * @throws RangeError unless `count` is an integer from 1 to the number of training images.
 */
export function limitTraining(parts: ImageSplit, count: number): ImageSplit {
  if (!(Number.isInteger(count) && count >= 1 && count <= parts.train.count)) {
    throw new RangeError(
      `hyperloom: a limit of ${count} of ${parts.train.count} training images; give an integer ` +
        `from 1 to ${parts.train.count}`,
    );
  }
  return { ...parts, train: split(parts.train, 0, count) };
}

/** How a generated data set is made. */
export interface GeneratedSplitOptions {
  /** Seed of the data, not of a training run; default 0. */
  readonly seed?: number;
  /** Images in each part; default 10,000, 1,000 and 2,000, each below 2^30. */
  readonly train?: number;
  readonly validation?: number;
  readonly test?: number;
}

/** Parts from disjoint ranges of sample numbers, so that none depends on the size of another. */
function generatedSplit(
  make: (options: { count: number; seed: number; from: number }) => {
    images: Uint8Array;
    labels: Uint8Array;
  },
  about: Omit<ImageSet, "images" | "labels" | "count">,
  { seed = 0, train = 10000, validation = 1000, test = 2000 }: GeneratedSplitOptions,
): ImageSplit {
  const part = (count: number, from: number): ImageSet => ({
    ...make({ count, seed, from }),
    count,
    ...about,
  });
  return {
    train: part(train, 0),
    validation: part(validation, 2 ** 30),
    test: part(test, 2 ** 31),
  };
}

/**
 * The embedded digits as training, validation and test set, made from disjoint ranges of sample
 * numbers (from 0, 2^30 and 2^31), so that no part depends on the size of another.
 */
export function digitsSplit(options: GeneratedSplitOptions = {}): ImageSplit {
  const about = { channels: 1, height: 28, width: 28, classes: 10, source: "generated digits" };
  return generatedSplit(generateDigits, about, options);
}

/** The embedded coloured shapes [3, 32, 32] of ten classes, parted as `digitsSplit` parts digits. */
export function shapesSplit(options: GeneratedSplitOptions = {}): ImageSplit {
  const about = { channels: 3, height: 32, width: 32, classes: 10, source: "generated shapes" };
  return generatedSplit(generateShapes, about, options);
}
