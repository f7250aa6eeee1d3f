import type { Tensor } from "../graph/node";
import { fold } from "../graph/random";
import { show, ShapeError } from "../graph/shape";
import { contraction, contractionLayout, generateSlices } from "../ops/generate";
import { unpack } from "../ops/views";
import { type Init, normalInit, orthogonal, truncatedNormal, zeros } from "../nn/init";
import type { Module, ParamSpec, Stateless } from "../nn/module";

/** One generated kernel [C_out, C_in, f, f], cut into basic blocks. */
export interface GeneratedKernel {
  readonly outputs: number;
  readonly inputs: number;
}

/** Sizes of a static hypernetwork. */
export interface StaticOptions {
  /** The kernels it makes, in order; channels must be multiples of the block's. */
  readonly kernels: readonly GeneratedKernel[];
  /** Channels of the basic block; default: the first kernel's own. */
  readonly block?: GeneratedKernel;
  readonly kernelSize: number;
  /** Size N_z of an embedding; every block has its own. */
  readonly nz: number;
  /** Size d of a_i; default N_z, as in all of the paper's experiments. */
  readonly d?: number;
  /**
   * "hyperfan" (default): generated kernels start at He's variance for their own fan-in.
   * "notebook": the truncated normals of the paper's MNIST notebook, far smaller.
   */
  readonly init?: "hyperfan" | "notebook";
}

/** Embeddings z [M, N_z] and the generator that all blocks share (equations 1 and 2). */
export type StaticParams = Readonly<Record<"z" | "W_i" | "B_i" | "W_out" | "B_out", ParamSpec>>;

/** A static hypernetwork: no inputs, one kernel [C_out, C_in, f, f] per layer. */
export type StaticGenerator = Module<StaticParams, Stateless, readonly [], readonly Tensor[]>;

/**
 * The paper's static hypernetwork (section 3.1):
 *
 *   a_i = W_i z + B_i,   K_i = ⟨W_out, a_i⟩ + B_out,   K = K_1 … K_Nin stacked along rows,
 *
 * with W_i [N_in, d, N_z], B_i [N_in, d], W_out [f, N_out·f, d], B_out [f, N_out·f], and
 * kernel[o, i, r, c] = K[i·f + r, o·f + c]. A kernel larger than the block is a grid of blocks,
 * input blocks down, output blocks across, each with an embedding of its own (equation 3). All
 * kernels together take two dispatches.
 * @throws ShapeError where a kernel's channels are not multiples of the block's.
 */
export function staticGenerator(options: StaticOptions): StaticGenerator {
  const { kernels, kernelSize: f, nz, d = nz, init = "hyperfan" } = options;
  const block = options.block ?? kernels[0];
  if (!block) throw new ShapeError("hyperloom: staticGenerator: no kernels were given");
  const layers = kernels.map(({ inputs, outputs }) => {
    if (inputs % block.inputs !== 0 || outputs % block.outputs !== 0) {
      throw new ShapeError(
        `hyperloom: staticGenerator: a kernel of ${show([outputs, inputs])} channels is no grid of ` +
          `blocks of ${show([block.outputs, block.inputs])}; choose a block that divides it`,
      );
    }
    return { tilesIn: inputs / block.inputs, tilesOut: outputs / block.outputs };
  });
  const M = layers.reduce((n, { tilesIn, tilesOut }) => n + tilesIn * tilesOut, 0);
  const inits = init === "hyperfan" ? hyperfan(options, block, d) : notebook;
  const generator = (shape: readonly number[], start: Init): ParamSpec => ({
    shape,
    init: start,
    kind: "generator",
  });
  const params: StaticParams = {
    z: { shape: [M, nz], init: inits.z, kind: "embedding" },
    W_i: generator([block.inputs, d, nz], inits.W_i),
    B_i: generator([block.inputs, d], zeros),
    W_out: generator([f, block.outputs * f, d], inits.W_out),
    B_out: generator([f, block.outputs * f], zeros),
  };
  return {
    name: "static-generator",
    params,
    state: {},
    apply: (_, { z, W_i, B_i, W_out, B_out }, state) => {
      const a = generateSlices(z, W_i, B_i);
      const kernelSlab = contraction(a, W_out, B_out, layers);
      const layout = contractionLayout(layers, block.inputs, block.outputs, f, f);
      return { outputs: unpack(kernelSlab, layout), state };
    },
  };
}

interface StaticInits {
  readonly z: Init;
  readonly W_i: Init;
  readonly W_out: Init;
}

/**
 * Var(K) = d · Var(W_out) · mean(a²). W_i has orthonormal rows or columns, so that |a_i|² follows
 * from |z|²; every embedding is scaled to the length at which its layer's kernel has variance
 * 2/(f²·C_in), the fan-in being the layer's own, not the block's.
 */
function hyperfan(options: StaticOptions, block: GeneratedKernel, d: number): StaticInits {
  const { kernels, kernelSize: f, nz } = options;
  const z: Init = (key) => {
    const rows: number[] = [];
    for (const [l, { inputs, outputs }] of kernels.entries()) {
      const blocks = (inputs / block.inputs) * (outputs / block.outputs);
      const length = Math.sqrt((nz * block.inputs) / inputs);
      for (let m = 0; m < blocks; m++) {
        const row = normalInit(1)(fold(fold(key, l), m), [nz]);
        const norm = Math.sqrt(row.reduce((s, x) => s + x * x, 0));
        for (const x of row) rows.push((x / norm) * length);
      }
    }
    return Float64Array.from(rows);
  };
  // |a_i|² = |z|² gain² (in the mean, where d < N_z): gain √(d/min(d, N_z)) makes mean(a²) = z²'s.
  const gain = Math.sqrt(d / Math.min(d, nz));
  return {
    z,
    W_i: orthogonal(gain),
    W_out: normalInit(Math.sqrt(2 / (f * f * block.inputs * d))),
  };
}

// The notebook passes 0.01 as the mean of z's truncated normal, whose std stays 1.
const notebook: StaticInits = {
  z: truncatedNormal(1, 0.01),
  W_i: truncatedNormal(0.01),
  W_out: truncatedNormal(0.01),
};

/**
 * A kernel [C_out, C_in, f, f] as the paper's matrix K^j of N_in·f rows and N_out·f columns:
 * K[i·f + r, o·f + c] = kernel[o, i, r, c].
 */
export function kernelMatrix(kernel: Float32Array, shape: readonly number[]): Float32Array {
  const [O = 1, I = 1, R = 1, C = 1] = shape;
  const matrix = new Float32Array(kernel.length);
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < I; i++) {
      for (let r = 0; r < R; r++) {
        for (let c = 0; c < C; c++) {
          matrix[(i * R + r) * O * C + o * C + c] = kernel[((o * I + i) * R + r) * C + c] ?? 0;
        }
      }
    }
  }
  return matrix;
}
