import { conv2dDirect } from "../../shaders/conv2d_direct.wgsl";
import { conv2dPack } from "../../shaders/conv2d_pack.wgsl";
import { type Dispatch, dispatch, linearGrid } from "../gpu/dispatch";
import { type Operand, scratch } from "../graph/node";
import { area, type ConvGeometry, flopsOf, kernelElements, type Pair } from "./conv2d-geometry";
import { addParts } from "./conv2d-tile";

/**
 * What the kernels conv2d_pack and conv2d_direct compute together: a correlation of packed images
 * with packed weights, without borders or divisions. Each of the three products of a convolution
 * is one; the shaders' headers give the equations. Pairs are [rows, columns].
 */
interface Correlation {
  readonly flops: number;

  /** [images, ...size]; `strides` of an image, a row and a column where they are not dense. */
  readonly source: Operand;
  readonly images: number;
  readonly size: Pair;
  readonly strides?: readonly [number, number, number];
  /** Where the packed images begin, and the columns' phases by which they are split. */
  readonly offset: Pair;
  readonly phases: number;
  readonly phaseStep: number;

  /** Image of a result: member · memberImages + group · groupImages + t1 · t1Images. */
  readonly memberImages: number;
  readonly groupImages: number;
  readonly t1Images: number;
  /** Rows of source from a result's row, and from a value of t2, to the next; columns from a tap. */
  readonly rowStep: number;
  readonly termStep: number;
  readonly tapStep: 1 | 2;

  /** Sums run over t1, t2, phases of the term and taps; where in the kernel a term lies. */
  readonly kernel: Operand;
  readonly kernelSize: Pair;
  readonly kernelGroup: number;
  readonly kernelChannel: number;
  readonly kernelT1: number;
  readonly t1: number;
  readonly t2: number;
  readonly termPhases: number;
  readonly taps: number;
  readonly start: Pair;
  readonly direction: Pair;

  /** Results by the remainders of row and column, with weights or with source phases of their own. */
  readonly classes: Pair;
  readonly classesHave: "weights" | "phases";
  /** Rows and columns of a class. */
  readonly extent: Pair;
  readonly result: Operand;
  readonly resultSize: Pair;
  readonly resultMember: number;
  readonly resultGroup: number;
  readonly resultChannel: number;
  readonly members: number;
  readonly groups: number;
  readonly channels: number;
  readonly elements: number;
  /** Whether the sum may be cut into parts that are added afterwards. */
  readonly long: boolean;
}

interface Tile {
  readonly rows: number;
  /** 3 for results that are no wider. */
  readonly columns: 3 | 4 | 8;
  /** In four channels. */
  readonly depth: number;
  readonly rate: number;
}

// Speed against the first, SwiftShader, 3×3 and 7×7 of 16 to 64 channels on 32×32, all of a tile in
// use. Three or four rows of 8 × 8 are faster yet by 5 to 12 %, and take twice as long to compile.
const TILES: readonly Tile[] = [
  { rows: 2, columns: 8, depth: 2, rate: 1 },
  { rows: 4, columns: 8, depth: 1, rate: 0.92 },
  { rows: 4, columns: 4, depth: 2, rate: 0.88 },
  { rows: 2, columns: 8, depth: 1, rate: 0.86 },
  { rows: 3, columns: 3, depth: 2, rate: 0.8 },
  { rows: 2, columns: 4, depth: 2, rate: 0.76 },
  { rows: 1, columns: 8, depth: 2, rate: 0.74 },
  { rows: 1, columns: 8, depth: 1, rate: 0.64 },
  { rows: 1, columns: 4, depth: 2, rate: 0.51 },
];

// Invocations that keep a few cores busy, where a sum may be cut; trips that a loop may make.
const INVOCATIONS = 1024;
const MAX_TRIPS = 32_768;
// The register window of conv2d_direct, and the taps it has lines for.
const WINDOW = 16;
const MAX_TAPS = 9;

const padded = (n: number, unit: number): number => Math.ceil(n / unit) * unit;
const pairs = (f: (axis: 0 | 1) => number): Pair => [f(0), f(1)];

/** The tile with the least work, its unused part included. */
function tileFor(extent: Pair, channels: number): Tile {
  const work = ({ rows, columns, depth, rate }: Tile): number =>
    (padded(extent[0], rows) * padded(extent[1], columns) * padded(channels, 4 * depth)) / rate;
  const fits = TILES.filter((t) => t.columns % 4 === 0 || extent[1] <= t.columns);
  return fits.reduce((best, t) => (work(t) < work(best) ? t : best));
}

/** Taps of one term: all of them, or chunks that begin at a vec4, up to a tenth of them in vain. */
function chunkOf(taps: number, step: number, columns: number): number {
  const most = Math.min(MAX_TAPS, Math.floor((WINDOW - columns) / step) + 1);
  if (taps <= most) return taps;
  const unit = 4 / step;
  const sizes = Array.from({ length: Math.floor(most / unit) }, (_, i) => (i + 1) * unit).reverse();
  return sizes.find((size) => padded(taps, size) <= 1.1 * padded(taps, unit)) ?? unit;
}

