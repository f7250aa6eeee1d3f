import type { Tensor } from "../graph/node";
import {
  adamScalars,
  adamUpdate,
  clipByGlobalNorm,
  sgdScalars,
  sgdUpdate,
} from "../ops/optimizer-updates";
import type { Schedule } from "./schedule";

/** How gradients are scaled down together: PyTorch's rule or TensorFlow's. */
export interface Clip {
  /** Largest global norm. */
  readonly norm: number;
  /** min(1, c/(norm + 1e-6)), or c/max(norm, c); default PyTorch's. */
  readonly rule?: "pytorch" | "tensorflow";
}

/** New values of the parameters and of the optimiser's moments, all slabs. */
export interface Updated {
  readonly parameters: Tensor;
  readonly moments: readonly Tensor[];
  /** Global norm of the gradient before clipping, where clipping is on. */
  readonly norm: Tensor | null;
}

/**
 * An update rule as graph: it works on slabs, so the whole model takes one dispatch, in the submit
 * of the step itself.
 */
export interface Optimizer {
  readonly name: string;
  /** Names of the slabs it carries from step to step, each as long as the parameters. */
  readonly moments: readonly string[];
  /** Numbers of step t = 1, 2, …, computed in f64; they reach the step as f32[8]. */
  readonly scalars: (t: number) => Float32Array;
  /** Parameters and moments after a step with gradient g, as graph. */
  readonly update: (p: Tensor, g: Tensor, moments: readonly Tensor[], scalars: Tensor) => Updated;
  /** Every setting, for checkpoints and logs. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
}

function clipped(g: Tensor, clip: Clip | undefined): { norm: Tensor | null; scale?: Tensor } {
  if (!clip) return { norm: null };
  return clipByGlobalNorm(g, clip.norm, clip.rule ?? "pytorch");
}

function rate(lr: number | Schedule, t: number): number {
  return typeof lr === "number" ? lr : lr.at(t);
}

/** @throws RangeError for a setting that is no number, negative, or of a mean over steps and not below 1. */
function expectSettings(name: string, settings: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(settings)) {
    const below = /^(beta|momentum)/.test(key) ? 1 : Infinity;
    // A schedule is an object.
    if (typeof value === "number" ? !(value >= 0 && value < below) : typeof value === "string") {
      throw new RangeError(`hyperloom: ${name}: ${key} is ${value}, must be in [0, ${below})`);
    }
  }
}

function clipSettings(clip: Clip | undefined): Record<string, string | number> {
  return clip ? { clip: clip.norm, clipRule: clip.rule ?? "pytorch" } : {};
}

/** Settings of Adam and AdamW. */
export interface AdamOptions {
  readonly lr?: number | Schedule;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  /** eps added after the bias correction (PyTorch, default) or before it (TensorFlow 1). */
  readonly epsPlacement?: "pytorch" | "tensorflow";
  /** Added to the gradient (Adam), or taken off the parameter (AdamW). */
  readonly weightDecay?: number;
  readonly clip?: Clip;
}

function adamLike(name: string, decoupled: boolean, options: AdamOptions): Optimizer {
  const { lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, epsPlacement = "pytorch" } = options;
  const { weightDecay = 0, clip } = options;
  expectSettings(name, { lr, beta1, beta2, eps, weightDecay, clip: clip?.norm });
  return {
    name,
    moments: ["m", "v"],
    scalars: (t) => Float32Array.from(adamScalars(t, rate(lr, t), beta1, beta2)),
    update: (p, g, given, scalars) => {
      const { norm, scale } = clipped(g, clip);
      const [m, v] = given as readonly [Tensor, Tensor];
      const attrs = { beta1, beta2, eps, epsPlacement, weightDecay, decoupled };
      const [parameters, ...moments] = adamUpdate(p, g, m, v, scalars, attrs, scale);
      return { parameters, moments, norm };
    },
    settings: {
      optimizer: name,
      lr: typeof lr === "number" ? lr : lr.text,
      beta1,
      beta2,
      eps,
      epsPlacement,
      weightDecay,
      ...clipSettings(clip),
    },
  };
}

/**
 * Adam, Kingma and Ba 2015: m = β1 m + (1−β1) g, v = β2 v + (1−β2) g²,
 * p −= lr/(1−β1ᵗ) · m / (√v/√(1−β2ᵗ) + eps). Weight decay, if any, is added to g (L2).
 * @throws RangeError for settings that are negative or no numbers, betas from 1.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return adamLike("adam", false, options);
}

/**
 * AdamW, Loshchilov and Hutter 2019: Adam, with p −= lr · weightDecay · p apart from the gradient.
 * @throws RangeError as `adam`.
 */
export function adamW(options: AdamOptions = {}): Optimizer {
  return adamLike("adamw", true, { weightDecay: 0.01, ...options });
}

/** Settings of SGD. */
export interface SgdOptions {
  readonly lr?: number | Schedule;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  readonly clip?: Clip;
}

/**
 * Stochastic gradient descent, PyTorch's form: g += weightDecay · p; buf = g at first, then
 * momentum · buf + g; p −= lr · buf, or lr · (g + momentum · buf) with Nesterov's momentum.
 * @throws RangeError for settings that are negative or no numbers, a momentum from 1.
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  const { lr = 0.1, momentum = 0, nesterov = false, weightDecay = 0, clip } = options;
  expectSettings("sgd", { lr, momentum, weightDecay, clip: clip?.norm });
  return {
    name: "sgd",
    moments: ["momentum"],
    scalars: (t) => Float32Array.from(sgdScalars(rate(lr, t))),
    update: (p, g, [buf], scalars) => {
      const { norm, scale } = clipped(g, clip);
      const attrs = { momentum, nesterov, weightDecay };
      const [parameters, next] = sgdUpdate(p, g, buf as Tensor, scalars, attrs, scale);
      return { parameters, moments: [next], norm };
    },
    settings: {
      optimizer: "sgd",
      lr: typeof lr === "number" ? lr : lr.text,
      momentum,
      nesterov,
      weightDecay,
      ...clipSettings(clip),
    },
  };
}
