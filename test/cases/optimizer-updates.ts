import type { Tensor } from "../../src/graph/node";
import { constant } from "../../src/ops/sources";
import {
  type AdamAttrs,
  adamScalars,
  adamUpdate,
  type ClipRule,
  clipByGlobalNorm,
  globalNorm,
  type SgdAttrs,
  sgdScalars,
  sgdUpdate,
} from "../../src/ops/optimizer-updates";
import type { CaseInput, Nd, OpCase } from "./case";

/** A few f32 operations on each element. */
const TOLERANCE = 1e-6;

/** A slab of two parameters of 37 and 64 elements, the padding between them zero. */
const LENGTH = 128;
const slab = (seed: number, low: number, high: number): CaseInput => ({
  shape: [LENGTH],
  values: Array.from({ length: LENGTH }, (_, i) => {
    if (i >= 37 && i < 64) return 0;
    return Math.fround(low + ((high - low) * ((i * 61 + seed * 37) % 127)) / 127);
  }),
});

const like = ({ shape }: Nd, data: Float64Array): Nd => ({ shape, data });

function adamOracle(inputs: readonly Nd[], t: number, lr: number, a: AdamAttrs): Nd[] {
  const [p, g, m, v, scale] = inputs as [Nd, Nd, Nd, Nd, Nd | undefined];
  const at = (x: Nd, i: number) => x.data[i] as number;
  const gradient = g.data.map(
    (d, i) => d * (scale ? at(scale, 0) : 1) + (a.decoupled ? 0 : a.weightDecay * at(p, i)),
  );
  const mean = m.data.map((old, i) => a.beta1 * old + (1 - a.beta1) * (gradient[i] as number));
  const square = v.data.map(
    (old, i) => a.beta2 * old + (1 - a.beta2) * (gradient[i] as number) ** 2,
  );
  const weights = p.data.map((w, i) => {
    const decayed = a.decoupled ? w - lr * a.weightDecay * w : w;
    const root = Math.sqrt(square[i] as number);
    const correction = Math.sqrt(1 - a.beta2 ** t);
    const step = (lr / (1 - a.beta1 ** t)) * (mean[i] as number);
    return a.epsPlacement === "pytorch"
      ? decayed - step / (root / correction + a.eps)
      : decayed - (step * correction) / (root + a.eps);
  });
  return [like(p, weights), like(m, mean), like(v, square)];
}

function adamCase(name: string, t: number, given: Partial<AdamAttrs>, scaled: boolean): OpCase {
  const lr = 0.05;
  const attrs: AdamAttrs = {
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    epsPlacement: "pytorch",
    weightDecay: 0,
    decoupled: false,
    ...given,
  };
  const moments = t === 1 ? ([0, 0, 0, 0] as const) : ([-1, 1, 0, 2] as const);
  return {
    name: `adam step ${t} ${name}`,
    ops: ["adam_update"],
    inputs: [
      slab(1, -1, 1),
      slab(2, -2, 2),
      slab(3, moments[0], moments[1]),
      slab(4, moments[2], moments[3]),
      ...(scaled ? [{ shape: [], values: [0.125] }] : []),
    ],
    build: (p, g, m, v, scale) => {
      const scalars = constant(
        Float32Array.from(adamScalars(t, lr, attrs.beta1, attrs.beta2)),
        [8],
      );
      return adamUpdate(p as Tensor, g as Tensor, m as Tensor, v as Tensor, scalars, attrs, scale);
    },
    oracle: (...inputs) => adamOracle(inputs, t, lr, attrs),
    tolerance: TOLERANCE,
    gradients: [],
  };
}

function sgdOracle(inputs: readonly Nd[], lr: number, a: SgdAttrs): Nd[] {
  const [p, g, buffer, scale] = inputs as [Nd, Nd, Nd, Nd | undefined];
  const factor = scale ? (scale.data[0] as number) : 1;
  const gradient = g.data.map((d, i) => d * factor + a.weightDecay * (p.data[i] as number));
  const moved = buffer.data.map((old, i) => a.momentum * old + (gradient[i] as number));
  const weights = p.data.map((w, i) => {
    const [d, b] = [gradient[i] as number, moved[i] as number];
    return w - lr * (a.nesterov ? d + a.momentum * b : b);
  });
  return [like(p, weights), like(buffer, moved)];
}

