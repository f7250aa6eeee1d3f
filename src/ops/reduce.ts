import { reduce as reduceKernel } from "../../shaders/reduce.wgsl";
import {
  type Dispatch,
  dispatch,
  linearGrid,
  MAX_LOOP_TRIPS,
  MAX_TRIPS,
  type Target,
} from "../gpu/dispatch";
import { expect, expectType } from "../graph/expect";
import { apply1, type Node, type Op, type Operand, scratch, type Tensor } from "../graph/node";
import { equal, normaliseAxes, type Shape, show, size } from "../graph/shape";
import { div, equalTo, fill, mul } from "./elementwise";
import { reshape } from "./views";

/** The axes that a reduction removes: sorted, non-negative, at least one. */
export interface ReduceAttrs {
  readonly axes: readonly number[];
}

/** Which axes to reduce, and whether they stay as axes of size 1. */
export interface ReduceOptions {
  readonly keepDims?: boolean;
}

type Operation = "sum" | "max" | "min";

const OPERATION = { sum: 0, max: 1, min: 2 } as const;

/** A tensor read as [r0, k0, r1, k1, r2]: axes k are kept, axes r reduced. */
interface Slots {
  readonly r0: number;
  readonly k0: number;
  readonly r1: number;
  readonly k1: number;
  readonly r2: number;
}

/** Neighbouring axes of one kind merged, innermost first; alternately reduced and kept. */
function alternation(shape: Shape, axes: readonly number[]): number[] {
  const groups = [1];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const d = shape[axis] ?? 1;
    if (d === 1) continue;
    // Even positions are reduced.
    if ((groups.length % 2 === 1) !== axes.includes(axis)) groups.push(1);
    groups[groups.length - 1] = (groups[groups.length - 1] ?? 1) * d;
  }
  return groups;
}

// Terms that one invocation adds up, at most about.
const TERMS = { software: 512, gpu: 256 } as const;
// Fewer terms take less time than a second pass, which is a dispatch of its own.
const FEWEST_TERMS = { software: 256, gpu: 128 } as const;
// Invocations wanted before terms are shared among more of them.
const INVOCATIONS = { software: 64, gpu: 32_768 } as const;
// Half of what a loop may make.
const LONGEST_RUN = MAX_LOOP_TRIPS / 2;

/** Trips of one run of `n` elements a lane: fours, what is left of them, and the run itself. */
const tripsOfRun = (n: number): number => 1 + Math.floor(n / 4) + 1 + Math.min(3, n) + 1;
// The tree over at most 128 lanes.
const TREE_TRIPS = 8;

interface Cut {
  readonly innerChunk: number;
  readonly outerChunk: number;
  readonly innerChunks: number;
  readonly chunks: number;
}

/** Cuts `outer` runs of `inner` elements into chunks of at most about `terms` elements a lane. */
function cutTerms(outer: number, inner: number, lanes: number, terms: number): Cut {
  const innerPieces = Math.ceil(inner / (lanes * Math.min(terms, LONGEST_RUN)));
  const innerChunk = Math.ceil(inner / innerPieces);
  const perRun = Math.ceil(innerChunk / lanes);
  const most = Math.floor((MAX_TRIPS - 1 - TREE_TRIPS) / tripsOfRun(perRun));
  const outerChunk = Math.min(outer, most, Math.max(1, Math.floor(terms / perRun)));
  const innerChunks = Math.ceil(inner / innerChunk);
  return {
    innerChunk,
    outerChunk,
    innerChunks,
    chunks: innerChunks * Math.ceil(outer / outerChunk),
  };
}

// Terms up to which a software adapter takes one pass where 16 outputs or more keep it busy: the
// runs, added one by one, keep the error of so many terms small.
const ONE_PASS_TERMS = 32_768;
const ONE_PASS_RUN = 2_048;

/** Equal pieces of a strided run, each short enough for one pass; 1 where its length has none. */
function piecesOf(length: number): number {
  for (let pieces = Math.ceil(length / ONE_PASS_RUN); pieces <= 64; pieces++) {
    if (length % pieces === 0) return pieces;
  }
  return 1;
}

/** Terms in a chunk of one lane: fewer where outputs alone would leave the adapter idle. */
function termsPerLane(
  outer: number,
  inner: number,
  outputs: number,
  lanes: number,
  target: Target,
): number {
  const terms = outer * inner;
  const onePass = terms <= ONE_PASS_TERMS && inner <= ONE_PASS_RUN && outputs >= 16;
  if (onePass && target.adapter === "software") return terms;
  const most = TERMS[target.adapter];
  const wanted = Math.ceil(INVOCATIONS[target.adapter] / (outputs * lanes));
  return Math.min(
    most,
    Math.max(FEWEST_TERMS[target.adapter], Math.ceil(terms / (lanes * wanted))),
  );
}

