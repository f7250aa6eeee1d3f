import type { Tensor } from "../graph/node";
import type { Tree } from "../graph/tree";
import type { HyperModule } from "../hyper/hyper";
import { type HyperCnnOptions, hyperCnn } from "../hyper/hyper-cnn";
import { type CnnOptions, cnn } from "../nn/cnn";
import type { Module, ParamSpec, Stateless } from "../nn/module";
import type { Json } from "./events";
import { type AllowedOptions, isCount, type ModelEntry } from "./model-entry";

/** A hypernetwork without conditions, whatever its parameters. */
export type AnyHyper = HyperModule<
  Tree<ParamSpec>,
  Stateless,
  readonly [Tensor],
  Tensor,
  Tree<ParamSpec>,
  readonly []
>;

/** A model of images as programs take it, whatever its parameters. */
export type AnyModel = Module<Tree<ParamSpec>, Stateless, readonly [Tensor], Tensor> | AnyHyper;

/** Whether some of a model's weights are generated. */
export function isHyper(model: AnyModel): model is AnyHyper {
  return "generator" in model;
}

/** Names of the models of images. */
export const imageModelNames = ["cnn", "hyper-cnn"] as const;
export type ImageModelName = (typeof imageModelNames)[number];

const cnnDefaults = { input: [1, 28, 28], channels: [16, 16], kernelSize: 7, classes: 10 };

/** The models of images by name. */
export const imageModels: Readonly<Record<ImageModelName, ModelEntry<AnyModel>>> = {
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

const areCounts = (x: Json, n: number): boolean =>
  Array.isArray(x) && x.length === n && x.every((count) => isCount(count));

/** What an option of any of these models may be. */
export const imageOptions: AllowedOptions = {
  input: (x) => areCounts(x, 3),
  channels: (x) => areCounts(x, 2),
  kernelSize: (x) => isCount(x, 64),
  classes: (x) => isCount(x),
  nz: (x) => isCount(x),
  d: (x) => isCount(x),
  l2: (x) => typeof x === "number" && x >= 0,
  init: (x) => x === "he" || x === "hyperfan" || x === "notebook",
};
