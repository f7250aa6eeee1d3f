import { type DType, equal, type Shape, ShapeError, show, type TensorType } from "./shape";

/** What ops and cells ask of what they are given, each demand said in one place. */

/** @throws ShapeError unless `good`: `op: what is …, must …`. */
export function expect(good: boolean, op: string, what: string, is: unknown, must: string): void {
  if (!good) throw new ShapeError(`hyperloom: ${op}: ${what} is ${is}, must ${must}`);
}

/** @throws ShapeError unless x is a tensor. */
export function expectTensor(op: string, name: string, x: unknown): void {
  expect(Boolean((x as { node?: unknown })?.node), op, name, typeof x, "be a tensor");
}

/** @throws ShapeError unless x is of `dtype` and, where a rank is given, has so many axes. */
export function expectType(
  op: string,
  name: string,
  x: TensorType,
  rank: number | null = null,
  dtype: DType = "f32",
): void {
  expect(x.dtype === dtype, op, name, x.dtype, `be ${dtype}`);
  const good = rank === null || x.shape.length === rank;
  expect(good, op, name, show(x.shape), `have rank ${rank}`);
}

/** @throws ShapeError unless x is f32 of `shape`. */
export function expectShape(op: string, name: string, x: TensorType, shape: Shape): void {
  expectType(op, name, x);
  expect(equal(x.shape, shape), op, name, show(x.shape), `be ${show(shape)} to fit the others`);
}

/** @throws ShapeError unless x is u32 or i32. */
export function expectIntegers(op: string, name: string, { dtype }: TensorType): void {
  expect(dtype !== "f32", op, name, dtype, "be u32 or i32; cast it");
}

/** The length of x's last axis. @throws ShapeError for a scalar or another dtype than f32. */
export function lastAxis(op: string, x: TensorType): number {
  expectType(op, "x", x);
  const length = x.shape[x.shape.length - 1] ?? 0;
  expect(length > 0, op, "x", "a scalar", "have an axis");
  return length;
}

/** @throws ShapeError unless `part`, which is kept of something, lies above 0 and is at most 1. */
export function expectPart(op: string, name: string, part: number): void {
  expect(
    part > 0 && part <= 1,
    op,
    name,
    part,
    "lie above 0 and be at most 1: it is the part kept",
  );
}

/** @throws ShapeError unless eps is positive and finite: a row of equal numbers has no variance. */
export function expectEps(op: string, eps: number): void {
  expect(eps > 0 && eps < Infinity, op, "eps", eps, "be positive and finite");
}

/** @throws ShapeError unless `gates` has each of the four gates of an LSTM once. */
export function expectGates(op: string, gates: string): void {
  const good = [...gates].sort().join("") === "fgio";
  expect(good, op, "gates", `"${gates}"`, 'have each of i, f, g and o once, as "ifgo" has');
}
