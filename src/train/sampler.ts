import type { Device } from "../gpu/device";
import type { WaitOptions } from "../gpu/wait-options";
import { fold, key, words } from "../graph/random";
import { remembered } from "../graph/remembered";
import { rebuild, type Tree } from "../graph/tree";
import type { Tensor } from "../graph/node";
import { size } from "../graph/shape";
import type { LanguageModel } from "../nn/language-model";
import { isSpec, type ParamSpec, type StateSpec, type Values } from "../nn/module";
import { tensorsOf } from "../nn/sequence";
import { bindSlab, slabsOf } from "../nn/slabs";
import { categorical } from "../ops/categorical";
import { add, mul, sqrt, square, sub } from "../ops/elementwise";
import { sum } from "../ops/reduce";
import { placeholder, read, type Variable } from "../ops/sources";
import { compile, type Executable, type Program } from "../schedule/executable";
import { Variables } from "../schedule/variables";
import { encodeText, type Vocabulary, vocabularyFromJson } from "../data/vocabulary";
import {
  type Checkpoint,
  CheckpointError,
  checkpointModel,
  readCheckpoint,
  restoreCheckpoint,
} from "./checkpoint";
import { isSequenceModel, modelVariables } from "./models";
import { carriedStates } from "./sequence-programs";

/** How much a layer's generated scales changed at one symbol: ‖d_t − d_{t−1}‖ of each gate. */
export interface ScaleChange {
  /** `d`, or `layer0.d`, … in a stack. */
  readonly path: string;
  /** Of the scales of h W_h, of those of x W_x, and of the biases; each by gate. */
  readonly h: readonly number[];
  readonly x: readonly number[];
  readonly b: readonly number[];
}

/** One symbol read or drawn. */
export interface Sampled {
  /** The symbol after it, drawn by the model. */
  readonly symbol: number;
  /** What reading it changed, where a trace was asked for and the model generates weights. */
  readonly changes: readonly ScaleChange[];
}

const scalar = (name: string, dtype: "u32" | "f32" = "f32"): Variable => ({
  name,
  shape: [1],
  dtype,
  initial: () => (dtype === "u32" ? new Uint32Array(1) : new Float32Array(1)),
  entries: [{ name, shape: [1], offset: 0 }],
});

/** Words of the number that decides symbol t: 24 bits, which f32 holds. */
const drawn = (t: number, seed: number): Float32Array => {
  const [word = 0] = words(fold(fold(key(seed), "sample"), t), [0, 0], 1);
  return Float32Array.of((word >>> 8) / 2 ** 24);
};

/**
 * One symbol through a model of one sequence: it reads the given symbol, or where `hold` is 1 the
 * one that it drew last (given 0), and draws the next. States and the drawn symbol are variables, so that
 * nothing has to come back between two symbols. Inputs `given` and `hold` u32 [1], `temperature`
 * []; outputs `symbol` u32 [1], and with a trace `change k` [3, G] of the k-th of `paths`.
 */
export function samplingProgram(
  model: LanguageModel,
  trace = false,
): { readonly program: Program; readonly paths: readonly string[] } {
  const given = placeholder("given", [1], "u32");
  const hold = placeholder("hold", [1], "u32");
  const temperature = placeholder("temperature", []);
  const u = placeholder("u", [1]);
  const last = tokenOf(model);
  const states = carriedStates(model, 1, "sampled");
  const { values } = bindSlab(model.params, slabsOf(model).parameters);
  const probed: { readonly path: string; readonly value: Tensor }[] = [];
  const applied = model.apply(
    {
      train: false,
      key: null,
      ...(trace && { probe: (path, value) => void probed.push({ path, value }) }),
    },
    values as Values<Tree<ParamSpec>>,
    rebuild<StateSpec, Tensor>(model.state, isSpec, states.map(read)) as Values<Tree<StateSpec>>,
    add(given, mul(read(last), hold)),
  );
  const symbol = categorical(applied.outputs, u, temperature);
  const updates = new Map<Variable, Tensor>([[last, symbol]]);
  const next = tensorsOf(applied.state as Tree<Tensor>);
  for (const [k, state] of states.entries()) updates.set(state, next[k] as Tensor);
  const changes = probed.map(({ path, value }): [string, Tensor] => {
    const { shape } = value;
    const before: Variable = {
      name: `before.${path}`,
      shape,
      dtype: "f32",
      initial: () => new Float32Array(size(shape)),
      entries: [{ name: path, shape, offset: 0 }],
    };
    updates.set(before, value);
    const moved = square(sub(value, read(before)));
    return [path, sqrt(sum(moved, [2, 3]))];
  });
  const program: Program = {
    name: `sampling from ${model.name}`,
    inputs: { given, hold, temperature },
    outputs: {
      symbol,
      ...Object.fromEntries(changes.map(([, change], k) => [`change ${k}`, change])),
    },
    updates,
    feeds: [{ tensor: u, values: drawn }],
  };
  return { program, paths: changes.map(([path]) => path) };
}

/** The variable of the symbol that was drawn last. */
function tokenOf(model: LanguageModel): Variable {
  return remembered(tokens, model, () => scalar("symbol", "u32"));
}

const tokens = new WeakMap<LanguageModel, Variable>();