/** Terms of a trip round the loop: about 8 taps, unless zeros would have to fill up the last. */
function tripOf(chunk: number, terms: number): number {
  const fits = (t: number): boolean => (t - 1) * chunk < 8 && padded(terms, t) <= 1.05 * terms;
  return [4, 3, 2].find(fits) ?? 1;
}

function correlate(c: Correlation): readonly Dispatch<Operand>[] {
  const tile = tileFor(c.extent, c.channels);
  const chunk = chunkOf(c.taps, c.tapStep, tile.columns);
  const chunks = Math.ceil(c.taps / chunk);
  const pitch = Math.ceil((c.extent[1] + c.tapStep * (chunks * chunk - 1)) / 4);
  const row = c.phases * pitch;
  const rows = (c.extent[0] - 1) * c.rowStep + (c.t2 - 1) * c.termStep + 1;
  // Images a multiple of 1,024 bytes apart would share few lines of the cache.
  const packedH = (rows * row) % 64 === 0 ? rows + 1 : rows;
  const image = packedH * row;

  const tiles = pairs((a) => Math.ceil(c.extent[a] / (a === 0 ? tile.rows : tile.columns)));
  const blocks = Math.ceil(c.channels / (4 * tile.depth));
  const classes = area(c.classes);
  const weightClasses = c.classesHave === "weights" ? classes : 1;
  const liveTerms = c.t1 * c.t2 * c.termPhases * chunks;
  const perTrip = tripOf(chunk, liveTerms);
  const trips = Math.ceil(liveTerms / perTrip);
  const invocations = area(tiles) * c.members * c.groups;
  const wanted = c.long ? Math.ceil(INVOCATIONS / (invocations * blocks * classes)) : 1;
  const partTrips = Math.min(MAX_TRIPS, Math.ceil(trips / wanted));
  const parts = Math.ceil(trips / partTrips);
  const terms = parts * partTrips * perTrip;
  const blockWeights = terms * chunk * tile.depth;

  const sourceRows = c.images * packedH * c.phases;
  const weightTerms = c.groups * weightClasses * blocks * terms;
  const packedSource = scratch(4 * c.images * image);
  const packedWeights = scratch(4 * weightTerms * chunk * tile.depth);
  const packedOffsets = scratch(terms);
  const [packX, packY] = linearGrid((sourceRows + weightTerms + terms) / 64);
  const strides = c.strides ?? [area(c.size), c.size[1], 1];
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
      phases: c.phases,
      pitch,
      step_w: c.phaseStep,
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
      term_phases: c.termPhases,
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
      offset_t2: c.termStep * row,
      offset_chunk: (chunk * c.tapStep) / 4,
    },
    overrides: { TAPS: chunk, DEPTH: tile.depth },
    grid: [packX, packY, 1],
    flops: 4 * (c.images * image + weightTerms * chunk * tile.depth),
  });

  const partial = parts === 1 ? c.result : scratch(parts * c.elements);
  const [x, y] = linearGrid((invocations * parts) / 4);
  const direct = dispatch(conv2dDirect, {
    bind: { source: packedSource, weights: packedWeights, offsets: packedOffsets, result: partial },
    uniforms: {
      tiles_x: tiles[1],
      tiles_y: tiles[0],
      members: c.members,
      groups: c.groups,
      parts,
      terms: partTrips * perTrip,
      row: c.rowStep * row,
      source_member: c.memberImages * image,
      source_group: c.groupImages * image,
      source_class: c.classesHave === "phases" ? pitch : 0,
      weights_group: weightClasses * blocks * blockWeights,
      weights_class: c.classesHave === "weights" ? blocks * blockWeights : 0,
      weights_block: blockWeights,
      channels: c.channels,
      blocks,
      class_columns: c.classes[1],
      step_h: c.classes[0],
      step_w: c.classes[1],
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
      SHIFT: c.tapStep,
    },
    grid: [x, y, blocks * classes],
    flops: c.flops,
  });
  if (parts === 1) return [pack, direct];
  return [pack, direct, addParts(partial, c.result, parts, c.elements)];
}

/** y: column strides become phases, each a correlation of stride 1 with every so many-th tap. */
export function directForward(
  g: ConvGeometry,
  { x, kernel, y }: Readonly<Record<"x" | "kernel" | "y", Operand>>,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  const pixels = area(g.result);
  const phases = Math.min(g.stride[1], g.kernel[1]);
  return correlate({
    flops: flopsOf(g),
    source: x,
    images: g.samples * g.channelsIn,
    size: g.image,
    offset: pairs((a) => -g.pad[a]),
    phases,
    phaseStep: g.stride[1],
    memberImages: g.channelsIn,
    groupImages: g.channelsIn,
    t1Images: 1,
    rowStep: g.stride[0],
    termStep: 1,
    tapStep: 1,
    kernel,
    kernelSize: g.kernel,
    kernelGroup: kernelElements(g),
    kernelChannel: g.channelsIn * taps,
    kernelT1: taps,
    t1: g.channelsIn,
    t2: g.kernel[0],
    termPhases: phases,
    taps: Math.ceil(g.kernel[1] / g.stride[1]),
    start: [0, 0],
    direction: [1, g.stride[1]],
    classes: [1, 1],
    classesHave: "weights",
    extent: g.result,
    result: y,
    resultSize: g.result,
    resultMember: g.channelsOut * pixels,
    resultGroup: g.channelsOut * pixels,
    resultChannel: pixels,
    members: g.perSample ? 1 : g.samples,
    groups: g.perSample ? g.samples : 1,
    channels: g.channelsOut,
    elements: g.samples * g.channelsOut * pixels,
    long: false,
  });
}

