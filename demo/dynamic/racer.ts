/** One of the two models that learn the text: its training steps, its tests, its checkpoints. */
import {
  bitsPerSymbol,
  buildModel,
  compile,
  countParameters,
  type Device,
  type Executable,
  type LanguageModel,
  modelSpec,
  readCheckpoint,
  restoreCheckpoint,
  type SequenceModelName,
  saveCheckpoint,
  sequenceEvaluation,
  sequenceStep,
  Variables,
} from "hyperloom";
import type { StreamSource } from "hyperloom/data";
import {
  evaluateSequences,
  optimizerOf,
  type SequenceData,
  type SequenceSettings,
} from "hyperloom/train";

/** A model in the race. */
export interface Racer {
  readonly model: LanguageModel;
  readonly settings: SequenceSettings;
  readonly parameters: number;
  readonly variables: Variables;
  /** Milliseconds spent in its training steps. */
  readonly spent: number;
  /** The mean over the steps of the last window, in bits per character. */
  train(): Promise<number>;
  /**
   * Bits per character on the held-out end of the text, from zero state; NaN where it was ended.
   * @param most Windows at most; default: all of it.
   */
  test(options?: TestOptions): Promise<number>;
  /** Prepares the first test, which else takes the time to compile. */
  prepare(): Promise<void>;
  /** All that training goes on from, as a file that the terminal reads too. */
  save(): Promise<Uint8Array<ArrayBuffer>>;
  dispose(): void;
}

/** How much is tested. */
export interface TestOptions {
  readonly most?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** The first windows of a source. */
function firstOf(source: StreamSource, most: number): StreamSource {
  if (source.perEpoch <= most) return source;
  const sizes = Array.from({ length: most }, (_, k) => source.at(k).size);
  return { ...source, perEpoch: most, count: sizes.reduce((a, b) => a + b, 0) };
}

/** What a racer is made from. */
export interface RacerOptions {
  readonly name: SequenceModelName;
  /** Options of the model, but for the number of symbols. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly seed: number;
  readonly batch: number;
  readonly seq: number;
  readonly steps: number;
}

/** All settings of a fresh run, in the words of checkpoints: the terminal can go on with it. */
function freshSettings(options: RacerOptions, { sizes }: SequenceData): SequenceSettings {
  const { name, seed, batch, seq, steps } = options;
  const symbols = { symbols: sizes.inputs, outputs: sizes.classes };
  return {
    task: "text",
    preset: "quick",
    model: modelSpec(name, { ...options.sizes, ...symbols }),
    seed,
    batch,
    steps,
    optimizer: "adam",
    lr: 5e-3,
    rate: { kind: "constant" },
    clip: 1,
    seq,
    chunk: seq,
    validation: 1000,
    delay: 0,
  };
}

/**
 * Puts a model on a device, ready for its first step.
 * @param from A checkpoint of `save` to go on from; null: a fresh start.
 */
export async function createRacer(
  device: Device,
  options: RacerOptions,
  data: SequenceData,
  from: Uint8Array<ArrayBuffer> | null,
): Promise<Racer> {
  const settings = freshSettings(options, data);
  const { batch, seq: length, seed } = settings;
  const model = buildModel(settings.model);
  const variables = new Variables(device, seed);
  const program = sequenceStep(model, optimizerOf(settings), { batch, length });
  const step = await compile(device, program, { variables });
  const kept = [...(program.updates?.keys() ?? [])];
  if (from) restoreCheckpoint(readCheckpoint(from, options.name), variables, kept);
  const source = data.train({ batch, length, seed });
  const ended = new AbortController();
  let spent = 0;
  // Made once, in the background; a device that is gone by then is the trainer's to tell.
  let testing: Promise<Executable> | null = null;
  const made: Executable[] = [step];
  const compileTest = async (): Promise<Executable> => {
    const { signal } = ended;
    const evaluation = sequenceEvaluation(model, { batch, length });
    const executable = await compile(device, evaluation, { variables, signal });
    if (signal.aborted) executable.dispose();
    made.push(executable);
    return executable;
  };
  const tester = (): Promise<Executable> => {
    testing ??= compileTest();
    return testing;
  };
  return {
    model,
    settings,
    parameters: countParameters(model.params),
    variables,
    get spent() {
      return spent;
    },
    async train() {
      const { x, labels, weight, first } = source.at(variables.step);
      const began = performance.now();
      const { loss } = await step.run({ x, labels, weight, keep: Float32Array.of(first ? 0 : 1) });
      spent += performance.now() - began;
      return bitsPerSymbol(loss?.[0] ?? Number.NaN);
    },
    async test({ most = Number.POSITIVE_INFINITY, ...options } = {}) {
      const whole = firstOf(data.whole("test", { batch, length }), most);
      const tested = await evaluateSequences(await tester(), whole, () => ({}), options);
      return bitsPerSymbol(tested?.loss ?? Number.NaN);
    },
    async prepare() {
      await tester();
    },
    async save() {
      const { model: spec, ...rest } = settings;
      return saveCheckpoint(variables, {
        model: spec,
        settings: rest as never,
        optimizer: optimizerOf(settings).settings,
        data: await data.identity(),
      });
    },
    dispose() {
      ended.abort();
      for (const executable of made) executable.dispose();
      variables.dispose();
    },
  };
}
