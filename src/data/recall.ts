import { fold, key, WordStream } from "../graph/random";
import { emptyWindow, type StreamSource, type StreamWindow, windowPosition } from "./streams";

/** Which sequences of the memory task. */
export interface RecallOptions {
  /** Steps between a symbol and its recall, N. */
  readonly delay: number;
  /** Sequences side by side, B. */
  readonly batch: number;
  /** Sequences in an epoch; each epoch has new ones. */
  readonly sequences: number;
  readonly seed: number;
  /** Parts have independent sequences; default "train". */
  readonly part?: "train" | "validation" | "test";
  /** Symbols to be recalled, V, 2 to 256; default `RECALL_SYMBOLS`. By chance 1 of V is right. */
  readonly symbols?: number;
}

/** Symbols to be recalled unless told otherwise. */
export const RECALL_SYMBOLS = 8;

/** Sizes of the memory task with V symbols: of its input alphabet, 2 V + 1, and its classes, V. */
export function recallSizes(symbols = RECALL_SYMBOLS): { inputs: number; classes: number } {
  return { inputs: 2 * symbols + 1, classes: symbols };
}

/**
 * The memory task: name the symbol seen N steps ago.
 *
 * A sequence has T = N + 1 steps. Step 0 shows one of V symbols (0 to V - 1), each of steps 1 to
 * N - 1 one of V distractors (V to 2V - 1), all uniform, step N the cue 2V, where the label is the
 * symbol of step 0; no other step counts. So log2 V bits are to be kept for N steps: hardly any
 * capacity, nothing but the distance is hard, and no better answer than chance, 1/V, can be had
 * without them. Distractors, not blanks, since every one of them must be kept from writing over
 * what is remembered, and have an alphabet of their own, so that a gate can tell them by the input.
 *
 * Windows are whole sequences: `first` always holds, so the state is never carried; `count` is the
 * number of sequences. Sequence i depends on nothing but seed, part, N, V and i.
 * @throws RangeError for sizes that are no positive integers, or V out of range.
 */
export function recall(options: RecallOptions): StreamSource {
  const { delay, batch, sequences, seed, part = "train", symbols = RECALL_SYMBOLS } = options;
  for (const [name, value] of Object.entries({ delay, batch, sequences })) {
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`hyperloom: recall: ${name} is ${value}; give an integer of at least 1`);
    }
  }
  if (!(Number.isInteger(symbols) && symbols >= 2 && symbols <= 256)) {
    throw new RangeError(`hyperloom: recall of ${symbols} symbols; give 2 to 256`);
  }
  const from = fold(fold(key(seed), `recall ${part}`), delay);
  const length = delay + 1;
  const perEpoch = Math.ceil(sequences / batch);
  const at = (step: number): StreamWindow => {
    const { epoch, index } = windowPosition(step, perEpoch);
    const window = emptyWindow(length, batch);
    const size = Math.min(batch, sequences - index * batch);
    for (let b = 0; b < size; b++) {
      const random = new WordStream(fold(from, epoch * sequences + index * batch + b));
      const kept = random.below(symbols);
      window.x[b] = kept;
      for (let t = 1; t < delay; t++) window.x[t * batch + b] = symbols + random.below(symbols);
      const last = delay * batch + b;
      window.x[last] = 2 * symbols;
      window.labels[last] = kept;
      window.weight[last] = 1;
    }
    return { ...window, first: true, size, epoch, index };
  };
  return { perEpoch, count: sequences, at };
}
