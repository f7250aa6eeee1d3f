import { ShapeError } from "../graph/shape";
import type { Tree } from "../graph/tree";
import { heNormal } from "../nn/init";
import type { Module, ParamSpec, Stateless } from "../nn/module";
import { slice } from "../ops/layout";
import type { Tensor } from "../graph/node";
import type { GeneratedKernel } from "./static";

/** A generator of kernels that several layers have in common: no inputs, one kernel a layer. */
export type SharedGenerator = Module<Tree<ParamSpec>, Stateless, readonly [], readonly Tensor[]>;

/**
 * Full weight sharing, the recurrent end of the spectrum that a static hypernetwork spans: the layers
 * of a group use one kernel [C_out, C_in, f, f], its sizes being the largest of the group. A layer
 * with fewer inputs or outputs uses the first of them. Parameters `kernel1`, `kernel2`, … by group.
 * @throws ShapeError where a group has no layer.
 */
export function sharedGenerator(
  groups: readonly (readonly GeneratedKernel[])[],
  kernelSize: number,
): SharedGenerator {
  const params: Record<string, ParamSpec> = {};
  for (const [g, layers] of groups.entries()) {
    if (layers.length === 0) {
      throw new ShapeError(
        `hyperloom: sharedGenerator: group ${g + 1} of ${groups.length} has no layer; give it one`,
      );
    }
    const inputs = Math.max(...layers.map((layer) => layer.inputs));
    const outputs = Math.max(...layers.map((layer) => layer.outputs));
    const fanIn = inputs * kernelSize ** 2;
    const shape = [outputs, inputs, kernelSize, kernelSize];
    params[`kernel${g + 1}`] = { shape, init: heNormal(fanIn), fanIn, kind: "generator" };
  }
  return {
    name: "shared-generator",
    params,
    state: {},
    apply: (_, values, state) => {
      const made = groups.flatMap((layers, g) => {
        const kernel = (values as Record<string, Tensor>)[`kernel${g + 1}`] as Tensor;
        const [O = 0, I = 0, f = 0] = kernel.shape;
        const part = ({ inputs, outputs }: GeneratedKernel): Tensor =>
          inputs === I && outputs === O
            ? kernel
            : slice(kernel, [0, 0, 0, 0], [outputs, inputs, f, f]);
        return layers.map(part);
      });
      return { outputs: made, state };
    },
  };
}
