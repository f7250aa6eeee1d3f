import { conv2dDirect, conv2dDirectSubgroups } from "../../shaders/conv2d_direct.wgsl";
import { conv2dPack } from "../../shaders/conv2d_pack.wgsl";
import { type Dispatch, dispatch, linearGrid, MAX_LOOP_TRIPS } from "../gpu/dispatch";
import { type Operand, scratch } from "../graph/node";
import { area, type Pair, pairs } from "./conv2d-geometry";
import { addParts } from "./conv2d-tile";
import { type ConvChoice, directTile, QUAD_SIDE } from "./conv2d-variants";

/**
 * What the kernels conv2d_pack and conv2d_direct compute together: a correlation of packed images
 * with packed weights, without borders or divisions. Each of the three products of a convolution
 * is one; the shaders' headers give the equations. Pairs are [rows, columns].
 */
export interface Correlation {
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

// Invocations that keep a few cores busy, where a sum may be cut.
const INVOCATIONS = 1024;
// The register window of conv2d_direct, and the taps it has lines for.
const WINDOW = 16;
const MAX_TAPS = 9;

const padded = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

// Taps in vain that chunks may have: up to a seventh, so that 7 and 28 taps take the kernel of 8, and
// the products of a convolution share what is dear to compile.
const MOST_PADDING = 8 / 7;

/** Taps of one term: chunks that begin at a vec4, the longest that fit; else all of them, or the least. */
function chunkOf(taps: number, step: number, columns: number): number {
  const most = Math.min(MAX_TAPS, Math.floor((WINDOW - columns) / step) + 1);
  const unit = 4 / step;
  const sizes = Array.from({ length: Math.floor(most / unit) }, (_, i) => (i + 1) * unit).reverse();
  const fitting = sizes.find((size) => padded(taps, size) <= MOST_PADDING * taps);
  return fitting ?? (taps <= most ? taps : unit);
}

/** Terms of a trip round the loop, as the kernel has lines for, unless zeros would fill up the last. */
function tripOf(chunk: number, terms: number): number {
  const sizes = chunk === 1 ? [4, 3, 2] : chunk <= 3 ? [2] : [];
  return sizes.find((t) => padded(terms, t) <= 1.05 * terms) ?? 1;
}

/** The dispatches of a correlation: packing, the product, and the sum of its parts if there are any. */
export function correlate(c: Correlation, choice: ConvChoice): readonly Dispatch<Operand>[] {
  const tile = directTile(choice, c.extent, c.channels);
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
  const side = choice.kernel === "quad" ? QUAD_SIDE : 1;
  // Of each group: its tiles two by two, in all blocks of channels likewise.
  const invocations = Math.ceil((area(tiles) * c.members) / side) * c.groups;
  const gridBlocks = Math.ceil(blocks / side);
  const wanted = c.long
    ? Math.ceil(INVOCATIONS / (invocations * gridBlocks * classes * side ** 2))
    : 1;
  const partTrips = Math.min(MAX_LOOP_TRIPS, Math.ceil(trips / wanted));
  const parts = Math.ceil(trips / partTrips);
  const terms = parts * partTrips * perTrip;
  const blockWeights = terms * chunk * tile.depth;

  const pieces = Math.ceil(pitch / MAX_LOOP_TRIPS);
  const piece = Math.ceil(pitch / pieces);
  const sourcePieces = c.images * packedH * c.phases * pieces;
  const weightTerms = c.groups * weightClasses * blocks * terms;
  const packedSource = scratch(4 * c.images * image);
  const packedWeights = scratch(4 * weightTerms * chunk * tile.depth);
  const packedOffsets = scratch(terms);
  const [packX, packY] = linearGrid(
    (sourcePieces + weightTerms + terms) / conv2dPack.overrides.WORKGROUP,
  );
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
      source_pieces: sourcePieces,
      pieces,
      piece,
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
      taps: chunk,
      depth: tile.depth,
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
    grid: [packX, packY, 1],
    flops: 4 * (c.images * image + weightTerms * chunk * tile.depth),
    trips: Math.max(piece, chunk * (tile.depth + 2)) + 1,
  });

  const partial = parts === 1 ? c.result : scratch(parts * c.elements);
  const [x, y] = linearGrid(
    side > 1 ? invocations * parts : (invocations * parts) / conv2dDirect.overrides.WORKGROUP,
  );
  const direct = dispatch(side > 1 ? conv2dDirectSubgroups : conv2dDirect, {
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
    grid: [x, y, gridBlocks * classes],
    flops: c.flops,
    // The sum, then the tile's pixels for each vec4 of channels, and these.
    trips: partTrips + 16 * tile.rows * (2 + 4) + 2,
    longestLoop: Math.max(partTrips, 16 * tile.rows),
  });
  if (parts === 1) return [pack, direct];
  return [pack, direct, addParts(partial, c.result, parts, c.elements)];
}
