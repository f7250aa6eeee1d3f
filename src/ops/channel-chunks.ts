import { MAX_LOOP_TRIPS, MAX_TRIPS, type Target } from "../gpu/dispatch";
import { expect, expectType } from "../graph/expect";
import { show, size, type TensorType } from "../graph/shape";

/**
 * How kernels that normalise channels share the elements of a channel among workgroups, and those of
 * a workgroup among its lanes.
 */

/** x [N, C, ...] as N images of C planes, each of `area` elements. */
export interface Planes {
  readonly images: number;
  readonly channels: number;
  readonly area: number;
}

/** A chunk is up to `span` images by `piece` elements of their planes; a workgroup does one. */
export interface ChannelCut {
  readonly overrides: Readonly<Record<"LANES" | "ACROSS" | "VECTORS", number>>;
  readonly uniforms: Planes & Readonly<Record<"span" | "piece" | "pieces" | "chunks", number>>;
  /** Loops of a lane over its chunk. */
  readonly trips: number;
  readonly longestLoop: number;
}

// Workgroups that keep an adapter busy, and elements of a chunk below which more of them cost more
// than they bring: each merges all chunks of its channel once more.
const WORKGROUPS = { software: 64, gpu: 1024 } as const;
const FEWEST_ELEMENTS = { software: 2048, gpu: 4096 } as const;
const MAX_CHUNKS = 64;
// As in layer norm: a software adapter wants as few lanes as fill its vector registers.
const FEWEST_LANES = { software: 4, gpu: 64 } as const;
const MAX_LANES = 256;

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** The cut into at most `chunks` for each channel. */
function cut({ images, channels, area }: Planes, chunks: number, lanes: number): ChannelCut {
  const step = area % 4 === 0 ? 4 : 1;
  const loads = area / step;
  const across = Math.min(lanes, powerOfTwo(loads));
  const rows = lanes / across;
  const span = Math.ceil(images / chunks / rows) * rows;
  const blocks = Math.ceil(images / span);
  const along = Math.ceil(loads / Math.max(1, Math.floor(chunks / blocks)) / across) * across;
  const pieces = Math.ceil(loads / along);
  const [down, over] = [Math.ceil(span / rows), Math.ceil(Math.min(along, loads) / across)];
  return {
    overrides: { LANES: lanes, ACROSS: across, VECTORS: Number(step === 4) },
    uniforms: {
      images,
      channels,
      area,
      span,
      piece: along * step,
      pieces,
      chunks: blocks * pieces,
    },
    trips: down * (2 + over) + 1,
    longestLoop: Math.max(down, over),
  };
}

/** What a dispatch states of its loops: over its chunk, and over the lanes or the chunks. */
export function chunkTrips(
  { overrides, uniforms, trips, longestLoop }: ChannelCut,
  sum: "lanes" | "chunks",
): { readonly trips: number; readonly longestLoop: number } {
  const loop = sum === "lanes" ? Math.log2(overrides.LANES) : uniforms.chunks;
  return { trips: trips + loop + 1, longestLoop: Math.max(longestLoop, loop) };
}

function fits(made: ChannelCut): boolean {
  return (["lanes", "chunks"] as const).every((sum) => {
    const { trips, longestLoop } = chunkTrips(made, sum);
    return trips <= MAX_TRIPS && longestLoop <= MAX_LOOP_TRIPS;
  });
}

/** The cut for an adapter: more chunks, then more lanes, where a lane's loops would be too long. */
export function cutChannels(planes: Planes, adapter: Target["adapter"]): ChannelCut {
  const { images, channels, area } = planes;
  const elements = images * area;
  const wanted = Math.ceil(WORKGROUPS[adapter] / channels);
  let chunks = Math.min(MAX_CHUNKS, wanted, Math.ceil(elements / FEWEST_ELEMENTS[adapter]));
  // A GPU gets a lane for each load of a chunk, as far as there are lanes.
  const loads = area % 4 === 0 ? elements / 4 : elements;
  const share = adapter === "gpu" ? powerOfTwo(Math.ceil(loads / chunks)) : 1;
  let lanes = Math.min(MAX_LANES, Math.max(FEWEST_LANES[adapter], share));
  for (;;) {
    const made = cut(planes, chunks, lanes);
    if (fits(made) || (chunks === MAX_CHUNKS && lanes === MAX_LANES)) return made;
    if (chunks < MAX_CHUNKS) chunks = Math.min(MAX_CHUNKS, 2 * chunks);
    else lanes *= 2;
  }
}

/**
 * The planes of x, f32 [N, C, ...].
 * @throws ShapeError where x is not that, or has more elements for a channel than loops may take.
 */
export function expectPlanes(op: string, x: TensorType): Planes {
  expectType(op, "x", x);
  const [images = 0, channels = 0, ...rest] = x.shape;
  expect(x.shape.length > 1, op, "x", show(x.shape), "be [N, C] or [N, C, ...] with channels C");
  const planes = { images, channels, area: size(rest) };
  const must = "not be too much for the loops of its workgroups; use a smaller batch or image";
  expect(fits(cut(planes, MAX_CHUNKS, MAX_LANES)), op, "x", show(x.shape), must);
  return planes;
}
