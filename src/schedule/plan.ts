import { LimitError } from "../gpu/errors";
import type { Dispatch, Target } from "../gpu/dispatch";
import { padded } from "../gpu/buffers";
import {
  apply1,
  type Node,
  notDifferentiable,
  type Op,
  type Operand,
  type Tensor,
} from "../graph/node";
import { size } from "../graph/shape";
import { fillOp } from "../ops/elementwise";
import {
  placeholderOp,
  variableOp,
  constantOp,
  type HostArray,
  type Variable,
} from "../ops/sources";
import type { SlabLayout } from "../ops/views";
import { chainUnit, fuse, isLiteral, reachable, type Unit } from "./fuse";

/** A run of bytes that some values occupy for part of a step, or for good. */
export interface Storage {
  readonly bytes: number;
  /** What fills it: the planner's own, or a source. */
  readonly kind: "slot" | "placeholder" | "variable" | "constant";
  readonly variable?: Variable;
  readonly placeholder?: string;
  readonly data?: HostArray;
  /** A constant that is one number throughout. */
  readonly fill?: number;
  /** Never shared with another value: slabs, whose padding must stay zero. */
  readonly dedicated?: boolean;
  /** First and last dispatch that touches it. */
  first: number;
  last: number;
}

/** Where a value lies. */
export interface Place {
  readonly storage: Storage;
  /** In elements. */
  readonly offset: number;
}

/** A step as flat data: what runs in which order, and where everything lies. */
export interface Plan {
  readonly units: readonly Unit[];
  readonly dispatches: readonly { readonly label: string; readonly dispatch: Dispatch<Operand> }[];
  readonly places: ReadonlyMap<Operand, Place>;
  readonly storages: readonly Storage[];
  /** Planned storages by the buffer that they share. */
  readonly slots: readonly { readonly bytes: number; readonly storages: readonly Storage[] }[];
  /** Bytes of the slots, placeholders and constants: what this plan allocates. */
  readonly bytes: number;
  /** Largest number of bytes alive at one time in the slots. */
  readonly peakBytes: number;
  /** Index after the last dispatch of each submit. */
  readonly cuts: readonly number[];
}

/** A value copied as it is: how a value gets into a slab when its producer cannot write there. */
const copyOp: Op<null> = {
  name: "copy",
  shape: (_, x) => [x as Tensor],
  dispatch: () => [],
  gradient: notDifferentiable("it exists in plans only"),
  expression: (_, [x]) => x ?? "",
};

/** A value's copy in working memory. */
export function copy(x: Tensor): Tensor {
  return apply1(copyOp, null, x);
}

/** Flops that an adapter of the class does in the half second that one submit may take. */
const FLOPS_PER_SUBMIT: Readonly<Record<Target["adapter"], number>> = {
  // Measured: about 2 GFLOP/s over the kernels of a step on a 2-core machine.
  software: 1e9,
  // Half a TFLOP/s is what the slowest integrated GPUs reach.
  gpu: 2.5e11,
};

/**
 * Plans the computation of `roots`.
 * @throws LimitError when a value or the whole exceeds what the device takes.
 */
export function plan(roots: readonly Tensor[], target: Target): Plan {
  const rootSet = new Set(roots);
  const nodes = reachable(roots);
  const { claims, copies } = placePacks(nodes, rootSet);
  const units = fuse(nodes, rootSet, target, copies);
  const dispatches = units.flatMap(({ label, dispatches }) =>
    dispatches.map((dispatch) => ({ label, dispatch })),
  );
  const places = placeValues(nodes, claims);
  touch(dispatches, places, roots);
  const storages = [...new Set([...places.values()].map((p) => p.storage))].filter(
    (s) => s.kind !== "slot" || s.last >= 0,
  );
  for (const { label, dispatch } of dispatches) checkAliasing(label, dispatch, places);
  const slots = shareSlots(storages.filter((s) => s.kind === "slot"));
  const own = storages.filter((s) => s.kind === "placeholder" || s.kind === "constant");
  const bytes = [...slots, ...own].reduce((n, s) => n + s.bytes, 0);
  for (const s of storages) checkLimits(s, target);
  return {
    units,
    dispatches,
    places,
    storages,
    slots,
    bytes,
    peakBytes: peak(storages, dispatches.length),
    cuts: cutSubmits(dispatches, target),
  };
}

interface Claim {
  readonly pack: Node;
  readonly offset: number;
}

/**
 * Decides for each input of each pack whether its producer may write into the slab: it may if
 * nobody else reads the value, since a dispatch must not read one range of a buffer and write
 * another.
 */
function placePacks(
  nodes: readonly Node[],
  roots: ReadonlySet<Tensor>,
): { claims: Map<Tensor, Claim>; copies: Unit[] } {
  const readers = new Map<Tensor, number>();
  for (const node of nodes) {
    for (const x of node.inputs) readers.set(x, (readers.get(x) ?? 0) + 1);
  }
  const claims = new Map<Tensor, Claim>();
  const copies: Unit[] = [];
  for (const pack of nodes.filter((n) => n.op.alias === "pack")) {
    const { offsets } = pack.attrs as SlabLayout;
    for (const [k, x] of pack.inputs.entries()) {
      let r = x;
      let alone = readers.get(r) === 1 && !roots.has(r);
      while (alone && r.node.op.alias === "reshape") {
        r = r.node.inputs[0] as Tensor;
        alone = readers.get(r) === 1 && !roots.has(r);
      }
      const made = !isLiteral(r.node) && r.node.inputs.length > 0;
      const claim = { pack, offset: offsets[k] ?? 0 };
      if (alone && made && !r.node.op.alias && !r.node.op.inPlace) claims.set(r, claim);
      else {
        const copied = copy(x);
        claims.set(copied, claim);
        copies.push(chainUnit({ inputs: [x], steps: [copied] }, pack.id - 0.5));
      }
    }
  }
  return { claims, copies };
}

