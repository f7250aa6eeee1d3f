import { conv2dDirect } from "../../shaders/conv2d_direct.wgsl";
import { conv2dPack } from "../../shaders/conv2d_pack.wgsl";
import { type Dispatch, dispatch, linearGrid } from "../gpu/dispatch";
import { type Operand, scratch } from "../graph/node";
import { area, type ConvGeometry, flopsOf, kernelElements, type Pair } from "./conv2d-geometry";
import { addParts } from "./conv2d-tile";

/**
 * What the kernels conv2d_pack and conv2d_direct compute together: a correlation of stride 1
 * without borders, of packed images with packed weights. Each of the three products of a
 * convolution is one.
 */
interface Correlation {
  /** [images, ...size], packed to phases [images, ...phases] by step and offset. */
  readonly source: Operand;
  readonly images: number;
  readonly size: Pair;
  readonly phases: Pair;
  readonly step: Pair;
  readonly offset: Pair;
  /** Elements of source from one image, row, column to the next; default: without gaps. */
  readonly strides?: readonly [number, number, number];
  /** Images from one value of the index to the next. */
  readonly memberImages: number;
  readonly groupImages: number;
  readonly t1Images: number;

  /** Terms (t1, t2, phase of columns) and columns of taps; row and column in the filter. */
  readonly kernel: Operand;
  readonly kernelSize: Pair;
  readonly t1: number;
  readonly t2: number;
  /** t2 = packed row · termStep + row phase. */
  readonly termStep: number;
  readonly termColumns: number;
  readonly taps: number;
  readonly start: Pair;
  readonly direction: Pair;
  readonly kernelGroup: number;
  readonly kernelChannel: number;
  readonly kernelT1: number;

  /** Classes of rows and columns with weights (or else source phases) of their own. */
  readonly classes: Pair;
  readonly classesHave: "weights" | "phases";
  /** Rows and columns of a class. */
  readonly extent: Pair;
  readonly result: Operand;
  readonly resultSize: Pair;
  readonly resultStep: Pair;
  readonly resultOrigin: Pair;
  readonly resultMember: number;
  readonly resultGroup: number;
  readonly resultChannel: number;
  readonly channels: number;
  readonly members: number;
  readonly groups: number;
  /** Whether the sum over terms is long enough to be cut into parts, added afterwards. */
  readonly long: boolean;
  readonly elements: number;
  readonly flops: number;
}

interface Tile {
  readonly rows: number;
  /** 3 for results that are no wider. */
  readonly columns: 3 | 4 | 8;
  readonly depth: number;
  /** Measured speed with all of the tile in use, against the first. */
  readonly rate: number;
}

const TILES: readonly Tile[] = [
  { rows: 2, columns: 8, depth: 2, rate: 1 },
  { rows: 4, columns: 8, depth: 1, rate: 0.92 },
  { rows: 4, columns: 4, depth: 2, rate: 0.88 },
  { rows: 2, columns: 8, depth: 1, rate: 0.86 },
  { rows: 3, columns: 3, depth: 2, rate: 0.8 },
  { rows: 3, columns: 4, depth: 2, rate: 0.82 },
  { rows: 2, columns: 4, depth: 2, rate: 0.76 },
  { rows: 1, columns: 8, depth: 2, rate: 0.74 },
  { rows: 1, columns: 8, depth: 1, rate: 0.64 },
  { rows: 1, columns: 4, depth: 2, rate: 0.51 },
];

const pad = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** The tile with the least work, its unused part included. */
function tileFor(extent: Pair, channels: number): Tile {
  const work = (t: Tile): number =>
    (pad(extent[0], t.rows) * pad(extent[1], t.columns) * pad(channels, 4 * t.depth)) / t.rate;
  const fits = TILES.filter((t) => t.columns % 4 === 0 || extent[1] <= t.columns);
  return fits.reduce((best, t) => (work(t) < work(best) ? t : best));
}

/** Columns of taps as chunks of 1 to 9, or of whole vec4 where there are several. */
function chunksOf(taps: number): { chunk: number; chunks: number } {
  if (taps <= 9) return { chunk: taps, chunks: 1 };
  const chunk = pad(taps, 8) <= 1.1 * pad(taps, 4) ? 8 : 4;
  return { chunk, chunks: Math.ceil(taps / chunk) };
}

