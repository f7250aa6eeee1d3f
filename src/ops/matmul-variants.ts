import { matmulPack } from "../../shaders/matmul_pack.wgsl";
import { matmulRegister } from "../../shaders/matmul_register.wgsl";
import { matmulSmall } from "../../shaders/matmul_small.wgsl";
import { matmulTile } from "../../shaders/matmul_tile.wgsl";
import { type Dispatch, dispatch, linearGrid, MAX_LOOP_TRIPS, type Target } from "../gpu/dispatch";
import { type Operand, scratch } from "../graph/node";
import { sumRows } from "./reduce";

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

type Kernel =
  | { readonly name: "register"; readonly rows: 4 | 8 | 16; readonly cols: 4 | 8 | 16 }
  | { readonly name: "tile"; readonly threads: 8 | 16 }
  | {
      readonly name: "small";
      readonly rows: number;
      readonly cols: number;
      readonly lanesN: number;
      readonly lanesK: number;
      /** So little work that one dispatch beats any parallelism. */
      readonly tiny?: boolean;
    };

const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
const product = ([a, b, c, d]: BatchAxes): number => a * b * c * d;
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** How many matrices an operand holds. */
function matrices(sizes: BatchAxes, strides: BatchAxes): number {
  return sizes.reduce((n, size, axis) => n * (strides[axis] === 0 ? 1 : size), 1);
}

// Multiply-adds of a product that takes less than a millisecond in one dispatch on a software
// adapter: the second pass of a split would be a dispatch of its own.
const TINY = 2 ** 19;

// Multiply-adds from which the vector kernels gain more than packing an operand costs.
const WORTH_PACKING = 2 ** 18;

/** The largest block that pads an axis at most a third more than the best one does. */
function fittingBlock<T extends number>(length: number, blocks: readonly T[]): T {
  const padded = (block: number): number => ceilDiv(length, block) * block;
  const least = Math.min(...blocks.map(padded));
  return blocks.reduce((best, block) => (3 * padded(block) <= 4 * least ? block : best));
}

/**
 * Kernel by adapter class and shape.
 *
 * Software: register blocks, the larger the better, but a block twice as large also takes twice as
 * long to compile; "small" for what has no vectors or would leave a block mostly empty. GFLOP/s at
 * 512³ and CPU milliseconds to compile, 2 cores shared with other work, best of many:
 *
 *   block     SwiftShader  compile   lavapipe   (naive, one output an invocation: 0.2 and 1.1)
 *   16 × 16   4.6          870       20
 *   16 × 8    3.9          470       19
 *   8 × 8     2.9          250       17
 *   4 × 4     2.0          100       8
 *
 * GPU: square workgroup tiles, smaller ones while there are fewer than two a core.
 */
function choose({ m, n, k, transposeA, transposeB, ...g }: Gemm, target: Target): Kernel {
  const items = product(g.sizes);
  const work = m * n * (k + (g.second?.k ?? 0)) * items;
  const aligned = (transposeA ? m : k) % 4 === 0 && (transposeB ? k : n) % 4 === 0;
  // Operands of a pair are not packed: a pair takes one dispatch.
  const vectors = g.second ? aligned && g.second.k % 4 === 0 : aligned || work >= WORTH_PACKING;
  if (target.adapter === "software") {
    if (vectors && Math.min(m, n) >= 4) {
      const rows = work >= 2 ** 22 ? fittingBlock(m, [4, 8, 16]) : fittingBlock(m, [4, 8]);
      const cols = work >= 2 ** 24 ? fittingBlock(n, [4, 8, 16]) : fittingBlock(n, [4, 8]);
      return { name: "register", rows, cols };
    }
    const rows = Math.min(4, m);
    const cols = Math.min(4, n);
    const lanesN = Math.min(4, powerOfTwo(ceilDiv(n, cols)));
    // Four lanes in all: what such adapters run at once.
    const lanesK = 4 / lanesN;
    const tiny = work < TINY && k <= SPLITS.small.longest * lanesK;
    return { name: "small", rows, cols, lanesN, lanesK, tiny };
  }
  if (vectors && Math.min(m, n) >= 16 && k >= 8) {
    return { name: "tile", threads: ceilDiv(m, 64) * ceilDiv(n, 64) * items >= 256 ? 16 : 8 };
  }
  const rows = Math.min(4, m);
  const cols = Math.min(4, n);
  const lanesN = transposeB ? 1 : Math.min(32, powerOfTwo(ceilDiv(n, cols)));
  const lanesK = Math.min(64 / lanesN, powerOfTwo(ceilDiv(k, 8)));
  return { name: "small", rows, cols, lanesN, lanesK };
}

