/** Sizes of the two models, and how many parameters they have; the page knows them before training. */

/** What the visitor chooses among: the first is for software adapters, the others want a GPU. */
export const SIZES = {
  small: { hidden: 64, hyper: 16, nz: 4, batch: 32, seq: 32 },
  medium: { hidden: 128, hyper: 32, nz: 8, batch: 32, seq: 64 },
  large: { hidden: 256, hyper: 64, nz: 8, batch: 64, seq: 64 },
} as const;

/** The name of a size. */
export type SizeName = keyof typeof SIZES;

/** Gates of an LSTM, and the kinds of numbers made for each: scales of h W_h, of x W_x, biases. */
export const GATES = 4;
export const KINDS = 3;

/** Parameters of the layer norms of a cell's four gates and of its c: gains and biases. */
const norms = (units: number, layerNorm: boolean): number => (layerNorm ? 10 * units : 0);

/**
 * Parameters of an LSTM with its readout.
 * @param symbols V of the text, which are read and written. @param hidden Its units H.
 */
export function lstmParameters(symbols: number, hidden: number, layerNorm: boolean): number {
  // The norms' biases stand for the gates' own.
  const bias = layerNorm ? 0 : 1;
  const cell = GATES * hidden * (hidden + symbols + bias) + norms(hidden, layerNorm);
  return cell + (hidden + 1) * symbols;
}

/** Parameters of a HyperLSTM with its readout: main cell, hyper cell, and what makes d of its state. */
export function hyperLstmParameters(symbols: number, size: SizeName, layerNorm: boolean): number {
  const { hidden, hyper, nz } = SIZES[size];
  const main = GATES * hidden * (hidden + symbols + 1) + norms(hidden, layerNorm);
  const inner = GATES * hyper * (hyper + hidden + symbols + 1) + norms(hyper, layerNorm);
  const made = KINDS * GATES * nz * (hyper + hidden) + 2 * GATES * nz;
  return main + inner + made + (hidden + 1) * symbols;
}

/**
 * Units of the LSTM beside it: as many as the HyperLSTM's main cell, or so many that both have about
 * as many parameters.
 */
export function lstmUnits(
  symbols: number,
  size: SizeName,
  layerNorm: boolean,
  equal: string,
): number {
  const { hidden } = SIZES[size];
  if (equal === "units") return hidden;
  const wanted = hyperLstmParameters(symbols, size, layerNorm);
  let units = hidden;
  while (lstmParameters(symbols, units + 1, layerNorm) <= wanted) units++;
  const [below, above] = [units, units + 1].map((each) =>
    Math.abs(lstmParameters(symbols, each, layerNorm) - wanted),
  ) as [number, number];
  return below <= above ? units : units + 1;
}