function placeValues(
  nodes: readonly Node[],
  claims: ReadonlyMap<Tensor, Claim>,
): Map<Operand, Place> {
  const places = new Map<Operand, Place>();
  const storage = (bytes: number, more: Partial<Storage> = {}): Storage => ({
    bytes: padded(bytes),
    kind: "slot",
    first: Number.MAX_SAFE_INTEGER,
    last: -1,
    ...more,
  });
  const slabs = new Map<Node, Storage>();
  for (const { pack } of claims.values()) {
    if (!slabs.has(pack)) {
      const { total } = pack.attrs as SlabLayout;
      slabs.set(pack, storage(4 * total, { dedicated: true }));
    }
  }
  for (const [tensor, { pack, offset }] of claims) {
    places.set(tensor, { storage: slabs.get(pack) as Storage, offset });
  }
  const variables = new Map<Variable, Storage>();
  for (const node of nodes) {
    const { op, attrs, inputs, outputs } = node;
    const from = inputs[0] && places.get(inputs[0]);
    for (const [k, y] of outputs.entries()) {
      const bytes = 4 * size(y.shape);
      if (places.has(y)) continue;
      if (op === variableOp) {
        const variable = attrs as Variable;
        const shared = variables.get(variable) ?? storage(bytes, { kind: "variable", variable });
        variables.set(variable, shared);
        places.set(y, { storage: shared, offset: 0 });
      } else if (op === placeholderOp) {
        const { name } = attrs as { name: string };
        places.set(y, {
          storage: storage(bytes, { kind: "placeholder", placeholder: name }),
          offset: 0,
        });
      } else if (op === constantOp) {
        const { data } = attrs as { data: HostArray };
        places.set(y, { storage: storage(bytes, { kind: "constant", data }), offset: 0 });
      } else if (op === fillOp) {
        const { value } = attrs as { value: number };
        places.set(y, { storage: storage(bytes, { kind: "constant", fill: value }), offset: 0 });
      } else if (op.alias === "reshape" && from) places.set(y, from);
      else if (op.alias === "unpack" && from) {
        const { offsets } = attrs as SlabLayout;
        places.set(y, { storage: from.storage, offset: from.offset + (offsets[k] ?? 0) });
      } else if (op.alias === "pack")
        places.set(y, { storage: slabs.get(node) as Storage, offset: 0 });
      else {
        const over = op.inPlace?.[k];
        const old = over === undefined ? undefined : places.get(inputs[over] as Tensor);
        places.set(y, old ?? { storage: storage(bytes), offset: 0 });
      }
    }
  }
  return places;
}

/** Lifetimes in dispatches; a root lives to the end. Scratch gets its place here. */
function touch(
  dispatches: Plan["dispatches"],
  places: Map<Operand, Place>,
  roots: readonly Tensor[],
): void {
  for (const [i, { dispatch }] of dispatches.entries()) {
    for (const operand of Object.values(dispatch.bind)) {
      if ("scratch" in operand && !places.has(operand)) {
        const bytes = padded(4 * operand.elements);
        places.set(operand, { storage: { bytes, kind: "slot", first: i, last: i }, offset: 0 });
      }
      const place = places.get(operand);
      if (!place) throw new Error(`internal: an operand of ${dispatch.kernel.name} has no place`);
      place.storage.first = Math.min(place.storage.first, i);
      place.storage.last = Math.max(place.storage.last, i);
    }
  }
  for (const root of roots) {
    const { storage } = places.get(root) as Place;
    storage.first = Math.min(storage.first, dispatches.length);
    storage.last = dispatches.length;
  }
}

/** WebGPU refuses a buffer that a dispatch reads through one binding and writes through another. */
function checkAliasing(
  label: string,
  dispatch: Dispatch<Operand>,
  places: ReadonlyMap<Operand, Place>,
): void {
  const access = new Map<Storage, string>();
  for (const { name, access: how } of dispatch.kernel.bindings) {
    const operand = dispatch.bind[name];
    const place = operand && places.get(operand);
    if (!place) throw new Error(`internal: ${label}: kernel ${dispatch.kernel.name} lacks ${name}`);
    const before = access.get(place.storage);
    if (before !== undefined && before !== how) {
      throw new Error(
        `internal: ${label}: kernel ${dispatch.kernel.name} reads and writes one buffer (${name})`,
      );
    }
    access.set(place.storage, how);
  }
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
  if (s.bytes > limits.maxStorageBufferBindingSize) {
    throw new LimitError(
      "maxStorageBufferBindingSize",
      s.bytes,
      limits.maxStorageBufferBindingSize,
      fix,
    );
  }
  if (s.bytes > limits.maxBufferSize) {
    throw new LimitError("maxBufferSize", s.bytes, limits.maxBufferSize, fix);
  }
}

function cutSubmits(dispatches: Plan["dispatches"], { adapter }: Target): number[] {
  const cuts: number[] = [];
  let flops = 0;
  for (const [i, { dispatch }] of dispatches.entries()) {
    if (flops > 0 && flops + dispatch.flops > FLOPS_PER_SUBMIT[adapter]) {
      cuts.push(i);
      flops = 0;
    }
    flops += dispatch.flops;
  }
  cuts.push(dispatches.length);
  return cuts;
}
