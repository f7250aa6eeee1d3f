import { expect } from "../graph/expect";
import type { Tensor } from "../graph/node";
import { ShapeError, show } from "../graph/shape";
import type { Tree } from "../graph/tree";
import { add, fill, mul } from "../ops/elementwise";
import { gather } from "../ops/gather";
import { slice, transpose } from "../ops/layout";
import { matmul } from "../ops/matmul";
import { reshape } from "../ops/views";
import {
  type Applied,
  bind,
  type Context,
  type Module,
  type ParamSpec,
  specs,
  type StateSpec,
} from "./module";

/**
 * A recurrent module: one time step. `apply(context, params, state, x)` takes x [B, X], or u32 [B]
 * symbols, which mean one-hot vectors, and gives h [B, H] and the next state. The leaves of `state`
 * are per sample, [H]; their values have the batch in front, [B, H]. All matrices are stored
 * [in, out], y = x W; the gates of a cell are column blocks, [in, G·H].
 */
export interface Cell extends Module<Tree<ParamSpec>, Tree<StateSpec>> {
  /** Width X of the input, or the number of symbols. */
  readonly inputs: number;
  /** Width H of the output. */
  readonly units: number;
  /** How many dropout sites it uses, from `context.site` on. */
  readonly sites: number;
}

/** Parameters of a cell without parts: W_h [H, G·H], W_x [X, G·H], b [G·H] and others. */
export type CellParams = Readonly<Record<string, ParamSpec>>;

/** Values by name, of parameters or of states. */
export type Tensors = Readonly<Record<string, Tensor>>;

/**
 * A cell that needs W_h and W_x for nothing but the products h W_h and x W_x. So another module can
 * scale them: `hyperCell` makes any such cell a hypernetwork's target.
 */
export interface GatedCell extends Cell {
  readonly params: CellParams;
  readonly state: Readonly<Record<string, StateSpec>>;
  /** One letter for each column block of the products, in their order. */
  readonly gates: string;
  /**
   * The step from hg = h W_h and xg = x W_x, [B, G·H] each. Without scales (null) they are summed
   * with the bias b; with d [3, G, B, H] the pre-activation of a gate is d₀ ⊙ hg + d₁ ⊙ xg + d₂.
   */
  update(
    context: Context,
    params: Tensors,
    state: Tensors,
    hg: Tensor,
    xg: Tensor,
    d: Tensor | null,
  ): Applied<Tensor, Tree<StateSpec>>;
}

/**
 * Dropout sites of a plain cell, added to `context.site`. The hyper cell of a hypernetwork has that
 * of its own dropout next to the main cell's.
 */
export const SITE = { input: 0, output: 1, recurrent: 2, hyperRecurrent: 3, count: 4 } as const;

/** A gated cell from its parts. */
export function gatedCell(parts: Omit<GatedCell, "apply" | "sites">): GatedCell {
  return {
    ...parts,
    sites: SITE.count,
    apply: (context, params, state, x) => {
      const [p, s] = [params as Tensors, state as Tensors];
      const hg = matmul(s.h as Tensor, p.W_h as Tensor);
      return parts.update(context, p, s, hg, project(x, p.W_x as Tensor), null);
    },
  };
}

/**
 * x W for x [B, X]; for symbols u32 (or i32) [B] the rows that their one-hot vectors choose.
 * @throws ShapeError where x is neither, or its width is not W's.
 */
export function project(x: Tensor, W: Tensor): Tensor {
  const symbols = x.dtype !== "f32";
  if (x.shape.length !== (symbols ? 1 : 2) || (!symbols && x.shape[1] !== W.shape[0])) {
    throw new ShapeError(
      `hyperloom: cell: x is ${x.dtype} ${show(x.shape)}; it takes f32 [B, ${W.shape[0]}], ` +
        `or u32 [B] of symbols below ${W.shape[0]}`,
    );
  }
  return symbols ? gather(W, x) : matmul(x, W);
}

