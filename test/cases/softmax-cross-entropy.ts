import { apply, apply1, type Tensor } from "../../src/graph/node";
import {
  logSoftmax,
  meanSoftmaxCrossEntropy,
  meanSoftmaxCrossEntropyOp,
  softmax,
  softmaxCrossEntropy,
  softmaxCrossEntropyGradientOp,
} from "../../src/ops/softmax-cross-entropy";
import { gradient } from "../../src/schedule/gradient";
import type { CaseInput, Nd, OpCase } from "./case";

/** One row: maximum, first index of it, log of the sum of exponentials. NaN if there is no such thing. */
function row(x: Nd, b: number): { values: number[]; at: number; logSum: number } {
  const n = x.shape[x.shape.length - 1] as number;
  const values = [...x.data.slice(b * n, (b + 1) * n)];
  const max = values.reduce((m, v) => (v > m || Number.isNaN(v) ? v : m));
  const sum = values.reduce((s, v) => s + Math.exp(v - max), 0);
  return {
    values,
    at: values.indexOf(max),
    logSum: Number.isFinite(max) ? max + Math.log(sum) : Number.NaN,
  };
}

function lossRows(logits: Nd, labels: Nd, weight: Nd): { loss: number[]; correct: number[] } {
  const loss: number[] = [];
  const correct: number[] = [];
  for (const [b, w] of weight.data.entries()) {
    const { values, at, logSum } = row(logits, b);
    const label = labels.data[b] as number;
    const l = w * (logSum - (values[label] ?? Number.NaN));
    loss.push(w === 0 ? 0 : l);
    correct.push(w !== 0 && at === label && !Number.isNaN(l) ? w : 0);
  }
  return { loss, correct };
}

const nd = (shape: readonly number[], values: readonly number[]): Nd => ({
  shape,
  data: Float64Array.from(values),
});

function oracleRows(logits: Nd, labels: Nd, weight: Nd): Nd[] {
  const { loss, correct } = lossRows(logits, labels, weight);
  return [nd(weight.shape, loss), nd(weight.shape, correct)];
}

const sum = (x: readonly number[]) => x.reduce((a, b) => a + b, 0);

function oracleMean(logits: Nd, labels: Nd, weight: Nd): Nd[] {
  const { loss, correct } = lossRows(logits, labels, weight);
  const total = sum([...weight.data]);
  return [[total === 0 ? sum(loss) : sum(loss) / total], [sum(correct)], [total]].map((v) =>
    nd([], v),
  );
}

const inputs = (rows: number, classes: number, scale = 3): CaseInput[] => [
  { shape: [rows, classes], low: -scale, high: scale },
  { shape: [rows], dtype: "u32", low: 0, high: classes },
  // Whole and partial weights, and rows that count for nothing.
  {
    shape: [rows],
    values: Array.from({ length: rows }, (_, b) => [1, 0.5, 0, 2, 1][b % 5] as number),
  },
];

/**
 * exp and log of the adapters are good to about 1e-6 each, and a loss near 0 is what is left of
 * numbers near the largest logit.
 */
const TOLERANCE = 1e-5;

const sizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [1, 10],
  [5, 3],
  [32, 10],
  [67, 11],
  [260, 3],
];

const rowsOf: OpCase["build"] = (logits, labels, weight) => {
  const { loss, correct } = softmaxCrossEntropy(
    logits as Tensor,
    labels as Tensor,
    weight as Tensor,
  );
  return [loss, correct];
};

const meanOf: OpCase["build"] = (logits, labels, weight) => {
  const { loss, correct, total } = meanSoftmaxCrossEntropy(
    logits as Tensor,
    labels as Tensor,
    weight as Tensor,
  );
  return [loss, correct, total];
};

