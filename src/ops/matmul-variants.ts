import type { Target } from "../gpu/dispatch";
import type { Operand } from "../graph/node";
import {
  type Choice,
  expectWorkgroup,
  pick,
  type VARIANT_KERNELS,
  type VariantTable,
} from "./variants";

/** Four numbers: the batch axes of a product, outermost first, sizes of 1 where missing. */
export type BatchAxes = readonly [number, number, number, number];

/** y = a b for a batch of matrices, with all that the choice of a kernel depends on. */
export interface Gemm {
  readonly a: Operand;
  readonly b: Operand;
  readonly y: Operand;
  /** a is stored [K, M] instead of [M, K]. */
  readonly transposeA: boolean;
  /** b is stored [N, K] instead of [K, N]. */
  readonly transposeB: boolean;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** The batch, and the distance in matrices of each operand along its axes (0: shared). */
  readonly sizes: BatchAxes;
  readonly aStrides: BatchAxes;
  readonly bStrides: BatchAxes;
  /** y is the sum over the batch instead of one matrix for each item. */
  readonly sumBatch: boolean;
  /** Also + a b of a second pair, stored likewise; for a single item, a not transposed. */
  readonly second?: { readonly a: Operand; readonly b: Operand; readonly k: number };
}

/** Blocks along a side of what the four invocations of kernel "quad" make. */
export const QUAD_SIDE = 2;

interface SmallKernel {
  readonly name: "small";
  readonly rows: number;
  readonly cols: number;
  readonly lanesN: number;
  readonly lanesK: number;
  /** So little work that one dispatch beats any parallelism. */
  readonly tiny?: boolean;
}

/** A kernel with its overrides. */
export type Kernel =
  | { readonly name: "register"; readonly rows: number; readonly cols: number }
  | { readonly name: "quad"; readonly rows: number; readonly cols: number }
  | { readonly name: "tile"; readonly threads: number }
  | SmallKernel;

/** a / b, rounded up. */
export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
/** Items of a batch. */
export const product = ([a, b, c, d]: BatchAxes): number => a * b * c * d;
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

// Multiply-adds of a product that takes less than a millisecond in one dispatch on a software
// adapter: the second pass of a split would be a dispatch of its own.
const TINY = 2 ** 19;

/** Terms that a lane of the small kernel sums at most: for accuracy. */
export const LONGEST_SMALL = 2_048;

// Multiply-adds from which the vector kernels gain more than packing an operand costs.
const WORTH_PACKING = 2 ** 18;

/** The largest block that pads an axis at most a third more than the best one does. */
function fittingBlock(length: number, blocks: readonly number[]): number {
  const padded = (block: number): number => ceilDiv(length, block) * block;
  const least = Math.min(...blocks.map(padded));
  return blocks.reduce((best, block) => (3 * padded(block) <= 4 * least ? block : best));
}

/**
 * Kernel by class of adapter and shape. Software: register blocks, the larger the better, but a
 * block twice as large also takes twice as long to compile; with subgroups, quads of them; "small" for
 * what has no vectors or would leave a block mostly empty. GFLOP/s at 512³ and CPU milliseconds to compile, 2 cores shared with
 * other work, best of many; naive, one output an invocation: 0.2 on SwiftShader, 1.1 on lavapipe.
 * GPU: square workgroup tiles, smaller ones while there are fewer than two a core.
 */
export const matmulVariants: VariantTable = {
  op: "matmul",
  rows: [
    {
      adapter: "software",
      shape: "huge",
      kernel: "quad",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8, 16] },
      measured: "16 × 16: 6.7 on SwiftShader; compiles in 720 ms",
    },
    {
      adapter: "software",
      shape: "large",
      kernel: "quad",
      overrides: { ROWS: [4, 8], COLS: [4, 8] },
      measured:
        "8 × 8: 5.3 on SwiftShader; compiles in 230 ms, 16 × 8 in 410 ms at 5.7, with which a HyperLSTM's " +
        "training step takes 592 ms in place of 640, 16 × 16 in 720",
    },
    {
      adapter: "software",
      shape: "vectors",
      kernel: "quad",
      overrides: { ROWS: [4, 8], COLS: [4, 8] },
      measured:
        "8 × 8: 0.21 and 0.28 ms at 12 of 32 × 16 × 64 and at 32 × 256 × 64, 8 × 16: 0.21 and 0.25",
    },
    {
      adapter: "software",
      shape: "huge",
      kernel: "register",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8, 16] },
      measured: "16 × 16: 4.6 on SwiftShader, 20 on lavapipe; compiles in 870 ms",
    },
    {
      adapter: "software",
      shape: "large",
      kernel: "register",
      overrides: { ROWS: [4, 8, 16], COLS: [4, 8] },
      measured: "16 × 8: 3.9 on SwiftShader, 19 on lavapipe; compiles in 470 ms",
    },
    {
      adapter: "software",
      shape: "vectors",
      kernel: "register",
      overrides: { ROWS: [4, 8], COLS: [4, 8] },
      measured:
        "8 × 8: 2.9 and 17, 250 ms; 4 × 4: 2.0 and 8, 100 ms; 16 × 8 is 3 % faster on lavapipe",
    },
    {
      adapter: "software",
      shape: "thin",
      kernel: "small",
      measured:
        "0.60 ms at 32 × 10 × 784, a quad of 8 × 8 with its packing and sum of splits 0.34, for which " +
        "it compiles 80 to 150 ms longer",
    },
    {
      adapter: "gpu",
      shape: "huge",
      kernel: "tile",
      overrides: { THREADS: 16 },
      measured: "not yet; 64 × 64 tiles are common practice",
    },
    {
      adapter: "gpu",
      shape: "large",
      kernel: "tile",
      overrides: { THREADS: 8 },
      measured: "not yet; 32 × 32 tiles fill four times as many cores",
    },
    { adapter: "gpu", shape: "thin", kernel: "small", measured: "not yet" },
  ],
};