/**
 * How the summation is cut. `wanted`: blocks before k is split at all; `shortest`: length of a split
 * that still pays for the second pass; `longest`: for accuracy, and far from the 32,768 trips that
 * a loop may have. Lengths are of one lane.
 */
const SPLITS = {
  register: { wanted: 32, shortest: 64, longest: 16_384 },
  tile: { wanted: 256, shortest: 128, longest: 16_384 },
  small: { wanted: 128, shortest: 64, longest: 2_048 },
} as const;

/** Loop trips that one invocation makes for `k` terms of one item of the batch, its own included. */
function tripsOfItem(kernel: Kernel, k: number): number {
  if (kernel.name === "register") return 2 + ceilDiv(k, 4);
  if (kernel.name === "small") return 2 + ceilDiv(k, kernel.lanesK);
  // A step loads both operands, in two kinds of loop, and goes through its 16 terms.
  const loads = ceilDiv(TILE_STEP, kernel.threads) + ceilDiv(TILE_STEP / 4, kernel.threads);
  return 2 + ceilDiv(k, TILE_STEP) * (1 + (loads + 2) + (TILE_STEP + 1));
}

/** Trips of the loops that store the results; of "small", also over the lanes along k. */
function tripsAtEnd(kernel: Kernel): number {
  return kernel.name === "small" ? kernel.rows * (2 + kernel.lanesK) + 2 : 18;
}

// STEP of matmul_tile.wgsl.
const TILE_STEP = 16;

interface Split {
  readonly splits: number;
  readonly kSplit: number;
  /** Items summed by one invocation, and groups of them. */
  readonly group: number;
  readonly groups: number;
}

/** Cuts the summation of a product of `tiles` blocks a matrix; that of a pair is left whole. */
function split(g: Gemm, kernel: Kernel, tiles: number): Split {
  if (g.second) {
    const pairs = kernel.name === "tile" ? 2 : 1;
    return { splits: 1, kSplit: ceilDiv(g.k, 16) * 16, group: pairs, groups: 1 };
  }
  const items = product(g.sizes);
  const limits = SPLITS[kernel.name];
  const lanes = kernel.name === "small" ? kernel.lanesK : 1;
  const tiny = kernel.name === "small" && kernel.tiny;
  const wanted = tiny ? 1 : ceilDiv(limits.wanted, tiles * (g.sumBatch ? 1 : items));
  // Of a sum over the batch, whole items first, as many as the loops of an invocation may run over.
  const perItem = tripsOfItem(kernel, Math.min(g.k, limits.longest * lanes) + 16);
  const most = Math.min(1024, Math.floor(MAX_LOOP_TRIPS / perItem));
  const groups = g.sumBatch ? Math.min(items, Math.max(wanted, ceilDiv(items, most))) : items;
  const group = ceilDiv(items, groups);
  const left = g.sumBatch ? ceilDiv(wanted, groups) : wanted;
  const splits = Math.max(
    Math.min(left, Math.floor(g.k / (limits.shortest * lanes))),
    ceilDiv(g.k, limits.longest * lanes),
    1,
  );
  // Steps along k are 16 at most.
  const kSplit = ceilDiv(ceilDiv(g.k, splits), 16) * 16;
  return { splits: ceilDiv(g.k, kSplit), kSplit, group, groups: ceilDiv(items, group) };
}

/** What the three kernels bind. */
type Bound = "a" | "b" | "a_second" | "b_second" | "y";

