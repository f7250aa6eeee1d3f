import type { Tensor } from "../graph/node";
import type { Tree } from "../graph/tree";
import type { HyperModule } from "../hyper/hyper";
import { type HyperCnnOptions, hyperCnn } from "../hyper/hyper-cnn";
import {
  type HyperWideResNetOptions,
  hyperWideResNet,
  sharedWideResNet,
} from "../hyper/wide-resnet";
import { type CnnOptions, cnn } from "../nn/cnn";
import type { Module, ParamSpec, StateSpec } from "../nn/module";
import { wideResNet, type WideResNetOptions } from "../nn/wide-resnet";
import type { Json } from "./events";
import { type AllowedOptions, isCount, type ModelEntry } from "./model-entry";

/** A hypernetwork without conditions, whatever its parameters. */
export type AnyHyper = HyperModule<
  Tree<ParamSpec>,
  Tree<StateSpec>,
  readonly [Tensor],
  Tensor,
  Tree<ParamSpec>,
  readonly []
>;

/** A model of images as programs take it, whatever its parameters. */
export type AnyModel = Module<Tree<ParamSpec>, Tree<StateSpec>> | AnyHyper;

/** Whether some of a model's weights are generated. */
export function isHyper(model: AnyModel): model is AnyHyper {
  return "generator" in model;
}

/** Names of the models of images; those of Wide ResNets stand for all depths and widths. */
export const imageModelNames = ["cnn", "hyper-cnn", "wrn", "hyper-wrn", "shared-wrn"] as const;
/** One of `imageModelNames`. */
export type ImageModelName = (typeof imageModelNames)[number];

const cnnDefaults = { input: [1, 28, 28], channels: [16, 16], kernelSize: 7, classes: 10 };
const wrnDefaults = {
  input: [3, 32, 32],
  depth: 40,
  width: 1,
  classes: 10,
  l2: 0,
  normalize: null,
};

/** The models of images by name. */
export const imageModels: Readonly<Record<ImageModelName, ModelEntry<AnyModel>>> = {
  cnn: {
    defaults: { ...cnnDefaults, init: "he" },
    build: (options) => cnn(options as CnnOptions) as unknown as AnyModel,
  },
  "hyper-cnn": {
    defaults: { ...cnnDefaults, nz: 4, d: 4, init: "hyperfan", l2: 0 },
    build: (options) => hyperCnn(options as HyperCnnOptions) as unknown as AnyModel,
  },
  wrn: {
    defaults: wrnDefaults,
    build: (options) => wideResNet(options as unknown as WideResNetOptions),
  },
  "hyper-wrn": {
    defaults: { ...wrnDefaults, nz: 64, d: 64 },
    build: (options) =>
      hyperWideResNet(options as unknown as HyperWideResNetOptions) as unknown as AnyModel,
  },
  "shared-wrn": {
    defaults: wrnDefaults,
    build: (options) => sharedWideResNet(options as unknown as WideResNetOptions),
  },
};

const areCounts = (x: Json, n: number): boolean =>
  Array.isArray(x) && x.length === n && x.every((count) => isCount(count));

const areNumbers = (x: Json | undefined, least = -1e9): boolean =>
  Array.isArray(x) && x.every((n) => typeof n === "number" && n >= least && n < 1e9);

/** What an option of any of these models may be. */
export const imageOptions: AllowedOptions = {
  input: (x) => areCounts(x, 3),
  channels: (x) => areCounts(x, 2),
  kernelSize: (x) => isCount(x, 64),
  classes: (x) => isCount(x),
  depth: (x) => isCount(x, 1000) && (x - 4) % 6 === 0 && x > 4,
  width: (x) => isCount(x, 64),
  nz: (x) => isCount(x),
  d: (x) => isCount(x),
  normalize: (x) =>
    x === null ||
    (typeof x === "object" && "mean" in x && areNumbers(x.mean) && areNumbers(x.std, 1e-9)),
  l2: (x) => typeof x === "number" && x >= 0,
  init: (x) => x === "he" || x === "hyperfan" || x === "notebook",
};
