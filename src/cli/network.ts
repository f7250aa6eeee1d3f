import type { Node, Tensor } from "../graph/node";
import { type Shape, size } from "../graph/shape";
import type { Tree } from "../graph/tree";
import { type ParamSpec, specs } from "../nn/module";
import type { Variable } from "../ops/sources";
import { reachable } from "../graph/substitute";
import { prediction } from "../train/programs";
import { type AnyModel, isHyper } from "../train/image-models";

/** What a box of the picture is. */
export type BoxKind = "input" | "embedding" | "generator" | "kernel" | "layer" | "output";

/** A named tensor within a box. */
export interface Weight {
  readonly name: string;
  readonly shape: Shape;
}

/** Some ops that work as one, or a value worth a box of its own. */
export interface Box {
  readonly kind: BoxKind;
  readonly title: string;
  /** Direct parameters that it reads, or the value that it is. */
  readonly weights: readonly Weight[];
  /** Multiply-adds: of one sample, or of one step in a generator. */
  readonly macs: number;
}

/** From box to box, with the shape that is handed on. */
export interface Arrow {
  readonly from: number;
  readonly to: number;
  readonly shape: Shape;
}

/** A model as a picture shows it. */
export interface Network {
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

/** A box while it is being put together. */
interface Draft {
  kind: BoxKind;
  title: string;
  weights: Weight[];
  macs: number;
}

/**
 * Reads a model's graph for one sample: elementwise ops join the op before them, parameters go into
 * the box that reads them, embeddings and generated kernels get boxes of their own.
 */
export function networkOf(model: AnyModel): Network {
  const y = prediction(model, { batch: 1 }).outputs.y as Tensor;
  return new Reader(model, reachable([y])).read(y);
}

/** Multiply-adds of one node. */
function macsOf(node: Node): number {
  const [a, b] = node.inputs;
  const out = size(node.outputs[0]?.shape ?? []);
  if (!a || !b) return 0;
  if (node.op.name === "conv2d") return out * size(b.shape.slice(-3));
  if (node.op.name === "contraction")
    return (size(a.shape) * size(b.shape)) / (a.shape.at(-1) ?? 1);
  if (node.op.name !== "matmul") return 0;
  const { transposeA } = node.attrs as { readonly transposeA: boolean };
  return out * (a.shape.at(transposeA ? -2 : -1) ?? 1);
}

/** Ops that take a generated weight; others take values such as what batch norm makes of its state. */
const MULTIPLYING = new Set(["conv2d", "matmul"]);

class Reader {
  readonly #boxes: Draft[] = [];
  readonly #arrows: Arrow[] = [];
  /** The box that makes a node's values. */
  readonly #boxOf = new Map<Node, number>();
  readonly #parameters = new Map<Tensor, Weight & { readonly kind: ParamSpec["kind"] }>();
  /** Nodes that follow from the input, and how many nodes read each. */
  readonly #main = new Set<Node>();
  readonly #readers = new Map<Node, number>();
  /** Boxes of embeddings and generated kernels. */
  readonly #values = new Map<Tensor, number>();
  readonly #paths: string[];