/**
 * dx: position h sees the rows q of dy and r of the kernel with q · stride + r = h + pad. Let h be
 * i · stride + a: for each remainder a, q runs upwards and r downwards by the stride from where
 * q = i + last, r = a + pad - last · stride, a correlation of stride 1 for which `count` rows are
 * enough for every a.
 */
export function directInputGradient(
  g: ConvGeometry,
  { dy, kernel, dx }: Readonly<Record<"dy" | "kernel" | "dx", Operand>>,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  const pixels = area(g.image);
  const last = pairs((a) => Math.floor((g.stride[a] - 1 + g.pad[a]) / g.stride[a]));
  const count = pairs((a) => {
    const [s, p, f] = [g.stride[a], g.pad[a], g.kernel[a]];
    const counts = Array.from({ length: s }, (_, h) => {
      const own = Math.ceil((f - ((h + p) % s)) / s);
      return own > 0 ? own + last[a] - Math.floor((h + p) / s) : 0;
    });
    return Math.max(1, ...counts);
  });
  return correlate({
    flops: flopsOf(g),
    source: dy,
    images: g.samples * g.channelsOut,
    size: g.result,
    offset: pairs((a) => last[a] - count[a] + 1),
    phases: 1,
    phaseStep: 1,
    memberImages: g.channelsOut,
    groupImages: g.channelsOut,
    t1Images: 1,
    rowStep: 1,
    termStep: 1,
    tapStep: 1,
    kernel,
    kernelSize: g.kernel,
    kernelGroup: kernelElements(g),
    kernelChannel: taps,
    kernelT1: g.channelsIn * taps,
    t1: g.channelsOut,
    t2: count[0],
    termPhases: 1,
    taps: count[1],
    start: pairs((a) => g.pad[a] + g.stride[a] * (count[a] - 1 - last[a])),
    direction: pairs((a) => -g.stride[a]),
    classes: g.stride,
    classesHave: "weights",
    extent: pairs((a) => Math.ceil(g.image[a] / g.stride[a])),
    result: dx,
    resultSize: g.image,
    resultMember: g.channelsIn * pixels,
    resultGroup: g.channelsIn * pixels,
    resultChannel: pixels,
    members: g.perSample ? 1 : g.samples,
    groups: g.perSample ? g.samples : 1,
    channels: g.channelsIn,
    elements: g.samples * g.channelsIn * pixels,
    long: false,
  });
}

/**
 * dkernel: x correlated with dy as with a kernel, samples in the place of channels and input
 * channels in that of samples. A column stride of 2 is a step of the taps, a larger one phases.
 */
export function directKernelGradient(
  g: ConvGeometry,
  { x, dy, dkernel }: Readonly<Record<"x" | "dy" | "dkernel", Operand>>,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  const pixels = area(g.result);
  const groups = g.perSample ? g.samples : 1;
  const [, stride] = g.stride;
  const phases = stride > 2 ? Math.min(stride, g.kernel[1]) : 1;
  const general: Correlation = {
    flops: flopsOf(g),
    source: x,
    images: g.samples * g.channelsIn,
    size: g.image,
    offset: pairs((a) => -g.pad[a]),
    phases,
    phaseStep: stride > 2 ? stride : 1,
    memberImages: 1,
    groupImages: g.channelsIn,
    t1Images: g.channelsIn,
    rowStep: 1,
    termStep: g.stride[0],
    tapStep: stride === 2 ? 2 : 1,
    kernel: dy,
    kernelSize: g.result,
    kernelGroup: g.channelsOut * pixels,
    kernelChannel: pixels,
    kernelT1: g.channelsOut * pixels,
    t1: g.samples / groups,
    t2: g.result[0],
    termPhases: 1,
    taps: g.result[1],
    start: [0, 0],
    direction: [1, 1],
    classes: [1, phases],
    classesHave: "phases",
    extent: [g.kernel[0], Math.ceil(g.kernel[1] / phases)],
    result: dkernel,
    resultSize: g.kernel,
    resultMember: taps,
    resultGroup: kernelElements(g),
    resultChannel: g.channelsIn * taps,
    members: g.channelsIn,
    groups,
    channels: g.channelsOut,
    elements: groups * kernelElements(g),
    long: true,
  };
  const pointwise = taps * area(g.stride) === 1 && area(g.image) === pixels && g.pad[0] === 0;
  if (!pointwise || g.pad[1] !== 0) return correlate(general);
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
