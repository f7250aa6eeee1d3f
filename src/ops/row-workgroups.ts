import { MAX_TRIPS, type Target } from "../gpu/dispatch";
import { ShapeError } from "../graph/shape";

/**
 * How kernels that normalise rows share a row among the lanes of a workgroup, and how they sum a
 * parameter's gradient over rows.
 */

/** What one workgroup of such a kernel does. */
export interface RowWork {
  /** Elements of a row. */
  readonly width: number;
  /** Rows, one after another. */
  readonly rows: number;
  /** Loops over a row. */
  readonly passes: number;
  /** Loops over four gates within these, at every element; default 0. */
  readonly inner?: number;
  /** Sums over the lanes, each a tree. */
  readonly sums: number;
}

const MAX_LANES = 256;

/** Trips of a loop over four gates. */
export const GATE_TRIPS = 5;

/** Loop trips of an invocation, with the one that finds each loop at its end. */
function trips({ width, rows, passes, inner = 0, sums }: RowWork, lanes: number): number {
  const each = Math.ceil(width / lanes);
  const row = passes * (each + 1) + inner * each * GATE_TRIPS + sums * (Math.log2(lanes) + 1);
  return rows * (1 + row) + 1;
}

/**
 * Lanes of a workgroup, and whether a lane takes four elements at once. Software adapters want as
 * few lanes as fill their vector registers (a barrier of 4 lanes costs 0.09 µs, of 64 lanes 1.6)
 * and loads of four; GPUs a lane an element.
 */
export function rowLanes(work: RowWork, target: Target): { LANES: number; VECTORS: number } {
  const software = target.adapter === "software";
  const vectors = software && work.width % 4 === 0;
  const cut = vectors ? { ...work, width: work.width / 4 } : work;
  let lanes = software ? 4 : 64;
  while (lanes < MAX_LANES && (trips(cut, lanes) > MAX_TRIPS || (!software && lanes < work.width)))
    lanes *= 2;
  return { LANES: lanes, VECTORS: Number(vectors) };
}

/** What a dispatch states of its loops, given the lanes that share a row. */
export function rowTrips(
  work: RowWork,
  { LANES, VECTORS }: { readonly LANES: number; readonly VECTORS: number },
): { readonly trips: number; readonly longestLoop: number } {
  const cut = VECTORS ? { ...work, width: work.width / 4 } : work;
  const longestLoop = Math.max(Math.ceil(cut.width / LANES), work.rows, Math.log2(LANES));
  return { trips: trips(cut, LANES), longestLoop };
}

/** @throws ShapeError where a workgroup cannot do the work on every adapter. */
export function expectRowsFit(op: string, work: RowWork): void {
  const most = trips(work, MAX_LANES);
  if (most > MAX_TRIPS) {
    throw new ShapeError(
      `hyperloom: ${op}: ${work.rows} rows of ${work.width} elements in a workgroup take ${most} ` +
        `trips of its loops, at most ${MAX_TRIPS} are possible; use fewer or shorter rows`,
    );
  }
}

/**
 * How many rows share one partial sum of a gradient over rows. 16 groups of rows keep the partial
 * sums small beside the rows; more rows than 16 · 16 take a group to 16 rows, up to 256 groups.
 */
export function rowGroups(rows: number): { readonly span: number; readonly groups: number } {
  const span = Math.max(Math.ceil(rows / 256), Math.min(16, Math.ceil(rows / 16)));
  return { span, groups: Math.ceil(rows / span) };
}
