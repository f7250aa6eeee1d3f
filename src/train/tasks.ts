import { type Augmentation, padAndCrop } from "../data/batches";
import type { Target } from "../gpu/dispatch";
import type { Tensor } from "../graph/node";
import { size } from "../graph/shape";
import type { Tree } from "../graph/tree";
import { bake, type HostTensor } from "../hyper/bake";
import type { HyperModule } from "../hyper/hyper";
import { type HyperCnnOptions, hyperCnn } from "../hyper/hyper-cnn";
import { type CnnOptions, cnn } from "../nn/cnn";
import type { Module, ParamSpec, Stateless } from "../nn/module";
import { slabsOf } from "../nn/slabs";
import { adam, type Optimizer } from "../optim/optimizer";
import { constantRate, exponentialRate, type Schedule } from "../optim/schedule";
import type { Variables } from "../schedule/variables";
import type { Json, JsonObject } from "./events";

/** A hypernetwork without conditions, whatever its parameters. */
export type AnyHyper = HyperModule<
  Tree<ParamSpec>,
  Stateless,
  readonly [Tensor],
  Tensor,
  Tree<ParamSpec>,
  readonly []
>;

/** A model as programs take it, whatever its parameters. */
export type AnyModel = Module<Tree<ParamSpec>, Stateless, readonly [Tensor], Tensor> | AnyHyper;

/** Whether some of a model's weights are generated. */
export function isHyper(model: AnyModel): model is AnyHyper {
  return "generator" in model;
}

/** The models that a name stands for. */
export const modelNames = ["cnn", "hyper-cnn"] as const;
export type ModelName = (typeof modelNames)[number];

/** A model as data: what checkpoints keep. */
export interface ModelSpec {
  readonly name: ModelName;
  /** All options, defaults included. */
  readonly options: JsonObject;
}

interface ModelEntry {
  readonly summary: string;
  readonly defaults: JsonObject;
  readonly build: (options: JsonObject) => AnyModel;
}

const cnnDefaults = { input: [1, 28, 28], channels: [16, 16], kernelSize: 7, classes: 10 };

const entries: Readonly<Record<ModelName, ModelEntry>> = {
  cnn: {
    summary: "two convolutions and a dense layer, all weights direct",
    defaults: { ...cnnDefaults, init: "he" },
    build: (options) => cnn(options as CnnOptions) as unknown as AnyModel,
  },
  "hyper-cnn": {
    summary: "the same network, its second kernel generated from an embedding",
    defaults: { ...cnnDefaults, nz: 4, d: 4, init: "hyperfan", l2: 0 },
    build: (options) => hyperCnn(options as HyperCnnOptions) as unknown as AnyModel,
  },
};

const isCount = (x: Json): x is number =>
  Number.isInteger(x) && Number(x) >= 1 && Number(x) <= 4096;
const areCounts = (x: Json, n: number): boolean =>
  Array.isArray(x) && x.length === n && x.every(isCount);

/** What an option of any of the models may be. */
const allowed: Readonly<Record<string, (x: Json) => boolean>> = {
  input: (x) => areCounts(x, 3),
  channels: (x) => areCounts(x, 2),
  kernelSize: (x) => isCount(x) && x <= 64,
  classes: isCount,
  nz: isCount,
  d: isCount,
  l2: (x) => typeof x === "number" && x >= 0,
  init: (x) => x === "he" || x === "hyperfan" || x === "notebook",
};

/**
 * A model by name, its options completed by the defaults and checked.
 * @throws RangeError naming the model or option that does not exist or cannot be so.
 */
export function modelSpec(name: string, options: JsonObject = {}): ModelSpec {
  const entry = modelNames.includes(name as ModelName) ? entries[name as ModelName] : undefined;
  if (!entry) {
    throw new RangeError(`hyperloom: no model ${name}; there are ${modelNames.join(" and ")}`);
  }
  for (const [option, value] of Object.entries(options)) {
    if (!Object.hasOwn(entry.defaults, option)) {
      const known = Object.keys(entry.defaults).join(", ");
      throw new RangeError(`hyperloom: model ${name} has no option ${option}; it has ${known}`);
    }
    if (!allowed[option]?.(value)) {
      throw new RangeError(
        `hyperloom: model ${name}: ${option} cannot be ${JSON.stringify(value)}`,
      );
    }
  }
  return { name: name as ModelName, options: { ...entry.defaults, ...options } };
}

/** Builds a model. @throws RangeError as `modelSpec`, ShapeError for sizes that do not go together. */
export function buildModel({ name, options }: ModelSpec): AnyModel {
  return entries[name].build(modelSpec(name, options).options);
}

