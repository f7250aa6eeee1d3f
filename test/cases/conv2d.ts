import { apply1, type Tensor } from "../../src/graph/node";
import { type Shape, size } from "../../src/graph/shape";
import {
  type Conv2dAttrs,
  type Conv2dOptions,
  conv2d,
  conv2dInputGradientOp,
  conv2dKernelGradientOp,
  resolvePadding,
} from "../../src/ops/conv2d";
import type { Pair } from "../../src/ops/conv2d-geometry";
import { relu } from "../../src/ops/elementwise";
import type { Nd, OpCase } from "./case";

/** Sizes of x and kernel, and how the one steps over the other. */
interface Geometry extends Conv2dOptions {
  readonly name: string;
  readonly x: Shape;
  readonly kernel: Shape;
  /** What is stored goes through a chain, for which a kernel is compiled anew. */
  readonly relu?: boolean;
}

// Errors of f32 sums in any order grow like the root of their length, and so does the largest
// result: near 1e-6 of it for up to 110,000 products in [-1, 1]; four times that.
const tolerance = 4e-6;

function attrsOf({ x, kernel, stride = 1, padding = "valid" }: Geometry): Conv2dAttrs {
  const steps: Pair = typeof stride === "number" ? [stride, stride] : stride;
  const last = (shape: Shape): Pair => shape.slice(-2) as unknown as Pair;
  return { stride: steps, padding: resolvePadding(padding, last(x), last(kernel), steps) };
}

function resultShape(g: Geometry): Shape {
  const { stride, padding } = attrsOf(g);
  const [n = 0, , h = 0, w = 0] = g.x;
  const [out = 0, , fh = 0, fw = 0] = g.kernel.slice(-4);
  const rows = Math.floor((h + padding.top + padding.bottom - fh) / stride[0]) + 1;
  const columns = Math.floor((w + padding.left + padding.right - fw) / stride[1]) + 1;
  return [n, out, rows, columns];
}

/** Calls `visit` with flat indices into y, x and the kernel for every product of a convolution. */
function products(g: Geometry, visit: (y: number, x: number, k: number) => void): void {
  const { stride, padding } = attrsOf(g);
  const [N = 0, C = 0, H = 0, W = 0] = g.x;
  const [O = 0, , R = 0, S = 0] = g.kernel.slice(-4);
  const [, , rows = 0, columns = 0] = resultShape(g);
  for (let n = 0; n < N; n++) {
    const perSample = g.kernel.length === 5 ? n * O * C * R * S : 0;
    for (let o = 0; o < O; o++) {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const y = ((n * O + o) * rows + i) * columns + j;
          for (let c = 0; c < C; c++) {
            for (let r = 0; r < R; r++) {
              const h = i * stride[0] + r - padding.top;
              if (h < 0 || h >= H) continue;
              for (let s = 0; s < S; s++) {
                const w = j * stride[1] + s - padding.left;
                if (w < 0 || w >= W) continue;
                visit(y, ((n * C + c) * H + h) * W + w, perSample + ((o * C + c) * R + r) * S + s);
              }
            }
          }
        }
      }
    }
  }
}

const at = (a: Nd, i: number): number => a.data[i] as number;

function forward(g: Geometry, x: Nd, kernel: Nd): Nd {
  const shape = resultShape(g);
  const data = new Float64Array(size(shape));
  products(g, (j, i, k) => {
    data[j] = (data[j] as number) + at(x, i) * at(kernel, k);
  });
  return { shape, data };
}

function inputGradient(g: Geometry, dy: Nd, kernel: Nd): Nd {
  const data = new Float64Array(size(g.x));
  products(g, (j, i, k) => {
    data[i] = (data[i] as number) + at(dy, j) * at(kernel, k);
  });
  return { shape: g.x, data };
}

function kernelGradient(g: Geometry, x: Nd, dy: Nd): Nd {
  const data = new Float64Array(size(g.kernel));
  products(g, (j, i, k) => {
    data[k] = (data[k] as number) + at(x, i) * at(dy, j);
  });
  return { shape: g.kernel, data };
}

/**
 * Small: all three ops through `conv2d` and its gradient. Each size of kernels is compiled anew, for
 * a second and more on software adapters, so that cases about other things share a few sizes.
 */
