import { generateDigits } from "./digits";

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

/**
 * The usual split of MNIST: the last twelfth of the training images (5,000 of 60,000, the paper's)
 * becomes the validation set; the test images stay whole.
 */
export function mnistSplit(sets: { train: ImageSet; test: ImageSet }): ImageSplit {
  const { train, test } = sets;
  const cut = train.count - Math.floor(train.count / 12);
  return { train: split(train, 0, cut), validation: split(train, cut, train.count), test };
}

/** What `digitsSplit` makes. */
export interface DigitsSplitOptions {
  /** Seed of the data, not of a training run; default 0. */
  readonly seed?: number;
  /** Images in each part; default 10,000, 1,000 and 2,000, each below 2^30. */
  readonly train?: number;
  readonly validation?: number;
  readonly test?: number;
}

/**
 * The embedded digits as training, validation and test set, made from disjoint ranges of sample
 * numbers (from 0, 2^30 and 2^31), so that no part depends on the size of another.
 */
export function digitsSplit(options: DigitsSplitOptions = {}): ImageSplit {
  const { seed = 0, train = 10000, validation = 1000, test = 2000 } = options;
  const part = (count: number, from: number): ImageSet => ({
    ...generateDigits({ count, seed, from }),
    count,
    channels: 1,
    height: 28,
    width: 28,
    classes: 10,
    source: "generated digits",
  });
  return {
    train: part(train, 0),
    validation: part(validation, 2 ** 30),
    test: part(test, 2 ** 31),
  };
}