/** Terms of a trip round the loop: about 8 taps, unless terms of zeros would have to fill it up. */
function tripOf(chunk: number, terms: number): number {
  const fits = [4, 3, 2].filter((t) => t <= Math.ceil(8 / chunk) && pad(terms, t) <= 1.05 * terms);
  return fits[0] ?? 1;
}

const WANTED_INVOCATIONS = 1024;
const MAX_TRIPS = 32_768;

function correlate(c: Correlation): readonly Dispatch<Operand>[] {
  const tile = tileFor(c.extent, c.channels);
  const { chunk, chunks } = chunksOf(c.taps);
  const liveTerms = c.t1 * c.t2 * c.termColumns * chunks;
  const perTrip = tripOf(chunk, liveTerms);
  const columns = c.extent[1];
  const strides = c.strides ?? [area(c.size), c.size[1], 1];
  const pitch = Math.ceil((columns + chunks * chunk - 1) / 4);
  const rows = c.extent[0] + Math.ceil(c.t2 / c.termStep) - 1;
  // Planes 1,024 bytes or a multiple apart would share few lines of the cache.
  const packedH = (rows * pitch) % 64 === 0 ? rows + 1 : rows;
  const plane = packedH * pitch;
  const image = area(c.phases) * plane;
  const tilesX = Math.ceil(columns / tile.columns);
  const tilesY = Math.ceil(c.extent[0] / tile.rows);
  const blocks = Math.ceil(c.channels / (4 * tile.depth));
  const classes = area(c.classes);
  const weightClasses = c.classesHave === "weights" ? classes : 1;

  const invocations = tilesX * tilesY * c.members * c.groups;
  const wantedParts = c.long ? Math.ceil(WANTED_INVOCATIONS / (invocations * blocks * classes)) : 1;
  const trips = Math.ceil(liveTerms / perTrip);
  const tripsPerPart = Math.min(MAX_TRIPS, Math.ceil(trips / wantedParts));
  const parts = Math.ceil(trips / tripsPerPart);
  const partTerms = tripsPerPart * perTrip;
  const terms = partTerms * parts;
  const termWeights = chunk * tile.depth;

  const packedSource = scratch(4 * c.images * image);
  const packedWeights = scratch(4 * c.groups * weightClasses * blocks * terms * termWeights);
  const packedOffsets = scratch(terms);
  const sourceRows = c.images * area(c.phases) * packedH;
  const weightTerms = c.groups * weightClasses * blocks * terms;
  const [packX, packY] = linearGrid((sourceRows + weightTerms + terms) / 64);
  const pack = dispatch(conv2dPack, {
    bind: {
      source: c.source,
      kernel: c.kernel,
      packed_source: packedSource,
      packed_weights: packedWeights,
      packed_offsets: packedOffsets,
    },
    uniforms: {
      source_rows: sourceRows,
      packed_h: packedH,
      pitch,
      phases: area(c.phases),
      phase_columns: c.phases[1],
      step_h: c.step[0],
      step_w: c.step[1],
      offset_h: c.offset[0],
      offset_w: c.offset[1],
      source_h: c.size[0],
      source_w: c.size[1],
      source_image: strides[0],
      source_row: strides[1],
      source_column: strides[2],
      weight_terms: weightTerms,
      classes: weightClasses,
      class_columns: c.classes[1],
      blocks,
      terms,
      live_terms: liveTerms,
      chunks,
      term_columns: c.termColumns,
      term_rows: c.t2,
      y0: c.start[0],
      y_term: c.direction[0],
      x0: c.start[1],
      x_tap: c.direction[1],
      kernel_h: c.kernelSize[0],
      kernel_w: c.kernelSize[1],
      channels: c.channels,
      kernel_group: c.kernelGroup,
      kernel_channel: c.kernelChannel,
      kernel_t1: c.kernelT1,
      offset_t1: c.t1Images * image,
      offset_phase: plane,
      term_step: c.termStep,
    },
    overrides: { TAPS: chunk, DEPTH: tile.depth },
    grid: [packX, packY, 1],
    flops: 4 * (c.images * image + weightTerms * termWeights),
  });

  const partial = parts === 1 ? c.result : scratch(parts * c.elements);
  const [x, y] = linearGrid((invocations * parts) / 4);
  const direct = dispatch(conv2dDirect, {
    bind: { source: packedSource, weights: packedWeights, offsets: packedOffsets, result: partial },
    uniforms: {
      tiles_x: tilesX,
      tiles_y: tilesY,
      members: c.members,
      groups: c.groups,
      parts,
      terms: partTerms,
      pitch,
      source_member: c.memberImages * image,
      source_group: c.groupImages * image,
      source_class: c.classesHave === "phases" ? plane : 0,
      weights_group: weightClasses * blocks * terms * termWeights,
      weights_class: c.classesHave === "weights" ? blocks * terms * termWeights : 0,
      weights_block: terms * termWeights,
      channels: c.channels,
      blocks,
      class_columns: c.classes[1],
      step_h: c.resultStep[0],
      step_w: c.resultStep[1],
      origin_h: c.resultOrigin[0],
      origin_w: c.resultOrigin[1],
      height: c.resultSize[0],
      width: c.resultSize[1],
      result_part: c.elements,
      result_group: c.resultGroup,
      result_member: c.resultMember,
      result_channel: c.resultChannel,
    },
    overrides: {
      TAPS: chunk,
      TERMS: perTrip,
      ROWS: tile.rows,
      COLUMNS: tile.columns,
      DEPTH: tile.depth,
    },
    grid: [x, y, blocks * classes],
    flops: c.flops,
  });
  return parts === 1
    ? [pack, direct]
    : [pack, direct, addParts(partial, c.result, parts, c.elements)];
}

