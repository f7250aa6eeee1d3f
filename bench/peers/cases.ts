import { key, uniform } from "../../src/graph/random";

/** A kernel that every library runs on the same numbers. */
export interface KernelCase {
  readonly kind: "kernel";
  readonly name: string;
  readonly op: "matmul" | "contraction" | "conv2d" | "conv2d-dx" | "conv2d-dk";
  /** Shapes of the two inputs, images and kernels in the order [N, C, H, W], [O, I, f, f]. */
  readonly inputs: readonly [readonly number[], readonly number[]];
  readonly output: readonly number[];
  /** Floating-point operations of the mathematics. */
  readonly flops: number;
}

/** A model's training step, or its inference, from the same parameters on the same data. */
export interface StepCase {
  readonly kind: "step";
  readonly name: string;
  readonly model: "hyper-cnn" | "hyperlstm";
  readonly train: boolean;
}

export type PeerCase = KernelCase | StepCase;

/** Sizes of the models: batch, and for sequences time steps, symbols, units, hyper units, N_z. */
export const SIZES = { batch: 32, length: 32, symbols: 50, units: 256, hyperUnits: 64, nz: 16 };

/** A generated kernel of `contraction`: 12 tiles of 64 input channels, 64 output channels, 3×3. */
export const TILES = { tiles: 12, slices: 64, outputs: 64, f: 3, d: 64 };

const image = [16, 64, 32, 32] as const;
const kernel = [64, 64, 3, 3] as const;
const convolution = { kind: "kernel", flops: 2 * 16 * 64 * 32 * 32 * 64 * 9 } as const;

/** The cases in the order in which they run. */
export const cases: readonly PeerCase[] = [
  {
    kind: "kernel",
    name: "matmul 1024³",
    op: "matmul",
    inputs: [
      [1024, 1024],
      [1024, 1024],
    ],
    output: [1024, 1024],
    flops: 2 * 1024 ** 3,
  },
  {
    kind: "kernel",
    name: "contraction [768×64]·[64×576]",
    op: "contraction",
    inputs: [
      [768, 64],
      [576, 64],
    ],
    output: [64, 768, 3, 3],
    flops: 2 * 768 * 576 * 64,
  },
  {
    ...convolution,
    name: "conv2d 3×3 64→64, 16×32×32: forward",
    op: "conv2d",
    inputs: [image, kernel],
    output: image,
  },
  {
    ...convolution,
    name: "conv2d 3×3 64→64, 16×32×32: input gradient",
    op: "conv2d-dx",
    inputs: [image, kernel],
    output: image,
  },
  {
    ...convolution,
    name: "conv2d 3×3 64→64, 16×32×32: kernel gradient",
    op: "conv2d-dk",
    inputs: [image, image],
    output: kernel,
  },
  { kind: "step", name: "hyper-CNN inference, batch 32", model: "hyper-cnn", train: false },
  { kind: "step", name: "hyper-CNN training step, batch 32", model: "hyper-cnn", train: true },
  { kind: "step", name: "HyperLSTM inference, B32 T32", model: "hyperlstm", train: false },
  { kind: "step", name: "HyperLSTM training step, B32 T32", model: "hyperlstm", train: true },
];

/** Uniform numbers in [-1, 1), the same for the same seed. */
export function noise(seed: number, shape: readonly number[]): Float32Array {
  const count = shape.reduce((n, d) => n * d, 1);
  return Float32Array.from(uniform(key(seed), count), (u) => 2 * u - 1);
}

/** Whole numbers below `limit`, the same for the same seed. */
export function symbols(seed: number, count: number, limit: number): Uint32Array {
  return Uint32Array.from(uniform(key(seed), count), (u) => Math.floor(u * limit));
}

/** A parameter's first values, on the host. */
export interface Parameter {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Parameters by the names that hyperloom gives them. */
export type Parameters = Readonly<Record<string, Parameter>>;

/** The axes of an array in another order, as numpy's transpose. */
export function permuted({ shape, data }: Parameter, axes: readonly number[]): Parameter {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((n, d) => n * d, 1));
  const to = axes.map((a) => shape[a] as number);
  const steps = axes.map((a) => strides[a] as number);
  const out = new Float32Array(data.length);
  const index = to.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from] as number;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const [length = 1, step = 0, at = 0] = [to[axis], steps[axis], index[axis]];
      from += step;
      index[axis] = at + 1;
      if (at + 1 < length) break;
      index[axis] = 0;
      from -= length * step;
    }
  }
  return { shape: to, data: out };
}

/** A kernel that is ready to run. */
export interface RunningKernel {
  /** Runs it so many times in a row and waits until the last one is done. */
  readonly run: (times: number) => Promise<void>;
  /** What it computes, in the order of `KernelCase.output`. */
  readonly result: () => Promise<Float32Array>;
}

/** Does one step and gives its loss, the mean in nats. */
export type RunningStep = () => Promise<number>;

/** A library as the bench drives it. */
export interface Library {
  readonly name: "hyperloom" | "jax-js" | "TensorFlow.js";
  /** Makes its device. */
  readonly start: () => Promise<void>;
  readonly kernel: (kernel: KernelCase) => Promise<RunningKernel>;
  readonly step: (step: StepCase, initial: Parameters) => Promise<RunningStep>;
}
