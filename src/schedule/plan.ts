import { checkTrips, type Dispatch, type Target } from "../gpu/dispatch";
import { LimitError } from "../gpu/errors";
import type { KernelSource } from "../gpu/kernel-source";
import type { Node, Operand, Tensor } from "../graph/node";
import { size } from "../graph/shape";
import { reachable } from "../graph/substitute";
import type { Variable } from "../ops/sources";
import { fuse, type Unit } from "./fuse";
import { isLoop, type PlannedLoop } from "./loop-node";
import {
  type Claims,
  claimPacks,
  claimRoot,
  copy,
  copyUnit,
  type Frame,
  type Iterations,
  offsetAt,
  type Place,
  placeNode,
  slot,
  type Storage,
} from "./places";

/** A dispatch of a plan, and the loops that it is in, outermost first. */
export interface Scheduled {
  readonly label: string;
  readonly dispatch: Dispatch<Operand>;
  readonly loops: readonly Frame[];
}

/** A step as flat data: what runs in which order, and where everything lies. */
export interface Plan {
  /** Each once; see `replay` for the order with loops. */
  readonly dispatches: readonly Scheduled[];
  readonly places: ReadonlyMap<Operand, Place>;
  readonly storages: readonly Storage[];
  /** Planned storages by the buffer that they share. */
  readonly slots: readonly { readonly bytes: number; readonly storages: readonly Storage[] }[];
  /** Bytes of the slots, placeholders and constants: what this plan allocates. */
  readonly bytes: number;
  /** Largest number of bytes alive at one time in the slots. */
  readonly peakBytes: number;
  /** Index, among the dispatches as replayed, after the last one of each submit. */
  readonly cuts: readonly number[];
}

/** Flops that an adapter of the class does in the half second that one submit may take. */
const FLOPS_PER_SUBMIT: Readonly<Record<Target["adapter"], number>> = {
  // Measured: about 5 GFLOP/s over the kernels of a step on a 2-core machine.
  software: 2.5e9,
  // Half a TFLOP/s is what the slowest integrated GPUs reach.
  gpu: 2.5e11,
};

/**
 * Plans the computation of `roots`.
 * @throws LimitError when a value or the whole exceeds what the device takes.
 */
export function plan(roots: readonly Tensor[], target: Target): Plan {
  const planner = new Planner(target);
  planner.level(roots, [], []);
  const { places } = planner;
  const dispatches = planner.dispatches.map((d) => separate(d, places));
  touch(dispatches, places, roots);
  const storages = [...new Set([...places.values()].map((p) => p.storage))].filter(
    (s) => s.last >= 0 || s.kind === "placeholder" || s.kind === "variable",
  );
  for (const { label, dispatch } of dispatches) checkTrips(label, dispatch);
  const slots = shareSlots(storages.filter((s) => s.kind === "slot"));
  const own = storages.filter((s) => s.kind === "placeholder" || s.kind === "constant");
  const bytes = [...slots, ...own].reduce((n, s) => n + s.bytes, 0);
  for (const s of storages) checkLimits(s, target);
  return {
    dispatches,
    places,
    storages,
    slots,
    bytes,
    peakBytes: peak(storages, dispatches.length),
    cuts: cutSubmits(dispatches, target),
  };
}

/** Calls `visit` for every dispatch in the order in which a run makes them, loops unrolled. */
export function replay(
  dispatches: readonly Scheduled[],
  visit: (index: number, at: Iterations) => void,
): void {
  const at = new Map<Frame, number>();
  const run = (from: number, to: number, depth: number): void => {
    for (let i = from; i < to; ) {
      const frame = dispatches[i]?.loops[depth];
      if (!frame) visit(i++, at);
      else {
        for (let k = 0; k < frame.length; k++) {
          at.set(frame, k);
          run(frame.from, frame.to, depth + 1);
        }
        at.delete(frame);
        i = frame.to;
      }
    }
  };
  run(0, dispatches.length, 0);
}

/** Turns graphs, bodies of loops within them, into a list of dispatches with places. */
class Planner {
  readonly places = new Map<Operand, Place>();
  readonly dispatches: Scheduled[] = [];
  readonly #variables = new Map<Variable, Storage>();

  constructor(readonly target: Target) {}