const small: readonly Geometry[] = [
  { name: "1x1", x: [2, 5, 3, 4], kernel: [7, 5, 1, 1] },
  { name: "1x1, one of everything", x: [1, 1, 1, 1], kernel: [1, 1, 1, 1] },
  { name: "1x1, stride 2 over an odd image", x: [2, 3, 5, 4], kernel: [2, 3, 1, 1], stride: 2 },
  { name: "3x3, same size", x: [2, 3, 5, 7], kernel: [5, 3, 3, 3], padding: "symmetric" },
  { name: "3x3, valid", x: [1, 2, 6, 5], kernel: [3, 2, 3, 3] },
  {
    name: "3x3, stride 2, symmetric",
    x: [2, 2, 6, 7],
    kernel: [3, 2, 3, 3],
    stride: 2,
    padding: "symmetric",
  },
  {
    name: "3x3, stride 2, TensorFlow's SAME",
    x: [2, 2, 6, 8],
    kernel: [3, 2, 3, 3],
    stride: 2,
    padding: "same-tensorflow",
  },
  {
    name: "3x3, stride 3 by 2, image not reached to its end",
    x: [1, 2, 9, 8],
    kernel: [2, 2, 3, 3],
    stride: [3, 2],
  },
  { name: "stride larger than the kernel", x: [2, 2, 8, 9], kernel: [3, 2, 2, 2], stride: [3, 4] },
  {
    name: "stride larger than the kernel, padded",
    x: [1, 2, 7, 6],
    kernel: [2, 2, 2, 2],
    stride: 3,
    padding: { top: 2, bottom: 1, left: 1, right: 2 },
  },
  {
    name: "more padding than image",
    x: [2, 1, 2, 1],
    kernel: [2, 1, 3, 3],
    padding: { top: 4, bottom: 3, left: 2, right: 5 },
  },
  {
    name: "more padding than image, stride 2",
    x: [1, 2, 2, 3],
    kernel: [3, 2, 2, 3],
    stride: 2,
    padding: { top: 3, bottom: 4, left: 5, right: 3 },
  },
  {
    name: "even kernel, TensorFlow's SAME",
    x: [2, 2, 5, 6],
    kernel: [3, 2, 2, 2],
    padding: "same-tensorflow",
  },
  {
    name: "even kernel, stride 2",
    x: [1, 3, 7, 8],
    kernel: [2, 3, 2, 2],
    stride: 2,
    padding: { top: 1, bottom: 2, left: 2, right: 0 },
  },
  { name: "one row of taps", x: [2, 2, 3, 9], kernel: [3, 2, 1, 5], padding: "symmetric" },
  { name: "one column of taps", x: [2, 2, 9, 3], kernel: [3, 2, 5, 1], stride: [2, 1] },
  { name: "3x3 over 3x3, one result", x: [3, 2, 3, 3], kernel: [4, 2, 3, 3] },
  {
    name: "7x7, wider than the image",
    x: [1, 1, 4, 5],
    kernel: [2, 1, 7, 7],
    padding: { top: 3, bottom: 4, left: 5, right: 2 },
  },
  {
    name: "7x7, stride 2, TensorFlow's SAME",
    x: [1, 1, 8, 9],
    kernel: [2, 1, 7, 7],
    stride: 2,
    padding: "same-tensorflow",
  },
  {
    name: "per-sample kernels, 3x3",
    x: [3, 2, 4, 5],
    kernel: [3, 3, 2, 3, 3],
    padding: "symmetric",
  },
  { name: "per-sample kernels, 1x1", x: [4, 3, 3, 3], kernel: [4, 2, 3, 1, 1] },
  {
    name: "per-sample kernels, 2x3, stride 2 by 1",
    x: [2, 2, 5, 6],
    kernel: [2, 3, 2, 2, 3],
    stride: [2, 1],
    padding: { top: 1, bottom: 0, left: 0, right: 2 },
  },
  { name: "a per-sample kernel for a batch of one", x: [1, 2, 4, 4], kernel: [1, 2, 2, 2, 2] },
];

