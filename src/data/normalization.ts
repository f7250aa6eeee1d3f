import type { ImageSet } from "./images";

/** Mean and standard deviation of each channel of pixel / scale: x becomes (x - mean) / std. */
export interface Normalization {
  /** [C]. */
  readonly mean: readonly number[];
  /** [C], each above 0. */
  readonly std: readonly number[];
}

/**
 * Mean and standard deviation of each channel over all pixels of a set, of pixel / `scale` (default
 * 255), in f64; from counts of the 256 values, so that they depend on no order of summation.
 * @throws RangeError for an empty set.
 */
export function channelStatistics(set: ImageSet, scale = 255): Normalization {
  const area = set.height * set.width;
  const pixels = set.count * area;
  if (pixels === 0) {
    throw new RangeError(`hyperloom: statistics of ${set.count} images; give at least 1`);
  }
  const mean: number[] = [];
  const std: number[] = [];
  for (let c = 0; c < set.channels; c++) {
    const counts = new Float64Array(256);
    for (let image = 0; image < set.count; image++) {
      const start = (image * set.channels + c) * area;
      for (let i = start; i < start + area; i++) {
        const value = set.images[i] as number;
        counts[value] = (counts[value] as number) + 1;
      }
    }
    const middle = counts.reduce((sum, n, value) => sum + n * value, 0) / pixels;
    const squares = counts.reduce(
      (sum, n, value) => sum + n * (value - middle) * (value - middle),
      0,
    );
    mean.push(middle / scale);
    std.push(Math.sqrt(squares / pixels) / scale);
  }
  return { mean, std };
}

/**
 * What each of the 256 pixel values of each channel becomes, rounded once: `channels` arrays f32
 * [256] of byte / scale, normalised where `normalize` is given.
 * @throws RangeError unless there is one finite mean and one finite std above 0 for each channel.
 */
export function pixelValues(
  channels: number,
  scale: number,
  normalize: Normalization | undefined,
): Float32Array[] {
  const { mean, std } = normalize ?? {
    mean: new Array<number>(channels).fill(0),
    std: new Array<number>(channels).fill(1),
  };
  const fits = mean.length === channels && std.length === channels;
  if (!(fits && mean.every(Number.isFinite) && std.every((s) => s > 0 && s < Infinity))) {
    throw new RangeError(
      `hyperloom: means [${mean.join(", ")}] and standard deviations [${std.join(", ")}] for ` +
        `${channels} channels; give one finite mean and one std above 0 for each`,
    );
  }
  return mean.map((m, c) =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte / scale - m) / (std[c] as number)),
  );
}