  /** Plans one graph: all of a step, or a loop's body, whose results have to lie at given places. */
  level(roots: readonly Tensor[], claimed: PlannedLoop["roots"], loops: readonly Frame[]): void {
    const rootSet = new Set(roots);
    const nodes = reachable(roots);
    const claims: Claims = { places: new Map(), copies: [] };
    for (const { value, place } of claimed) claimRoot(value, place, claims);
    claimPacks(nodes, rootSet, loops, claims);
    for (const [x, place] of claims.places) this.places.set(x, place);
    const read = new Set([...roots, ...nodes.flatMap((node) => node.inputs)]);
    const scans = new Map<Node, PlannedLoop>();
    for (const node of nodes) {
      if (isLoop(node)) {
        const loop = node.op.plan(node, (x) => read.has(x), this.places, loops);
        scans.set(node, loop);
        for (const [x, place] of loop.outputs) this.places.set(x, place);
      } else placeNode(node, this.places, this.#variables, loops);
    }
    for (const unit of fuse(nodes, rootSet, this.target, claims.copies)) {
      const loop = unit.scan && scans.get(unit.scan);
      if (loop) this.#loop(loop, loops);
      else this.#add(unit, loops);
    }
  }

  #add({ label, dispatches }: Unit, loops: readonly Frame[]): void {
    for (const dispatch of dispatches) {
      this.dispatches.push({ label, dispatch: this.#readOnce(dispatch, loops), loops });
    }
  }

  /**
   * A step's state lies in the storage of its next value, so a dispatch that writes there binds it
   * read_write (see `separate`), and that once: further bindings of it get a copy.
   */
  #readOnce(dispatch: Dispatch<Operand>, loops: readonly Frame[]): Dispatch<Operand> {
    const { bindings } = dispatch.kernel;
    const placeOf = (name: string) => this.places.get(dispatch.bind[name] as Operand);
    const written = new Set(
      bindings.filter((b) => b.access === "read_write").map(({ name }) => placeOf(name)?.storage),
    );
    const bind: Record<string, Operand> = { ...dispatch.bind };
    const seen = new Map<Place, Tensor | null>();
    for (const { name, access } of bindings) {
      const [x, place] = [dispatch.bind[name] as Operand, placeOf(name)];
      if (access !== "read" || !place || !written.has(place.storage) || "scratch" in x) continue;
      if (!seen.has(place)) {
        seen.set(place, null);
        continue;
      }
      const copied = seen.get(place) ?? this.#copy(x, loops);
      seen.set(place, copied);
      bind[name] = copied;
    }
    return { ...dispatch, bind };
  }

  #copy(x: Tensor, loops: readonly Frame[]): Tensor {
    const copied = copy(x);
    this.places.set(copied, { storage: slot(4 * size(x.shape), loops), offset: 0, strides: [] });
    this.#add(copyUnit(x, copied, 0), loops);
    return copied;
  }

  #loop({ frame, inputs, roots, inits }: PlannedLoop, loops: readonly Frame[]): void {
    for (const { value, place } of inits) {
      const copied = copy(value);
      this.places.set(copied, place);
      this.#add(copyUnit(value, copied, 0), loops);
    }
    for (const [x, place] of inputs) this.places.set(x, place);
    frame.from = this.dispatches.length;
    this.level(
      roots.map(({ value }) => value),
      roots,
      [...loops, frame],
    );
    frame.to = this.dispatches.length;
  }
}

/** Lifetimes in dispatches; a root lives to the end. Scratch gets its place here. */
function touch(
  dispatches: readonly Scheduled[],
  places: Map<Operand, Place>,
  roots: readonly Tensor[],
): void {
  for (const [i, { dispatch, loops }] of dispatches.entries()) {
    for (const operand of Object.values(dispatch.bind)) {
      if ("scratch" in operand && !places.has(operand)) {
        places.set(operand, {
          storage: slot(4 * operand.elements, loops),
          offset: 0,
          strides: [],
        });
      }
      const place = places.get(operand);
      if (!place) throw new Error(`internal: an operand of ${dispatch.kernel.name} has no place`);
      const { storage } = place;
      // What lives longer than an iteration must not be overwritten before the loop ends.
      const around = loops[storage.loops.length];
      storage.first = Math.min(storage.first, around ? around.from : i);
      storage.last = Math.max(storage.last, around ? around.to - 1 : i);
    }
  }
  for (const root of roots) {
    const { storage } = places.get(root) as Place;
    storage.first = Math.min(storage.first, dispatches.length);
    storage.last = dispatches.length;
  }
}

