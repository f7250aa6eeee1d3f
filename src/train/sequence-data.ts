import { RECALL_SYMBOLS, recall, recallSizes } from "../data/recall";
import { evaluationStreams, type StreamSource, streams } from "../data/streams";
import type { TextSplit } from "../data/text";
import { type Tokens, type Vocabulary, vocabularyToJson } from "../data/vocabulary";
import type { JsonObject } from "./events";
import { nameOf, sha256, type Split } from "./task";

/** Sequences as windows, whatever they are made from. */
export interface SequenceData {
  readonly unit: "characters" | "sequences";
  readonly source: string;
  /** In units. */
  readonly counts: Readonly<Record<Split, number>>;
  /** Symbols that come in, and classes to be told. */
  readonly sizes: { readonly inputs: number; readonly classes: number };
  /** What the symbols stand for, where they are of a text. */
  readonly vocabulary: Vocabulary | null;
  readonly validationIsTest: boolean;
  /** What recognises the data, for checkpoints. */
  readonly identity: () => Promise<JsonObject>;
  /** The longest window that there is with so many streams. */
  readonly longest: (batch: number) => number;
  /** Windows to train on, one after another in so many streams. */
  readonly train: (options: WindowOptions & { readonly seed: number }) => StreamSource;
  /** All of a part, each prediction once. */
  readonly whole: (part: Split, options: WindowOptions) => StreamSource;
}

/** How many streams are read at a time, and how long their windows are. */
export interface WindowOptions {
  /** Streams or sequences side by side. */
  readonly batch: number;
  /** Steps of a window; the memory task has its own. */
  readonly length: number;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Tokens): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** A text: contiguous streams whose states are carried. */
export function textData(text: TextSplit): SequenceData {
  const { train, validation, test, vocabulary, source } = text;
  return {
    unit: "characters",
    source,
    counts: { train: train.length, validation: validation.length, test: test.length },
    sizes: { inputs: vocabulary.size, classes: vocabulary.size },
    vocabulary,
    validationIsTest: test === validation,
    identity: async () => {
      const kept = vocabularyToJson(vocabulary);
      const named = new TextEncoder().encode(JSON.stringify(kept));
      return {
        name: nameOf(source),
        samples: train.length,
        sha256: await sha256([named, bytesOf(train)]),
        vocabulary: kept,
      };
    },
    longest: (batch) => Math.floor((train.length - 1) / batch),
    train: (options) => streams(train, options),
    whole: (part, options) => evaluationStreams(text[part], options),
  };
}

// New sequences each epoch: this is how often the training says that one is over.
const RECALL_COUNTS = { train: 10_000, validation: 1000, test: 2000 };

/** The memory task: name the symbol seen `delay` steps ago. */
export function recallData(delay: number): SequenceData {
  const sizes = recallSizes();
  const source = `recall of ${RECALL_SYMBOLS} symbols after ${delay} steps`;
  return {
    unit: "sequences",
    source,
    counts: RECALL_COUNTS,
    sizes,
    vocabulary: null,
    validationIsTest: false,
    identity: async () => ({
      name: source,
      samples: RECALL_COUNTS.train,
      sha256: await sha256([new TextEncoder().encode(source)]),
    }),
    longest: () => delay + 1,
    train: ({ batch, seed }) => recall({ delay, batch, sequences: RECALL_COUNTS.train, seed }),
    // The same sequences whatever the run's seed, so that runs can be compared.
    whole: (part, { batch }) =>
      recall({ delay, batch, sequences: RECALL_COUNTS[part], seed: 0, part }),
  };
}