/** What is wanted of a sample. */
export interface SampleOptions {
  /** Symbols read before the first one is drawn; at least one. */
  readonly prompt: ArrayLike<number>;
  /** Symbols to be drawn. */
  readonly length: number;
  /** Divides the logits: below 1 the likely become likelier, 0 takes the likeliest; default 1. */
  readonly temperature?: number;
  /** Ends it after the symbols under way; those drawn by then were yielded. */
  readonly signal?: AbortSignal | undefined;
}

/** A language model ready to write. */
export interface Sampler {
  readonly checkpoint: Checkpoint;
  readonly model: LanguageModel;
  readonly vocabulary: Vocabulary;
  readonly executable: Executable;
  /** Symbols of a prompt. @throws DataFileError naming the first that the model does not know. */
  readonly encode: (text: string) => ArrayLike<number>;
  /**
   * Reads the prompt from zero state and draws symbols one after another, each one submit; several
   * are under way at a time. Yields first what reading all but the last symbol of the prompt did.
   */
  readonly sample: (options: SampleOptions) => AsyncGenerator<Sampled, void, void>;
  /** Frees all that it holds on the device. */
  readonly dispose: () => void;
}

/** Symbols under way: enough to keep the queue busy. */
const IN_FLIGHT = 3;

/**
 * Rebuilds the language model that a checkpoint was made from and puts it on a device, to write.
 * @param options.seed decides what is drawn; default 0. `trace` reports changes of generated weights;
 *   `file` is the checkpoint's name in messages; `onProgress` counts kernels compiled.
 * @throws CheckpointError before any work on the device, where it is of no language model; the
 *   signal's reason.
 */
export async function loadSampler(
  device: Device,
  bytes: Uint8Array,
  options: {
    readonly seed?: number;
    readonly trace?: boolean;
    readonly file?: string;
  } & WaitOptions = {},
): Promise<Sampler> {
  const { seed = 0, trace = false, file = "checkpoint", onProgress, signal } = options;
  const checkpoint = readCheckpoint(bytes, file);
  const { model, vocabulary } = languageOf(checkpoint);
  const wanted = modelVariables(model);
  const variables = new Variables(device, seed);
  restoreCheckpoint(checkpoint, variables, wanted);
  const { program, paths } = samplingProgram(model, trace);
  const executable = await compile(device, program, { variables, onProgress, signal }).catch(
    (error: unknown) => {
      variables.dispose();
      throw error;
    },
  );
  const kept = [...(program.updates?.keys() ?? [])];
  const one = async (given: number | null, temperature: number): Promise<Sampled> => {
    const outputs = await executable.run({
      given: Uint32Array.of(given ?? 0),
      hold: Uint32Array.of(given === null ? 1 : 0),
      temperature: Float32Array.of(temperature),
    });
    const changes = paths.map((path, k): ScaleChange => {
      const all = [...(outputs[`change ${k}`] ?? [])];
      const gates = all.length / 3;
      const kind = (n: number): number[] => all.slice(n * gates, (n + 1) * gates);
      return { path, h: kind(0), x: kind(1), b: kind(2) };
    });
    return { symbol: outputs.symbol?.[0] ?? 0, changes };
  };
  async function* sample(wants: SampleOptions): AsyncGenerator<Sampled, void, void> {
    const { prompt, length, temperature = 1, signal } = wants;
    for (const variable of kept) variables.write(variable, variable.initial(seed));
    variables.step = 0;
    const total = prompt.length + length - 1;
    const flight: Promise<Sampled>[] = [];
    for (let t = 0; (t < total || flight.length > 0) && !signal?.aborted; ) {
      while (t < total && flight.length < IN_FLIGHT) {
        const next = one(t < prompt.length ? (prompt[t] as number) : null, temperature);
        // A failure is thrown when its turn comes.
        next.catch(() => undefined);
        flight.push(next);
        t++;
      }
      const sampled = await (flight.shift() as Promise<Sampled>);
      if (sampled.symbol >= vocabulary.size) {
        throw new RangeError(
          `hyperloom: ${file}: its outputs are no numbers; nothing can be drawn`,
        );
      }
      yield sampled;
    }
  }
  const dispose = (): void => {
    executable.dispose();
    variables.dispose();
  };
  const encode = (text: string): ArrayLike<number> => encodeText(vocabulary, text, "the prompt");
  return { checkpoint, model, vocabulary, executable, encode, sample, dispose };
}

/** The language model of a checkpoint and its symbols. @throws CheckpointError where it has none. */
export function languageOf(checkpoint: Checkpoint): {
  readonly model: LanguageModel;
  readonly vocabulary: Vocabulary;
} {
  const { file, data } = checkpoint;
  const { model, spec } = checkpointModel(checkpoint);
  if (!isSequenceModel(model)) {
    throw new CheckpointError(
      file,
      `it is of ${spec.name}, a model of images, which writes nothing`,
    );
  }
  if (data.vocabulary === undefined) {
    throw new CheckpointError(file, "it has no vocabulary: it was not trained on a text");
  }
  try {
    return { model, vocabulary: vocabularyFromJson(data.vocabulary) };
  } catch (error) {
    const reason = (error as Error).message.replace("hyperloom: ", "");
    throw new CheckpointError(file, reason, { cause: error });
  }
}
