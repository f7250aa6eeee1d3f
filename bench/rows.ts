import type { Tensor } from "../src/graph/node";
import type { Shape } from "../src/graph/shape";
import { batchNormTraining } from "../src/ops/batch-norm";
import { contraction } from "../src/ops/generate";
import { hyperLstmCell } from "../src/ops/hyper-lstm-cell";
import { layerNorm } from "../src/ops/layer-norm";
import { lstmCell } from "../src/ops/lstm-cell";
import { mixtureDensity } from "../src/ops/mixture-density";
import { meanSoftmaxCrossEntropy, softmax } from "../src/ops/softmax-cross-entropy";
import { drawn, drawnBelow, image, type KernelTable } from "./kernel-case";
import { forwardCase, gradientCase, type Reference, type Values } from "./reference-case";

const sum = (x: Values): number => x.reduce((s, v) => s + v, 0);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const logSum = (x: Values): number => {
  const most = x.reduce((m, v) => Math.max(m, v));
  return most + Math.log(sum(x.map((v) => Math.exp(v - most))));
};

const EPS = 1e-5;

/** x less its mean, by the root of its variance and eps. */
function normalised(x: Values): Values {
  const mean = sum(x) / x.length;
  const variance = sum(x.map((v) => (v - mean) ** 2)) / x.length;
  return x.map((v) => (v - mean) / Math.sqrt(variance + EPS));
}

/** Rows of a matrix, each by a function. */
function eachRow(x: Values, width: number, row: (x: Values, b: number) => Values): Values {
  const y = new Float64Array(x.length);
  for (let b = 0; b < x.length / width; b++) {
    y.set(row(x.subarray(b * width, (b + 1) * width), b), b * width);
  }
  return y;
}

/** c' and h' of an LSTM of H units from pre [B, 4H] in the order i, f, g, o, c [B, H] and norm [2, 5, H]. */
function lstm(H: number, pre: Values, c: Values, norm?: Values): [Values, Values] {
  const scaled = (x: Values, k: number): Values => {
    if (!norm) return x;
    return normalised(x).map(
      (v, u) => v * (norm[k * H + u] as number) + (norm[(5 + k) * H + u] as number),
    );
  };
  const h = new Float64Array(c.length);
  const next = eachRow(c, H, (old, b) => {
    const gate = (k: number): Values =>
      scaled(pre.subarray((4 * b + k) * H, (4 * b + k + 1) * H), k);
    const [i, f, g, o] = [gate(0), gate(1), gate(2), gate(3)];
    const row = old.map(
      (v, u) => sigmoid(f[u] as number) * v + sigmoid(i[u] as number) * Math.tanh(g[u] as number),
    );
    const out = scaled(row, 4).map((v, u) => sigmoid(o[u] as number) * Math.tanh(v));
    h.set(out, b * H);
    return row;
  });
  return [next, h];
}

/** γ around 1, as a layer norm has it. */
const scales = (name: string, shape: Shape) => [shape, drawn(name, shape, 0.5, 1.5)] as const;

type Sizes = (...shape: number[]) => Reference;

function lstmReference(norm: boolean): Sizes {
  return (B = 1, H = 1) => ({
    inputs: { pre: [B, 4 * H], c: [B, H], ...(norm && { norm: scales("norm", [2, 5, H]) }) },
    build: (pre, c, given) => {
      const made = lstmCell(pre as Tensor, c as Tensor, { norm: given ?? null });
      return [made.c, made.h];
    },
    f64: (pre, c, given) => lstm(H, pre as Values, c as Values, given),
  });
}

function hyperLstmReference(norm: boolean): Sizes {
  return (B = 1, H = 1) => ({
    inputs: {
      hg: [B, 4 * H],
      xg: [B, 4 * H],
      d: [3, 4, B, H],
      c: [B, H],
      ...(norm && { norm: scales("norm", [2, 5, H]) }),
    },
    build: (...x) => {
      const [hg, xg, d, c, given = null] = x as [Tensor, Tensor, Tensor, Tensor, Tensor?];
      const made = hyperLstmCell(hg, xg, d, c, { norm: given });
      return [made.c, made.h];
    },
    f64: (...x) => {
      const [hg, xg, d, c, given] = x as [Values, Values, Values, Values, Values?];
      const pre = hg.map((v, at) => {
        const [u, gate, b] = [at % H, Math.floor(at / H) % 4, Math.floor(at / (4 * H))];
        const scale = (kind: number) => d[((kind * 4 + gate) * B + b) * H + u] as number;
        return scale(0) * v + scale(1) * (xg[at] as number) + scale(2);
      });
      return lstm(H, pre, c, given);
    },
  });
}

