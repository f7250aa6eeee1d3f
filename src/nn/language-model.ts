import type { Tensor } from "../graph/node";
import type { Tree } from "../graph/tree";
import { add } from "../ops/elementwise";
import { matmul } from "../ops/matmul";
import { type Cell, expectSize } from "./cell";
import { glorotUniform, zeros } from "./init";
import type { ParamSpec, Values } from "./module";
import type { Recurrent } from "./sequence";

/** A cell and the layer that reads it out. */
export interface LanguageModel extends Recurrent {
  readonly cell: Cell;
  /** Numbers V that come out for a time step. */
  readonly outputs: number;
  /** h W_s + b_s for h [..., H]: [..., V]. */
  readonly readout: (params: Values<Tree<ParamSpec>>, h: Tensor) => Tensor;
}

/**
 * A model of sequences: a cell, and logits = h W_s + b_s of V symbols (or the 6M + 1 numbers of a
 * mixture density). The cell's parameters stand under `cell`, W_s is [H, V], b_s [V]; the state is
 * the cell's. One step takes x as the cell does and gives [B, V].
 * @throws ShapeError unless V is a positive integer.
 */
export function languageModel(cell: Cell, outputs: number): LanguageModel {
  expectSize("languageModel", "outputs", outputs);
  const { units } = cell;
  const readout = (params: Values<Tree<ParamSpec>>, h: Tensor): Tensor => {
    const { W_s, b_s } = params as unknown as { W_s: Tensor; b_s: Tensor };
    return add(matmul(h, W_s), b_s);
  };
  return {
    name: `${cell.name}-model`,
    cell,
    outputs,
    readout,
    params: {
      cell: cell.params,
      W_s: {
        shape: [units, outputs],
        init: glorotUniform(units, outputs),
        fanIn: units,
        kind: "weight",
      },
      b_s: { shape: [outputs], init: zeros, kind: "bias" },
    },
    state: cell.state,
    apply: (context, params, state, x) => {
      const own = (params as { cell: Tree<Tensor> }).cell;
      const applied = cell.apply(context, own, state, x);
      return { ...applied, outputs: readout(params, applied.outputs) };
    },
  };
}
