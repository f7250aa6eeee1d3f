/** Sizes along each axis, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Element type of a tensor: 32 bits each. Comparisons yield f32 of 0 and 1. */
export type DType = "f32" | "i32" | "u32";

/** Shape and element type: what an op's shape rule sees. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** A shape, dtype or attribute that an op cannot take; raised while the graph is built. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/** The number of elements of a shape (1 for a scalar). */
export function size(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** A shape as text: `[2, 3]`. */
export function show(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether two shapes are equal axis by axis. */
export function equal(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** Row-major strides in elements. */
export function strides(shape: Shape): number[] {
  const s = new Array<number>(shape.length);
  let n = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    s[i] = n;
    n *= shape[i] ?? 1;
  }
  return s;
}

/**
 * The NumPy broadcast of two shapes: aligned at the last axis, an axis of 1 stretches.
 * @throws ShapeError naming `op` and both shapes.
 */
export function broadcast(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const m = a[a.length - i] ?? 1;
    const n = b[b.length - i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(
        `hyperloom: ${op}: shapes ${show(a)} and ${show(b)} do not broadcast: ${m} against ${n} ` +
          `on axis ${rank - i}; make them equal or one of them 1`,
      );
    }
    out[rank - i] = m === 1 ? n : m;
  }
  return out;
}

/**
 * Strides with which an operand of shape `from` is read at the indices of shape `to`: 0 along
 * stretched axes. `from` must broadcast to `to`.
 */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = strides(from);
  const pad = to.length - from.length;
  return to.map((_, i) => (i < pad || from[i - pad] === 1 ? 0 : (own[i - pad] ?? 0)));
}

/**
 * Axis numbers made non-negative, sorted and checked against a rank; all axes when none are given.
 * @throws ShapeError for an axis out of range or named twice.
 */
export function normaliseAxes(
  op: string,
  axes: readonly number[] | undefined,
  rank: number,
): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const out = axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
  for (const [i, a] of out.entries()) {
    if (!Number.isInteger(a) || a < 0 || a >= rank || a === out[i - 1]) {
      throw new ShapeError(
        `hyperloom: ${op}: axes ${show(axes)} of a tensor of rank ${rank}: each must lie in ` +
          `${-rank}..${rank - 1} and occur once`,
      );
    }
  }
  return out;
}