const layerNormReference: Sizes = (B = 1, H = 1) => ({
  inputs: { x: [B, H], scale: scales("scale", [H]), shift: [H] },
  build: (...x) => [layerNorm(...(x as [Tensor, Tensor, Tensor]), { eps: EPS })],
  f64: (...x) => {
    const [rows, scale, shift] = x as [Values, Values, Values];
    const affine = (v: number, u: number) => v * (scale[u] as number) + (shift[u] as number);
    return [eachRow(rows, H, (row) => normalised(row).map(affine))];
  },
});

/** With its ReLU, as Wide ResNets have it; running statistics left alone. */
const batchNormReference: Sizes = (N = 1, C = 1, H = 1, W = 1) => ({
  inputs: {
    x: [N, C, H, W],
    scale: scales("scale", [C]),
    shift: [C],
    mean: [C],
    variance: scales("variance", [C]),
  },
  build: (...x) => {
    const made = batchNormTraining(...(x as [Tensor, Tensor, Tensor, Tensor, Tensor]), {
      relu: true,
      eps: EPS,
    });
    return [made.y];
  },
  f64: (...inputs) => {
    const [x, scale, shift] = inputs as [Values, Values, Values];
    const area = H * W;
    const y = new Float64Array(x.length);
    for (let c = 0; c < C; c++) {
      const channel = Array.from({ length: N }, (_, n) => (n * C + c) * area);
      const flat = new Float64Array(N * area);
      for (const [n, at] of channel.entries()) flat.set(x.subarray(at, at + area), n * area);
      const [g, b] = [scale[c] as number, shift[c] as number];
      const made = normalised(flat).map((v) => Math.max(0, v * g + b));
      for (const [n, at] of channel.entries()) {
        y.set(made.subarray(n * area, (n + 1) * area), at);
      }
    }
    return [y];
  },
});

const softmaxReference: Sizes = (B = 1, V = 1) => ({
  inputs: { x: [B, V] },
  build: (x) => [softmax(x as Tensor)],
  f64: (x) => [
    eachRow(x as Values, V, (row) => {
      const total = logSum(row);
      return row.map((v) => Math.exp(v - total));
    }),
  ],
});

const crossEntropyReference: Sizes = (B = 1, V = 1) => ({
  inputs: {
    logits: [B, V],
    labels: [[B], drawnBelow(V, "labels", [B])],
    weight: [[B], new Float32Array(B).fill(1)],
  },
  build: (...x) => [meanSoftmaxCrossEntropy(...(x as [Tensor, Tensor, Tensor])).loss],
  f64: (...x) => {
    const [logits, labels] = x as [Values, Values];
    const losses = labels.map((label, b) => {
      const row = logits.subarray(b * V, (b + 1) * V);
      return logSum(row) - (row[label] as number);
    });
    return [Float64Array.of(sum(losses) / B)];
  },
});

/** M normal distributions in the plane: rows of 1 + 6 M parameters, and a point with its pen's state. */
const mixtureReference: Sizes = (B = 1, M = 1) => ({
  inputs: {
    raw: [B, 6 * M + 1],
    points: [[B, 3], drawn("points", [B, 3]).map((v, i) => (i % 3 === 2 ? Number(v > 0) : v))],
  },
  build: (...x) => [mixtureDensity(...(x as [Tensor, Tensor]))],
  f64: (...x) => {
    const [raw, points] = x as [Values, Values];
    return [
      Float64Array.from({ length: B }, (_, b) => {
        const row = raw.subarray(b * (6 * M + 1), (b + 1) * (6 * M + 1));
        const [x1, x2, end] = points.subarray(3 * b, 3 * b + 3) as unknown as [
          number,
          number,
          number,
        ];
        const part = (k: number): Values => row.subarray(1 + k * M, 1 + (k + 1) * M);
        const [weights, mu1, mu2, log1, log2, hats] = [0, 1, 2, 3, 4, 5].map(part) as [
          Values,
          Values,
          Values,
          Values,
          Values,
          Values,
        ];
        const densities = weights.map((w, j) => {
          const [s1, s2] = [log1[j] as number, log2[j] as number];
          const u = (x1 - (mu1[j] as number)) / Math.exp(s1);
          const v = (x2 - (mu2[j] as number)) / Math.exp(s2);
          const rho = Math.tanh(hats[j] as number);
          const rest = 1 - rho * rho;
          const Z = u * u + v * v - 2 * rho * u * v;
          return w - Z / (2 * rest) - Math.log(2 * Math.PI) - s1 - s2 - 0.5 * Math.log(rest);
        });
        const pen = row[0] as number;
        return logSum(weights) - logSum(densities) + Math.log1p(Math.exp(pen)) - end * pen;
      }),
    ];
  },
});

