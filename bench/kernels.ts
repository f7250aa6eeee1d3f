import { dispatch } from "../src/gpu/dispatch";
import { apply1, type Operand, output, type Tensor } from "../src/graph/node";
import { fold, key, uniform } from "../src/graph/random";
import { type Shape, size } from "../src/graph/shape";
import { hyperCnn } from "../src/hyper/hyper-cnn";
import { slabsOf } from "../src/nn/slabs";
import { contraction } from "../src/ops/generate";
import { conv2d, conv2dInputGradientOp, conv2dKernelGradientOp } from "../src/ops/conv2d";
import { add } from "../src/ops/elementwise";
import { matmul } from "../src/ops/matmul";
import { adamScalars, adamUpdate } from "../src/ops/optimizer-updates";
import { maxPool2d, maxPool2dGradientOp } from "../src/ops/pool";
import { sum } from "../src/ops/reduce";
import { meanSoftmaxCrossEntropy } from "../src/ops/softmax-cross-entropy";
import { dtypeOf, type HostArray, placeholder } from "../src/ops/sources";
import { shaderOp } from "./replay";
import { benchShader } from "./roof";

/** One op at one shape, as the bench runs it. */
export interface KernelCase {
  /** A graph of this one op; the first output is what is checked. */
  readonly outputs: readonly [Tensor, ...Tensor[]];
  readonly inputs: Readonly<Record<string, HostArray>>;
  /** Floating-point operations of the mathematics; 0 where they are not what counts. */
  readonly flops: number;
  /** Bytes that must be moved at least: each input read once, each output written once. */
  readonly bytes: number;
  /** The terms in f64 whose sum is element `i` of the first output. */
  readonly expected: (i: number) => readonly number[];
}

/** A case by name, its data not made yet. */
export interface NamedCase {
  readonly name: string;
  /** The case of the same run that its rate is compared with. */
  readonly against?: string;
  readonly make: () => KernelCase;
}

/** Reads a tensor by its indices; 0 outside of it. */
type Reader = (...index: readonly number[]) => number;

/** Placeholders with values, and readers of them. */
class Inputs {
  readonly values: Record<string, HostArray> = {};
  bytes = 0;

  /** A tensor of the values given, by default uniform in [-1, 1). */
  tensor(name: string, shape: Shape, given?: HostArray): [Tensor, Reader] {
    const draws = () =>
      Float32Array.from(uniform(fold(key(1), name), size(shape)), (u) => 2 * u - 1);
    const values = given ?? draws();
    this.values[name] = values;
    this.bytes += 4 * values.length;
    const reader: Reader = (...index) => {
      let at = 0;
      for (const [axis, i] of index.entries()) {
        const length = shape[axis] as number;
        if (i < 0 || i >= length) return 0;
        at = at * length + i;
      }
      return values[at] as number;
    };
    return [placeholder(name, shape, dtypeOf(values)), reader];
  }

  /** The case with these inputs; `expected` takes the indices of an element. */
  case(
    outputs: KernelCase["outputs"],
    flops: number,
    expected: (...index: number[]) => readonly number[],
  ) {
    const bytes = outputs.reduce((n, y) => n + 4 * size(y.shape), this.bytes);
    const unravelled = (i: number) => expected(...unravel(i, outputs[0].shape));
    return { outputs, inputs: this.values, flops, bytes, expected: unravelled };
  }
}

