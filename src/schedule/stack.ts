import type { Tensor } from "../graph/node";
import { equal, type Shape, size } from "../graph/shape";
import { pad, slice } from "../ops/layout";
import { reshape, SLAB_ALIGNMENT } from "../ops/views";

/** Elements from one step's value to the next in a stack: bindings start at multiples of 64. */
export function stackStride(shape: Shape): number {
  return Math.ceil(size(shape) / SLAB_ALIGNMENT) * SLAB_ALIGNMENT;
}

/** The shape of T values in a stack: [T, ...shape], or [T, stride] where the stride is larger. */
export function stackShape(T: number, shape: Shape): Shape {
  const stride = stackStride(shape);
  return stride === size(shape) ? [T, ...shape] : [T, stride];
}

/** [T, ...shape] as a stack. */
export function toStack(x: Tensor): Tensor {
  const [T = 1, ...shape] = x.shape;
  const [n, stride] = [size(shape), stackStride(shape)];
  return n === stride ? x : pad(reshape(x, [T, n]), [0, 0], [0, stride - n]);
}

/** A stack as [T, ...shape]. */
export function fromStack(stack: Tensor, shape: Shape): Tensor {
  const [T = 1] = stack.shape;
  const n = size(shape);
  const rows = equal(stack.shape, [T, ...shape]) ? stack : slice(stack, [0, 0], [T, n]);
  return reshape(rows, [T, ...shape]);
}
