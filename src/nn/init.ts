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
      const matrix = out.subarray(at, at + rows * columns);
      if (rows <= columns) orthonormalise(matrix, rows, columns);
      else {
        const turned = turn(matrix, rows, columns);
        orthonormalise(turned, columns, rows);
        matrix.set(turn(turned, columns, rows));
      }
    }
    for (let i = 0; i < out.length; i++) out[i] = gain * (out[i] as number);
    return out;
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

/** The transpose of [rows, columns]. */
function turn(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = matrix[row * columns + column] as number;
    }
  }
  return out;
}

// Vectors that are taken off all later ones together, while they are in the cache.
const PANEL = 16;

/**
 * Modified Gram-Schmidt over `count` vectors of `length`, one after another in `data`, in place. Of
 * normal vectors, whose condition is about their number, once is far more exact than f32.
 */
function orthonormalise(data: Float64Array, count: number, length: number): void {
  const nothing = new Float64Array(length);
  for (let start = 0; start < count; start += PANEL) {
    const panel: Float64Array[] = [];
    for (let v = start; v < count; v++) {
      const own = data.subarray(v * length, (v + 1) * length);
      let along = subtract(own, nothing, 0, panel[0] ?? own);
      for (const [k, unit] of panel.entries()) {
        along = subtract(own, unit, along, panel[k + 1] ?? own);
      }
      if (v >= start + PANEL) continue;
      const norm = Math.sqrt(along);
      for (let i = 0; i < length; i++) own[i] = (own[i] as number) / norm;
      panel.push(own);
    }
  }
}

/**
 * Takes `factor` times a unit vector off x and returns Σ x next, in one pass and four sums, which
 * processors add at the same time: a third of the time of two passes.
 */
function subtract(x: Float64Array, unit: Float64Array, factor: number, next: Float64Array): number {
  const n = x.length;
  const whole = n - (n % 4);
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    const x0 = (x[i] as number) - factor * (unit[i] as number);
    const x1 = (x[i + 1] as number) - factor * (unit[i + 1] as number);
    const x2 = (x[i + 2] as number) - factor * (unit[i + 2] as number);
    const x3 = (x[i + 3] as number) - factor * (unit[i + 3] as number);
    x[i] = x0;
    x[i + 1] = x1;
    x[i + 2] = x2;
    x[i + 3] = x3;
    // `next` may be x itself.
    s0 += x0 * (next[i] as number);
    s1 += x1 * (next[i + 1] as number);
    s2 += x2 * (next[i + 2] as number);
    s3 += x3 * (next[i + 3] as number);
  }
  for (let i = whole; i < n; i++) {
    const rest = (x[i] as number) - factor * (unit[i] as number);
    x[i] = rest;
    s0 += rest * (next[i] as number);
  }
  return s0 + s1 + (s2 + s3);
}