function unravel(i: number, shape: Shape): number[] {
  const index: number[] = [];
  let rest = i;
  for (const length of [...shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index;
}

/** A term for every combination of indices below `counts`. */
function terms(counts: Shape, term: Reader): number[] {
  return Array.from({ length: size(counts) }, (_, i) => term(...unravel(i, counts)));
}

type Make = (...shape: number[]) => KernelCase;

function matmulCase(multiply: (a: Tensor, b: Tensor) => Tensor): Make {
  return (M = 1, N = 1, K = 1) => {
    const inputs = new Inputs();
    const [a, at] = inputs.tensor("a", [M, K]);
    const [b, bt] = inputs.tensor("b", [K, N]);
    return inputs.case([multiply(a, b)], 2 * M * N * K, (m = 0, n = 0) =>
      terms([K], (k = 0) => at(m, k) * bt(k, n)),
    );
  };
}

// A naive product does a quarter of a GFLOP/s on a software adapter: rows of a dispatch so that it
// ends within a second or so.
const NAIVE_FLOPS = 2 ** 27;

/** The lowest rung of the ladder: bench/ladder/matmul_naive.wgsl. */
function naiveMatmul(a: Tensor, b: Tensor): Tensor {
  const [M = 1, K = 1] = a.shape;
  const [, N = 1] = b.shape;
  const rows = Math.max(8, Math.floor(NAIVE_FLOPS / (2 * N * K)));
  const op = shaderOp("matmul-naive", { shape: [M, N], dtype: "f32" }, (node) =>
    Array.from({ length: Math.ceil(M / rows) }, (_, i) => {
      const part = Math.min(rows, M - i * rows);
      return dispatch<Operand, string, string, string>(benchShader("./ladder/matmul_naive.wgsl"), {
        bind: { a, b, y: output(node, 0) },
        uniforms: { first_row: i * rows, rows: part, n: N, k: K },
        grid: [Math.ceil(N / 8), Math.ceil(part / 8), 1],
        flops: 2 * part * N * K,
        trips: K + 1,
      });
    }),
  );
  return apply1(op, null, a, b);
}

type Product = "forward" | "input gradient" | "kernel gradient";

/** A product of a convolution of odd f, padded so that images of stride 1 keep their size. */
function convCase(product: Product, stride = 1): Make {
  return (N = 1, C = 1, H = 1, W = 1, O = 1, f = 1) => {
    const inputs = new Inputs();
    const p = (f - 1) / 2;
    const padding = { top: p, bottom: p, left: p, right: p };
    const attrs = { stride: [stride, stride], padding } as const;
    const [rows, columns] = [Math.ceil(H / stride), Math.ceil(W / stride)];
    const flops = 2 * N * C * O * rows * columns * f * f;
    const x = () => inputs.tensor("x", [N, C, H, W]);
    const k = () => inputs.tensor("k", [O, C, f, f]);
    const dy = () => inputs.tensor("dy", [N, O, rows, columns]);
    if (product === "forward") {
      const [[xs, xt], [ks, kt]] = [x(), k()];
      return inputs.case([conv2d(xs, ks, attrs)], flops, (n = 0, o = 0, h = 0, w = 0) =>
        terms(
          [C, f, f],
          (c = 0, r = 0, s = 0) =>
            xt(n, c, stride * h + r - p, stride * w + s - p) * kt(o, c, r, s),
        ),
      );
    }
    if (product === "input gradient") {
      const [[ds, dt], [ks, kt]] = [dy(), k()];
      const dx = apply1(conv2dInputGradientOp, { ...attrs, image: [H, W] as const }, ds, ks);
      return inputs.case([dx], flops, (n = 0, c = 0, h = 0, w = 0) =>
        terms([O, f, f], (o = 0, r = 0, s = 0) => {
          const [i, j] = [(h - r + p) / stride, (w - s + p) / stride];
          return Number.isInteger(i) && Number.isInteger(j) ? dt(n, o, i, j) * kt(o, c, r, s) : 0;
        }),
      );
    }
    const [[xs, xt], [ds, dt]] = [x(), dy()];
    const dk = apply1(conv2dKernelGradientOp, { ...attrs, kernel: [O, C, f, f] }, xs, ds);
    return inputs.case([dk], flops, (o = 0, c = 0, r = 0, s = 0) =>
      terms(
        [N, rows, columns],
        (n = 0, h = 0, w = 0) => dt(n, o, h, w) * xt(n, c, stride * h + r - p, stride * w + s - p),
      ),
    );
  };
}

const POOL = { size: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0] } as const;

function poolCase(gradient: boolean): Make {
  return (N = 1, C = 1, H = 2, W = 2) => {
    const inputs = new Inputs();
    const [x, xt] = inputs.tensor("x", [N, C, H, W]);
    const window = (n: number, c: number, h: number, w: number) =>
      terms([2, 2], (r = 0, s = 0) => xt(n, c, 2 * h + r, 2 * w + s));
    if (!gradient) {
      return inputs.case([maxPool2d(x, { size: 2 })], 0, (n = 0, c = 0, h = 0, w = 0) => [
        Math.max(...window(n, c, h, w)),
      ]);
    }
    const [dy, dt] = inputs.tensor("dy", [N, C, Math.floor(H / 2), Math.floor(W / 2)]);
    const dx = apply1(maxPool2dGradientOp, POOL, x, dy);
    return inputs.case([dx], 0, (n = 0, c = 0, h = 0, w = 0) => {
      const [row, column] = [Math.floor(h / 2), Math.floor(w / 2)];
      const values = window(n, c, row, column);
      // The first of equals wins.
      const won = values.indexOf(Math.max(...values)) === 2 * (h % 2) + (w % 2);
      return [won ? dt(n, c, row, column) : 0];
    });
  };
}

/** The generator's contraction: tiles · slices rows a_i, each K_i = W_out a_i + B_out. */
function contractionCase(tiles = 1, slices = 1, outputs = 1, f = 1, d = 1): KernelCase {
  const inputs = new Inputs();
  const rows = tiles * slices;
  const [a, at] = inputs.tensor("a", [tiles, slices, d]);
  const [w, wt] = inputs.tensor("w", [f, outputs * f, d]);
  const [b, bt] = inputs.tensor("b", [f, outputs * f]);
  const slab = contraction(a, w, b, [{ tilesIn: tiles, tilesOut: 1 }]);
  return inputs.case([slab], 2 * rows * outputs * f * f * d, (i = 0) => {
    const [o = 0, row = 0, r = 0, c = 0] = unravel(i, [outputs + 1, rows, f, f]);
    // The slab ends with padding, which is zero.
    if (o === outputs) return [0];
    const column = o * f + c;
    const products = terms([d], (k = 0) => {
      return wt(r, column, k) * at(Math.floor(row / slices), row % slices, k);
    });
    return [bt(r, column), ...products];
  });
}

function addCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [a, at] = inputs.tensor("a", [n]);
  const [b, bt] = inputs.tensor("b", [n]);
  return inputs.case([add(a, b)], 0, (i = 0) => [at(i), bt(i)]);
}

