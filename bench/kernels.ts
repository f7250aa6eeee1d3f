import { hyperCnn } from "../src/hyper/hyper-cnn";
import { slabsOf } from "../src/nn/slabs";
import type { KernelTable, NamedCase } from "./kernel-case";
import { passes } from "./passes";
import { isConvolution, LADDER, products } from "./products";
import { rows } from "./rows";

/** What `--kernel` may name: ops, each with the meaning of its `--shape`. */
export const kernels: KernelTable = { ...products, ...rows, ...passes };

/** @throws RangeError naming the op that is not there, or the axes that a shape must give. */
export function kernelCase(op: string, shape: readonly number[]): NamedCase {
  const kernel = Object.hasOwn(kernels, op) ? kernels[op] : undefined;
  if (!kernel) {
    throw new RangeError(
      `hyperloom: bench has no kernel ${op}; it has ${Object.keys(kernels).join(", ")}`,
    );
  }
  const { axes, make } = kernel;
  if (shape.length !== axes.length || !shape.every((n) => Number.isSafeInteger(n) && n > 0)) {
    throw new RangeError(
      `hyperloom: shape ${shape.join(",")} for ${op}: give ${axes.length} positive integers, ${axes.join(",")}`,
    );
  }
  if (isConvolution(axes) && (shape[5] ?? 1) % 2 === 0) {
    throw new RangeError(
      `hyperloom: ${op} keeps the size of its images, which takes an odd f, not ${shape[5]}`,
    );
  }
  const name = `${op} ${axes.map((axis, i) => `${axis}${shape[i]}`).join(" ")}`;
  return { name, make: () => make(...shape) };
}

/** [C_in, C_out, H = W of the image, stride] of the 3×3 convolutions of Wide ResNets of width 1 and 2. */
const WRN_CONVOLUTIONS = [
  [16, 16, 32, 1],
  [16, 32, 32, 1],
  [32, 32, 32, 1],
  [16, 32, 32, 2],
  [32, 32, 16, 1],
  [32, 64, 32, 2],
  [64, 64, 16, 1],
  [32, 64, 16, 2],
  [64, 64, 8, 1],
  [64, 128, 16, 2],
  [128, 128, 8, 1],
] as const;

/** Each product of a Wide ResNet's convolution at batch 32, and a matrix product of its M, N and K. */
function wideResNetCases(): NamedCase[] {
  return WRN_CONVOLUTIONS.flatMap(([C, O, H, stride]) => {
    const pixels = 32 * (H / stride) ** 2;
    const products = {
      "": [O, pixels, 9 * C],
      "-dx": [C, pixels, 9 * O],
      "-dk": [O, 9 * C, pixels],
    };
    return Object.entries(products).flatMap(([product, size]) => {
      const op = `conv2d${stride === 2 ? "-s2" : ""}${product}`;
      const own = kernelCase(op, [32, C, H, H, O, 3]);
      const matrix = kernelCase("matmul", size);
      const name = `${matrix.name} (${own.name}, wrn)`;
      return [
        { ...own, name: `${own.name} (wrn)`, against: name },
        { ...matrix, name },
      ];
    });
  });
}

const cases = (shapes: Readonly<Record<string, readonly (readonly number[])[]>>): NamedCase[] =>
  Object.entries(shapes).flatMap(([op, all]) => all.map((shape) => kernelCase(op, shape)));

/** The hyper-CNN at batch 32, and its optimiser. */
function hyperCnnCases(): NamedCase[] {
  const parameters = slabsOf(hyperCnn()).parameters.layout.total;
  const conv = (...shape: number[]) =>
    ["conv2d", "conv2d-dx", "conv2d-dk"].map((op) => kernelCase(op, shape));
  return [
    ...conv(32, 1, 28, 28, 16, 7),
    ...conv(32, 16, 14, 14, 16, 7),
    ...cases({
      matmul: [[32, 10, 784]],
      "matmul-at": [[10, 784, 32]],
      "max-pool": [[32, 16, 28, 28]],
      "max-pool-dx": [[32, 16, 28, 28]],
      sum: [[32, 16, 28, 28]],
      "softmax-cross-entropy": [[32, 10]],
      "softmax-cross-entropy-gradient": [[32, 10]],
      adam: [[parameters]],
      "global-norm": [[parameters]],
      add: [[2 ** 16]],
      tanh: [[2 ** 16]],
    }),
  ];
}

