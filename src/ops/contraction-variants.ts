import type { Target } from "../gpu/dispatch";
import { pick, type VariantTable } from "./variants";

/** What an invocation makes of a contraction or its gradients, and invocations of a workgroup. */
export interface Block {
  readonly rows: number;
  readonly cols: number;
  readonly lanes: number;
}

// Multiply-adds from which blocks of 16 columns, which take twice as long to compile, pay.
const WORTH_WIDE = 2 ** 24;

/**
 * Outputs an invocation makes. Software adapters want as many as possible to a loaded value, GPUs
 * many invocations; both as few as the axis has. GFLOP/s of 12 tiles of 64 × 64 channels, f = 3,
 * d = 64, on 2 cores shared with other work, best of 7, forward and gradients of a and w.
 */
export const contractionVariants: VariantTable = {
  op: "contraction",
  rows: [
    {
      op: "contraction",
      adapter: "software",
      shape: "wide",
      kernel: "block",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8, 16], LANES: 8 },
      measured: "16 × 16: 3.1, 3.0, 2.9 on SwiftShader; 19, 21, 21 on lavapipe",
    },
    {
      op: "contraction",
      adapter: "software",
      shape: "narrow",
      kernel: "block",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8], LANES: 8 },
      measured: "16 × 8: 2.6, 3.1, 2.9 on SwiftShader; 16, 16, 13 on lavapipe",
    },
    {
      op: "contraction",
      adapter: "gpu",
      kernel: "block",
      overrides: { ROWS: 4, COLS: 4, LANES: 64 },
      measured: "not yet",
    },
  ],
};

/** The block for a result of rows × cols at so many multiply-adds. */
export function blockFor(rows: number, cols: number, work: number, target: Target): Block {
  const shape = work >= WORTH_WIDE ? "wide" : "narrow";
  const { ROWS = [], COLS = [], LANES = [] } = pick(contractionVariants, shape, target).overrides;
  // The smallest that covers the axis, else the largest.
  const covering = (length: number, sizes: readonly number[]): number =>
    sizes.find((size) => size >= length) ?? Math.max(...sizes);
  return { rows: covering(rows, ROWS), cols: covering(cols, COLS), lanes: Math.max(...LANES) };
}