/** A bias gradient: the sum over samples and pixels. */
function sumCase(N = 1, C = 1, H = 1, W = 1): KernelCase {
  const inputs = new Inputs();
  const [x, xt] = inputs.tensor("x", [N, C, H, W]);
  return inputs.case([sum(x, [0, 2, 3])], 0, (c = 0) =>
    terms([N, H, W], (n = 0, h = 0, w = 0) => xt(n, c, h, w)),
  );
}

function softmaxCase(B = 1, V = 1): KernelCase {
  const inputs = new Inputs();
  const draws = uniform(key(2), B);
  const [logits, x] = inputs.tensor("logits", [B, V]);
  const [labels, label] = inputs.tensor(
    "labels",
    [B],
    Uint32Array.from(draws, (u) => u * V),
  );
  const [weight] = inputs.tensor("weight", [B], new Float32Array(B).fill(1));
  const { loss } = meanSoftmaxCrossEntropy(logits, labels, weight);
  return inputs.case([loss], 0, () =>
    terms([B], (b = 0) => {
      const exps = terms([V], (v = 0) => Math.exp(x(b, v))).reduce((s, e) => s + e, 0);
      return (Math.log(exps) - x(b, label(b))) / B;
    }),
  );
}

function adamCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [lr, beta1, beta2, eps, t] = [1e-3, 0.9, 0.999, 1e-8, 5];
  const [p, pt] = inputs.tensor("p", [n]);
  const [g, gt] = inputs.tensor("g", [n]);
  const [m, mt] = inputs.tensor("m", [n]);
  const [v, vt] = inputs.tensor("v", [n], Float32Array.from(uniform(key(2), n)));
  const step = Float32Array.from(adamScalars(t, lr, beta1, beta2));
  const [scalars] = inputs.tensor("scalars", [step.length], step);
  const attrs = {
    beta1,
    beta2,
    eps,
    epsPlacement: "pytorch",
    weightDecay: 0,
    decoupled: false,
  } as const;
  return inputs.case(adamUpdate(p, g, m, v, scalars, attrs), 0, (i = 0) => {
    const first = (beta1 * mt(i) + (1 - beta1) * gt(i)) / (1 - beta1 ** t);
    const second = (beta2 * vt(i) + (1 - beta2) * gt(i) ** 2) / (1 - beta2 ** t);
    return [pt(i), (-lr * first) / (Math.sqrt(second) + eps)];
  });
}

