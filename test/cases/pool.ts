import { apply1, type Tensor } from "../../src/graph/node";
import { type Shape, size } from "../../src/graph/shape";
import { add, relu } from "../../src/ops/elementwise";
import {
  averagePool2d,
  averagePool2dGradientOp,
  globalAveragePool,
  maxPool2d,
  maxPool2dGradientOp,
  type PoolAttrs,
} from "../../src/ops/pool";
import type { Nd, OpCase } from "./case";

type Window = PoolAttrs & { readonly countPadding?: boolean };

/** Distinct numbers, at least 2 / n apart: no finite difference changes the winner of a window. */
function spread(n: number): number[] {
  let stride = Math.floor(n * 0.381) + 1;
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  while (common(stride, n) !== 1) stride++;
  return Array.from({ length: n }, (_, i) => (2 * ((i * stride) % n) + 0.5) / n - 1);
}

function outShape(x: Shape, { size: [h, w], stride, padding: [t, b, l, r] }: Window): number[] {
  const [n = 0, c = 0, H = 0, W = 0] = x;
  const rows = Math.floor((H + t + b - h) / stride[0]) + 1;
  return [n, c, rows, Math.floor((W + l + r - w) / stride[1]) + 1];
}

/** Calls `visit` for each window with its output index and the flat indices in x that it covers. */
function windows(
  x: Shape,
  a: Window,
  visit: (at: number, inside: readonly number[]) => void,
): void {
  const [N = 0, C = 0, H = 0, W = 0] = x;
  const [, , rows = 0, columns = 0] = outShape(x, a);
  for (let plane = 0; plane < N * C; plane++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const inside: number[] = [];
        for (let r = 0; r < a.size[0]; r++) {
          for (let s = 0; s < a.size[1]; s++) {
            const h = i * a.stride[0] + r - a.padding[0];
            const w = j * a.stride[1] + s - a.padding[2];
            if (h >= 0 && h < H && w >= 0 && w < W) inside.push((plane * H + h) * W + w);
          }
        }
        visit((plane * rows + i) * columns + j, inside);
      }
    }
  }
}

/** The first maximum; NaN beats every number and a later NaN an earlier one, as in PyTorch. */
function winner(x: Float64Array, inside: readonly number[]): number {
  let best = inside[0] as number;
  for (const k of inside) {
    const v = x[k] as number;
    if (v > (x[best] as number) || Number.isNaN(v)) best = k;
  }
  return best;
}

function maxOracle(x: Nd, a: Window): Nd {
  const shape = outShape(x.shape, a);
  const data = new Float64Array(size(shape));
  windows(x.shape, a, (at, inside) => {
    data[at] = x.data[winner(x.data, inside)] as number;
  });
  return { shape, data };
}

function addTo(to: Float64Array, k: number, value: number): void {
  to[k] = (to[k] as number) + value;
}

function maxGradientOracle(x: Nd, dy: Nd, a: Window): Nd {
  const data = new Float64Array(x.data.length);
  windows(x.shape, a, (at, inside) => {
    addTo(data, winner(x.data, inside), dy.data[at] as number);
  });
  return { shape: x.shape, data };
}

function averageOracle(x: Nd, a: Window): Nd {
  const shape = outShape(x.shape, a);
  const data = new Float64Array(size(shape));
  windows(x.shape, a, (at, inside) => {
    const count = a.countPadding ? a.size[0] * a.size[1] : inside.length;
    data[at] = inside.reduce((sum, k) => sum + (x.data[k] as number), 0) / count;
  });
  return { shape, data };
}

function averageGradientOracle(x: Shape, dy: Nd, a: Window): Nd {
  const data = new Float64Array(size(x));
  windows(x, a, (at, inside) => {
    const count = a.countPadding ? a.size[0] * a.size[1] : inside.length;
    for (const k of inside) addTo(data, k, (dy.data[at] as number) / count);
  });
  return { shape: x, data };
}

const plain = (s: number, stride = s, p = 0): Window => ({
  size: [s, s],
  stride: [stride, stride],
  padding: [p, p, p, p],
});

const geometries: readonly (readonly [string, Shape, Window])[] = [
  ["2x2 by 2", [2, 3, 6, 8], plain(2)],
  ["2x2 by 2, odd image, the last row and column in no window", [3, 1, 7, 5], plain(2)],
  ["2x2 by 2, image of 28", [1, 1, 28, 28], plain(2)],
  ["3x3 by 3, 1 row and 2 columns left over", [1, 2, 7, 8], plain(3)],
  ["2x2 by 3, gaps between windows", [2, 1, 8, 10], plain(2, 3)],
  ["3x3 by 2, padded by 1, overlapping", [2, 2, 7, 9], plain(3, 2, 1)],
  ["3x3 by 1", [1, 2, 5, 6], plain(3, 1)],
  ["one window over all", [2, 3, 5, 7], { size: [5, 7], stride: [5, 7], padding: [0, 0, 0, 0] }],
  ["1x1 by 2", [1, 2, 5, 4], plain(1, 2)],
  [
    "2x3 by 1x2, four different paddings",
    [2, 2, 5, 7],
    { size: [2, 3], stride: [1, 2], padding: [1, 0, 2, 1] },
  ],
];

const pool = (x: Tensor, { size, stride, padding }: Window) =>
  maxPool2d(x, { size, stride, padding });