/** [T·B, V], [V, 4H], …: the character models of 256 units, 64 in the hyper cell, V = 50, B = T = 32. */
function sequenceCases(): NamedCase[] {
  const [B, V, H, all] = [32, 50, 256, 1024];
  const cells = ["lstm-cell", "ln-lstm-cell", "hyper-lstm-cell", "ln-hyper-lstm-cell"];
  return cases({
    matmul: [
      [B, 4 * H, H],
      [all, V, H],
    ],
    "matmul-at": [[H, 4 * H, all]],
    "matmul-bt": [[B, H, 4 * H]],
    "matmul-batched": [
      [12, B, 16, 64],
      [12, B, H, 16],
    ],
    "matmul-pair": [[B, 256, H, 64]],
    ...Object.fromEntries(
      cells.flatMap((c) => [
        [c, [[B, H]]],
        [`${c}-gradient`, [[B, H]]],
      ]),
    ),
    "hyper-scale": [[B, H]],
    "hyper-scale-gradient": [[B, H]],
    "layer-norm": [[all, H]],
    "layer-norm-gradient": [[all, H]],
    gather: [
      [V, 4 * H, all],
      [V, V, all],
    ],
    "scatter-add": [[V, 4 * H, all]],
    concat: [[B, H, 64]],
    transpose: [[all, H]],
    dropout: [[all * H]],
    "dropout-mask": [[B, H]],
    softmax: [[all, V]],
    "softmax-gradient": [[all, V]],
    "softmax-cross-entropy": [[all, V]],
    "softmax-cross-entropy-gradient": [[all, V]],
    categorical: [[B, V]],
    max: [[all, V]],
    "mixture-density": [[all, 20]],
    "mixture-density-gradient": [[all, 20]],
  });
}

/** What a Wide ResNet of width 1 at batch 32 has beside its convolutions. */
function residualCases(): NamedCase[] {
  return cases({
    "batch-norm": [[32, 16, 32, 32]],
    "batch-norm-gradient": [[32, 16, 32, 32]],
    "global-average-pool": [[32, 64, 8, 8]],
    "global-average-pool-dx": [[32, 64, 8, 8]],
    "max-pool-3-2": [[32, 16, 31, 31]],
    "max-pool-3-2-dx": [[32, 16, 31, 31]],
    shortcut: [[32, 16, 32, 32]],
    sgd: [[2 ** 19]],
  });
}

const WINNER =
  "the library's choice: blocks as large as registers allow and vector loads without barriers on a " +
  "software adapter (shaders/matmul_register), such blocks fed from workgroup tiles on a GPU " +
  "(shaders/matmul_tile)";

/** The ladder of matmul at one size, slowest first, the library's own last. */
export function ladderCases(n: number): NamedCase[] {
  const shape = [n, n, n];
  const [first, ...rest] = LADDER.map((op) => kernelCase(op, shape));
  const winner = kernelCase("matmul", shape);
  if (!first) return [];
  return [first, ...rest, { ...winner, make: () => ({ ...winner.make(), note: WINNER }) }].map(
    (made) => (made === first ? made : { ...made, against: first.name }),
  );
}

/** Sizes that others publish, those of the library's models, and the rungs below matmul. */
export function defaultCases(): NamedCase[] {
  const product = kernelCase("matmul", [1024, 1024, 1024]);
  const slow = kernelCase("matmul-naive", [1024, 1024, 1024]);
  const conv = ["conv2d", "conv2d-dx", "conv2d-dk"].map((op) =>
    kernelCase(op, [16, 64, 32, 32, 64, 3]),
  );
  return [
    ...ladderCases(512),
    slow,
    { ...product, against: slow.name },
    ...cases({
      contraction: [
        [12, 64, 64, 3, 64],
        [1, 256, 256, 3, 64],
        [1, 16, 16, 7, 4],
      ],
      "contraction-gradient": [
        [12, 64, 64, 3, 64],
        [2, 16, 16, 7, 4],
      ],
    }),
    ...conv.map((c) => ({ ...c, against: product.name })),
    ...hyperCnnCases(),
    ...sequenceCases(),
    ...residualCases(),
    ...wideResNetCases(),
  ];
}