/** One sentence on a model. */
export function modelSummary(name: ModelName): string {
  return entries[name].summary;
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

/** Every setting of a training run, in the words of logs and checkpoints. */
export interface TrainSettings {
  readonly task: string;
  readonly preset: string;
  readonly model: ModelSpec;
  readonly seed: number;
  readonly batch: number;
  /** Steps of the whole run, resumed parts included. */
  readonly steps: number;
  /** Rate of step t: max(floor, lr · decay^(t−1)). */
  readonly lr: number;
  readonly decay: number;
  readonly floor: number;
  /** Largest global norm of the gradient; 0: no clipping. */
  readonly clip: number;
  /** Images padded by 1 and cropped back at random. */
  readonly augment: boolean;
}

/** What a preset decides. */
interface Preset {
  readonly batch: number;
  readonly lr: number;
  readonly decay?: number;
  readonly floor?: number;
  readonly clip?: number;
  readonly augment?: boolean;
  readonly notebook?: boolean;
  readonly length: { readonly steps: number } | { readonly epochs: number };
}

export const presetNames = ["quick", "paper", "notebook"] as const;
export type PresetName = (typeof presetNames)[number];

// A rate that falls by step, not by share of the run: a run can be made longer by resuming it.
const quick = { batch: 32, lr: 3e-3, decay: 0.998, floor: 3e-4 };

// Appendix A.3.1; the paper does not say for how many epochs.
const paper: Preset = { batch: 1000, lr: 1e-3, augment: true, length: { epochs: 100 } };

// The settings of the paper's published MNIST notebook, which differ from A.3.1.
const notebook: Preset = {
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
const presets: Readonly<Record<PresetName, Readonly<Record<Target["adapter"], Preset>>>> = {
  quick: {
    software: { ...quick, length: { steps: 500 } },
    gpu: { ...quick, length: { epochs: 2 } },
  },
  paper: { software: paper, gpu: paper },
  notebook: { software: notebook, gpu: notebook },
};

/** Settings that beat a preset. */
export interface TrainFlags {
  readonly seed?: number;
  readonly epochs?: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly lr?: number;
}

/** Steps of `epochs` passes over `samples`; the last batch of a pass may be smaller. */
function stepsOf(epochs: number, samples: number, batch: number): number {
  return Math.max(1, Math.round(epochs * Math.ceil(samples / batch)));
}

/** All settings of a fresh run, from a preset, what beats it, and the number of samples. */
export function trainSettings(
  { model, preset, flags }: { model: ModelName; preset: PresetName; flags: TrainFlags },
  adapter: Target["adapter"],
  samples: number,
): TrainSettings {
  const chosen = presets[preset][adapter];
  const { batch = chosen.batch, seed = 0 } = flags;
  const { length } = chosen;
  const given = "epochs" in length ? stepsOf(length.epochs, samples, batch) : length.steps;
  const steps = flags.epochs ? stepsOf(flags.epochs, samples, batch) : (flags.steps ?? given);
  return {
    task: "mnist",
    preset,
    model: modelSpec(model, chosen.notebook ? { init: "notebook" } : {}),
    seed,
    batch,
    steps,
    // A rate given by hand is meant to be that rate.
    lr: flags.lr ?? chosen.lr,
    decay: flags.lr === undefined ? (chosen.decay ?? 1) : 1,
    floor: flags.lr === undefined ? (chosen.floor ?? 0) : 0,
    clip: chosen.clip ?? 0,
    augment: chosen.augment ?? false,
  };
}

/** The settings of a resumed run: those of the checkpoint, but for its length. */
export function resumedSettings(
  from: TrainSettings,
  flags: TrainFlags,
  samples: number,
): TrainSettings {
  const { steps = from.steps, epochs } = flags;
  return { ...from, steps: epochs ? stepsOf(epochs, samples, from.batch) : steps };
}

/** The learning rate of a run by step. */
export function schedule({ lr, decay, floor }: TrainSettings): Schedule {
  return decay === 1 ? constantRate(lr) : exponentialRate(lr, decay, floor);
}

/** The optimiser of a run. */
export function optimizer(settings: TrainSettings): Optimizer {
  const { clip, decay, lr } = settings;
  return adam({
    lr: decay === 1 ? lr : schedule(settings),
    ...(clip > 0 && { clip: { norm: clip } }),
  });
}

/** The augmentation of a run: a 28×28 crop of the image padded to 30×30 (A.3.1). */
export function augmentation({ augment, model }: TrainSettings): Augmentation[] {
  const [, side] = model.options.input as readonly number[];
  return augment ? [padAndCrop(1, side ?? 28)] : [];
}
