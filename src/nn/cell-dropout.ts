import { expectPart, expectShape } from "../graph/expect";
import type { Tensor } from "../graph/node";
import { type Shape, ShapeError } from "../graph/shape";
import { dropoutMask } from "../ops/dropout";
import { equalTo, mul } from "../ops/elementwise";
import { constant } from "../ops/sources";
import { reshape } from "../ops/views";
import { type Cell, SITE } from "./cell";
import type { Context } from "./module";

/** Defined as true by bundlers of pages that only infer; see .ci/bundlers.mjs. */
declare const __HYPERLOOM_INFERENCE__: boolean | undefined;

/**
 * The mask of a dropout in this run: entries 0 or 1/keep; null in evaluation and for keep = 1.
 * @param site number of the dropout, added to `context.site`
 * @throws ShapeError where training has no key, or a given mask another shape.
 */
export function maskFor(context: Context, shape: Shape, keep: number, site: number): Tensor | null {
  if (!context.train || keep === 1) return null;
  if (typeof __HYPERLOOM_INFERENCE__ !== "undefined" && __HYPERLOOM_INFERENCE__) {
    throw new Error(
      "hyperloom: dropout was left out of this bundle; build it without __HYPERLOOM_INFERENCE__",
    );
  }
  const at = (context.site ?? 0) + site;
  if (context.mask) {
    const mask = context.mask(shape, keep, at);
    expectShape("dropout", `the mask given for site ${at}`, mask, shape);
    return mask;
  }
  if (!context.key) {
    throw new ShapeError(
      `hyperloom: dropout with keep ${keep} was asked to train without random numbers; give the ` +
        "context a key",
    );
  }
  return dropoutMask(shape, keep, context.key, at);
}

/** Parts kept of a cell's input and output, 1 (all) by default. */
export interface CellDropout {
  readonly input?: number;
  readonly output?: number;
}

/**
 * A cell with dropout on its inputs x and on its outputs; the states keep all. Parameters and their
 * names are the cell's. Symbols become one-hot vectors in training where inputs are dropped.
 * @throws ShapeError unless the parts kept lie in (0, 1].
 */
export function dropoutCell(cell: Cell, { input = 1, output = 1 }: CellDropout): Cell {
  expectPart("dropoutCell", "input", input);
  expectPart("dropoutCell", "output", output);
  const { name, inputs, units, params, state, sites } = cell;
  return {
    name,
    inputs,
    units,
    params,
    state,
    sites,
    apply: (context, values, states, x) => {
      const given = maskFor(context, [x.shape[0] as number, inputs], input, SITE.input);
      const fed = given ? mul(x.dtype === "f32" ? x : oneHot(x, inputs), given) : x;
      const applied = cell.apply(context, values, states, fed);
      const mask = maskFor(context, applied.outputs.shape, output, SITE.output);
      return mask ? { ...applied, outputs: mul(applied.outputs, mask) } : applied;
    },
  };
}

/** Symbols [B] as vectors [B, V] of 0 and one 1. */
function oneHot(x: Tensor, V: number): Tensor {
  const all = Array.from({ length: V }, (_, v) => v);
  const symbols = x.dtype === "u32" ? Uint32Array.from(all) : Int32Array.from(all);
  return equalTo(reshape(x, [x.shape[0] as number, 1]), constant(symbols, [1, V]));
}
