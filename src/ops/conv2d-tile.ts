import { conv2dKernelGradientSum } from "../../shaders/conv2d_kernel_gradient_sum.wgsl";
import { conv2dKernelGradientTile } from "../../shaders/conv2d_kernel_gradient_tile.wgsl";
import { conv2dTile } from "../../shaders/conv2d_tile.wgsl";
import { type Dispatch, dispatch, linearGrid, MAX_TRIPS } from "../gpu/dispatch";
import { type Operand, scratch } from "../graph/node";
import { area, type ConvGeometry, flopsOf, kernelElements, type Pair } from "./conv2d-geometry";
import { type ConvChoice, threadsOf } from "./conv2d-variants";

/** The dispatches of y = x ∗ kernel. */
export function tileForward(
  g: ConvGeometry,
  { x, kernel, y }: Readonly<Record<"x" | "kernel" | "y", Operand>>,
  choice: ConvChoice,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  return tile(
    g,
    { source: x, kernel, result: y },
    g.channelsOut,
    g.channelsIn,
    g.image,
    g.result,
    {
      step_h: g.stride[0],
      step_w: g.stride[1],
      sign: 1,
      offset_h: -g.pad[0],
      offset_w: -g.pad[1],
      kernel_row: g.channelsIn * taps,
      kernel_channel: taps,
    },
    [1, 1],
    choice,
  );
}

/** The dispatches of dx from dy and the kernel. */
export function tileInputGradient(
  g: ConvGeometry,
  { dy, kernel, dx }: Readonly<Record<"dy" | "kernel" | "dx", Operand>>,
  choice: ConvChoice,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  return tile(
    g,
    { source: dy, kernel, result: dx },
    g.channelsIn,
    g.channelsOut,
    g.result,
    g.image,
    {
      step_h: 1,
      step_w: 1,
      sign: -1,
      offset_h: g.pad[0],
      offset_w: g.pad[1],
      kernel_row: taps,
      kernel_channel: g.channelsIn * taps,
    },
    g.stride,
    choice,
  );
}

interface Walk {
  readonly step_h: number;
  readonly step_w: number;
  readonly sign: number;
  readonly offset_h: number;
  readonly offset_w: number;
  readonly kernel_row: number;
  readonly kernel_channel: number;
}

// Parts of a kernel gradient: enough workgroups for any GPU, 256 pixels each at least.
const WORKGROUPS = 256;
const SHORTEST_PART = 256;

/** Terms that one trip of the loop over them takes: TILE_K of the shaders. */
const STEP = 16;

/** A cut of a sum of `terms` whose trips, each with `inner` ones, no invocation makes too many of. */
function cut(terms: number, inner: number, wanted: number): { parts: number; length: number } {
  const most = STEP * Math.floor((MAX_TRIPS - STORE_TRIPS) / (1 + inner));
  const length = Math.min(most, STEP * Math.ceil(terms / wanted / STEP));
  return { parts: Math.ceil(terms / length), length };
}

/** The end of the loop over steps, and the loops that store 16 values. */
const STORE_TRIPS = 1 + 4 * (4 + 1);

