/**
 * The generator and the networks it makes in plain TypeScript, without a GPU: what draws a stored
 * run before WebGPU is asked for, and the picture of the weights.
 */
import type { Tensors } from "../shell/film";

/** Sizes of a run. */
export interface Sizes {
  /** Units of both hidden layers of a generated network. */
  readonly width: number;
  /** Units of the generator's hidden layers. */
  readonly hidden: readonly number[];
  /** Conditions of a step, and the points of each. */
  readonly batch: number;
  readonly points: number;
  /** Pixels of a side of a picture in the family's grid, and of the one that the sliders make. */
  readonly tile: number;
  readonly side: number;
  /** Adam's rate at the first step. */
  readonly rate: number;
}

/** Networks of a side of the family's grid. */
export const GRID = 5;

/** The sizes by name: a software adapter trains the small one at ease. */
export const SIZES: Readonly<Record<SizeName, Sizes>> = {
  small: { width: 24, hidden: [32, 12], batch: 64, points: 64, tile: 32, side: 64, rate: 8e-3 },
  large: { width: 48, hidden: [64, 32], batch: 128, points: 256, tile: 64, side: 128, rate: 4e-3 },
};
/** The sizes' names. */
export type SizeName = "small" | "large";

/** What a checkpoint says of its model: the size's name, and what it takes to build it elsewhere. */
export function modelOf(size: SizeName) {
  const { width, hidden } = SIZES[size];
  return { name: "family", options: { size, width, hidden, frequency: FREQUENCY } };
}

/** What a checkpoint says of its run. */
export function settingsOf(size: SizeName, steps: number) {
  const { batch, points, rate } = SIZES[size];
  return { steps, batch, points, rate };
}

/** Pixels of the pictures' sides where no GPU draws them. */
export const COARSE = { tile: 24, side: 48 } as const;

/** What the first layer's sums are multiplied by: how fine the waves are that a picture starts as. */
export const FREQUENCY = 4;

/** A dense layer: weight [out, in] and bias [out]. */
export interface Layer {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** The three layers of a network (x, y) → intensity. */
export interface Picture {
  readonly first: Layer;
  readonly second: Layer;
  readonly last: Layer;
}

/** Parameters of the generator, of 3 numbers a condition. */
export function countParameters(sizes: Sizes): number {
  const widths = [3, ...sizes.hidden, countWeights(sizes)];
  return widths.slice(1).reduce((n, to, k) => n + ((widths[k] as number) + 1) * to, 0);
}

const PARTS = ["first", "second", "last"] as const;

/** Weights and biases of a generated network. */
export function countWeights({ width }: Sizes): number {
  return 3 * width + (width + 1) * width + width + 1;
}

const tensor = (tensors: Tensors, name: string): Float32Array => {
  const found = tensors[name];
  if (!found) throw new Error(`the snapshot has no ${name}; it has ${Object.keys(tensors)}`);
  return found;
};

/** y = W x + b. */
function affine(weight: Float32Array, bias: Float32Array, x: Float32Array): Float32Array {
  const y = bias.slice();
  for (let o = 0; o < y.length; o++) {
    let sum = y[o] as number;
    for (let i = 0; i < x.length; i++) {
      sum += (weight[o * x.length + i] as number) * (x[i] as number);
    }
    y[o] = sum;
  }
  return y;
}

/**
 * The network that the generator of a snapshot makes of a condition.
 * @param condition Three numbers from −1 to 1.
 */
export function generate(tensors: Tensors, condition: Float32Array): Picture {
  const dense = (path: string, x: Float32Array): Float32Array =>
    affine(
      tensor(tensors, `generator.${path}.weight`),
      tensor(tensors, `generator.${path}.bias`),
      x,
    );
  let h = condition;
  for (let k = 0; `generator.hidden${k}.weight` in tensors; k++) {
    h = dense(`hidden${k}`, h).map((x) => Math.max(0, x));
  }
  const layers = PARTS.map((part) => {
    const weight = dense(`heads.${part}.weight`, h);
    return [part, { weight, bias: dense(`heads.${part}.bias`, h) }] as const;
  });
  return Object.fromEntries(layers) as unknown as Picture;
}

/** What a network draws at points given as x and y in turn: −1 to 1 for each. */
export function paint({ first, second, last }: Picture, points: Float32Array): Float32Array {
  const width = first.bias.length;
  const [one, pixels] = [new Float32Array(width), new Float32Array(points.length / 2)];
  for (let p = 0; p < pixels.length; p++) {
    const [x, y] = [points[2 * p] as number, points[2 * p + 1] as number];
    for (let k = 0; k < width; k++) {
      const [u, v] = [first.weight[2 * k] as number, first.weight[2 * k + 1] as number];
      one[k] = Math.sin(FREQUENCY * (u * x + v * y + (first.bias[k] as number)));
    }
    let sum = last.bias[0] as number;
    for (let k = 0; k < width; k++) {
      let inner = second.bias[k] as number;
      for (let i = 0; i < width; i++) {
        inner += (second.weight[k * width + i] as number) * (one[i] as number);
      }
      sum += (last.weight[k] as number) * Math.sin(inner);
    }
    pixels[p] = Math.tanh(sum);
  }
  return pixels;
}
