import { type Augmentation, batchSource, horizontalFlip, padAndCrop } from "../data/batches";
import { channelStatistics } from "../data/normalization";
import type { ImageSet, ImageSplit } from "../data/images";
import type { Target } from "../gpu/dispatch";
import type { WaitOptions } from "../gpu/wait-options";
import { bake } from "../hyper/bake";
import { crossEntropy } from "../nn/losses";
import { type HostTensor, readSlab, slabsOf } from "../nn/slabs";
import type { Variable } from "../ops/sources";
import type { Executable } from "../schedule/executable";
import type { Variables } from "../schedule/variables";
import type { Evaluated, JsonObject } from "./events";
import { type AnyModel, isHyper, type ImageModelName } from "./image-models";
import { type ImagePresetName, imagePreset } from "./image-presets";
import { buildModel, modelDefaults, type ModelSpec, modelSpec, namedModel } from "./models";
import { evaluation, momentVariables, trainStep } from "./programs";
import {
  baseSettings,
  type ImageSettings,
  type ImageTaskName,
  optimizerOf,
  SettingsError,
  type TrainFlags,
} from "./settings";
import { Flight, nameOf, type PassOptions, sha256, type Task } from "./task";

/** Flags that beat a preset in a run on images; those of the model by its options' names. */
export interface ImageFlags extends TrainFlags {
  readonly augment?: boolean;
  readonly memory?: "normal" | "low";
  /** To this many images the data are cut already. */
  readonly limit?: number;
  readonly nz?: number;
  readonly l2?: number;
}

/** Flags that are options of a model. */
export const imageModelFlags = ["nz", "l2"] as const;

/**
 * A model of images from its name, the sizes of the data, a preset's options and flags that beat them.
 * @throws SettingsError for a flag that the model has no use for, or a size that cannot be.
 */
function imageModel(
  label: string,
  data: ImageSet,
  preset: JsonObject,
  flags: ImageFlags,
): ModelSpec<ImageModelName> {
  const { name, options } = namedModel(label);
  const defaults = modelDefaults(name);
  const has = (option: string): boolean => Object.hasOwn(defaults, option);
  for (const flag of imageModelFlags) {
    if (flags[flag] !== undefined && !has(flag)) {
      const known = imageModelFlags.filter(has).map((f) => `--${f}`);
      throw new SettingsError(
        `--${flag} is nothing that ${label} has; it has ${known.join(", ") || "none of these flags"}`,
      );
    }
  }
  const { channels, height, width, classes } = data;
  const { nz, l2 } = flags;
  const all: JsonObject = {
    ...Object.fromEntries(Object.entries(preset).filter(([option]) => has(option))),
    ...options,
    input: [channels, height, width],
    classes,
    // Of the training data, within the model: what takes it up later needs to know nothing of it.
    ...(has("normalize") && { normalize: { ...channelStatistics(data) } }),
    ...(nz !== undefined && { nz, d: nz }),
    ...(l2 !== undefined && { l2 }),
  };
  return modelSpec(name, all) as ModelSpec<ImageModelName>;
}

/**
 * All settings of a fresh run, from a preset, what beats it, and the training data, of which every
 * image counts.
 * @throws SettingsError for what does not go together.
 */
export function imageSettings(
  chosen: {
    readonly task: ImageTaskName;
    /** As people call it, `hyper-cnn` or `hyper-wrn-40-2`. */
    readonly model: string;
    readonly preset: ImagePresetName;
    readonly flags: ImageFlags;
  },
  adapter: Target["adapter"],
  data: ImageSet,
): ImageSettings {
  const { task, flags } = chosen;
  const { name } = namedModel(chosen.model);
  const preset = imagePreset(task, chosen.preset, name as ImageModelName, adapter);
  if (flags.memory === "low" && !Object.hasOwn(modelDefaults(name), "depth")) {
    throw new SettingsError(
      `--memory low is for residual networks, block by block; ${chosen.model} has no blocks`,
    );
  }
  return {
    task,
    preset: chosen.preset,
    model: imageModel(chosen.model, data, preset.model ?? {}, flags),
    ...baseSettings(preset, flags, (batch) => Math.ceil(data.count / batch)),
    augment: flags.augment ?? preset.augment ?? false,
    memory: flags.memory ?? "normal",
    limit: flags.limit ?? 0,
  };
}

/**
 * The augmentation of a run: a crop of the image's size from the image with 1 pixel around it, digits
 * (A.3.1), or with 4, and every second one mirrored, objects (A.3.2).
 */
function augmentation({ augment, model, task }: ImageSettings): Augmentation[] {
  const [, side = 0] = model.options.input as readonly number[];
  if (!augment) return [];
  return task === "mnist" ? [padAndCrop(1, side)] : [padAndCrop(4, side), horizontalFlip()];
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
  const error = (done - correct) / done;
  const spread = Math.sqrt((error * (1 - error)) / done);
  return { loss: loss / done, error, standard_error: spread, samples: done };
}

/**
 * The weights of a model on a device as the plain network has them, generated ones made.
 * @param options How it is followed and ended; progress counts kernels compiled.
 * @throws the signal's reason.
 */
export async function plainWeights(
  model: AnyModel,
  variables: Variables,
  options: WaitOptions = {},
): Promise<ReadonlyMap<string, HostTensor>> {
  options.signal?.throwIfAborted();
  if (isHyper(model)) return (await bake(model, variables, [], options)).parameters;
  return readSlab(slabsOf(model).parameters, variables);
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

/**
 * Training on labelled images, shuffled anew each epoch, validated at the ends of epochs after which
 * three times as many images were trained on as are validated.
 */
export function imageTask(
  settings: ImageSettings,
  data: ImageSplit,
  adapter: Target["adapter"],
): Task {
  const model = buildModel(settings.model);
  const { batch, seed, memory } = settings;
  const source = batchSource(data.train, {
    batch,
    seed,
    shuffle: true,
    augment: augmentation(settings),
  });
  const { train, validation, test } = data;
  // Of small sets, not each epoch ends with a validation, which would take longer than the epoch.
  const every = Math.max(1, Math.ceil((3 * validation.count) / train.count));
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
      step: trainStep(model, crossEntropy, optimizerOf(settings), {
        batch,
        ...(memory === "low" && { memory }),
      }),
      evaluation: evaluation(model, crossEntropy, { batch: evaluationBatch[adapter] }),
    }),
    at: (t) => {
      const { images: x, labels, weight, size, epoch } = source.at(t - 1);
      return { inputs: { x, labels, weight }, size, epoch };
    },
    validates: (t) => t % (source.perEpoch * every) === 0,
    evaluate: (executable, split, options) => evaluateImages(executable, data[split], options),
    score: ({ error = Number.NaN }) => error,
    weights: (variables) => plainWeights(model, variables),
  };
}
