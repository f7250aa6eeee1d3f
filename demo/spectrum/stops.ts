/** The places of the spectrum, what they cost, and their kernels from a snapshot. */
import type { Tensors } from "../shell/film";
import { generateMatrix } from "../static/network";

/** Channels of every layer, and the side of its kernels. */
export const CHANNELS = 16;
export const F = 3;

/** The rate of Adam: it falls by `decay` a step, from `from` down to `floor`; equal at all places. */
export const RATE = { from: 9e-3, decay: 0.992, floor: 5e-4 } as const;
/** Largest global norm of a gradient. A kernel moves by many times the rate where N_z is large. */
export const CLIP = 1;

/** From a CNN, whose layers share nothing, to an RNN over depth, whose layers share all; N_z between. */
export const STOPS = ["direct", "64", "16", "4", "2", "1", "shared"] as const;
/** A place of the spectrum. */
export type Stop = (typeof STOPS)[number];

/** Weights of one layer's kernel [16, 16, 3, 3]. */
export const KERNEL = CHANNELS * CHANNELS * F * F;

/** Numbers in which layers can differ: N_z, a whole kernel, or none. */
export function freedom(stop: Stop): number {
  if (stop === "direct") return KERNEL;
  return stop === "shared" ? 0 : Number(stop);
}

/** Parameters that the kernels of all layers come from: kernels, or z, W_i, B_i, W_out and B_out. */
export function kernelParameters(stop: Stop, layers: number): number {
  if (stop === "direct") return layers * KERNEL;
  if (stop === "shared") return KERNEL;
  const nz = Number(stop);
  const [d, row] = [CHANNELS, F * F * CHANNELS];
  return layers * nz + CHANNELS * d * nz + CHANNELS * d + row * d + row;
}

/** What a place is called in a sentence. */
export function called(stop: Stop): string {
  if (stop === "direct") return "Direct kernels";
  return stop === "shared" ? "One shared kernel" : `N_z = ${stop}`;
}

/** A layer's kernel as the paper's matrix K [N_in·f, N_out·f], and its embedding, where it has one. */
export interface Layer {
  readonly matrix: Float32Array;
  readonly z: Float32Array | null;
}

/** kernel[o, i, r, c] as K[i·f + r, o·f + c]. */
function asMatrix(kernel: Float32Array): Float32Array {
  const side = CHANNELS * F;
  return Float32Array.from(kernel, (_, at) => {
    const [row, column] = [Math.floor(at / side), at % side];
    const [i, r] = [Math.floor(row / F), row % F];
    const [o, c] = [Math.floor(column / F), column % F];
    return kernel[((o * CHANNELS + i) * F + r) * F + c] as number;
  });
}

/** All layers of a snapshot, whose tensors are those that the worker's `frame` names. */
export function layersOf(stop: Stop, layers: number, tensors: Tensors): Layer[] {
  if (stop === "shared") {
    const matrix = asMatrix(tensors["generator.kernel1"] as Float32Array);
    return Array.from({ length: layers }, () => ({ matrix, z: null }));
  }
  const names = Array.from({ length: layers }, (_, j) => `layers.layer${j + 1}.kernel`);
  if (stop === "direct") {
    return names.map((name) => ({ matrix: asMatrix(tensors[name] as Float32Array), z: null }));
  }
  const nz = Number(stop);
  const all = tensors["generator.z"] as Float32Array;
  return names.map((_, j) => {
    const z = all.subarray(j * nz, (j + 1) * nz);
    return { matrix: generateMatrix(tensors, z), z };
  });
}

/**
 * How alike the layers' kernels are: the mean cosine over all pairs, 1 where all are one, about 0
 * where they know nothing of each other.
 */
export function likeness(layers: readonly Layer[]): number {
  const norms = layers.map(({ matrix }) => Math.sqrt(dot(matrix, matrix)));
  let [sum, pairs] = [0, 0];
  for (const [a, one] of layers.entries()) {
    for (let b = 0; b < a; b++) {
      const other = layers[b] as Layer;
      const length = (norms[a] as number) * (norms[b] as number);
      if (length > 0) sum += dot(one.matrix, other.matrix) / length;
      pairs++;
    }
  }
  return pairs > 0 ? sum / pairs : 1;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