const maxCases = geometries.flatMap(([name, shape, a]): OpCase[] => [
  {
    name: `max ${name}`,
    ops: ["max_pool2d", "max_pool2d_gradient"],
    inputs: [{ shape, values: spread(size(shape)) }],
    build: (x) => pool(x, a),
    oracle: (x) => maxOracle(x, a),
    tolerance: 1e-7, // a copy
  },
  {
    name: `max gradient with ties ${name}`,
    ops: ["max_pool2d_gradient"],
    inputs: [
      { shape, values: spread(size(shape)).map((v) => Math.round(v)) },
      { shape: outShape(shape, a) },
    ],
    build: (x, dy) => apply1(maxPool2dGradientOp, a, x, dy),
    oracle: (x, dy) => maxGradientOracle(x, dy, a),
    tolerance: 1e-6, // sums of at most nine terms
    gradients: [],
  },
]);

const withNaN = spread(70).map((v, i) => (i % 11 === 4 || i === 5 ? Number.NaN : v));

const averageCases = geometries.flatMap(([name, shape, a]) =>
  [true, false].flatMap((countPadding): OpCase[] => [
    {
      name: `average ${name}, ${countPadding ? "padding counted" : "padding not counted"}`,
      ops: ["average_pool2d", "average_pool2d_gradient"],
      inputs: [{ shape }],
      build: (x) => {
        const { size, stride, padding } = a;
        return averagePool2d(x, { size, stride, padding, countPadding });
      },
      oracle: (x) => averageOracle(x, { ...a, countPadding }),
      tolerance: 1e-6, // sums of at most 35 terms
    },
    {
      name: `average gradient and its own gradient, ${name}, ${countPadding}`,
      ops: ["average_pool2d_gradient", "average_pool2d"],
      inputs: [{ shape: outShape(shape, a) }],
      build: (dy) => apply1(averagePool2dGradientOp, { ...a, countPadding, shape }, dy),
      oracle: (dy) => averageGradientOracle(shape, dy, { ...a, countPadding }),
      tolerance: 1e-6,
    },
  ]),
);

/** Cases of src/ops/pool.ts. */
export const poolCases: readonly OpCase[] = [
  ...maxCases,
  {
    name: "max of windows with NaN is NaN, overlapping",
    ops: ["max_pool2d"],
    inputs: [{ shape: [1, 2, 5, 7], values: withNaN }],
    build: (x) => pool(x, plain(3, 2, 1)),
    oracle: (x) => maxOracle(x, plain(3, 2, 1)),
    tolerance: 1e-7,
    gradients: [],
  },
  {
    name: "max gradient goes to NaN, overlapping",
    ops: ["max_pool2d_gradient"],
    inputs: [{ shape: [1, 2, 5, 7], values: withNaN }, { shape: [1, 2, 3, 4] }],
    build: (x, dy) => apply1(maxPool2dGradientOp, plain(3, 2, 1), x, dy),
    oracle: (x, dy) => maxGradientOracle(x, dy, plain(3, 2, 1)),
    tolerance: 1e-6,
    gradients: [],
  },
  {
    name: "max gradient goes to NaN, disjoint",
    ops: ["max_pool2d_gradient"],
    inputs: [{ shape: [1, 2, 5, 7], values: withNaN }, { shape: [1, 2, 2, 3] }],
    build: (x, dy) => apply1(maxPool2dGradientOp, plain(2), x, dy),
    oracle: (x, dy) => maxGradientOracle(x, dy, plain(2)),
    tolerance: 1e-7,
    gradients: [],
  },
  {
    name: "max beside -infinity and -f32 max",
    ops: ["max_pool2d"],
    inputs: [
      {
        shape: [1, 1, 2, 4],
        values: [-Infinity, -Infinity, -3e38, -Infinity, -2, -3, -3.2e38, -Infinity],
      },
    ],
    build: (x) => pool(x, plain(2)),
    oracle: (x) => maxOracle(x, plain(2)),
    tolerance: 1e-7,
    gradients: [],
  },
  {
    name: "max of relu: the mask goes into the gradient kernel",
    ops: ["max_pool2d", "max_pool2d_gradient"],
    // Windows of negative numbers alone would tie at 0, where differences are one-sided.
    inputs: [{ shape: [2, 3, 6, 8], values: spread(288).map((v, i) => (i % 3 ? v : Math.abs(v))) }],
    build: (x) => pool(relu(x), plain(2)),
    oracle: (x) => maxOracle({ shape: x.shape, data: x.data.map((v) => Math.max(v, 0)) }, plain(2)),
    tolerance: 1e-6,
  },
  {
    name: "bias and relu after max go into its kernel",
    ops: ["max_pool2d", "max_pool2d_gradient"],
    inputs: [
      { shape: [2, 3, 6, 8], values: spread(288) },
      { shape: [3, 1, 1], values: [0.11, -0.12, 0.013] },
    ],
    build: (x, bias) => relu(add(pool(x as Tensor, plain(2)), bias as Tensor)),
    oracle: (x, bias) => {
      const y = maxOracle(x as Nd, plain(2));
      const data = y.data.map((v, i) =>
        Math.max(0, v + ((bias as Nd).data[Math.floor(i / 12) % 3] as number)),
      );
      return { shape: y.shape, data };
    },
    tolerance: 1e-6,
  },
  ...averageCases,
  {
    name: "global average",
    ops: ["average_pool2d"],
    inputs: [{ shape: [3, 5, 7, 11] }],
    build: (x) => globalAveragePool(x),
    oracle: (x) => ({
      ...averageOracle(x, { ...plain(1), size: [7, 11], countPadding: true }),
      shape: [3, 5],
    }),
    tolerance: 1e-6, // a sum of 77 terms
  },
];