function tile(
  g: ConvGeometry,
  bind: Readonly<Record<"source" | "kernel" | "result", Operand>>,
  rows: number,
  channels: number,
  source: Pair,
  result: Pair,
  walk: Walk,
  divisor: Pair,
  choice: ConvChoice,
): readonly Dispatch<Operand>[] {
  const [threadsM, threadsN] = threadsOf(choice);
  const groups = g.perSample ? g.samples : 1;
  const samplesPerGroup = g.samples / groups;
  const tiles = Math.ceil((samplesPerGroup * area(result)) / (4 * threadsN));
  // A step loads patches and weights and goes through its terms.
  const inner = Math.ceil((4 * STEP) / threadsM) + Math.ceil(STEP / threadsN) + STEP + 3;
  const { parts, length } = cut(channels * area(g.kernel), inner, 1);
  const elements = g.samples * rows * area(result);
  const partial = parts === 1 ? bind.result : scratch(parts * elements);
  const [x, y] = linearGrid(parts * groups * tiles);
  const product = dispatch(conv2dTile, {
    bind: { ...bind, result: partial },
    uniforms: {
      groups,
      samples_per_group: samplesPerGroup,
      rows,
      channels,
      source_h: source[0],
      source_w: source[1],
      result_h: result[0],
      result_w: result[1],
      ...walk,
      divisor_h: divisor[0],
      divisor_w: divisor[1],
      kernel_group: kernelElements(g),
      tiles,
      parts,
      part_terms: length,
    },
    overrides: {
      THREADS_M: threadsM,
      THREADS_N: threadsN,
      KERNEL_H: g.kernel[0],
      KERNEL_W: g.kernel[1],
      DIVIDED: area(divisor) > 1 ? 1 : 0,
    },
    grid: [x, y, Math.ceil(rows / (4 * threadsM))],
    flops: flopsOf(g),
    trips: (length / STEP) * (1 + inner) + STORE_TRIPS,
    longestLoop: Math.max(length / STEP, STEP),
  });
  if (parts === 1) return [product];
  return [product, addParts(partial, bind.result, parts, elements)];
}

/** The dispatches of dkernel from x and dy. */
export function tileKernelGradient(
  g: ConvGeometry,
  { x, dy, dkernel }: Readonly<Record<"x" | "dy" | "dkernel", Operand>>,
  choice: ConvChoice,
): readonly Dispatch<Operand>[] {
  const [threadsM, threadsN] = threadsOf(choice);
  const groups = g.perSample ? g.samples : 1;
  const groupPixels = (g.samples / groups) * area(g.result);
  const columns = g.channelsIn * area(g.kernel);
  const tiles = Math.ceil(g.channelsOut / (4 * threadsM)) * Math.ceil(columns / (4 * threadsN));
  const elements = g.channelsOut * columns;
  const wanted = Math.ceil(WORKGROUPS / (tiles * groups));
  const inner = Math.ceil(STEP / threadsN) + Math.ceil((4 * STEP) / threadsM) + STEP + 3;
  const most = Math.max(1, Math.floor(groupPixels / SHORTEST_PART));
  const { parts, length } = cut(groupPixels, inner, Math.min(wanted, most));
  const partial = parts === 1 ? dkernel : scratch(groups * parts * elements);
  const [gridX, gridY] = linearGrid(groups * parts);
  const product = dispatch(conv2dKernelGradientTile, {
    bind: { x, dy, partial },
    uniforms: {
      slices: parts * groups,
      groups,
      part_pixels: length,
      group_pixels: groupPixels,
      samples_per_group: g.samples / groups,
      rows: g.channelsOut,
      channels: g.channelsIn,
      image_h: g.image[0],
      image_w: g.image[1],
      result_h: g.result[0],
      result_w: g.result[1],
      stride_h: g.stride[0],
      stride_w: g.stride[1],
      pad_h: g.pad[0],
      pad_w: g.pad[1],
    },
    overrides: {
      THREADS_M: threadsM,
      THREADS_N: threadsN,
      KERNEL_H: g.kernel[0],
      KERNEL_W: g.kernel[1],
    },
    grid: [gridX, gridY, tiles],
    flops: flopsOf(g),
    trips: (length / STEP) * (1 + inner) + STORE_TRIPS,
    longestLoop: Math.max(length / STEP, STEP),
  });
  if (parts === 1) return [product];
  return [product, addParts(partial, dkernel, parts, groups * elements)];
}

/** Adds `parts` partial results of `elements` values each. */
export function addParts(
  partial: Operand,
  dkernel: Operand,
  parts: number,
  elements: number,
): Dispatch<Operand> {
  const [x, y] = linearGrid(elements / conv2dKernelGradientSum.overrides.WORKGROUP);
  return dispatch(conv2dKernelGradientSum, {
    bind: { partial, dkernel },
    uniforms: { parts, elements },
    grid: [x, y, 1],
    flops: parts * elements,
    trips: parts + 1,
  });
}