/** The same inputs for the rows and for the mean. */
function both(
  name: string,
  given: readonly CaseInput[],
  gradients: readonly number[] = [0],
): OpCase[] {
  const common = { inputs: given, tolerance: TOLERANCE, gradients };
  return [
    {
      name: `cross-entropy rows ${name}`,
      ops: ["softmax_cross_entropy", "softmax_cross_entropy_gradient"],
      build: rowsOf,
      oracle: (x, l, w) => oracleRows(x as Nd, l as Nd, w as Nd),
      ...common,
    },
    {
      name: `mean cross-entropy ${name}`,
      ops: ["mean_softmax_cross_entropy", "softmax_cross_entropy_gradient"],
      build: meanOf,
      oracle: (x, l, w) => oracleMean(x as Nd, l as Nd, w as Nd),
      ...common,
    },
  ];
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

function softmaxOracle(x: Nd, log: boolean): Nd {
  const rows = x.data.length / (x.shape[x.shape.length - 1] as number);
  const values: number[] = [];
  for (let b = 0; b < rows; b++) {
    const { values: v, logSum } = row(x, b);
    values.push(...v.map((e) => (log ? e - logSum : Math.exp(e - logSum))));
  }
  return nd(x.shape, values);
}

const softmaxCases = [
  { name: "rows of 10", input: { shape: [7, 10], low: -5, high: 5 } },
  { name: "rank 1", input: { shape: [23] } },
  { name: "rank 3", input: { shape: [3, 5, 11], low: -3, high: 3 } },
  { name: "many rows of 1", input: { shape: [131, 1] } },
  {
    name: "large logits",
    input: { shape: [2, 4], values: [1e4, 1e4, -1e4, 9999, -3e4, -3e4, -3e4, -3e4] },
  },
].flatMap(({ name, input }) =>
  [false, true].map(
    (log): OpCase => ({
      name: `${log ? "log-softmax" : "softmax"} ${name}`,
      ops: ["softmax", "softmax_gradient"],
      inputs: [input],
      build: (x) => (log ? logSoftmax(x as Tensor) : softmax(x as Tensor)),
      oracle: (x) => softmaxOracle(x as Nd, log),
      tolerance: TOLERANCE,
      gradients: name === "large logits" ? [] : [0],
    }),
  ),
);

function meanGradient(logits: Nd, labels: Nd, weight: Nd, dloss: number): Nd {
  const total = sum([...weight.data]);
  const classes = logits.shape[1] as number;
  const data = softmaxOracle(logits, false).data.map((p, i) => {
    const b = Math.floor(i / classes);
    const hit = labels.data[b] === i % classes ? 1 : 0;
    return (dloss * (weight.data[b] as number) * (p - hit)) / total;
  });
  return { shape: logits.shape, data };
}

/** The gradient as an output, for sizes at which differences of the oracle take too long. */
function gradientCase(rows: number, classes: number): OpCase {
  return {
    name: `gradient of the mean cross-entropy ${rows} x ${classes}`,
    ops: ["mean_softmax_cross_entropy", "softmax_cross_entropy_gradient"],
    inputs: [...inputs(rows, classes), { shape: [], values: [0.75] }],
    build: (...given) => {
      const [logits, labels, weight, dloss] = given as [Tensor, Tensor, Tensor, Tensor];
      const made = apply(meanSoftmaxCrossEntropyOp, null, logits, labels, weight);
      const [, , stats, total] = made;
      const of = [logits, labels, weight, stats, total, dloss];
      return apply1(softmaxCrossEntropyGradientOp, { mean: true, factor: null }, ...of);
    },
    oracle: (...given) => {
      const [logits, labels, weight] = given as [Nd, Nd, Nd];
      return meanGradient(logits, labels, weight, 0.75);
    },
    tolerance: TOLERANCE,
    gradients: [],
  };
}

/** Cases of src/ops/softmax-cross-entropy.ts. */
export const softmaxCrossEntropyCases: readonly OpCase[] = [
  ...sizes.flatMap(([rows, classes]) => both(`${rows} x ${classes}`, inputs(rows, classes))),
  ...both("with i32 labels", [
    { shape: [3, 4] },
    { shape: [3], dtype: "i32", values: [3, 0, 2] },
    { shape: [3], values: [1, 1, 1] },
  ]),
  ...both("of 12,800 rows", inputs(12_800, 5), []),
  ...both("of 129 rows of 512", inputs(129, 512), []),
  {
    name: "gradient of the mean cross-entropy itself, whose own gradient is the constant 1",
    ops: ["mean_softmax_cross_entropy", "softmax_cross_entropy_gradient"],
    inputs: inputs(7, 4),
    build: (...given) => {
      const [logits, labels, weight] = given as [Tensor, Tensor, Tensor];
      const { loss } = meanSoftmaxCrossEntropy(logits, labels, weight);
      return gradient(loss, [logits]);
    },
    oracle: (logits, labels, weight) => meanGradient(logits as Nd, labels as Nd, weight as Nd, 1),
    tolerance: TOLERANCE,
    gradients: [],
  },
  gradientCase(12_800, 5),
  gradientCase(129, 512),
  ...both(
    "of large logits and one of -infinity",
    [
      { shape: [3, 3], values: [1e4, -1e4, 9999, -3e4, -3e4, -3e4, 5, -infinity, 3] },
      { shape: [3], dtype: "u32", values: [2, 1, 0] },
      { shape: [3], values: [1, 1, 1] },
    ],
    [],
  ),
  ...both(
    "where the first of equal maxima counts",
    [
      { shape: [3, 4], values: [1, 2, 2, 0, 3, 3, 3, 3, 0, 0, 1, 1] },
      { shape: [3], dtype: "u32", values: [2, 0, 2] },
      { shape: [3], values: [1, 1, 1] },
    ],
    [],
  ),
  ...both(
    "where all weights are 0, one on a row of NaN and one on a wrong label",
    [
      { shape: [3, 2], values: [1, 2, nan, 0, 3, 4] },
      { shape: [3], dtype: "u32", values: [0, 1, 9] },
      { shape: [3], values: [0, 0, 0] },
    ],
    [],
  ),
  // Rows by themselves, so that the others show that they stay untouched.
  ...["label 4 of 4", "label -1", "a NaN logit", "a first NaN logit", "an infinite logit"].flatMap(
    (what, k) =>
      both(
        `with ${what} is NaN`,
        [
          {
            shape: [2, 4],
            values: [0, 1, 2, 3, k === 3 ? nan : 1, k === 2 ? nan : 0, k === 4 ? infinity : 0, 2],
          },
          { shape: [2], dtype: "i32", values: [1, [4, -1, 0, 0, 0][k] as number] },
          { shape: [2], values: [1, 1] },
        ],
        [],
      ),
  ),
  ...softmaxCases,
  {
    name: "softmax of rows with NaN, infinity, or nothing but -infinity is NaN",
    ops: ["softmax"],
    inputs: [
      {
        shape: [5, 3],
        values: [
          nan,
          0,
          1,
          0,
          infinity,
          1,
          -infinity,
          -infinity,
          -infinity,
          1,
          -infinity,
          0,
          0,
          1,
          nan,
        ],
      },
    ],
    build: (x) => [softmax(x as Tensor), logSoftmax(x as Tensor)],
    oracle: (x) => [softmaxOracle(x as Nd, false), softmaxOracle(x as Nd, true)],
    tolerance: TOLERANCE,
    gradients: [],
  },
];
