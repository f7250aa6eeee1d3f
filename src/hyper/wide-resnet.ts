import type { Tensor } from "../graph/node";
import type { Tree } from "../graph/tree";
import type { ParamSpec, StateSpec } from "../nn/module";
import { WRN_BASE, wideResNet, type WideResNetOptions, wideResNetGroups } from "../nn/wide-resnet";
import { hyper, type HyperModule } from "./hyper";
import { sharedGenerator } from "./shared";
import { type GeneratedKernel, staticGenerator, type StaticParams } from "./static";

/** A Wide ResNet whose 3×3 kernels behind the stem are made by a generator. */
export type GeneratedWideResNet<G> = HyperModule<
  Tree<ParamSpec>,
  Tree<StateSpec>,
  readonly [Tensor],
  Tensor,
  G,
  readonly []
>;

/** Sizes of a Wide ResNet and of the hypernetwork that makes its kernels. */
export interface HyperWideResNetOptions extends WideResNetOptions {
  /** Size of an embedding; the paper has 64. */
  readonly nz?: number;
  /** Size of a_i; default N_z. */
  readonly d?: number;
}

/** The kernels behind the stem, group by group, and their paths in the network. */
function kernelsOf(options: WideResNetOptions) {
  const groups = wideResNetGroups(options).map((blocks) =>
    blocks.flatMap(({ inputs, outputs }): GeneratedKernel[] => [
      { inputs, outputs },
      { inputs: outputs, outputs },
    ]),
  );
  const paths = groups.flatMap((layers, g) =>
    layers.map((_, l) => {
      const [block, conv] = [Math.floor(l / 2) + 1, (l % 2) + 1];
      return `group${g + 1}.block${block}.conv${conv}.kernel`;
    }),
  );
  return { groups, paths };
}

/**
 * The paper's CIFAR-10 network (section 4.2, appendix A.3.2): a Wide ResNet d-k with all 3×3 kernels
 * behind the stem made by one static hypernetwork, block by block of 16×16 channels, an embedding for
 * each: 96,602 parameters at d = 40, k = 1 (242 embeddings), 147,610 at k = 2 (966 embeddings).
 * @throws ShapeError unless d = 6n + 4 and k ≥ 1.
 */
export function hyperWideResNet(
  options: HyperWideResNetOptions,
): GeneratedWideResNet<StaticParams> {
  const { nz = 64, d = nz } = options;
  const { groups, paths } = kernelsOf(options);
  const generator = staticGenerator({
    kernels: groups.flat(),
    block: { inputs: WRN_BASE, outputs: WRN_BASE },
    kernelSize: 3,
    nz,
    d,
  });
  return hyper(wideResNet(options), { generator, paths });
}

/**
 * A Wide ResNet d-k all of whose 3×3 kernels of a group are one: 0.054 million parameters at k = 1,
 * whatever the depth but for biases and norms. A group's first layer, which has fewer inputs,
 * uses the kernel's part for them.
 * @throws ShapeError unless d = 6n + 4 and k ≥ 1.
 */
export function sharedWideResNet(options: WideResNetOptions): GeneratedWideResNet<Tree<ParamSpec>> {
  const { groups, paths } = kernelsOf(options);
  return hyper(wideResNet(options), { generator: sharedGenerator(groups, 3), paths });
}
