import { fold, type Key, key, permutation, WordStream } from "../graph/random";
import type { ImageSet } from "./images";
import { type Normalization, pixelValues } from "./normalization";

/**
 * One random change of an image, as data: it can be printed, stored and compared.
 * `padAndCrop` surrounds each plane by `pad` zeros and cuts a square of `size` at random;
 * `horizontalFlip` mirrors left and right for every second image.
 */
export type Augmentation =
  | { readonly kind: "padAndCrop"; readonly pad: number; readonly size: number }
  | { readonly kind: "horizontalFlip" };

/** Random crops of `size` x `size` from images padded by `pad` zeros on each side. */
export function padAndCrop(pad: number, size: number): Augmentation {
  return { kind: "padAndCrop", pad, size };
}

/** Mirrors left and right with probability 1/2. */
export function horizontalFlip(): Augmentation {
  return { kind: "horizontalFlip" };
}

/** How a set is cut into batches. */
export interface BatchOptions {
  /** Rows of a batch, B. */
  readonly batch: number;
  /** Decides order and augmentation; the same seed gives the same batches everywhere. */
  readonly seed: number;
  /** A new order for each epoch; false keeps the set's order. */
  readonly shuffle: boolean;
  /** The first epoch; default 0. */
  readonly epoch?: number;
  /** Applied in this order to each image, drawn anew in each epoch; default none. */
  readonly augment?: readonly Augmentation[];
  /** Pixel value that becomes 1; default 255. */
  readonly scale?: number;
  /**
   * Makes pixel / scale (x - mean) / std of its channel; default none. It comes after augmentation:
   * what `padAndCrop` pads is black, not the mean colour, as where torchvision's RandomCrop stands
   * before ToTensor and Normalize, the usual order for CIFAR.
   */
  readonly normalize?: Normalization;
  /** Hand out the same three arrays in every batch, overwritten by the next; default false. */
  readonly reuse?: boolean;
}

/**
 * One batch. Rows from `size` on, behind the last sample of an epoch, have weight 0: the images that
 * the epoch begins with once more, so that statistics over a batch see images and nothing else.
 */
export interface Batch {
  /** f32 [B, C, H, W], u8 / scale, normalised where that was asked for. */
  readonly images: Float32Array<ArrayBuffer>;
  /** [B]. */
  readonly labels: Uint32Array<ArrayBuffer>;
  /** Of shape [B]; 1 for a sample, 0 for a repeated one: each sample of an epoch counts once. */
  readonly weight: Float32Array<ArrayBuffer>;
  /** [B, C, H, W] of `images`. */
  readonly shape: readonly [number, number, number, number];
  /** Samples in the batch, 1 to B. */
  readonly size: number;
  readonly epoch: number;
  /** Number of the batch within its epoch. */
  readonly index: number;
}

/** Random access to the batches of a set. */
export interface BatchSource {
  /** Batches in an epoch: ceil(count / B). */
  readonly perEpoch: number;
  /** Batch `step`, counted from the first batch of the first epoch on, across epochs. */
  at(step: number): Batch;
}

