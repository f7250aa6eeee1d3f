import type { Target } from "../gpu/dispatch";
import { pick, type VARIANT_KERNELS, type VariantTable } from "./variants";

/** What an invocation makes of a contraction or its gradients, and invocations of a workgroup. */
export interface Block {
  readonly rows: number;
  readonly cols: number;
  readonly lanes: number;
  /** Blocks along a side of what a group of invocations makes: 2 of kernel "quad", else 1. */
  readonly side: 1 | 2;
}

type ContractionKernel = keyof typeof VARIANT_KERNELS.contraction.kernels;

const SMALLEST: Block = { rows: 4, cols: 4, lanes: 8, side: 1 };

// Multiply-adds from which blocks of 16 columns, which take twice as long to compile, pay.
const WORTH_WIDE = 2 ** 24;
// Multiply-adds, as few as a tiny matrix product has, up to which how soon a kernel is compiled counts.
const TINY = 2 ** 19;

/**
 * Outputs an invocation makes. Software adapters want as many as possible to a loaded value, GPUs
 * many invocations; both as few as the axis has. With subgroups, quads of blocks. Kernel "single"
 * makes one output an invocation; of a gradient it is the smallest block. GFLOP/s of 12 tiles of
 * 64 × 64 channels, f = 3, d = 64, on 2 cores shared with other work, best of 7, forward and gradients of a and w.
 */
export const contractionVariants: VariantTable = {
  op: "contraction",
  rows: [
    {
      adapter: "software",
      shape: "tiny",
      kernel: "single",
      overrides: { LANES: 16 },
      measured:
        "compiled in 15 ms of a core, a quad of 8 × 8 in 83; 0.62 ms at [16×4]·[4×784], the best quad 0.12; " +
        "on lavapipe 0.20, the best block 0.064",
    },
    {
      adapter: "software",
      shape: "tiny-gradient",
      kernel: "quad",
      overrides: { ROWS: 4, COLS: 4 },
      measured: "compiled in 25 to 32 ms; 8 × 16 in 69",
    },
    {
      adapter: "software",
      shape: "tiny-gradient",
      kernel: "block",
      overrides: { ROWS: 4, COLS: 4, LANES: 8 },
      measured: "as quad",
    },
    {
      adapter: "software",
      shape: "wide",
      kernel: "quad",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8, 16] },
      measured: "16 × 16: 4.8 on SwiftShader where block has 3.7; 8 × 8: 3.7",
    },
    {
      adapter: "software",
      shape: "narrow",
      kernel: "quad",
      overrides: { ROWS: 8, COLS: 8 },
      measured: "as fast as a block of 16 × 16 and compiled in half its time; one size for all",
    },
    {
      adapter: "software",
      shape: "gradient",
      kernel: "quad",
      overrides: { ROWS: [4, 8], COLS: [4, 8, 16] },
      measured: "8 × 16: 4.6 on SwiftShader, 16 × 16: 3.6, block: 3.3",
    },
    {
      adapter: "software",
      shape: "wide",
      kernel: "block",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8, 16], LANES: 8 },
      measured: "16 × 16: 3.1 on SwiftShader, 19 on lavapipe",
    },
    {
      adapter: "software",
      shape: "narrow",
      kernel: "block",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8], LANES: 8 },
      measured:
        "16 × 8: 2.6 on SwiftShader, 16 on lavapipe, there 7 % behind 16 × 16; compiles in half the time",
    },
    {
      adapter: "software",
      shape: "gradient",
      kernel: "block",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8, 16], LANES: 8 },
      measured: "16 × 16: 2.9 on SwiftShader, 21 on lavapipe; 16 × 8: 3.1 and 16",
    },
    {
      adapter: "gpu",
      kernel: "block",
      overrides: { ROWS: 4, COLS: 4, LANES: 64 },
      measured: "not yet",
    },
  ],
};

type Shape = (typeof VARIANT_KERNELS.contraction.shapes)[number];

/** The class of a contraction of so many multiply-adds. */
export const contractionClass = (work: number): Shape =>
  work >= WORTH_WIDE ? "wide" : work > TINY ? "narrow" : "tiny";

/** The class of a gradient of so many multiply-adds. */
export const gradientClass = (work: number): Shape => (work > TINY ? "gradient" : "tiny-gradient");

/**
 * What kernel "single" takes of a workgroup's lanes where the table, or the caller, chooses it for a
 * contraction of a class; null for blocks.
 */
export function singleLanes(shape: Shape, target: Target): number | null {
  const { kernel, overrides } = pick<ContractionKernel>(contractionVariants, shape, target);
  return kernel === "single" ? Math.max(...(overrides.LANES ?? [])) : null;
}

/** The block for a result of rows × cols of a class. */
export function blockFor(rows: number, cols: number, shape: Shape, target: Target): Block {
  const { kernel, overrides } = pick<ContractionKernel>(contractionVariants, shape, target);
  if (kernel === "single") return SMALLEST;
  const { ROWS = [], COLS = [], LANES = [] } = overrides;
  const side = kernel === "quad" ? 2 : 1;
  // The smallest that covers the axis, else the largest.
  const covering = (length: number, sizes: readonly number[]): number =>
    sizes.find((size) => side * size >= length) ?? Math.max(...sizes);
  const lanes = kernel === "quad" ? side ** 2 : Math.max(...LANES);
  return { rows: covering(rows, ROWS), cols: covering(cols, COLS), lanes, side };
}
