import type { Tensor } from "../../graph/node";
import { g1910Generator } from "../../hyper/layouts";
import { type GeneratedKernel, staticGenerator } from "../../hyper/static";
import type { Context } from "../../nn/module";
import { generateSlices } from "../../ops/generate";
import { concat, transpose } from "../../ops/layout";
import { reshape } from "../../ops/views";
import { type GoldenCase, setting } from "./case";
import { type Given, graphKind } from "./graph";

const context: Context = { train: true, key: null };

/** Parameters of the paper's generator, and of g1910's, besides the embeddings z. */
export const PAPER = ["W_i", "B_i", "W_out", "B_out"] as const;
export const G1910 = ["w1", "b1", "w2", "b2"] as const;

/** Some of a case's parameters. */
export function parameters<N extends string>(
  given: Given,
  names: readonly N[],
  prefix = "param.",
): Record<N, Tensor> {
  const found = names.map((name) => [name, given(prefix + name)]);
  return Object.fromEntries(found) as Record<N, Tensor>;
}

/** The case's generator applied to its `in.z` and parameters: one kernel for each of `kernels`. */
function generatedKernels(
  c: GoldenCase,
  given: Given,
  kernels: readonly GeneratedKernel[],
  block: GeneratedKernel,
): readonly Tensor[] {
  const [f, nz, d] = [setting(c, "f"), setting(c, "N_z"), setting(c, "d")];
  const generator = staticGenerator({ kernels, block, kernelSize: f, nz, d });
  const params = { z: given("in.z"), ...parameters(given, PAPER) };
  return generator.apply(context, params, {}).outputs;
}

/** The case's kernel of T_in × T_out tiles (equation 3). */
export function tiledKernel(c: GoldenCase, given: Given): Tensor {
  const block = { inputs: setting(c, "base_in"), outputs: setting(c, "base_out") };
  const whole = {
    inputs: block.inputs * setting(c, "T_in"),
    outputs: block.outputs * setting(c, "T_out"),
  };
  const [kernel] = generatedKernels(c, given, [whole], block);
  return kernel as Tensor;
}

/** M embeddings through one generator: M kernels, stacked; and their matrices K. */
export function embeddedKernels(c: GoldenCase, given: Given): Tensor {
  const block = { inputs: setting(c, "N_in"), outputs: setting(c, "N_out") };
  const kernels = Array.from({ length: setting(c, "M") }, () => block);
  const made = generatedKernels(c, given, kernels, block);
  return concat(
    made.map((kernel) => reshape(kernel, [1, ...kernel.shape])),
    0,
  );
}

/** `static.paper`: kernel[m, o, i, r, c] = K[m][i·f + r, o·f + c]. */
export const staticPaper = graphKind((c, given) => {
  const kernel = embeddedKernels(c, given);
  const [M = 1, O = 1, I = 1, f = 1] = kernel.shape;
  return {
    values: {
      "mid.a": generateSlices(given("in.z"), given("param.W_i"), given("param.B_i")),
      "mid.K": reshape(transpose(kernel, [0, 2, 3, 1, 4]), [M, I * f, O * f]),
      "out.kernel": kernel,
    },
  };
});

/** `static.paper_tiled`: one kernel, a grid of blocks. */
export const staticPaperTiled = graphKind((c, given) => ({
  values: { "out.kernel": tiledKernel(c, given) },
}));

/** `static.g1910`: that layout's parameters, tile order and kernel. */
export const staticG1910 = graphKind((c, given) => {
  const tiles = c.hyper.z_num;
  if (!Array.isArray(tiles) || tiles.length !== 2) {
    throw new Error(`hyper.z_num is ${JSON.stringify(tiles)}, must be two numbers`);
  }
  const generator = g1910Generator({
    kernels: [[Number(tiles[0]), Number(tiles[1])]],
    outputs: setting(c, "out_size"),
    inputs: setting(c, "in_size"),
    kernelSize: setting(c, "f_size"),
    nz: setting(c, "z_dim"),
  });
  const params = { z: given("in.z"), ...parameters(given, G1910) };
  const [kernel] = generator.apply(context, params, {}).outputs;
  return { values: { "out.kernel": kernel as Tensor } };
});
