import type { Tensor } from "../graph/node";
import { cnn, type CnnOptions, type CnnParams } from "../nn/cnn";
import type { Stateless } from "../nn/module";
import { hyper, type HyperModule } from "./hyper";
import { staticGenerator, type StaticParams } from "./static";

/** Sizes of the hyper-CNN. */
export interface HyperCnnOptions extends Omit<CnnOptions, "init"> {
  /** Size of the embedding; the paper has 4. */
  readonly nz?: number;
  /** Size of a_i; default N_z. */
  readonly d?: number;
  /** Start of the generator; "notebook" is the paper's. */
  readonly init?: "hyperfan" | "notebook";
  /** λ of L2 on the generated kernel. */
  readonly l2?: number;
}

/**
 * The paper's MNIST hypernetwork (section 4.1): the two-layer CNN whose second kernel is generated,
 * 4,244 parameters in place of 12,544. x [N, C, H, W] to logits [N, classes].
 */
export function hyperCnn(
  options: HyperCnnOptions = {},
): HyperModule<CnnParams, Stateless, readonly [Tensor], Tensor, StaticParams, readonly []> {
  const {
    nz = 4,
    d = nz,
    channels = [16, 16],
    kernelSize = 7,
    init = "hyperfan",
    l2 = 0,
  } = options;
  const target = cnn({ ...options, init: init === "notebook" ? "notebook" : "he" });
  const generator = staticGenerator({
    kernels: [{ inputs: channels[0], outputs: channels[1] }],
    kernelSize,
    nz,
    d,
    init,
  });
  return hyper(target, { generator, paths: ["conv2.kernel"], l2 });
}
