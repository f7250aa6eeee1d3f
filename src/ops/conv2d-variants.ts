import type { Target } from "../gpu/dispatch";
import { type Pair, pairs } from "./conv2d-geometry";
import {
  type Choice,
  expectWorkgroup,
  pick,
  type VARIANT_KERNELS,
  type VariantTable,
} from "./variants";

/**
 * Kernel by class of adapter and number of channels of the result: packed rows without workgroup
 * memory for software adapters, with subgroups in quads that share loads, implicit GEMM in workgroup tiles for GPUs, wide ones for few
 * channels. Of the direct kernel's tiles the one with the least work at its rate is taken.
 */
export const conv2dVariants: VariantTable = {
  op: "conv2d",
  rows: [
    {
      adapter: "software",
      kernel: "quad",
      measured:
        "1.6 of direct at 3×3, 64 to 64 channels, 1.2 at 7×7; compiles in 0.7 to 0.9 of its time",
    },
    {
      adapter: "software",
      kernel: "direct",
      measured: "rates of its tiles below; on lavapipe, too, no single tile for all is faster",
    },
    {
      adapter: "gpu",
      shape: "few",
      kernel: "tile",
      overrides: { THREADS_M: 4, THREADS_N: 32 },
      measured: "not yet",
    },
    {
      adapter: "gpu",
      shape: "some",
      kernel: "tile",
      overrides: { THREADS_M: 8, THREADS_N: 16 },
      measured: "not yet",
    },
    {
      adapter: "gpu",
      shape: "many",
      kernel: "tile",
      overrides: { THREADS_M: 16, THREADS_N: 16 },
      measured: "not yet",
    },
  ],
};

/** Tiles, and blocks of channels, along a side of what the four invocations of kernel "quad" make. */
export const QUAD_SIDE = 2;

/** A kernel for one product of a convolution. */
export type ConvChoice = Choice<keyof typeof VARIANT_KERNELS.conv2d.kernels>;

/** The kernel for a product whose result has so many channels, or rows of a kernel's gradient. */
export function chooseConv(channels: number, target: Target): ConvChoice {
  return pick(conv2dVariants, channels <= 16 ? "few" : channels <= 32 ? "some" : "many", target);
}

/** Threads of a workgroup tile along channels and pixels. @throws VariantError. */
export function threadsOf({ overrides: { THREADS_M = [], THREADS_N = [] } }: ConvChoice): Pair {
  const threads: Pair = [Math.max(...THREADS_M), Math.max(...THREADS_N)];
  // Whole columns of a tile are loaded at once.
  expectWorkgroup("conv2d: kernel tile", ["THREADS_M", "THREADS_N"], threads);
  return threads;
}

/** What an invocation of kernel "direct" or "quad" makes. */
export interface DirectTile {
  readonly rows: number;
  /** 3 for results that are no wider. */
  readonly columns: number;
  /** In four channels. */
  readonly depth: number;
  /** Of "direct", and of "quad". */
  readonly rate: readonly [number, number];
}

// Speed against the first, SwiftShader, 3×3, 64 to 64 channels, all of a tile in use, chosen between
// two runs on a busy machine that differ by up to a third; 3 × 3 was not measured. "quad" is 1.6 times as fast as "direct" at the first,
// and halves loads only of two rows and two vec4 of channels. So that the 28 and the 14 columns of
// an MNIST network share one pipeline, 3 × 4 is put at 0.93 where single runs say up to 1. Three
// rows of 8 × 8 take twice as long to compile.
const TILES: readonly DirectTile[] = [
  { rows: 2, columns: 8, depth: 2, rate: [1, 1] },
  { rows: 3, columns: 4, depth: 2, rate: [0.9, 0.93] },
  { rows: 2, columns: 8, depth: 1, rate: [0.88, 0.65] },
  { rows: 1, columns: 8, depth: 2, rate: [0.85, 0.75] },
  { rows: 3, columns: 3, depth: 2, rate: [0.8, 0.8] },
  { rows: 2, columns: 4, depth: 2, rate: [0.8, 0.7] },
  { rows: 1, columns: 8, depth: 1, rate: [0.72, 0.42] },
  { rows: 1, columns: 4, depth: 2, rate: [0.55, 0.6] },
];

const padded = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** The tiles that a choice leaves: the measured ones among them, else every combination. */
function tilesOf(choice: ConvChoice): readonly DirectTile[] {
  const { ROWS = [], COLUMNS = [], DEPTH = [] } = choice.overrides;
  const allowed = TILES.filter(
    ({ rows, columns, depth }) =>
      ROWS.includes(rows) &&
      DEPTH.includes(depth) &&
      (COLUMNS.includes(columns) || (columns === 3 && !choice.names("COLUMNS"))),
  );
  if (allowed.some(({ columns }) => columns % 4 === 0)) return allowed;
  const all: readonly DirectTile[] = COLUMNS.flatMap((columns) =>
    ROWS.flatMap((rows) =>
      DEPTH.map((depth): DirectTile => ({ rows, columns, depth, rate: [1, 1] })),
    ),
  );
  return [...allowed, ...all];
}

/** The tile with the least work of kernel "direct" or "quad", its unused part included. */
export function directTile(choice: ConvChoice, extent: Pair, channels: number): DirectTile {
  const side = choice.kernel === "quad" ? QUAD_SIDE : 1;
  const work = ({ rows, columns, depth, rate: [direct, quad] }: DirectTile): number => {
    const [h, w] = pairs((a) => padded(extent[a], a === 0 ? rows : columns));
    return (h * w * padded(channels, 4 * depth * side)) / (side > 1 ? quad : direct);
  };
  const fits = tilesOf(choice).filter((t) => t.columns % 4 === 0 || extent[1] <= t.columns);
  return fits.reduce((best, t) => (work(t) < work(best) ? t : best));
}
