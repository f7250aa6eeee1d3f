import { fold, type Key, normal, uniform } from "../graph/random";
import { type Shape, size } from "../graph/shape";

/**
 * Initial values of a parameter: a pure function of its key and shape, computed in f64 with basic
 * arithmetic and rounded once, so that it is equal on every engine.
 */
export type Init = (key: Key, shape: Shape) => Float64Array;

/** All zero. */
export const zeros: Init = (_, shape) => new Float64Array(size(shape));

/** All equal to a value. */
export function constantInit(value: number): Init {
  return (_, shape) => new Float64Array(size(shape)).fill(value);
}

/** N(mean, std²). */
export function normalInit(std: number, mean = 0): Init {
  return (key, shape) => normal(key, size(shape), std).map((x) => x + mean);
}

/** N(mean, std²) with draws beyond two std drawn again, as TensorFlow's truncated_normal. */
export function truncatedNormal(std: number, mean = 0): Init {
  return (key, shape) => {
    const n = size(shape);
    const out = new Float64Array(n);
    // 4.6 % fall outside: 20 % more than needed, and as often again as it takes.
    let filled = 0;
    for (let wanted = Math.ceil(1.2 * n) + 16; filled < n; wanted *= 2) {
      filled = 0;
      for (const x of normal(key, wanted)) {
        if (Math.abs(x) > 2) continue;
        if (filled === n) break;
        out[filled++] = mean + std * x;
      }
    }
    return out;
  };
}

/** Uniform in [-bound, bound]. */
export function uniformInit(bound: number): Init {
  return (key, shape) => uniform(key, size(shape)).map((u) => (2 * u - 1) * bound);
}

/** He et al. 2015: N(0, 2/fanIn), for layers followed by a ReLU. */
export function heNormal(fanIn: number): Init {
  return normalInit(Math.sqrt(2 / fanIn));
}

/** Glorot and Bengio 2010: uniform of variance 2/(fanIn + fanOut). */
export function glorotUniform(fanIn: number, fanOut: number): Init {
  return uniformInit(Math.sqrt(6 / (fanIn + fanOut)));
}

/**
 * Matrices (the last two axes) with orthonormal rows, or columns where there are more rows than
 * columns, times `gain`: Saxe et al. 2013. Leading axes count matrices, each drawn by itself.
 */
export function orthogonal(gain = 1): Init {
  return (key, shape) => {
    const columns = shape[shape.length - 1] ?? 1;
    const rows = shape[shape.length - 2] ?? 1;
    const out = normal(key, size(shape));
    for (let at = 0; at < out.length; at += rows * columns) {
      if (rows <= columns) orthonormalise(out, at, rows, columns, columns, 1);
      else orthonormalise(out, at, columns, rows, 1, columns);
    }
    return out.map((x) => gain * x);
  };
}

/**
 * A matrix [in, blocks·out] of `blocks` column blocks, each orthogonal by itself: the gates of a
 * recurrent cell.
 */
export function orthogonalBlocks(blocks: number, gain = 1): Init {
  return (key, shape) => {
    const [rows = 1, columns = 1] = shape;
    const width = columns / blocks;
    const drawn = orthogonal(gain)(key, [blocks, rows, width]);
    const out = new Float64Array(drawn.length);
    for (let block = 0; block < blocks; block++) {
      for (let row = 0; row < rows; row++) {
        const from = (block * rows + row) * width;
        out.set(drawn.subarray(from, from + width), row * columns + block * width);
      }
    }
    return out;
  };
}

/** An init of its own for each slice along the first axis, which has as many as there are inits. */
export function stackedInits(...inits: readonly Init[]): Init {
  return (key, shape) => {
    const out = new Float64Array(size(shape));
    const part = shape.slice(1);
    for (const [k, init] of inits.entries()) out.set(init(fold(key, k), part), k * size(part));
    return out;
  };
}

/** Modified Gram-Schmidt, twice for accuracy, over `count` vectors of `length` in place. */
function orthonormalise(
  data: Float64Array,
  at: number,
  count: number,
  length: number,
  vectorStride: number,
  stride: number,
): void {
  const index = (v: number, i: number): number => at + v * vectorStride + i * stride;
  const dot = (a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < length; i++) sum += (data[index(a, i)] ?? 0) * (data[index(b, i)] ?? 0);
    return sum;
  };
  const subtract = (v: number, u: number, factor: number): void => {
    for (let i = 0; i < length; i++) {
      data[index(v, i)] = (data[index(v, i)] ?? 0) - factor * (data[index(u, i)] ?? 0);
    }
  };
  for (let v = 0; v < count; v++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let u = 0; u < v; u++) subtract(v, u, dot(u, v));
    }
    const norm = Math.sqrt(dot(v, v));
    for (let i = 0; i < length; i++) data[index(v, i)] = (data[index(v, i)] ?? 0) / norm;
  }
}