/** The dispatches of a batched matrix product: packing, the product, the sum of its splits. */
export function gemm(g: Gemm, target: Target): Dispatch<Operand>[] {
  const kernel = choose(g, target);
  const { m, n, k, sizes } = g;
  const [tileM, tileN] =
    kernel.name === "tile" ? [4 * kernel.threads, 4 * kernel.threads] : [kernel.rows, kernel.cols];
  const tiles = ceilDiv(m, tileM) * ceilDiv(n, tileN);
  const cut = split(g, kernel, tiles);
  const parts = cut.splits * (g.sumBatch ? cut.groups : 1);
  const outputs = m * n * (g.sumBatch ? 1 : cut.groups);
  const y = parts > 1 ? scratch(parts * outputs) : g.y;
  const sums = parts > 1 ? sumRows(y, g.y, parts, outputs, target) : [];
  const common = {
    items: g.second ? cut.group : product(sizes),
    group: cut.group,
    groups: cut.groups,
    splits: cut.splits,
    k_split: cut.kSplit,
    sizes,
    m,
    n,
    k,
    k2: g.second?.k ?? 0,
  };
  const flops = 2 * m * n * (k + common.k2) * product(sizes);
  // Without a second pair its bindings are not read. They must not be bound to a or b, which a loop
  // over time may have to bind read_write, each once.
  const unused = scratch(4);
  const { a: a2, b: b2 } = g.second ?? { a: unused, b: unused };
  const flags = {
    TRANSPOSE_A: Number(g.transposeA),
    TRANSPOSE_B: Number(g.transposeB),
    PAIR: Number(g.second !== undefined),
  };
  const perItem = tripsOfItem(kernel, cut.kSplit);
  const second = g.second ? tripsOfItem(kernel, g.second.k) : 0;
  const loops = {
    trips: (g.second ? 1 : cut.group) * perItem + second + tripsAtEnd(kernel),
    longestLoop: Math.max(cut.group, perItem, second),
  };
  const scaled = (strides: BatchAxes, by: number): BatchAxes =>
    strides.map((s) => s * by) as unknown as BatchAxes;

  if (kernel.name === "small") {
    const { rows, cols, lanesN, lanesK } = kernel;
    const workgroups = ceilDiv(m, rows) * ceilDiv(n, cols * lanesN) * cut.groups * cut.splits;
    const call = dispatch<Operand, Bound, string, string>(matmulSmall, {
      bind: { a: g.a, b: g.b, a_second: a2, b_second: b2, y },
      uniforms: {
        ...common,
        a_strides: scaled(g.aStrides, m * k),
        b_strides: scaled(g.bStrides, n * k),
      },
      overrides: { ...flags, ROWS: rows, COLS: cols, LANES_N: lanesN, LANES_K: lanesK },
      grid: linearGrid(workgroups),
      flops,
      ...loops,
    });
    return [call, ...sums];
  }

  const a = packed(g.a, matrices(sizes, g.aStrides), g.transposeA ? [k, m] : [m, k], target);
  const b = packed(g.b, matrices(sizes, g.bStrides), g.transposeB ? [n, k] : [k, n], target);
  const uniforms = {
    ...common,
    a_strides: scaled(g.aStrides, a.row * (g.transposeA ? k : m)),
    b_strides: scaled(g.bStrides, b.row * (g.transposeB ? n : k)),
    a_row: a.row,
    b_row: b.row,
    a2_row: common.k2 / 4,
    b2_row: g.transposeB ? common.k2 / 4 : b.row,
  };
  const bind = {
    a: a.operand,
    b: b.operand,
    a_second: a2,
    b_second: b2,
    y,
  };
  const blocks = tiles * cut.groups * cut.splits;
  const call =
    kernel.name === "tile"
      ? dispatch<Operand, Bound, string, string>(matmulTile, {
          bind,
          uniforms,
          overrides: { ...flags, THREADS: kernel.threads },
          grid: linearGrid(blocks),
          flops,
          ...loops,
        })
      : dispatch<Operand, Bound, string, string>(matmulRegister, {
          bind,
          uniforms,
          overrides: {
            ...flags,
            ROWS: kernel.rows,
            COLS: kernel.cols,
            LANES,
            TAIL: Number(k % 4 !== 0),
          },
          grid: linearGrid(ceilDiv(blocks, LANES)),
          flops,
          ...loops,
        });
  return [...a.dispatches, ...b.dispatches, call, ...sums];
}

const LANES = 8;

interface Packed {
  readonly operand: Operand;
  /** Vectors in a row. */
  readonly row: number;
  readonly dispatches: readonly Dispatch<Operand>[];
}

/** An operand whose rows can be read as 4-element vectors: itself, or a padded copy. */
function packed(
  x: Operand,
  count: number,
  [outer, inner]: readonly [number, number],
  target: Target,
): Packed {
  const row = ceilDiv(inner, 4);
  if (inner % 4 === 0) return { operand: x, row, dispatches: [] };
  const rows = count * outer;
  const operand = scratch(4 * rows * row);
  const workgroup = target.adapter === "software" ? 16 : 128;
  const copy = dispatch<Operand, "x" | "y", string, string>(matmulPack, {
    bind: { x, y: operand },
    uniforms: { rows, cols: inner, stride: row },
    overrides: { WORKGROUP: workgroup },
    grid: linearGrid(ceilDiv(rows * row, workgroup)),
    flops: rows * row,
    trips: 0,
  });
  return { operand, row, dispatches: [copy] };
}