/** d [3, G, B, H] as the three factors of the products, [B, G·H] each. */
export function scales(d: Tensor): readonly [Tensor, Tensor, Tensor] {
  const [, G = 1, B = 1, H = 1] = d.shape;
  // With one gate the axes already stand as wanted.
  const rows = G === 1 ? d : transpose(d, [0, 2, 1, 3]);
  const kind = (k: number): Tensor =>
    reshape(slice(reshape(rows, [3, B * G * H]), [k, 0], [k + 1, B * G * H]), [B, G * H]);
  return [kind(0), kind(1), kind(2)];
}

/**
 * The two summands of a pre-activation, [B, G·H] each: hg and xg + b, or with scales d
 * d₀ ⊙ hg and d₁ ⊙ xg + d₂.
 */
export function summands(
  hg: Tensor,
  xg: Tensor,
  b: Tensor | undefined,
  d: Tensor | null,
): readonly [Tensor, Tensor] {
  if (!d) return [hg, b ? add(xg, b) : xg];
  const [dh, dx, db] = scales(d);
  return [mul(dh, hg), add(mul(dx, xg), db)];
}

/** Block k of width H of the columns of x [B, G·H]. */
export function block(x: Tensor, k: number, H: number): Tensor {
  return slice(x, [0, k * H], [x.shape[0] as number, (k + 1) * H]);
}

/** @throws ShapeError unless a cell's size is a positive integer. */
export function expectSize(cell: string, name: string, value: number): void {
  expect(Number.isInteger(value) && value > 0, cell, name, value, "be a positive integer");
}

/** The state before the first step of B sequences: zeros [B, ...] in the form of `state`. */
export function zeroState(
  { state }: { readonly state: Tree<StateSpec> },
  batch: number,
): Tree<Tensor> {
  const found = specs(state);
  return bind(
    state,
    found.map(({ value }) => fill(0, [batch, ...value.shape])),
  );
}

/**
 * Layers: each takes the output of the one below. Parameters and states stand under `layer0`, …
 * @throws ShapeError where a layer's input width is not the units of the layer below.
 */
export function stack(cells: readonly Cell[]): Cell {
  const [first, last] = [cells[0], cells[cells.length - 1]];
  if (!first || !last) throw new ShapeError("hyperloom: stack: give at least one cell");
  for (const [k, cell] of cells.entries()) {
    const below = cells[k - 1];
    if (below && cell.inputs !== below.units) {
      throw new ShapeError(
        `hyperloom: stack: layer ${k} takes inputs of ${cell.inputs}, layer ${k - 1} has ` +
          `${below.units} units; make them equal`,
      );
    }
  }
  const named = <T>(of: (cell: Cell) => T): Record<string, T> =>
    Object.fromEntries(cells.map((cell, k) => [`layer${k}`, of(cell)]));
  return {
    name: "stack",
    inputs: first.inputs,
    units: last.units,
    sites: cells.reduce((n, cell) => n + cell.sites, 0),
    params: named((cell) => cell.params),
    state: named((cell) => cell.state),
    apply: (context, params, state, x) => {
      const [p, s] = [params as Branches, state as Branches];
      const next: Record<string, Tree<Tensor>> = {};
      let outputs = x;
      let site = context.site ?? 0;
      for (const [k, cell] of cells.entries()) {
        const name = `layer${k}`;
        const { probe } = context;
        const at: Context = {
          ...context,
          site,
          ...(probe && { probe: (path, value) => probe(`${name}.${path}`, value) }),
        };
        const applied = cell.apply(at, branch(p, name), branch(s, name), outputs);
        site += cell.sites;
        outputs = applied.outputs;
        next[name] = applied.state;
      }
      return { outputs, state: next };
    },
  };
}

type Branches = Readonly<Record<string, Tree<Tensor>>>;

function branch(tree: Branches, name: string): Tree<Tensor> {
  const found = tree[name];
  if (!found) throw new ShapeError(`hyperloom: stack: values of ${name} are missing`);
  return found;
}
