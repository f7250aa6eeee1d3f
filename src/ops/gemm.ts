import { matmulPack } from "../../shaders/matmul_pack.wgsl";
import { matmulRegister, matmulRegisterSubgroups } from "../../shaders/matmul_register.wgsl";
import { matmulSmall } from "../../shaders/matmul_small.wgsl";
import { matmulTile } from "../../shaders/matmul_tile.wgsl";
import { type Dispatch, dispatch, linearGrid, MAX_LOOP_TRIPS, type Target } from "../gpu/dispatch";
import { type Operand, scratch } from "../graph/node";
import {
  type BatchAxes,
  ceilDiv,
  choose,
  type Gemm,
  type Kernel,
  LONGEST_SMALL,
  product,
  QUAD_SIDE,
} from "./matmul-variants";
import { sumRows } from "./reduce";

/** How many matrices an operand holds. */
function matrices(sizes: BatchAxes, strides: BatchAxes): number {
  return sizes.reduce((n, size, axis) => n * (strides[axis] === 0 ? 1 : size), 1);
}

/**
 * How the summation is cut. `wanted`: blocks before k is split at all; `shortest`: length of a split
 * that still pays for the second pass; `longest`: for accuracy, and far from the 32,768 trips that
 * a loop may have. Lengths are of one lane.
 */
const SPLITS = {
  register: { wanted: 32, shortest: 64, longest: 16_384 },
  quad: { wanted: 8, shortest: 64, longest: 16_384 },
  tile: { wanted: 256, shortest: 128, longest: 16_384 },
  small: { wanted: 128, shortest: 64, longest: LONGEST_SMALL },
} as const;

/** Loop trips that one invocation makes for `k` terms of one item of the batch, its own included. */
function tripsOfItem(kernel: Kernel, k: number): number {
  if (kernel.name === "register" || kernel.name === "quad") return 2 + ceilDiv(k, 4);
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
  const side = kernel.name === "quad" ? QUAD_SIDE : 1;
  const [tileM, tileN] =
    kernel.name === "tile"
      ? [4 * kernel.threads, 4 * kernel.threads]
      : [side * kernel.rows, side * kernel.cols];
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
  // Without a second pair its bindings are not read. They must not be bound to a or b, which a loop
  // over time may have to bind read_write, each once.
  const unused = scratch(4);
  const { a: a2, b: b2 } = g.second ?? { a: unused, b: unused };
  const flops = 2 * m * n * (k + common.k2) * product(sizes);
  const flags = {
    TRANSPOSE_A: Number(g.transposeA),
    TRANSPOSE_B: Number(g.transposeB),
    PAIR: Number(g.second !== undefined),
  };
  const perItem = tripsOfItem(kernel, cut.kSplit);
  // A kernel for pairs finds a second pair of K2 = 0 at its end.
  const second = g.second ? tripsOfItem(kernel, g.second.k) : 1;
  const wider = g.second ? {} : { wider: { PAIR: 1 } };
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
      ...wider,
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
  const lanes = side > 1 ? side ** 2 : LANES;
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
      : dispatch<Operand, Bound, string, string>(
          kernel.name === "quad" ? matmulRegisterSubgroups : matmulRegister,
          {
            bind,
            uniforms: { ...uniforms, whole: 0 },
            overrides: {
              ...flags,
              ROWS: kernel.rows,
              COLS: kernel.cols,
              LANES: lanes,
              TAIL: Number(k % 4 !== 0),
            },
            grid: linearGrid(ceilDiv(blocks * side ** 2, lanes)),
            flops,
            ...loops,
            ...wider,
          },
        );
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