/** K_i = W_out a_i + B_out for all slices of all tiles; its slab is [out, rows, f, f], then padding. */
const contractionReference: Sizes = (tiles = 1, slices = 1, outputs = 1, f = 1, d = 1) => ({
  inputs: { a: [tiles, slices, d], w: [f, outputs * f, d], b: [f, outputs * f] },
  build: (...x) => [
    contraction(...(x as [Tensor, Tensor, Tensor]), [{ tilesIn: tiles, tilesOut: 1 }]),
  ],
  f64: (...x) => {
    const [a, w, b] = x as [Values, Values, Values];
    const rows = tiles * slices;
    const y = new Float64Array(outputs * rows * f * f);
    for (let at = 0; at < y.length; at++) {
      const [c, r] = [at % f, Math.floor(at / f) % f];
      const [row, o] = [Math.floor(at / (f * f)) % rows, Math.floor(at / (f * f * rows))];
      const from = r * outputs * f + o * f + c;
      let value = b[from] as number;
      for (let k = 0; k < d; k++) value += (w[from * d + k] as number) * (a[row * d + k] as number);
      y[at] = value;
    }
    return [y];
  },
});

/** An op and its gradient: by which inputs, and the names of the ops that compute it. */
interface Differentiated {
  readonly axes: readonly string[];
  readonly reference: Sizes;
  readonly wrt: readonly number[];
  readonly timed: readonly string[];
  /** Of the op; its gradient has twice as many. */
  readonly flops?: (...shape: number[]) => number;
}

const cell = ["lstm_cell_gradient"];
const hyperCell = [...cell, "hyper_scale", "hyper_scale_gradient"];
const [units, classes] = [
  ["B", "H"],
  ["B", "V"],
];

const differentiated: Readonly<Record<string, Differentiated>> = {
  "lstm-cell": { axes: units, reference: lstmReference(false), wrt: [0, 1], timed: cell },
  "ln-lstm-cell": { axes: units, reference: lstmReference(true), wrt: [0, 1, 2], timed: cell },
  "hyper-lstm-cell": {
    axes: units,
    reference: hyperLstmReference(false),
    wrt: [0, 1, 2, 3],
    timed: hyperCell,
  },
  "ln-hyper-lstm-cell": {
    axes: units,
    reference: hyperLstmReference(true),
    wrt: [0, 1, 2, 3, 4],
    timed: hyperCell,
  },
  "layer-norm": {
    axes: units,
    reference: layerNormReference,
    wrt: [0, 1, 2],
    timed: ["layer_norm_gradient"],
  },
  "batch-norm": {
    axes: image,
    reference: batchNormReference,
    wrt: [0, 1, 2],
    timed: ["batch_norm_gradient"],
  },
  softmax: { axes: classes, reference: softmaxReference, wrt: [0], timed: ["softmax_gradient"] },
  "softmax-cross-entropy": {
    axes: classes,
    reference: crossEntropyReference,
    wrt: [0],
    timed: ["softmax_cross_entropy_gradient"],
  },
  "mixture-density": {
    axes: ["B", "M"],
    reference: mixtureReference,
    wrt: [0],
    timed: ["mixture_density_gradient"],
  },
  contraction: {
    axes: ["tiles", "in", "out", "f", "d"],
    reference: contractionReference,
    wrt: [0, 1, 2],
    timed: ["contractionGradientA", "contractionGradientW"],
    flops: (tiles = 1, slices = 1, outputs = 1, f = 1, d = 1) =>
      2 * tiles * slices * outputs * f * f * d,
  },
};

/** Cells, norms, losses and the contraction, each with its gradient: `NAME` and `NAME-gradient`. */
export const rows: KernelTable = Object.fromEntries(
  Object.entries(differentiated).flatMap(([name, { axes, reference, wrt, timed, flops }]) => [
    [
      name,
      {
        axes,
        make: (...shape: number[]) => forwardCase(reference(...shape), flops?.(...shape)),
      },
    ],
    [
      `${name}-gradient`,
      {
        axes,
        make: (...shape: number[]) =>
          gradientCase(reference(...shape), wrt, timed, 2 * (flops?.(...shape) ?? 0)),
      },
    ],
  ]),
);
