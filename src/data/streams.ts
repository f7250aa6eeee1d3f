import type { Tokens } from "./vocabulary";

/** How a text is cut. */
export interface StreamOptions {
  /** Streams side by side, B. */
  readonly batch: number;
  /** Symbols of each stream in a window, T. */
  readonly length: number;
}

/** One window over B streams, time-major: entry t * B + b is step t of stream b. */
export interface StreamWindow {
  /** Input symbols [T, B]; 0 where `weight` is 0. */
  readonly x: Uint32Array<ArrayBuffer>;
  /** The symbol that follows each input in the text [T, B]; 0 where `weight` is 0. */
  readonly labels: Uint32Array<ArrayBuffer>;
  /** Of shape [T, B]; 1 for a prediction that counts, 0 for one that does not (padding). */
  readonly weight: Float32Array<ArrayBuffer>;
  /** [T, B] of the three. */
  readonly shape: readonly [number, number];
  /** Whether the streams begin here: the state is zero; else it is the last window's final one. */
  readonly first: boolean;
  /** Predictions that count: the sum of `weight`. */
  readonly size: number;
  readonly epoch: number;
  /** Number of the window within its epoch. */
  readonly index: number;
}

/** Random access to windows: `at` depends on nothing but its number, so that runs can go on. */
export interface StreamSource {
  /** Windows in an epoch. */
  readonly perEpoch: number;
  /** Predictions in an epoch: the sum of all weights. */
  readonly count: number;
  /** Window `step`, counted from the first of the first epoch on, across epochs. */
  at(step: number): StreamWindow;
}

/** The epoch of a window's number and its number in there. @throws RangeError for a bad number. */
export function windowPosition(step: number, perEpoch: number): { epoch: number; index: number } {
  if (!(Number.isSafeInteger(step) && step >= 0)) {
    throw new RangeError(`hyperloom: window number ${step}; give an integer of at least 0`);
  }
  return { epoch: Math.floor(step / perEpoch), index: step % perEpoch };
}

/** Allocates a window's arrays, all zero. */
export function emptyWindow(length: number, batch: number) {
  return {
    x: new Uint32Array(length * batch),
    labels: new Uint32Array(length * batch),
    weight: new Float32Array(length * batch),
    shape: [length, batch] as const,
  };
}

/** Windows over streams of `steps` predictions each, the first `longer` of them of one more. */
function cut(
  tokens: Tokens,
  { batch, length }: StreamOptions,
  steps: number,
  longer: number,
): StreamSource {
  const perEpoch = Math.ceil((steps + (longer > 0 ? 1 : 0)) / length);
  const at = (step: number): StreamWindow => {
    const { epoch, index } = windowPosition(step, perEpoch);
    const window = emptyWindow(length, batch);
    const done = index * length;
    let size = 0;
    for (let b = 0; b < batch; b++) {
      const start = b * steps + Math.min(b, longer) + done;
      const left = Math.min(length, steps + (b < longer ? 1 : 0) - done);
      for (let t = 0; t < left; t++) {
        const i = t * batch + b;
        window.x[i] = tokens[start + t] as number;
        window.labels[i] = tokens[start + t + 1] as number;
        window.weight[i] = 1;
      }
      size += Math.max(0, left);
    }
    return { ...window, first: index === 0, size, epoch, index };
  };
  return { perEpoch, count: batch * steps + longer, at };
}

function expectOptions(tokens: Tokens, { batch, length }: StreamOptions, least: number): void {
  const count = (n: number) => Number.isSafeInteger(n) && n >= 1;
  if (!count(batch) || !count(length)) {
    throw new RangeError(
      `hyperloom: ${batch} streams in windows of ${length} symbols; give integers of at least 1`,
    );
  }
  if (tokens.length < least) {
    throw new RangeError(
      `hyperloom: a text of ${tokens.length} symbols cannot be cut into ${batch} streams, which ` +
        `takes ${least}; give a longer text or a smaller batch`,
    );
  }
}

/**
 * A text of n symbols as B contiguous streams of equal length, for training with carried state.
 *
 * L = floor((n - 1) / B); step p of stream b reads symbol bL + p and predicts symbol bL + p + 1,
 * p < L. So each of the symbols 1 to BL is predicted once in an epoch; the last n - 1 - BL < B
 * symbols, never. An epoch has ceil(L / T) windows; the last is filled up with weight 0. Every
 * epoch begins with zero state and has the same windows.
 * @throws RangeError for sizes that are no positive integers and a text of less than B + 1 symbols.
 */
export function streams(tokens: Tokens, options: StreamOptions): StreamSource {
  expectOptions(tokens, options, options.batch + 1);
  return cut(tokens, options, Math.floor((tokens.length - 1) / options.batch), 0);
}

/**
 * A whole text of n symbols as B contiguous streams, for evaluation from zero state.
 *
 * Every symbol but the first, 1 to n - 1, is predicted exactly once: stream b begins with the
 * symbol that stream b - 1 predicts last. n - 1 = qB + r: the first r streams make q + 1
 * predictions, the others q, and what they lack is filled up with weight 0; `count` is n - 1. The
 * first prediction of each stream sees one symbol, the others all symbols of their stream before.
 * @throws RangeError for sizes that are no positive integers and a text of less than 2 symbols.
 */
export function evaluationStreams(tokens: Tokens, options: StreamOptions): StreamSource {
  expectOptions(tokens, options, 2);
  const predictions = tokens.length - 1;
  const steps = Math.floor(predictions / options.batch);
  return cut(tokens, options, steps, predictions % options.batch);
}