/** A plane of bytes [H, W] while it is being augmented. */
interface Plane {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** A change with its random choices made, the same for all channels of an image. */
type Change = (plane: Plane) => Plane;

function cropped(plane: Plane, top: number, left: number, size: number): Plane {
  const pixels = new Uint8Array(size * size);
  const from = Math.max(0, -left);
  const to = Math.min(size, plane.width - left);
  for (let y = Math.max(0, -top); y < Math.min(size, plane.height - top); y++) {
    const row = (y + top) * plane.width + left;
    if (from < to) pixels.set(plane.pixels.subarray(row + from, row + to), y * size + from);
  }
  return { pixels, height: size, width: size };
}

function mirrored(plane: Plane): Plane {
  const pixels = plane.pixels.slice();
  for (let y = 0; y < plane.height; y++) {
    pixels.subarray(y * plane.width, (y + 1) * plane.width).reverse();
  }
  return { ...plane, pixels };
}

/** Draws the choices of one change: integers below a bound, nothing rounded. */
function draw(step: Augmentation, height: number, width: number, random: WordStream): Change {
  if (step.kind === "horizontalFlip") return random.below(2) === 1 ? mirrored : (plane) => plane;
  const top = random.below(height + 2 * step.pad - step.size + 1) - step.pad;
  const left = random.below(width + 2 * step.pad - step.size + 1) - step.pad;
  return (plane) => cropped(plane, top, left, step.size);
}

/** Height and width after all changes. */
function augmentedSize(set: ImageSet, augment: readonly Augmentation[]): [number, number] {
  let { height, width } = set;
  for (const step of augment) {
    if (step.kind !== "padAndCrop") continue;
    const { pad, size } = step;
    const most = Math.min(height, width) + 2 * pad;
    if (!(Number.isInteger(pad) && pad >= 0 && Number.isInteger(size) && size >= 1 && size <= most))
      throw new RangeError(
        `hyperloom: padAndCrop(${pad}, ${size}) of ${height} x ${width} images: the crop is ` +
          `${size}, the padded image ${height + 2 * pad} x ${width + 2 * pad}; give integers that fit`,
      );
    height = width = size;
  }
  return [height, width];
}

/**
 * The batches of a set, by number. The order of epoch e is the permutation under the key
 * fold(key(seed), e); the changes of the image at position p of that order are drawn under that
 * key folded with p. So a batch depends on nothing but the options and its number.
 * @throws RangeError for an empty set, a batch below 1, a crop that does not fit, or means and
 *   standard deviations that do not fit the channels.
 */
export function batchSource(set: ImageSet, options: BatchOptions): BatchSource {
  const { batch, seed, shuffle, epoch: first = 0, augment = [], scale = 255, normalize } = options;
  if (!(Number.isInteger(batch) && batch >= 1 && set.count >= 1)) {
    throw new RangeError(
      `hyperloom: batches of ${batch} from ${set.count} images; give integers of at least 1`,
    );
  }
  const [height, width] = augmentedSize(set, augment);
  const shape = [batch, set.channels, height, width] as const;
  const planeIn = set.height * set.width;
  const planeOut = height * width;
  const values = pixelValues(set.channels, scale, normalize);
  const perEpoch = Math.ceil(set.count / batch);
  const allocate = () => ({
    images: new Float32Array(batch * set.channels * planeOut),
    labels: new Uint32Array(batch),
    weight: new Float32Array(batch),
  });
  const reused = options.reuse ? allocate() : undefined;
  let current: { epoch: number; key: Key; order: Uint32Array | undefined } | undefined;

  const at = (step: number): Batch => {
    if (!(Number.isSafeInteger(step) && step >= 0)) {
      throw new RangeError(`hyperloom: batch number ${step}; give an integer of at least 0`);
    }
    const epoch = first + Math.floor(step / perEpoch);
    const index = step % perEpoch;
    if (current?.epoch !== epoch) {
      const epochKey = fold(key(seed), epoch);
      const order = shuffle ? permutation(epochKey, set.count) : undefined;
      current = { epoch, key: epochKey, order };
    }
    const arrays = reused ?? allocate();
    const { images, labels, weight } = arrays;
    const size = Math.min(batch, set.count - index * batch);
    for (let row = 0; row < batch; row++) {
      const position = (index * batch + row) % set.count;
      const sample = current.order?.[position] ?? position;
      labels[row] = set.labels[sample] as number;
      weight[row] = row < size ? 1 : 0;
      const changes: Change[] = [];
      if (augment.length > 0) {
        const random = new WordStream(fold(current.key, position));
        let h = set.height;
        let w = set.width;
        for (const change of augment) {
          changes.push(draw(change, h, w, random));
          if (change.kind === "padAndCrop") h = w = change.size;
        }
      }
      for (let c = 0; c < set.channels; c++) {
        const start = (sample * set.channels + c) * planeIn;
        let plane: Plane = {
          pixels: set.images.subarray(start, start + planeIn),
          height: set.height,
          width: set.width,
        };
        for (const change of changes) plane = change(plane);
        const value = values[c] as Float32Array;
        const target = (row * set.channels + c) * planeOut;
        for (let i = 0; i < planeOut; i++) {
          images[target + i] = value[plane.pixels[i] as number] as number;
        }
      }
    }
    return { ...arrays, shape, size, epoch, index };
  };
  return { perEpoch, at };
}

/** The batches of one epoch (`options.epoch`, default 0), in order; throws as `batchSource`. */
export function* batches(set: ImageSet, options: BatchOptions): Generator<Batch, void, undefined> {
  const source = batchSource(set, options);
  for (let step = 0; step < source.perEpoch; step++) yield source.at(step);
}

/** Batch `step` counted across epochs, the very one that iterating gives; see `batchSource`. */
export function batchAt(set: ImageSet, options: BatchOptions, step: number): Batch {
  return batchSource(set, options).at(step);
}
