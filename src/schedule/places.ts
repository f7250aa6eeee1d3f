import { padded } from "../gpu/buffers";
import {
  apply1,
  isLiteral,
  type Node,
  notDifferentiable,
  type Op,
  type Operand,
  type Tensor,
} from "../graph/node";
import { size } from "../graph/shape";
import { fillOp } from "../ops/elementwise";
import {
  constantOp,
  type HostArray,
  placeholderOp,
  type Variable,
  variableOp,
} from "../ops/sources";
import type { SlabLayout } from "../ops/views";
import type { Chain } from "./elementwise-kernel";
import { chainUnit, type Unit } from "./fuse";
import { stepInputOp } from "./over-time";

/** A loop of a plan: how often it runs, and which of the plan's dispatches are its body. */
export interface Frame {
  readonly length: number;
  from: number;
  to: number;
}

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
  /** The loops that it lives in for one iteration at a time. */
  readonly loops: readonly Frame[];
  /** First and last dispatch that touches it. */
  first: number;
  last: number;
}

/** How a place moves with a loop: at iteration i by stride · ((first + by · i) mod modulo). */
export interface Stride {
  readonly frame: Frame;
  /** In elements. */
  readonly stride: number;
  readonly first: number;
  readonly by: number;
  readonly modulo: number;
}

/** Where a value lies. */
export interface Place {
  readonly storage: Storage;
  /** In elements. */
  readonly offset: number;
  readonly strides: readonly Stride[];
}

/** The iteration that each loop is at. */
export type Iterations = ReadonlyMap<Frame, number>;

/** The offset of a place, in elements, at some iterations of the loops around it. */
export function offsetAt({ offset, strides }: Place, at: Iterations): number {
  return strides.reduce(
    (sum, { frame, stride, first, by, modulo }) =>
      sum + stride * ((first + by * (at.get(frame) ?? 0)) % modulo),
    offset,
  );
}

/** A value copied as it is: how a value gets to where its producer cannot write. */
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

/** The kernel that writes a copy. */
export function copyUnit(x: Tensor, copied: Tensor, at: number): Unit {
  const chain: Chain = isLiteral(x.node)
    ? { inputs: [], steps: [x, copied] }
    : { inputs: [x], steps: [copied] };
  return chainUnit(chain, at);
}

/** Values that have to lie at given places, and what is copied there since nobody can write it there. */
export interface Claims {
  readonly places: Map<Tensor, Place>;
  readonly copies: Unit[];
}

/** Working memory. */
export function slot(bytes: number, loops: readonly Frame[], more: Partial<Storage> = {}): Storage {
  return {
    bytes: padded(bytes),
    kind: "slot",
    loops,
    first: Number.MAX_SAFE_INTEGER,
    last: -1,
    ...more,
  };
}

// Behind all of a body's nodes, before what the planner runs after everything else.
const AT_THE_END = 2 ** 39;

/** Claims a place for what a loop's body leaves behind: its producer writes there, or a copy does. */
export function claimRoot(root: Tensor, place: Place, claims: Claims): void {
  const made = behindViews(root);
  const { op, inputs } = made.node;
  const dispatched = inputs.length > 0 && !isLiteral(made.node) && !op.alias && !op.inPlace;
  if (dispatched && op.name !== "scan" && !claims.places.has(made)) claims.places.set(made, place);
  else {
    const copied = copy(root);
    claims.places.set(copied, place);
    claims.copies.push(copyUnit(root, copied, AT_THE_END));
  }
}

function behindViews(x: Tensor): Tensor {
  let made = x;
  while (made.node.op.alias === "reshape") made = made.node.inputs[0] as Tensor;
  return made;
}

/**
 * Decides for each input of each pack whether its producer may write into the slab: it may if
 * nobody else reads the value, since outside of loops no dispatch reads one range of a buffer and
 * writes another.
 */
export function claimPacks(
  nodes: readonly Node[],
  roots: ReadonlySet<Tensor>,
  loops: readonly Frame[],
  claims: Claims,
): void {
  const readers = new Map<Tensor, number>();
  for (const node of nodes) {
    for (const x of node.inputs) readers.set(x, (readers.get(x) ?? 0) + 1);
  }
  for (const pack of nodes.filter((n) => n.op.alias === "pack")) {
    const { offsets, total } = pack.attrs as SlabLayout;
    const slab = slot(4 * total, loops, { dedicated: true });
    claims.places.set(pack.outputs[0] as Tensor, { storage: slab, offset: 0, strides: [] });
    for (const [k, x] of pack.inputs.entries()) {
      let r = x;
      let alone = readers.get(r) === 1 && !roots.has(r);
      while (alone && r.node.op.alias === "reshape") {
        r = r.node.inputs[0] as Tensor;
        alone = readers.get(r) === 1 && !roots.has(r);
      }
      const made = !isLiteral(r.node) && r.node.inputs.length > 0 && !claims.places.has(r);
      const place = { storage: slab, offset: offsets[k] ?? 0, strides: [] };
      const free = alone && made && !r.node.op.alias && !r.node.op.inPlace;
      if (free && r.node.op.name !== "scan") claims.places.set(r, place);
      else {
        const copied = copy(x);
        claims.places.set(copied, place);
        claims.copies.push(copyUnit(x, copied, pack.id - 0.5));
      }
    }
  }
}

/** Where the outputs of a node lie that the planner does not place otherwise. */
export function placeNode(
  node: Node,
  places: Map<Operand, Place>,
  variables: Map<Variable, Storage>,
  loops: readonly Frame[],
): void {
  const { op, attrs, inputs, outputs } = node;
  const from = inputs[0] && places.get(inputs[0]);
  for (const [k, y] of outputs.entries()) {
    if (places.has(y)) continue;
    if (op === stepInputOp) {
      throw new Error("internal: an input of a loop's step is read outside its loop");
    }
    const bytes = 4 * size(y.shape);
    const put = (storage: Storage): void => {
      places.set(y, { storage, offset: 0, strides: [] });
    };
    if (op === variableOp) {
      const variable = attrs as Variable;
      const shared = variables.get(variable) ?? slot(bytes, [], { kind: "variable", variable });
      variables.set(variable, shared);
      put(shared);
    } else if (op === placeholderOp) {
      const { name } = attrs as { name: string };
      put(slot(bytes, [], { kind: "placeholder", placeholder: name }));
    } else if (op === constantOp) {
      put(slot(bytes, [], { kind: "constant", data: (attrs as { data: HostArray }).data }));
    } else if (op === fillOp) {
      put(slot(bytes, [], { kind: "constant", fill: (attrs as { value: number }).value }));
    } else if (op.alias === "reshape" && from) places.set(y, from);
    else if (op.alias === "unpack" && from) {
      const { offsets } = attrs as SlabLayout;
      places.set(y, { ...from, offset: from.offset + (offsets[k] ?? 0) });
    } else {
      const over = op.inPlace?.[k];
      const old = over === undefined ? undefined : places.get(inputs[over] as Tensor);
      places.set(y, old ?? { storage: slot(bytes, loops), offset: 0, strides: [] });
    }
  }
}
