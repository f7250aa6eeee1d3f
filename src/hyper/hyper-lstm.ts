import type { Cell } from "../nn/cell";
import { type LstmOptions, lstm } from "../nn/recurrent";
import { type GenerationOptions, hyperCell } from "./hyper-cell";

/** Sizes and variants of a HyperLSTM; what the main LSTM has, the hyper cell has likewise. */
export interface HyperLstmOptions extends Omit<LstmOptions, "bias">, GenerationOptions {
  /** Units Ĥ of the hyper cell. */
  readonly hyperUnits: number;
  /** Layer norm in the main cell; default true. Text gains from it, handwriting loses. */
  readonly layerNorm?: boolean;
  /** Layer norm in the hyper cell; default: as in the main cell. */
  readonly hyperLayerNorm?: boolean;
  /** Part kept of the hyper cell's tanh(ĝ) in training; default 1. */
  readonly hyperRecurrentKeep?: number;
}

/**
 * The HyperLSTM (equations 9 to 13): an LSTM whose four gates have scales and biases made by a
 * smaller LSTM at every step. See `hyperCell` for the parameters; b_0 and b̂ are there with layer
 * norm too, as the paper counts them. With layerNorm, norm [2, 5, H] and hyper.norm [2, 5, Ĥ].
 * @throws ShapeError for sizes, gates or a part kept that cannot be.
 */
export function hyperLstm(options: HyperLstmOptions): Cell {
  const { hyperUnits, layerNorm = true, hyperLayerNorm = layerNorm } = options;
  const { hyperRecurrentKeep = 1 } = options;
  const main = lstm({ ...options, layerNorm, bias: true });
  const hyper = lstm({
    ...options,
    units: hyperUnits,
    layerNorm: hyperLayerNorm,
    bias: true,
    recurrentKeep: hyperRecurrentKeep,
  });
  return hyperCell(main, hyper, options);
}