/** Invocations along a run: on GPUs neighbours should read neighbouring elements. */
function lanesFor(slots: Slots, target: Target): number {
  if (target.adapter === "software" || slots.r2 < 16) return 1;
  return slots.r2 < 64 ? 8 : slots.r2 < 512 ? 32 : 128;
}

function reduceSlots(
  operation: Operation,
  x: Operand,
  y: Operand,
  slots: Slots,
  target: Target,
): Dispatch<Operand>[] {
  const { r0, k0, r1, k1, r2 } = slots;
  const outputs = k0 * k1;
  const lanes = lanesFor(slots, target);
  const workgroup = target.adapter === "software" ? 16 : 128;
  // Runs lie along the innermost reduced axis.
  const contiguous = r2 > 1;
  const pieces = contiguous ? 1 : piecesOf(r1);
  const inner = contiguous ? r2 : r1 / pieces;
  const outer = contiguous ? r0 * r1 : r0 * pieces;
  const terms = termsPerLane(outer, inner, outputs, lanes, target);
  const cut = cutTerms(outer, inner, lanes, terms);
  const partial = cut.chunks > 1 ? scratch(cut.chunks * outputs) : y;
  const perWorkgroup = Math.max(1, workgroup / lanes);
  const perRun = Math.ceil(cut.innerChunk / lanes);
  const first = dispatch<Operand, "x" | "y", string, string>(reduceKernel, {
    bind: { x, y: partial },
    uniforms: {
      outputs,
      k1,
      k0_stride: r1 * k1 * r2,
      k1_stride: r2,
      inner,
      inner_stride: contiguous ? 1 : k1,
      inner_chunk: cut.innerChunk,
      inner_chunks: cut.innerChunks,
      outer,
      outer_size: contiguous ? r1 : pieces,
      outer_stride: contiguous ? k1 * r2 : inner * k1,
      r0_stride: k0 * r1 * k1 * r2,
      outer_chunk: cut.outerChunk,
      chunks: cut.chunks,
    },
    overrides: { OPERATION: OPERATION[operation], LANES: lanes, OUTPUTS: perWorkgroup },
    grid: linearGrid(Math.ceil((outputs * cut.chunks) / perWorkgroup)),
    flops: outputs * outer * inner,
    trips: cut.outerChunk * tripsOfRun(perRun) + 1 + TREE_TRIPS,
    longestLoop: Math.max(cut.outerChunk, perRun),
  });
  if (cut.chunks === 1) return [first];
  return [first, ...reduceSlots(operation, partial, y, partials(cut.chunks, outputs), target)];
}

/** Partial results [terms, outputs]: of a single output they lie side by side, others are columns. */
function partials(terms: number, outputs: number): Slots {
  const one = { r0: 1, k0: 1, r1: 1, k1: 1, r2: 1 };
  return outputs === 1 ? { ...one, r2: terms } : { ...one, r1: terms, k1: outputs };
}

/**
 * The dispatches that add up the first axis of `x` [terms, outputs] into `y` [outputs], in a fixed
 * order: the second pass of ops that split their sums into partial ones.
 */
export function sumRows(
  x: Operand,
  y: Operand,
  terms: number,
  outputs: number,
  target: Target,
): Dispatch<Operand>[] {
  return reduceSlots("sum", x, y, partials(terms, outputs), target);
}

function reduction(
  operation: Operation,
  gradient: Op<ReduceAttrs>["gradient"],
  more: Pick<Op<ReduceAttrs>, "sumOverTime"> = {},
): Op<ReduceAttrs> {
  const op: Op<ReduceAttrs> = {
    name: operation,
    epilogue: true,
    shape({ axes }, x) {
      const { shape, dtype } = x;
      expectType(operation, "x", x);
      return [{ shape: shape.filter((_, axis) => !axes.includes(axis)), dtype }];
    },
    dispatch(node, target) {
      const x = node.inputs[0];
      const [r2 = 1, k1 = 1, r1 = 1, k0 = 1, r0 = 1] = alternation(x.shape, node.attrs.axes);
      return reduceSlots(operation, x, node.outputs[0], { r0, k0, r1, k1, r2 }, target);
    },
    gradient,
    overTime: ({ axes }, [x]) => [reduce(op, x, behindTime(axes), {})],
    ...more,
  };
  return op;
}

/** The axes of a tensor that has a time axis in front. */
const behindTime = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);