  constructor(
    readonly model: AnyModel,
    readonly nodes: readonly Node[],
  ) {
    this.#paths = isHyper(model) ? [...model.paths] : [];
    const kinds = new Map(
      specs(model.params as Tree<ParamSpec>).map(({ path, value }) => [path, value.kind]),
    );
    for (const node of nodes) {
      const isMain =
        node.op.name === "placeholder" || node.inputs.some((x) => this.#main.has(x.node));
      if (isMain) this.#main.add(node);
      for (const x of node.inputs) this.#readers.set(x.node, (this.#readers.get(x.node) ?? 0) + 1);
      const [slab] = node.inputs;
      if (node.op.name !== "unpack" || slab?.node.op.name !== "variable") continue;
      const { entries } = slab.node.attrs as Variable;
      for (const [k, { name, shape }] of entries.entries()) {
        const output = node.outputs[k] as Tensor;
        this.#parameters.set(output, { name, shape, kind: kinds.get(name) ?? "weight" });
      }
    }
  }

  read(y: Tensor): Network {
    for (const node of this.nodes) {
      if (node.op.name === "placeholder") {
        this.#boxOf.set(node, this.#box({ kind: "input", title: "image", weights: [], macs: 0 }));
      } else if (node.inputs.length > 0 && !node.op.alias) this.#take(node);
    }
    const end = this.#box({ kind: "output", title: "logits", weights: [], macs: 0 });
    this.#arrow(this.#origin(y), y, end);
    return { boxes: this.#boxes, arrows: this.#arrows };
  }

  #box(draft: Draft): number {
    return this.#boxes.push(draft) - 1;
  }

  #arrow(from: Tensor, as: Tensor, to: number): void {
    const made = this.#boxOf.get(from.node);
    const box = this.#values.get(from) ?? made;
    if (box === undefined || box === to) return;
    const shape = this.#main.has(from.node) ? as.shape.slice(1) : as.shape;
    this.#arrows.push({ from: box, to, shape });
  }

  /** The tensor that a reshape is a view of. */
  #origin(x: Tensor): Tensor {
    const [source] = x.node.inputs;
    return x.node.op.alias === "reshape" && source ? this.#origin(source) : x;
  }

  #take(node: Node): void {
    const values = node.inputs.filter((x) => {
      const { node: from } = this.#origin(x);
      return from.inputs.length > 0 || from.op.name === "placeholder";
    });
    const data = values.filter((x) => !this.#parameters.has(this.#origin(x)));
    const [only] = data;
    const before = only && data.length === 1 ? this.#origin(only).node : undefined;
    const joins =
      node.op.expression && before && this.#readers.get(before) === 1 && this.#boxOf.has(before);
    const isMain = this.#main.has(node);
    const box =
      (joins ? this.#boxOf.get(before) : undefined) ??
      this.#box({ kind: isMain ? "layer" : "generator", title: "", weights: [], macs: 0 });
    this.#boxOf.set(node, box);
    const draft = this.#boxes[box] as Draft;
    draft.title += draft.title ? ` · ${this.#title(node)}` : this.#title(node);
    draft.macs += macsOf(node);
    for (const x of values) {
      const origin = this.#origin(x);
      const parameter = this.#parameters.get(origin);
      // A shared kernel as it is, for this path.
      if (isMain && parameter?.kind === "generator") this.#paths.shift();
      if (parameter && parameter.kind !== "embedding") {
        draft.weights.push({ name: parameter.name, shape: parameter.shape });
      } else if (parameter) {
        this.#valueBox(origin, "embedding", parameter.name, parameter.shape);
        this.#arrow(origin, origin, box);
      } else if (isMain && MULTIPLYING.has(node.op.name) && !this.#main.has(origin.node)) {
        this.#valueBox(origin, "kernel", this.#paths.shift() ?? "generated", origin.shape);
        this.#arrow(origin, origin, box);
      } else {
        this.#arrow(origin, x, box);
      }
    }
  }

  #title(node: Node): string {
    const { name } = node.op;
    const reads = node.inputs.map((x) => this.#parameters.get(this.#origin(x)));
    if (name === "add" && reads.some((p) => p?.kind === "bias")) return "bias";
    if (name === "contraction") {
      const embeds = reads.some((p) => p?.kind === "embedding");
      return embeds ? "a = W_i z + B_i" : "K = ⟨W_out, a⟩ + B_out";
    }
    return name.replaceAll("_", "-");
  }

  /** Gives a value its own box, fed by the box that makes it. */
  #valueBox(value: Tensor, kind: BoxKind, name: string, shape: Shape): void {
    if (this.#values.has(value)) return;
    const box = this.#box({ kind, title: name, weights: [{ name: "", shape }], macs: 0 });
    const [slab] = value.node.inputs;
    const source = value.node.op.alias && slab ? this.#origin(slab) : value;
    const made = this.#boxOf.get(source.node);
    if (made !== undefined) this.#arrows.push({ from: made, to: box, shape: [] });
    this.#values.set(value, box);
  }
}