/**
 * WebGPU refuses a buffer that a dispatch reads through one binding and writes through another. In a
 * loop a step reads what the last one left in the same storage and writes beside it: these reads
 * are bound read_write too, which is allowed where the ranges are apart.
 */
function separate(scheduled: Scheduled, places: ReadonlyMap<Operand, Place>): Scheduled {
  const { label, dispatch, loops } = scheduled;
  const written = new Set<Storage>();
  const bound = dispatch.kernel.bindings.map(({ name, access }) => {
    const operand = dispatch.bind[name];
    if (!operand)
      throw new Error(`internal: ${label}: kernel ${dispatch.kernel.name} lacks ${name}`);
    const place = places.get(operand);
    if (place && access === "read_write") written.add(place.storage);
    return { name, access, operand, place };
  });
  const mixed = bound.filter((b) => b.access === "read" && b.place && written.has(b.place.storage));
  if (mixed.length === 0) return scheduled;
  const first: Iterations = new Map(loops.map((frame) => [frame, 0]));
  const range = ({ place, operand }: (typeof bound)[number]): [number, number] => {
    const from = offsetAt(place as Place, first);
    return [from, from + ("scratch" in operand ? operand.elements : size(operand.shape))];
  };
  for (const a of mixed) {
    const [from, to] = range(a);
    const clash = bound.find((b) => {
      if (b === a || b.place?.storage !== a.place?.storage) return false;
      const [start, end] = range(b);
      return start < to && from < end;
    });
    if (clash) {
      throw new Error(
        `internal: ${label}: kernel ${dispatch.kernel.name} reads ${a.name} and writes ${clash.name} in one place`,
      );
    }
  }
  const kernel = writable(
    dispatch.kernel,
    mixed.map(({ name }) => name),
  );
  return { label, loops, dispatch: { ...dispatch, kernel } };
}

/** A kernel with some of its read-only bindings declared read_write. */
function writable(kernel: KernelSource, names: readonly string[]): KernelSource {
  let { code } = kernel;
  for (const name of names) {
    const declared = `var<storage, read> ${name}:`;
    if (!code.includes(declared)) throw new Error(`internal: ${kernel.name} lacks "${declared}"`);
    code = code.replace(declared, `var<storage, read_write> ${name}:`);
  }
  const bindings = kernel.bindings.map((b) =>
    names.includes(b.name) ? { ...b, access: "read_write" as const } : b,
  );
  return { ...kernel, code, bindings };
}

/** Greedy by size: the largest first, each into the first buffer that is free in its lifetime. */
function shareSlots(storages: readonly Storage[]): { bytes: number; storages: Storage[] }[] {
  const slots: { bytes: number; storages: Storage[] }[] = [];
  for (const s of [...storages].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const free = s.dedicated
      ? undefined
      : slots.find((slot) =>
          slot.storages.every((o) => !o.dedicated && (o.last < s.first || s.last < o.first)),
        );
    if (free) free.storages.push(s);
    else slots.push({ bytes: s.bytes, storages: [s] });
  }
  return slots;
}

function peak(storages: readonly Storage[], dispatches: number): number {
  let most = 0;
  for (let i = 0; i < dispatches; i++) {
    let alive = 0;
    for (const s of storages)
      if (s.kind === "slot" && s.first <= i && i <= s.last) alive += s.bytes;
    most = Math.max(most, alive);
  }
  return most;
}

function checkLimits(s: Storage, { limits }: Target): void {
  const what = s.variable?.name ?? s.placeholder ?? "a value of the step";
  const fix = `${what} does not fit; use a smaller batch or model`;
  for (const limit of ["maxStorageBufferBindingSize", "maxBufferSize"] as const) {
    if (s.bytes > limits[limit]) throw new LimitError(limit, s.bytes, limits[limit], fix);
  }
}

function cutSubmits(dispatches: readonly Scheduled[], { adapter }: Target): number[] {
  const cuts: number[] = [];
  let flops = 0;
  let count = 0;
  replay(dispatches, (i) => {
    const { dispatch } = dispatches[i] as Scheduled;
    if (flops > 0 && flops + dispatch.flops > FLOPS_PER_SUBMIT[adapter]) {
      cuts.push(count);
      flops = 0;
    }
    flops += dispatch.flops;
    count++;
  });
  cuts.push(count);
  return cuts;
}