/** Large enough for several tiles and parts: each op on its own, against its own oracle. */
const large: readonly Geometry[] = [
  {
    name: "3x3, 67 to 35 channels, 17x19",
    x: [2, 67, 17, 19],
    kernel: [35, 67, 3, 3],
    padding: "symmetric",
    relu: true,
  },
  {
    name: "3x3, 16 to 32 channels, stride 2",
    x: [3, 16, 16, 16],
    kernel: [32, 16, 3, 3],
    stride: 2,
    padding: "symmetric",
    relu: true,
  },
  {
    name: "7x7, 1 to 16 channels, 28x28",
    x: [3, 1, 28, 28],
    kernel: [16, 1, 7, 7],
    padding: "symmetric",
    relu: true,
  },
  {
    name: "7x7, 16 to 16 channels, 14x14",
    x: [3, 16, 14, 14],
    kernel: [16, 16, 7, 7],
    padding: "symmetric",
    relu: true,
  },
  {
    name: "11x8, 3 to 5 channels, 23x29",
    x: [2, 3, 23, 29],
    kernel: [5, 3, 11, 8],
    padding: "same-tensorflow",
  },
  { name: "1x1, 13 to 70 channels, 11x9", x: [3, 13, 11, 9], kernel: [70, 13, 1, 1], relu: true },
  {
    name: "7x7, 3 to 5 channels, 29x31, stride 2",
    x: [2, 3, 29, 31],
    kernel: [5, 3, 7, 7],
    stride: 2,
    padding: "symmetric",
  },
  {
    name: "2x3, per sample, 9 to 11 channels",
    x: [3, 9, 13, 12],
    kernel: [3, 11, 9, 2, 3],
    stride: [1, 2],
    padding: "same-tensorflow",
  },
];

/** What its kernel's gradient alone is larger for: sums over all pixels. */
const manyPixels: Geometry = {
  name: "3x3, sums of 110,418 pixels",
  x: [2, 1, 233, 241],
  kernel: [1, 1, 3, 3],
};

function singleOps(g: Geometry): readonly OpCase[] {
  const attrs = attrsOf(g);
  const [x, kernel, y] = [{ shape: g.x }, { shape: g.kernel }, { shape: resultShape(g) }];
  const image = g.x.slice(-2) as unknown as Pair;
  const common = { tolerance, gradients: [] };
  return [
    {
      ...common,
      name: `conv2d${g.relu ? ", then relu" : ""}: ${g.name}`,
      ops: ["conv2d"],
      inputs: [x, kernel],
      build: (a, b) => {
        const y = conv2d(a as Tensor, b as Tensor, g);
        return g.relu ? relu(y) : y;
      },
      oracle: (a, b) => {
        const out = forward(g, a as Nd, b as Nd);
        return g.relu ? { ...out, data: out.data.map((v) => Math.max(v, 0)) } : out;
      },
    },
    {
      ...common,
      name: `conv2d input gradient: ${g.name}`,
      ops: ["conv2d input gradient"],
      inputs: [y, kernel],
      build: (dy, b) =>
        apply1(conv2dInputGradientOp, { ...attrs, image }, dy as Tensor, b as Tensor),
      oracle: (dy, b) => inputGradient(g, dy as Nd, b as Nd),
    },
    {
      ...common,
      name: `conv2d kernel gradient: ${g.name}`,
      ops: ["conv2d kernel gradient"],
      inputs: [x, y],
      build: (a, dy) =>
        apply1(conv2dKernelGradientOp, { ...attrs, kernel: g.kernel }, a as Tensor, dy as Tensor),
      oracle: (a, dy) => kernelGradient(g, a as Nd, dy as Nd),
    },
  ];
}

/** Small too: the gradients of the gradients. */
const second: readonly Geometry[] = [
  {
    name: "2x3, stride 2 by 1",
    x: [2, 2, 4, 5],
    kernel: [3, 2, 2, 3],
    stride: [2, 1],
    padding: { top: 1, bottom: 0, left: 1, right: 1 },
  },
  { name: "per sample", x: [2, 1, 4, 3], kernel: [2, 2, 1, 2, 2], padding: "same-tensorflow" },
];

export const conv2dCases: readonly OpCase[] = [
  ...small.map(
    (g): OpCase => ({
      name: `conv2d: ${g.name}`,
      ops: ["conv2d", "conv2d input gradient", "conv2d kernel gradient"],
      inputs: [{ shape: g.x }, { shape: g.kernel }],
      build: (x, kernel) => conv2d(x as Tensor, kernel as Tensor, g),
      oracle: (x, kernel) => forward(g, x as Nd, kernel as Nd),
      tolerance,
    }),
  ),
  ...large.flatMap(singleOps),
  ...singleOps(manyPixels).slice(2),
  ...second.flatMap((g) =>
    singleOps(g)
      .slice(1)
      .map((c) => ({ ...c, gradients: [0, 1] })),
  ),
];