const pairs = (f: (axis: 0 | 1) => number): Pair => [f(0), f(1)];

/** y: the phases of x by the stride, as further channels, make it a correlation of stride 1. */
export function directForward(
  g: ConvGeometry,
  { x, kernel, y }: Readonly<Record<"x" | "kernel" | "y", Operand>>,
): readonly Dispatch<Operand>[] {
  const phases = pairs((a) => Math.min(g.stride[a], g.kernel[a]));
  const taps = area(g.kernel);
  return correlate({
    source: x,
    images: g.samples * g.channelsIn,
    size: g.image,
    phases,
    step: g.stride,
    offset: pairs((a) => -g.pad[a]),
    memberImages: g.channelsIn,
    groupImages: g.channelsIn,
    t1Images: 1,
    kernel,
    kernelSize: g.kernel,
    t1: g.channelsIn,
    t2: g.kernel[0],
    termStep: g.stride[0],
    termColumns: phases[1],
    taps: Math.ceil(g.kernel[1] / g.stride[1]),
    start: [0, 0],
    direction: [1, g.stride[1]],
    kernelGroup: kernelElements(g),
    kernelChannel: g.channelsIn * taps,
    kernelT1: taps,
    classes: [1, 1],
    classesHave: "weights",
    extent: g.result,
    result: y,
    resultSize: g.result,
    resultStep: [1, 1],
    resultOrigin: [0, 0],
    resultMember: g.channelsOut * area(g.result),
    resultGroup: g.channelsOut * area(g.result),
    resultChannel: area(g.result),
    channels: g.channelsOut,
    members: g.perSample ? 1 : g.samples,
    groups: g.perSample ? g.samples : 1,
    long: false,
    elements: g.samples * g.channelsOut * area(g.result),
    flops: flopsOf(g),
  });
}

/**
 * dx: position h of x sees the rows q of dy and r of the kernel with q · stride + r = h + pad. By
 * the remainder a of h + pad it is a correlation of stride 1 of dy with rows a, a + stride, … of
 * the kernel, last one first: a class for each remainder.
 */