function sgdCase(name: string, given: Partial<SgdAttrs>, scaled: boolean): OpCase {
  const attrs: SgdAttrs = { momentum: 0.9, nesterov: false, weightDecay: 0, ...given };
  return {
    name: `sgd ${name}`,
    ops: ["sgd_update"],
    inputs: [
      slab(1, -1, 1),
      slab(2, -2, 2),
      slab(3, -1, 1),
      ...(scaled ? [{ shape: [], values: [0.125] }] : []),
    ],
    build: (p, g, buffer, scale) => {
      const scalars = constant(Float32Array.from(sgdScalars(0.02)), [8]);
      return sgdUpdate(p as Tensor, g as Tensor, buffer as Tensor, scalars, attrs, scale);
    },
    oracle: (...inputs) => sgdOracle(inputs, 0.02, attrs),
    tolerance: TOLERANCE,
    gradients: [],
  };
}

function normOracle(x: Nd, c: number, rule: ClipRule): Nd[] {
  const norm = Math.sqrt(x.data.reduce((sum, v) => sum + v * v, 0));
  const scale = rule === "pytorch" ? Math.min(1, c / (norm + 1e-6)) : c / Math.max(norm, c);
  return [norm, Number.isNaN(norm) ? norm : scale].map((v) => ({
    shape: [],
    data: Float64Array.of(v),
  }));
}

function clipCase(name: string, x: CaseInput, c: number, rule: ClipRule): OpCase {
  return {
    name: `clip to ${c} by ${rule}'s rule: ${name}`,
    ops: ["global_norm"],
    inputs: [x],
    build: (g) => {
      const { norm, scale } = clipByGlobalNorm(g as Tensor, c, rule);
      const alone = globalNorm(g as Tensor);
      return [norm, scale, alone];
    },
    oracle: (g) => {
      const [norm, scale] = normOracle(g as Nd, c, rule) as [Nd, Nd];
      return [norm, scale, norm];
    },
    tolerance: 2e-6, // sums of up to 70,000 squares, some hundred to a lane
    gradients: [],
  };
}

/** Cases of src/ops/optimizer-updates.ts. */
export const optimizerUpdateCases: readonly OpCase[] = [
  adamCase("from zeros", 1, {}, false),
  adamCase("from moments", 3, {}, false),
  adamCase("with large eps", 2, { eps: 1e-3 }, false),
  adamCase("TensorFlow's eps", 2, { eps: 1e-3, epsPlacement: "tensorflow" }, false),
  adamCase("coupled decay, scaled", 5, { weightDecay: 0.1 }, true),
  adamCase("decoupled decay", 5, { weightDecay: 0.1, decoupled: true }, false),
  adamCase(
    "decoupled decay, scaled, other betas",
    1000,
    { weightDecay: 0.1, decoupled: true, beta1: 0.5, beta2: 0.99 },
    true,
  ),
  sgdCase("momentum", {}, false),
  sgdCase("without momentum, scaled", { momentum: 0 }, true),
  sgdCase("Nesterov, decay", { nesterov: true, weightDecay: 0.05 }, false),
  sgdCase("Nesterov, decay, scaled", { nesterov: true, weightDecay: 0.05 }, true),
  ...(["pytorch", "tensorflow"] as const).flatMap((rule) => [
    clipCase("one element", { shape: [1], values: [-3] }, 1, rule),
    clipCase("below the limit", { shape: [7] }, 100, rule),
    clipCase("zeros", { shape: [64], values: new Array<number>(64).fill(0) }, 1, rule),
    clipCase("tiny numbers, where 1e-6 shows", { shape: [33], low: -1e-6, high: 1e-6 }, 2e-6, rule),
    clipCase("4,095 elements, one pass", { shape: [4095] }, 1, rule),
    clipCase("70,001 elements, two passes", { shape: [70_001], low: -2, high: 3 }, 5, rule),
    clipCase(
      "NaN in two passes",
      {
        shape: [5001],
        values: Array.from({ length: 5001 }, (_, i) => (i === 4500 ? Number.NaN : 1)),
      },
      1,
      rule,
    ),
  ]),
];