/** Multiply-adds. */
const workOf = ({ m, n, k, second, sizes }: Gemm): number =>
  m * n * (k + (second?.k ?? 0)) * product(sizes);

type Shape = (typeof VARIANT_KERNELS.matmul.shapes)[number];

/** The class of a product: "thin" where vectors or a block's sides are wanting, else by its work. */
function classOf(g: Gemm, target: Target): Shape {
  const { m, n, k, transposeA, transposeB, second } = g;
  const items = product(g.sizes);
  const work = workOf(g);
  const aligned = (transposeA ? m : k) % 4 === 0 && (transposeB ? k : n) % 4 === 0;
  // Operands of a pair are not packed: a pair takes one dispatch.
  const vectors = second ? aligned && second.k % 4 === 0 : aligned || work >= WORTH_PACKING;
  if (target.adapter === "gpu") {
    if (!vectors || Math.min(m, n) < 16 || k < 8) return "thin";
    return ceilDiv(m, 64) * ceilDiv(n, 64) * items >= 256 ? "huge" : "large";
  }
  if (!vectors || Math.min(m, n) < 4) return "thin";
  // The largest block takes 0.9 s of a core to compile, the next one half of that at 0.85 of its rate.
  return work >= 2 ** 27 ? "huge" : work >= 2 ** 22 ? "large" : "vectors";
}

/** The row for a product; a pair whose operands would have to be packed takes the small kernel. */
function chosen(g: Gemm, target: Target): Choice<Kernel["name"]> {
  const shape = classOf(g, target);
  const choice = pick<Kernel["name"]>(matmulVariants, shape, target);
  const aligned =
    (g.transposeB || g.n % 4 === 0) && [g.k, g.second?.k ?? 0].every((k) => k % 4 === 0);
  if (!g.second || aligned || choice.kernel === "small") return choice;
  return pick(matmulVariants, "thin", { ...target, variants: [] });
}

/** The kernel of a product, its overrides fitted to the shape. */
export function choose(g: Gemm, target: Target): Kernel {
  const { m, n, k } = g;
  const choice = chosen(g, target);
  const most = (name: string): number => Math.max(...(choice.overrides[name] ?? []));
  if (choice.kernel === "register" || choice.kernel === "quad") {
    const { ROWS = [], COLS = [] } = choice.overrides;
    const side = choice.kernel === "quad" ? QUAD_SIDE : 1;
    return {
      name: choice.kernel,
      rows: fittingBlock(ceilDiv(m, side), ROWS),
      cols: fittingBlock(ceilDiv(n, side), COLS),
    };
  }
  if (choice.kernel === "tile") return { name: "tile", threads: most("THREADS") };
  const rows = Math.min(most("ROWS"), m);
  const cols = Math.min(most("COLS"), n);
  if (target.adapter === "software") {
    const lanesN = choice.names("LANES_N") ? most("LANES_N") : lanesFor(n, cols, 4);
    // Four lanes in all: what such adapters run at once.
    const lanesK = choice.names("LANES_K") ? most("LANES_K") : ceilDiv(4, lanesN);
    const tiny = workOf(g) < TINY && k <= LONGEST_SMALL * lanesK;
    return checkLanes({ name: "small", rows, cols, lanesN, lanesK, tiny });
  }
  const lanesN = choice.names("LANES_N")
    ? most("LANES_N")
    : g.transposeB
      ? 1
      : lanesFor(n, cols, 32);
  const lanesK = choice.names("LANES_K")
    ? most("LANES_K")
    : Math.min(Math.max(1, 64 / lanesN), powerOfTwo(ceilDiv(k, 8)));
  return checkLanes({ name: "small", rows, cols, lanesN, lanesK });
}

/** Lanes along n, where each has `cols` columns. */
const lanesFor = (n: number, cols: number, most: number): number =>
  Math.min(most, powerOfTwo(ceilDiv(n, cols)));

/** @throws VariantError where a workgroup would be larger than every device allows. */
function checkLanes(kernel: SmallKernel): SmallKernel {
  const { lanesN, lanesK } = kernel;
  expectWorkgroup("matmul: kernel small", ["LANES_N", "LANES_K"], [lanesN, lanesK]);
  return kernel;
}
