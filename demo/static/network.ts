/**
 * The hyper-CNN in plain TypeScript, for one digit at a time: what a snapshot's generator makes, and
 * what the network reads, without a GPU. It makes the pad answer at once, on a stored film too.
 */
import type { Tensors } from "../shell/film";

/** Channels of both convolutions, the side f of their kernels, pixels of an image, classes. */
export const CHANNELS = 16;
export const F = 7;
export const SIDE = 28;
export const CLASSES = 10;
/** Weights of the generated kernel [16, 16, 7, 7]. */
export const MADE = CHANNELS * CHANNELS * F * F;

/** Parameters of the generator with its embedding: z, W_i, B_i, W_out and B_out, with d = N_z. */
export function generatorParameters(nz: number): number {
  return nz + CHANNELS * nz * nz + CHANNELS * nz + F * CHANNELS * F * nz + F * CHANNELS * F;
}

const tensor = (tensors: Tensors, name: string): Float32Array => {
  const found = tensors[name];
  if (!found) throw new Error(`the snapshot has no ${name}; it has ${Object.keys(tensors)}`);
  return found;
};

/**
 * The paper's matrix K [N_in·f, N_out·f] by equations 1 and 2: K_i = ⟨W_out, W_i z + B_i⟩ + B_out.
 * @param z An embedding of N_z numbers, the snapshot's own or another.
 */
export function generateMatrix(tensors: Tensors, z: Float32Array): Float32Array {
  const [W_i, B_i] = [tensor(tensors, "generator.W_i"), tensor(tensors, "generator.B_i")];
  const [W_out, B_out] = [tensor(tensors, "generator.W_out"), tensor(tensors, "generator.B_out")];
  const d = B_i.length / CHANNELS;
  const row = B_out.length;
  const matrix = new Float32Array(CHANNELS * row);
  const a = new Float32Array(d);
  for (let i = 0; i < CHANNELS; i++) {
    for (let k = 0; k < d; k++) {
      let sum = B_i[i * d + k] as number;
      for (const [n, value] of z.entries()) {
        sum += (W_i[(i * d + k) * z.length + n] as number) * value;
      }
      a[k] = sum;
    }
    for (let p = 0; p < row; p++) {
      let sum = B_out[p] as number;
      for (let k = 0; k < d; k++) sum += (W_out[p * d + k] as number) * (a[k] as number);
      matrix[i * row + p] = sum;
    }
  }
  return matrix;
}

/** The matrix K as kernel [C_out, C_in, f, f]: kernel[o, i, r, c] = K[i·f + r, o·f + c]. */
export function kernelOf(matrix: Float32Array): Float32Array {
  const kernel = new Float32Array(matrix.length);
  let at = 0;
  for (let o = 0; o < CHANNELS; o++) {
    for (let i = 0; i < CHANNELS; i++) {
      for (let r = 0; r < F; r++) {
        const from = (i * F + r) * CHANNELS * F + o * F;
        for (let c = 0; c < F; c++) kernel[at++] = matrix[from + c] as number;
      }
    }
  }
  return kernel;
}

/** Convolution f × f that keeps the size, max-pooling 2 × 2, bias, ReLU: [I, S, S] to [16, S/2, S/2]. */
function layer(
  x: Float32Array,
  inputs: number,
  side: number,
  kernel: Float32Array,
  bias: Float32Array,
): Float32Array {
  const half = F >> 1;
  const padded = side + 2 * half;
  const frame = new Float32Array(inputs * padded * padded);
  for (let i = 0; i < inputs; i++) {
    for (let y = 0; y < side; y++) {
      const row = x.subarray((i * side + y) * side, (i * side + y + 1) * side);
      frame.set(row, (i * padded + y + half) * padded + half);
    }
  }
  const out = side >> 1;
  const pooled = new Float32Array(CHANNELS * out * out);
  const sums = new Float32Array(side * side);
  for (let o = 0; o < CHANNELS; o++) {
    sums.fill(0);
    for (let k = 0; k < inputs * F * F; k++) {
      const weight = kernel[o * inputs * F * F + k] as number;
      const [i, r, c] = [Math.floor(k / (F * F)), Math.floor(k / F) % F, k % F];
      for (let y = 0; y < side; y++) {
        const from = (i * padded + y + r) * padded + c;
        const to = y * side;
        for (let v = 0; v < side; v++) {
          sums[to + v] = (sums[to + v] as number) + weight * (frame[from + v] as number);
        }
      }
    }
    for (let y = 0; y < out; y++) {
      for (let v = 0; v < out; v++) {
        const at = 2 * y * side + 2 * v;
        const most = Math.max(
          sums[at] as number,
          sums[at + 1] as number,
          sums[at + side] as number,
          sums[at + side + 1] as number,
        );
        pooled[(o * out + y) * out + v] = Math.max(0, most + (bias[o] as number));
      }
    }
  }
  return pooled;
}

/**
 * The ten logits for one image.
 * @param image Pixels [28, 28], 0 to 1.
 * @param matrix The second layer's K, of `generateMatrix`; the other weights are the snapshot's.
 */
export function logits(tensors: Tensors, matrix: Float32Array, image: Float32Array): Float32Array {
  const [bias1, bias2] = [tensor(tensors, "conv1.bias"), tensor(tensors, "conv2.bias")];
  const one = layer(image, 1, SIDE, tensor(tensors, "conv1.kernel"), bias1);
  const two = layer(one, CHANNELS, SIDE >> 1, kernelOf(matrix), bias2);
  const weight = tensor(tensors, "fc.weight");
  return tensor(tensors, "fc.bias").map((bias, k) =>
    two.reduce((sum, x, p) => sum + x * (weight[k * two.length + p] as number), bias),
  );
}

/** The shares of the classes, which add up to 1. */
export function softmax(values: Float32Array): Float32Array {
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
