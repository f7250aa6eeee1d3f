import type { Target } from "../gpu/dispatch";
import type { LanguageModel } from "../nn/language-model";
import { slabsOf } from "../nn/slabs";
import type { Variable } from "../ops/sources";
import type { Executable, Program } from "../schedule/executable";
import { plan } from "../schedule/plan";
import type { StreamSource } from "../data/streams";
import type { Evaluated } from "./events";
import { buildModel } from "./models";
import { momentVariables } from "./programs";
import type { SequenceData } from "./sequence-data";
import {
  bitsPerSymbol,
  carriedStates,
  sequenceEvaluation,
  sequenceStep,
} from "./sequence-programs";
import { optimizerOf, type SequenceSettings } from "./settings";
import { Flight, type PassOptions, type Task } from "./task";

/** What a window gives a program of `sequence-programs`. */
function windowInputs({ x, labels, weight, first }: ReturnType<StreamSource["at"]>) {
  return { x, labels, weight, keep: Float32Array.of(first ? 0 : 1) };
}

/**
 * Runs a `sequenceEvaluation` over all windows of a source, from zero state, each prediction counted
 * once; null where the signal ended it.
 */
export async function evaluateSequences(
  executable: Executable,
  source: StreamSource,
  measure: (loss: number, accuracy: number) => Omit<Evaluated, "loss" | "samples">,
  { onProgress, signal }: PassOptions = {},
): Promise<Evaluated | null> {
  let [loss, correct, done] = [0, 0, 0];
  const flight = new Flight();
  for (let k = 0; k < source.perEpoch && !signal?.aborted; k++) {
    const window = source.at(k);
    await flight.add(
      executable.run(windowInputs(window)).then((outputs) => {
        loss += outputs.loss?.[0] ?? Number.NaN;
        correct += outputs.correct?.[0] ?? Number.NaN;
        done += window.size;
        onProgress?.(done, source.count);
      }),
    );
  }
  await flight.land();
  if (done < source.count) return null;
  return { loss: loss / done, ...measure(loss / done, correct / done), samples: done };
}

/** What is said of a part, by what the data are. */
export function sequenceMeasures(
  data: SequenceData,
): (loss: number, accuracy: number) => Omit<Evaluated, "loss" | "samples"> {
  return data.unit === "characters"
    ? (loss, accuracy) => ({ bits_per_character: bitsPerSymbol(loss), accuracy })
    : (_, accuracy) => ({ accuracy, error: 1 - accuracy });
}

/** All variables of a run on sequences: parameters, moments, and the states that are carried. */
export function sequenceVariables(model: LanguageModel, settings: SequenceSettings): Variable[] {
  const { variable } = slabsOf(model).parameters;
  const moments = momentVariables(variable, optimizerOf(settings));
  return [variable, ...moments, ...carriedStates(model, settings.batch)];
}

/** The programs of a run on sequences: a training step, and a window without training. */
export function sequencePrograms(
  model: LanguageModel,
  settings: SequenceSettings,
): { readonly step: Program; readonly evaluation: Program } {
  const { batch, seq: length, chunk } = settings;
  const options = { batch, length, ...(chunk < length && { chunk }) };
  return {
    step: sequenceStep(model, optimizerOf(settings), options),
    evaluation: sequenceEvaluation(model, options),
  };
}

/** Training on sequences: truncated backpropagation through windows, states carried between them. */
export function sequenceTask(settings: SequenceSettings, data: SequenceData): Task {
  const model = buildModel(settings.model);
  const { batch, seq: length, seed } = settings;
  const source = data.train({ batch, length, seed });
  const inCharacters = data.unit === "characters";
  return {
    settings,
    model,
    unit: data.unit,
    stepSize: inCharacters ? batch * length : batch,
    data: { source: data.source, ...data.counts },
    validationIsTest: data.validationIsTest,
    identity: data.identity,
    variables: sequenceVariables(model, settings),
    programs: () => sequencePrograms(model, settings),
    at: (t) => {
      const window = source.at(t - 1);
      return { inputs: windowInputs(window), size: window.size, epoch: window.epoch };
    },
    validates: (t) => t % settings.validation === 0,
    evaluate: (executable, split, options) =>
      evaluateSequences(
        executable,
        data.whole(split, { batch, length }),
        sequenceMeasures(data),
        options,
      ),
    score: ({ loss }) => loss,
  };
}

/** The largest storage of a training step on a target, in bytes. */
function largestBytes(settings: SequenceSettings, { adapter, features, limits }: Target): number {
  const { step } = sequencePrograms(buildModel(settings.model), settings);
  const roots = [...Object.values(step.outputs), ...(step.updates?.values() ?? [])];
  const most = Number.MAX_SAFE_INTEGER;
  const unlimited = { ...limits, maxStorageBufferBindingSize: most, maxBufferSize: most };
  const { storages } = plan(roots, { adapter, features, limits: unlimited });
  return Math.max(...storages.map((s) => s.bytes));
}

/**
 * The settings with a chunk of time that suits a device: all of a window where no value of a
 * training step exceeds what one binding may hold, else the longest with which no stack exceeds half
 * of that. Half, since a window in chunks takes twice the forward pass anyway, however many there
 * are, and shorter stacks are most of what the whole plan has less.
 */
export function fitChunk(settings: SequenceSettings, target: Target): SequenceSettings {
  const { maxStorageBufferBindingSize, maxBufferSize } = target.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const whole = { ...settings, chunk: settings.seq };
  let best = { fitted: whole, largest: largestBytes(whole, target) };
  if (best.largest <= most) return whole;
  for (let parts = Math.ceil(best.largest / (most / 2)); ; parts++) {
    const fitted = { ...settings, chunk: Math.ceil(settings.seq / parts) };
    const largest = largestBytes(fitted, target);
    // Parameters do not shrink with the chunk. Where that is still too large, compiling says so.
    if (largest >= best.largest) return best.fitted;
    if (largest <= most / 2) return fitted;
    best = { fitted, largest };
  }
}
