import { type Augmentation, batchSource, padAndCrop } from "../data/batches";
import type { ImageSet, ImageSplit } from "../data/images";
import type { Target } from "../gpu/dispatch";
import { size } from "../graph/shape";
import { bake, type HostTensor } from "../hyper/bake";
import { crossEntropy } from "../nn/losses";
import { slabsOf } from "../nn/slabs";
import type { Variable } from "../ops/sources";
import type { Executable } from "../schedule/executable";
import type { Variables } from "../schedule/variables";
import type { Evaluated, JsonObject } from "./events";
import { type AnyModel, isHyper, type ImageModelName } from "./image-models";
import { buildModel, modelSpec } from "./models";
import { evaluation, momentVariables, trainStep } from "./programs";
import {
  type BasePreset,
  baseSettings,
  type ImageSettings,
  optimizerOf,
  type TrainFlags,
} from "./settings";
import { Flight, nameOf, type PassOptions, sha256, type Task } from "./task";

/** Presets of the tasks of images. */
export const imagePresetNames = ["quick", "paper", "notebook"] as const;
export type ImagePresetName = (typeof imagePresetNames)[number];

interface ImagePreset extends BasePreset {
  readonly augment?: boolean;
  readonly notebook?: boolean;
}

// A rate that falls by step, not by share of the run: a run can be made longer by resuming it.
const quick = { batch: 32, lr: 3e-3, decay: 0.998, floor: 3e-4 };

// Appendix A.3.1; the paper does not say for how many epochs.
const paper: ImagePreset = { batch: 1000, lr: 1e-3, augment: true, length: { epochs: 100 } };

// The settings of the paper's published MNIST notebook, which differ from A.3.1.
const notebook: ImagePreset = {
  batch: 1000,
  lr: 5e-3,
  decay: 0.999,
  floor: 1e-4,
  clip: 100,
  augment: true,
  notebook: true,
  length: { epochs: 50 },
};

/**
 * Presets of the task mnist by class of adapter. `quick` is sized so that the whole run, validation
 * and test included, takes about three minutes on a software adapter with two cores.
 */
const presets: Readonly<Record<ImagePresetName, Readonly<Record<Target["adapter"], ImagePreset>>>> =
  {
    quick: {
      software: { ...quick, length: { steps: 500 } },
      gpu: { ...quick, length: { epochs: 2 } },
    },
    paper: { software: paper, gpu: paper },
    notebook: { software: notebook, gpu: notebook },
  };

/** All settings of a fresh run, from a preset, what beats it, and the number of samples. */
export function imageSettings(
  chosen: {
    readonly model: ImageModelName;
    readonly preset: ImagePresetName;
    readonly flags: TrainFlags;
  },
  adapter: Target["adapter"],
  samples: number,
): ImageSettings {
  const preset = presets[chosen.preset][adapter];
  return {
    task: "mnist",
    preset: chosen.preset,
    model: modelSpec(chosen.model, preset.notebook ? { init: "notebook" } : {}),
    ...baseSettings(preset, chosen.flags, (batch) => Math.ceil(samples / batch)),
    augment: preset.augment ?? false,
  };
}

/** The augmentation of a run: a 28×28 crop of the image padded to 30×30 (A.3.1). */
function augmentation({ augment, model }: ImageSettings): Augmentation[] {
  const [, side] = model.options.input as readonly number[];
  return augment ? [padAndCrop(1, side ?? 28)] : [];
}

/** Samples that one evaluation step takes, by class of adapter: large enough to pay, small enough to stop. */
export const evaluationBatch: Readonly<Record<Target["adapter"], number>> = {
  software: 100,
  gpu: 1000,
};

/**
 * Runs an `evaluation` program over a whole set, each sample counted once; null where the signal
 * ended it.
 */
export async function evaluateImages(
  executable: Executable,
  set: ImageSet,
  { onProgress, signal }: PassOptions = {},
): Promise<(Evaluated & { readonly error: number }) | null> {
  const batch = executable.program.inputs.x?.shape[0] ?? 1;
  const source = batchSource(set, { batch, seed: 0, shuffle: false });
  let [loss, correct, done] = [0, 0, 0];
  const flight = new Flight();
  for (let k = 0; k < source.perEpoch && !signal?.aborted; k++) {
    const { images: x, labels, weight, size } = source.at(k);
    await flight.add(
      executable.run({ x, labels, weight }).then((outputs) => {
        loss += (outputs.loss?.[0] ?? Number.NaN) * size;
        correct += outputs.correct?.[0] ?? Number.NaN;
        done += size;
        onProgress?.(done, set.count);
      }),
    );
  }
  await flight.land();
  if (done < set.count) return null;
  return { loss: loss / done, error: (done - correct) / done, samples: done };
}

/** The weights of a model on a device as the plain network has them, generated ones made. */
export async function plainWeights(
  model: AnyModel,
  variables: Variables,
): Promise<ReadonlyMap<string, HostTensor>> {
  if (isHyper(model)) return (await bake(model, variables)).parameters;
  const { variable } = slabsOf(model).parameters;
  const [slab] = await variables.read([variable]);
  return new Map(
    variable.entries.map(({ name, shape, offset }) => [
      name,
      { shape, data: (slab as Float32Array).slice(offset, offset + size(shape)) },
    ]),
  );
}

/** What identifies training images: their number and SHA-256 over labels and images. */
export async function imageIdentity({
  images,
  labels,
  count,
  source,
}: ImageSet): Promise<JsonObject> {
  return { name: nameOf(source), samples: count, sha256: await sha256([labels, images]) };
}

/** All variables of a run on images: parameters, state and moments. */
export function imageVariables(model: AnyModel, settings: ImageSettings): Variable[] {
  const { parameters, state } = slabsOf(model);
  const moments = momentVariables(parameters.variable, optimizerOf(settings));
  return [parameters.variable, ...(state ? [state.variable] : []), ...moments];
}

/** Training on labelled images, shuffled anew each epoch, validated at the end of each. */
export function imageTask(
  settings: ImageSettings,
  data: ImageSplit,
  adapter: Target["adapter"],
): Task {
  const model = buildModel(settings.model);
  const { batch, seed } = settings;
  const augment = augmentation(settings);
  const source = batchSource(data.train, { batch, seed, shuffle: true, augment });
  const { train, validation, test } = data;
  return {
    settings,
    model,
    unit: "images",
    stepSize: batch,
    data: {
      source: train.source,
      train: train.count,
      validation: validation.count,
      test: test.count,
    },
    validationIsTest: false,
    identity: () => imageIdentity(train),
    variables: imageVariables(model, settings),
    programs: () => ({
      step: trainStep(model, crossEntropy, optimizerOf(settings), { batch }),
      evaluation: evaluation(model, crossEntropy, { batch: evaluationBatch[adapter] }),
    }),
    at: (t) => {
      const { images: x, labels, weight, size, epoch } = source.at(t - 1);
      return { inputs: { x, labels, weight }, size, epoch };
    },
    validates: (t) => t % source.perEpoch === 0,
    evaluate: (executable, split, options) => evaluateImages(executable, data[split], options),
    score: ({ error = Number.NaN }) => error,
    weights: (variables) => plainWeights(model, variables),
  };
}