/** A shape with the given axes set to 1. */
function kept(shape: Shape, axes: readonly number[]): Shape {
  return shape.map((d, axis) => (axes.includes(axis) ? 1 : d));
}

/** A tensor of the output's shape, stretched again over the reduced axes. */
function stretch(y: Tensor, shape: Shape, axes: readonly number[]): Tensor {
  return mul(reshape(y, kept(shape, axes)), fill(1, shape));
}

/** The gradient goes to the extreme elements of each output, in equal parts where several tie. */
function extremeGradient(node: Node<ReduceAttrs>, [dy]: readonly (Tensor | null)[]) {
  if (!dy) return [null];
  const x = node.inputs[0];
  const { axes } = node.attrs;
  const shape = kept(x.shape, axes);
  const hit = equalTo(x, reshape(node.outputs[0], shape));
  const share = div(reshape(dy, shape), sum(hit, axes, { keepDims: true }));
  return [mul(hit, share)];
}

/** Sum over axes: y = Σ x, pairwise-like; the kernel states its error bound. */
export const sumOp: Op<ReduceAttrs> = reduction(
  "sum",
  (node, [dy]) => [dy ? stretch(dy, node.inputs[0].shape, node.attrs.axes) : null],
  { sumOverTime: ({ axes }, [x]) => sum(x, [0, ...behindTime(axes)]) },
);

/** Largest element along axes; NaN where any is. Tied elements share the gradient equally. */
export const maxOp: Op<ReduceAttrs> = reduction("max", extremeGradient);

/** Smallest element along axes; NaN where any is. Tied elements share the gradient equally. */
export const minOp: Op<ReduceAttrs> = reduction("min", extremeGradient);

// The kernel walks three reduced and two kept axes.
const MAX_GROUPS = 5;

function reduce(
  op: Op<ReduceAttrs>,
  x: Tensor,
  axes: readonly number[] | undefined,
  { keepDims = false }: ReduceOptions,
): Tensor {
  const sorted = normaliseAxes(op.name, axes, x.shape.length);
  const shape = kept(x.shape, sorted);
  let y = x;
  // With more alternations than the kernel walks, the innermost reduced axes go first.
  let left = sorted.filter((axis) => x.shape[axis] !== 1);
  while (left.length > 0) {
    let now = left;
    while (alternation(y.shape, now).length > MAX_GROUPS) now = now.slice(1);
    y = apply1(op, { axes: now }, y);
    const gone = now;
    left = left.filter((axis) => !gone.includes(axis));
  }
  return reshapeTo(y, keepDims ? shape : x.shape.filter((_, axis) => !sorted.includes(axis)));
}

function reshapeTo(x: Tensor, shape: Shape): Tensor {
  return equal(x.shape, shape) ? x : reshape(x, shape);
}

/**
 * Sum over `axes` (default: all; negative ones count from the end).
 * @returns x without those axes, or with size 1 there (`keepDims`).
 * @throws ShapeError for an axis out of range or a dtype other than f32.
 */
export function sum(x: Tensor, axes?: readonly number[], options: ReduceOptions = {}): Tensor {
  return reduce(sumOp, x, axes, options);
}

/** Arithmetic mean over `axes`; see `sum`. */
export function mean(x: Tensor, axes?: readonly number[], options: ReduceOptions = {}): Tensor {
  const y = sum(x, axes, options);
  const n = size(x.shape) / size(y.shape);
  return n === 1 ? y : mul(y, 1 / n);
}

/** Largest element over `axes`; NaN wins, ties share the gradient equally. See `sum`. */
export function max(x: Tensor, axes?: readonly number[], options: ReduceOptions = {}): Tensor {
  return reduce(maxOp, x, axes, options);
}

/** Smallest element over `axes`; NaN wins, ties share the gradient equally. See `sum`. */
export function min(x: Tensor, axes?: readonly number[], options: ReduceOptions = {}): Tensor {
  return reduce(minOp, x, axes, options);
}

/**
 * Undoes broadcasting: sums x over the axes along which `shape` was stretched to x's shape.
 * @throws ShapeError where `shape` does not broadcast to x's.
 */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((d, axis) =>
    axis < lead || (shape[axis - lead] === 1 && d !== 1) ? [axis] : [],
  );
  const fits = lead >= 0 && shape.every((d, i) => d === 1 || d === x.shape[lead + i]);
  expect(fits, "sumTo", "the shape", show(shape), `broadcast to ${show(x.shape)}`);
  return reshapeTo(axes.length > 0 ? sum(x, axes) : x, shape);
}