const image = ["N", "C", "H", "W"];
const convolution = [...image, "O", "f"];

/** What `--kernel` may name: ops, each with the meaning of its `--shape`. */
export const kernels: Readonly<
  Record<string, { readonly axes: readonly string[]; readonly make: Make }>
> = {
  matmul: { axes: ["M", "N", "K"], make: matmulCase(matmul) },
  "matmul-naive": { axes: ["M", "N", "K"], make: matmulCase(naiveMatmul) },
  contraction: { axes: ["tiles", "in", "out", "f", "d"], make: contractionCase },
  conv2d: { axes: convolution, make: convCase("forward") },
  "conv2d-dx": { axes: convolution, make: convCase("input gradient") },
  "conv2d-dk": { axes: convolution, make: convCase("kernel gradient") },
  "conv2d-s2": { axes: convolution, make: convCase("forward", 2) },
  "conv2d-s2-dx": { axes: convolution, make: convCase("input gradient", 2) },
  "conv2d-s2-dk": { axes: convolution, make: convCase("kernel gradient", 2) },
  "max-pool": { axes: image, make: poolCase(false) },
  "max-pool-dx": { axes: image, make: poolCase(true) },
  sum: { axes: image, make: sumCase },
  "softmax-cross-entropy": { axes: ["B", "V"], make: softmaxCase },
  adam: { axes: ["n"], make: adamCase },
  add: { axes: ["n"], make: addCase },
};

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
  if (axes === convolution && (shape[5] ?? 1) % 2 === 0) {
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

/** Sizes that others publish, those of the hyper-CNN at batch 32, and those of Wide ResNets. */
export function defaultCases(): NamedCase[] {
  const [n512, n1024] = [512, 1024].map((n) => [n, n, n]) as [number[], number[]];
  const product = kernelCase("matmul", n1024);
  const conv = (...shape: number[]) =>
    ["conv2d", "conv2d-dx", "conv2d-dk"].map((op) => kernelCase(op, shape));
  const [slow512, slow1024] = [n512, n1024].map((n) => kernelCase("matmul-naive", n)) as [
    NamedCase,
    NamedCase,
  ];
  return [
    slow512,
    slow1024,
    { ...kernelCase("matmul", n512), against: slow512.name },
    { ...product, against: slow1024.name },
    kernelCase("matmul", [32, 10, 784]),
    kernelCase("contraction", [12, 64, 64, 3, 64]),
    kernelCase("contraction", [1, 256, 256, 3, 64]),
    ...conv(16, 64, 32, 32, 64, 3).map((c) => ({ ...c, against: product.name })),
    ...conv(32, 1, 28, 28, 16, 7),
    ...conv(32, 16, 14, 14, 16, 7),
    kernelCase("max-pool", [32, 16, 28, 28]),
    kernelCase("max-pool-dx", [32, 16, 28, 28]),
    kernelCase("sum", [32, 16, 28, 28]),
    kernelCase("softmax-cross-entropy", [32, 10]),
    kernelCase("adam", [slabsOf(hyperCnn()).parameters.layout.total]),
    kernelCase("add", [2 ** 16]),
    ...wideResNetCases(),
  ];
}

const SAMPLES = 64;
// Errors of f32 sums grow like 6e-8 · sqrt(terms), software adapters' log is good to 2e-5; a wrong
// index is of the size of a term.
const TOLERANCE = 3e-5;

/** Compares 64 random elements with f64; returns what is wrong, or null. */
export function check(c: KernelCase, got: HostArray): string | null {
  for (const pick of uniform(key(3), SAMPLES)) {
    const i = Math.floor(pick * got.length);
    const sums = c.expected(i);
    const value = sums.reduce((s, x) => s + x, 0);
    const allowed = TOLERANCE * sums.reduce((s, x) => s + Math.abs(x), 0);
    if (!(Math.abs((got[i] as number) - value) <= allowed)) {
      return `element ${i} is ${got[i]}, expected ${value} within ${allowed.toPrecision(2)}`;
    }
  }
  return null;
}
