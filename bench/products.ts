import { dispatch } from "../src/gpu/dispatch";
import { apply1, type Operand, type Tensor } from "../src/graph/node";
import { conv2d, conv2dInputGradientOp, conv2dKernelGradientOp } from "../src/ops/conv2d";
import { matmul, type MatmulOptions, matmulPair } from "../src/ops/matmul";
import { image, Inputs, type KernelCase, type KernelTable, type Make, terms } from "./kernel-case";
import { shaderOp } from "./replay";
import { benchShader } from "./roof";

function matmulCase(multiply: (a: Tensor, b: Tensor) => Tensor, options: MatmulOptions = {}): Make {
  const { transposeA = false, transposeB = false } = options;
  return (M = 1, N = 1, K = 1) => {
    const inputs = new Inputs();
    const [a, at] = inputs.tensor("a", transposeA ? [K, M] : [M, K]);
    const [b, bt] = inputs.tensor("b", transposeB ? [N, K] : [K, N]);
    return inputs.case([multiply(a, b)], 2 * M * N * K, (m = 0, n = 0) =>
      terms(
        [K],
        (k = 0) => (transposeA ? at(k, m) : at(m, k)) * (transposeB ? bt(n, k) : bt(k, n)),
      ),
    );
  };
}

const transposed = (options: MatmulOptions): Make =>
  matmulCase((a, b) => matmul(a, b, options), options);

/** As many products as there are items, as a HyperLSTM makes its scales for each kind and gate. */
function batchedCase(items = 1, M = 1, N = 1, K = 1): KernelCase {
  const inputs = new Inputs();
  const [a, at] = inputs.tensor("a", [items, M, K]);
  const [b, bt] = inputs.tensor("b", [items, K, N]);
  return inputs.case([matmul(a, b)], 2 * items * M * N * K, (i = 0, m = 0, n = 0) =>
    terms([K], (k = 0) => at(i, m, k) * bt(i, k, n)),
  );
}

/** a b + a2 b2, what a cell makes of its state and its input. */
function pairCase(M = 1, N = 1, K = 1, K2 = 1): KernelCase {
  const inputs = new Inputs();
  const [a, at] = inputs.tensor("a", [M, K]);
  const [b, bt] = inputs.tensor("b", [K, N]);
  const [a2, a2t] = inputs.tensor("a2", [M, K2]);
  const [b2, b2t] = inputs.tensor("b2", [K2, N]);
  return inputs.case([matmulPair(a, b, a2, b2)], 2 * M * N * (K + K2), (m = 0, n = 0) => [
    ...terms([K], (k = 0) => at(m, k) * bt(k, n)),
    ...terms([K2], (k = 0) => a2t(m, k) * b2t(k, n)),
  ]);
}

// The slowest rung does a quarter of a GFLOP/s on a software adapter: rows of a dispatch so that it
// ends within a second or so.
const RUNG_FLOPS = 2 ** 27;

/** A rung of bench/ladder/: rows and columns of a workgroup, and trips of its loops by K. */
interface Rung {
  readonly note: string;
  readonly side: number;
  readonly trips: (K: number) => number;
}

/** The rungs below the library's own matmul, slowest first, by the end of their files' names. */
const RUNGS: Readonly<Record<string, Rung>> = {
  naive: {
    note: "one output an invocation: two loads for each multiply-add",
    side: 8,
    trips: (K) => K + 1,
  },
  shared: {
    note: "tiles of both matrices in workgroup memory: fewer loads from storage, as many from there, and barriers",
    side: 16,
    trips: (K) => Math.ceil(K / 16) * 18 + 1,
  },
  block: {
    note: "4 × 4 outputs an invocation in registers: eight loads for 16 multiply-adds",
    side: 32,
    trips: (K) => K + 32,
  },
};

/** Names of the rungs, slowest first. */
export const LADDER: readonly string[] = Object.keys(RUNGS).map((name) => `matmul-${name}`);

function rung(name: string, { note, side, trips }: Rung): Make {
  const make = matmulCase((a, b) => {
    const [M = 1, K = 1] = a.shape;
    const [, N = 1] = b.shape;
    const rows = side * Math.max(1, Math.floor(RUNG_FLOPS / (2 * N * K * side)));
    const op = shaderOp(`matmul-${name}`, { shape: [M, N], dtype: "f32" }, (node) =>
      Array.from({ length: Math.ceil(M / rows) }, (_, i) => {
        const part = Math.min(rows, M - i * rows);
        const shader = benchShader(`./ladder/matmul_${name}.wgsl`);
        return dispatch<Operand, string, string, string>(shader, {
          bind: { a, b, y: node.outputs[0] },
          uniforms: { first_row: i * rows, rows: part, n: N, k: K },
          grid: [Math.ceil(N / side), Math.ceil(part / side), 1],
          flops: 2 * part * N * K,
          trips: trips(K),
        });
      }),
    );
    return apply1(op, null, a, b);
  });
  return (...shape) => ({ ...make(...shape), note });
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

const convolution = [...image, "O", "f"];
const sizes = ["M", "N", "K"];

/** The axes of convolutions, which take an odd f. */
export const isConvolution = (axes: readonly string[]): boolean => axes === convolution;

/** Matrix products and convolutions. */
export const products: KernelTable = {
  ...Object.fromEntries(
    Object.entries(RUNGS).map(([name, made]) => [
      `matmul-${name}`,
      { axes: sizes, make: rung(name, made) },
    ]),
  ),
  matmul: { axes: sizes, make: matmulCase(matmul) },
  "matmul-at": { axes: sizes, make: transposed({ transposeA: true }) },
  "matmul-bt": { axes: sizes, make: transposed({ transposeB: true }) },
  "matmul-batched": { axes: ["items", ...sizes], make: batchedCase },
  "matmul-pair": { axes: [...sizes, "K2"], make: pairCase },
  conv2d: { axes: convolution, make: convCase("forward") },
  "conv2d-dx": { axes: convolution, make: convCase("input gradient") },
  "conv2d-dk": { axes: convolution, make: convCase("kernel gradient") },
  "conv2d-s2": { axes: convolution, make: convCase("forward", 2) },
  "conv2d-s2-dx": { axes: convolution, make: convCase("input gradient", 2) },
  "conv2d-s2-dk": { axes: convolution, make: convCase("kernel gradient", 2) },
};
