import type { LanguageModel } from "../nn/language-model";
import { specs } from "../nn/module";
import { countParameters, slabsOf } from "../nn/slabs";
import { size } from "../graph/shape";
import type { Variable } from "../ops/sources";
import type { JsonObject } from "./events";
import {
  type AnyModel,
  type ImageModelName,
  imageModelNames,
  imageModels,
  imageOptions,
} from "./image-models";
import type { AllowedOptions, ModelEntry } from "./model-entry";
import {
  type SequenceModelName,
  sequenceModelNames,
  sequenceModels,
  sequenceOptions,
} from "./sequence-models";

/** The models that a name stands for. */
export const modelNames = [...imageModelNames, ...sequenceModelNames] as const;
/** One of `modelNames`. */
export type ModelName = (typeof modelNames)[number];

/** A model as data: what checkpoints keep. */
export interface ModelSpec<N extends ModelName = ModelName> {
  readonly name: N;
  /** All options, defaults included. */
  readonly options: JsonObject;
}

/** Any model that has a name. */
export type NamedModel = AnyModel | LanguageModel;

const WRN_NAME = /^((?:hyper-|shared-)?wrn)-(\d+)-(\d+)$/;

/** The names by which people call models: those of Wide ResNets have their depth and width in them. */
export const modelForms: readonly string[] = modelNames.map((name) =>
  name.endsWith("wrn") ? `${name}-D-K` : name,
);

/**
 * What a name such as `hyper-wrn-40-2` stands for: a model, and its options that are in the name.
 * @throws RangeError for a name that is none, or sizes that cannot be.
 */
export function namedModel(text: string): {
  readonly name: ModelName;
  readonly options: JsonObject;
} {
  const wrn = WRN_NAME.exec(text);
  const options: JsonObject = wrn ? { depth: Number(wrn[2]), width: Number(wrn[3]) } : {};
  const name: string = wrn?.[1] ?? text;
  if (!wrn && name.endsWith("wrn")) {
    throw new RangeError(
      `hyperloom: ${text} of which depth and width? Say ${text}-40-2, for instance`,
    );
  }
  if (wrn && !imageOptions.depth?.(options.depth as number)) {
    throw new RangeError(
      `hyperloom: ${text}: the depth must be 6n + 4 (10, 16, 22, 28, 34, 40, … up to 1000), not ${wrn[2]}`,
    );
  }
  return { name: modelSpec(name, options).name, options };
}

/** The names of image models by which people call them, with D-K for any depth and width. */
export const imageModelForms = modelForms.slice(0, imageModelNames.length);

/** The name by which people call a model. */
export function modelLabel({ name, options }: ModelSpec): string {
  return name.endsWith("wrn") ? `${name}-${options.depth}-${options.width}` : name;
}

/** Whether a model is one of sequences. */
export function isSequenceModel(model: NamedModel): model is LanguageModel {
  return "readout" in model;
}

/** Whether a name is that of a model of sequences. */
export function isSequenceName(name: string): name is SequenceModelName {
  return sequenceModelNames.includes(name as SequenceModelName);
}

function find(name: string): { entry: ModelEntry<NamedModel>; allowed: AllowedOptions } {
  if (isSequenceName(name)) return { entry: sequenceModels[name], allowed: sequenceOptions };
  const image = imageModelNames.find((known) => known === name);
  if (image) return { entry: imageModels[image], allowed: imageOptions };
  throw new RangeError(`hyperloom: no model ${name}; there are ${modelForms.join(", ")}`);
}

/**
 * A model by name, its options completed by the defaults and checked.
 * @throws RangeError naming the model or option that does not exist or cannot be so.
 */
export function modelSpec<N extends ModelName>(name: N, options?: JsonObject): ModelSpec<N>;
export function modelSpec(name: string, options?: JsonObject): ModelSpec;
export function modelSpec(name: string, options: JsonObject = {}): ModelSpec {
  const { entry, allowed } = find(name);
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
export function buildModel(spec: ModelSpec<ImageModelName>): AnyModel;
export function buildModel(spec: ModelSpec<SequenceModelName>): LanguageModel;
export function buildModel(spec: ModelSpec): NamedModel;
export function buildModel({ name, options }: ModelSpec): NamedModel {
  return find(name).entry.build(modelSpec(name, options).options);
}

/** What a model is on a device: parameters, and running statistics where it has them. */
export function modelVariables(model: NamedModel): Variable[] {
  const { parameters, state } = slabsOf(model);
  // The state of a model of sequences is no part of it.
  const statistics = state && !isSequenceModel(model) ? [state.variable] : [];
  return [parameters.variable, ...statistics];
}

/** The options of a model by name, with their defaults. */
export function modelDefaults(name: ModelName): JsonObject {
  return find(name).entry.defaults;
}

/** The part of a sequence model that a parameter belongs to, by its path. */
function partOf(path: string): string {
  if (!path.startsWith("cell.")) return "readout";
  if (/\.hyper\./.test(path)) return "hyper cell";
  if (/\.(W_z|b_z|D|W_hz|W_xz|W_bz)$/.test(path)) return "generated from z";
  return /\.norm$/.test(path) ? "layer norms" : "main cell";
}

/** Parameters by part: by layer of an image model, by role in a model of sequences. */
export function parametersByPart(model: NamedModel): Record<string, number> {
  if (!isSequenceModel(model)) {
    const branches = Object.entries(model.params as Readonly<Record<string, AnyModel["params"]>>);
    return Object.fromEntries(branches.map(([name, branch]) => [name, countParameters(branch)]));
  }
  const parts: Record<string, number> = {};
  for (const { path, value } of specs(model.params)) {
    const part = partOf(path);
    parts[part] = (parts[part] ?? 0) + size(value.shape);
  }
  return parts;
}