export function directInputGradient(
  g: ConvGeometry,
  { dy, kernel, dx }: Readonly<Record<"dy" | "kernel" | "dx", Operand>>,
): readonly Dispatch<Operand>[] {
  const count = pairs((a) => Math.ceil(g.kernel[a] / g.stride[a]));
  const first = pairs((a) => Math.floor(g.pad[a] / g.stride[a]));
  const last = pairs((a) => Math.floor((g.image[a] - 1 + g.pad[a]) / g.stride[a]));
  const taps = area(g.kernel);
  return correlate({
    source: dy,
    images: g.samples * g.channelsOut,
    size: g.result,
    phases: [1, 1],
    step: [1, 1],
    offset: pairs((a) => first[a] - count[a] + 1),
    memberImages: g.channelsOut,
    groupImages: g.channelsOut,
    t1Images: 1,
    kernel,
    kernelSize: g.kernel,
    t1: g.channelsOut,
    t2: count[0],
    termStep: 1,
    termColumns: 1,
    taps: count[1],
    start: pairs((a) => g.stride[a] * (count[a] - 1)),
    direction: pairs((a) => -g.stride[a]),
    kernelGroup: kernelElements(g),
    kernelChannel: taps,
    kernelT1: g.channelsIn * taps,
    classes: g.stride,
    classesHave: "weights",
    extent: pairs((a) => last[a] - first[a] + 1),
    result: dx,
    resultSize: g.image,
    resultStep: g.stride,
    resultOrigin: pairs((a) => g.stride[a] * first[a] - g.pad[a]),
    resultMember: g.channelsIn * area(g.image),
    resultGroup: g.channelsIn * area(g.image),
    resultChannel: area(g.image),
    channels: g.channelsIn,
    members: g.perSample ? 1 : g.samples,
    groups: g.perSample ? g.samples : 1,
    long: false,
    elements: g.samples * g.channelsIn * area(g.image),
    flops: flopsOf(g),
  });
}

/**
 * dkernel: x correlated with dy as with a kernel, samples in the place of channels and input
 * channels in the place of samples; tap r lies at phase r mod stride of x.
 */
export function directKernelGradient(
  g: ConvGeometry,
  { x, dy, dkernel }: Readonly<Record<"x" | "dy" | "dkernel", Operand>>,
): readonly Dispatch<Operand>[] {
  const phases = pairs((a) => Math.min(g.stride[a], g.kernel[a]));
  const pixels = area(g.result);
  const groups = g.perSample ? g.samples : 1;
  const general: Correlation = {
    source: x,
    images: g.samples * g.channelsIn,
    size: g.image,
    phases,
    step: g.stride,
    offset: pairs((a) => -g.pad[a]),
    memberImages: 1,
    groupImages: g.channelsIn,
    t1Images: g.channelsIn,
    kernel: dy,
    kernelSize: g.result,
    t1: g.samples / groups,
    t2: g.result[0],
    termStep: 1,
    termColumns: 1,
    taps: g.result[1],
    start: [0, 0],
    direction: [1, 1],
    kernelGroup: g.channelsOut * pixels,
    kernelChannel: pixels,
    kernelT1: g.channelsOut * pixels,
    classes: phases,
    classesHave: "phases",
    extent: pairs((a) => Math.ceil(g.kernel[a] / g.stride[a])),
    result: dkernel,
    resultSize: g.kernel,
    resultStep: g.stride,
    resultOrigin: [0, 0],
    resultMember: area(g.kernel),
    resultGroup: kernelElements(g),
    resultChannel: g.channelsIn * area(g.kernel),
    channels: g.channelsOut,
    members: g.channelsIn,
    groups,
    long: true,
    elements: groups * kernelElements(g),
    flops: flopsOf(g),
  };
  const pointwise = area(g.kernel) * area(g.stride) === 1 && g.pad[0] + g.pad[1] === 0;
  if (!pointwise || area(g.image) !== pixels) return correlate(general);
  // A 1×1 kernel is a matrix: x transposed to rows of channels makes the input channels columns of
  // one result, where otherwise each were a result of one pixel.
  return correlate({
    ...general,
    images: g.samples,
    size: [pixels, g.channelsIn],
    strides: [g.channelsIn * pixels, 1, pixels],
    groupImages: 1,
    t1Images: 1,
    kernelSize: [pixels, 1],
    t2: pixels,
    taps: 1,
    extent: [1, g.channelsIn],
    resultSize: [1, g.channelsIn],
    members: 1,
  });
}
