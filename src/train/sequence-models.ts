import { hyperLstm } from "../hyper/hyper-lstm";
import { hyperRnn } from "../hyper/hyper-rnn";
import { type Cell, stack } from "../nn/cell";
import { dropoutCell } from "../nn/cell-dropout";
import { type LanguageModel, languageModel } from "../nn/language-model";
import { gru, lstm, rnn } from "../nn/recurrent";
import type { Json, JsonObject } from "./events";
import { type AllowedOptions, isCount, type ModelEntry } from "./model-entry";

/** Names of the models of sequences of symbols. */
export const sequenceModelNames = [
  "rnn",
  "lstm",
  "ln-lstm",
  "gru",
  "hyperrnn",
  "hyperlstm",
  "ln-hyperlstm",
] as const;
/** One of `sequenceModelNames`. */
export type SequenceModelName = (typeof sequenceModelNames)[number];

/** Options as the cells here take them. */
interface CellChoice {
  readonly hyper: number;
  readonly nz: number;
  readonly init: "broken" | "paper";
  readonly source: "fresh" | "previous";
  readonly form: "scaling" | "full";
  readonly gates: string;
  readonly forgetBias: number;
  readonly eps: number;
  readonly keepRecurrent: number;
  readonly keepHyper: number;
}

const every = {
  symbols: 256,
  outputs: 256,
  hidden: 128,
  layers: 1,
  keepInput: 1,
  keepOutput: 1,
};
const gated = { gates: "ifgo", forgetBias: 1, keepRecurrent: 1 };
const generated = { hyper: 32, nz: 8, init: "broken", source: "fresh" };
const hyperGated = { ...every, ...gated, ...generated, keepHyper: 1 };

/** A stack of equal layers over symbols: dropout of the first one's input and of every output. */
function entry(
  defaults: JsonObject,
  layer: (inputs: number, units: number, options: CellChoice) => Cell,
): ModelEntry<LanguageModel> {
  return {
    defaults,
    build: (options) => {
      const { symbols, outputs, hidden, layers, keepInput, keepOutput } = options as typeof every;
      const cells = Array.from({ length: layers }, (_, k) => {
        const cell = layer(k === 0 ? symbols : hidden, hidden, options as unknown as CellChoice);
        const keep = { input: k === 0 ? keepInput : 1, output: keepOutput };
        return keep.input < 1 || keep.output < 1 ? dropoutCell(cell, keep) : cell;
      });
      return languageModel(layers === 1 ? (cells[0] as Cell) : stack(cells), outputs);
    },
  };
}

const lstmLayer =
  (layerNorm: boolean) =>
  (inputs: number, units: number, { keepRecurrent, ...rest }: CellChoice): Cell =>
    lstm({ ...rest, inputs, units, layerNorm, recurrentKeep: keepRecurrent });

const hyperLstmLayer =
  (layerNorm: boolean) =>
  (inputs: number, units: number, options: CellChoice): Cell => {
    const { hyper, keepRecurrent, keepHyper, ...rest } = options;
    return hyperLstm({
      ...rest,
      inputs,
      units,
      layerNorm,
      hyperUnits: hyper,
      recurrentKeep: keepRecurrent,
      hyperRecurrentKeep: keepHyper,
    });
  };

/** The models of sequences by name. */
export const sequenceModels: Readonly<Record<SequenceModelName, ModelEntry<LanguageModel>>> = {
  rnn: entry(every, (inputs, units) => rnn({ inputs, units })),
  lstm: entry({ ...every, ...gated }, lstmLayer(false)),
  "ln-lstm": entry({ ...every, ...gated, eps: 1e-5 }, lstmLayer(true)),
  gru: entry(every, (inputs, units) => gru({ inputs, units })),
  hyperrnn: entry(
    { ...every, ...generated, form: "scaling" },
    (inputs, units, { hyper, nz, init, source, form }) =>
      hyperRnn({ inputs, units, hyperUnits: hyper, nz, init, source, form }),
  ),
  hyperlstm: entry(hyperGated, hyperLstmLayer(false)),
  "ln-hyperlstm": entry({ ...hyperGated, eps: 1e-5 }, hyperLstmLayer(true)),
};

const isKeep = (x: Json): boolean => typeof x === "number" && x > 0 && x <= 1;

/** What an option of any of these models may be. */
export const sequenceOptions: AllowedOptions = {
  symbols: (x) => isCount(x, 16_384),
  outputs: (x) => isCount(x, 16_384),
  hidden: (x) => isCount(x, 65_536),
  layers: (x) => isCount(x, 64),
  hyper: (x) => isCount(x, 65_536),
  nz: (x) => isCount(x),
  init: (x) => x === "broken" || x === "paper",
  source: (x) => x === "fresh" || x === "previous",
  form: (x) => x === "scaling" || x === "full",
  gates: (x) => typeof x === "string" && [...x].sort().join("") === "fgio",
  forgetBias: (x) => typeof x === "number" && Number.isFinite(x),
  eps: (x) => typeof x === "number" && x >= 0 && x <= 1,
  keepInput: isKeep,
  keepOutput: isKeep,
  keepRecurrent: isKeep,
  keepHyper: isKeep,
};
