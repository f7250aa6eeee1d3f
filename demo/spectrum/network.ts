/** A deep network whose layers' kernels are direct, generated or shared, as a module of one's own. */
import {
  add,
  affine,
  averagePool2d,
  conv2d,
  glorotUniform,
  heNormal,
  hyper,
  maxPool2d,
  type Module,
  module,
  mul,
  type ParamSpec,
  relu,
  reshape,
  sharedGenerator,
  staticGenerator,
  type Tensor,
  zeros,
} from "hyperloom";
import { CHANNELS, F, type Stop } from "./stops";

const convolution = (inputs: number) => {
  const fanIn = inputs * F * F;
  const kernel: ParamSpec = {
    shape: [CHANNELS, inputs, F, F],
    init: heNormal(fanIn),
    fanIn,
    kind: "weight",
  };
  const bias: ParamSpec = { shape: [CHANNELS], init: zeros, kind: "bias" };
  return { kernel, bias };
};

const convolve = (x: Tensor, p: { kernel: Tensor; bias: Tensor }): Tensor =>
  add(conv2d(x, p.kernel, { padding: "symmetric" }), reshape(p.bias, [CHANNELS, 1, 1]));

/** The features that the dense layer sees: all channels at 3 × 3 places. */
const FEATURES = CHANNELS * 3 * 3;

const layerNames = (layers: number): string[] =>
  Array.from({ length: layers }, (_, j) => `layer${j + 1}`);

/**
 * A residual network for digits: x [N, 1, 28, 28] to logits [N, 10]. Halved images, a stem, halved
 * once more to 7 × 7, then x ← x + (relu(x) ∗ Kʲ + bʲ) / L for each of the L layers, at last a dense
 * layer on the halved result. Divided by L, activations keep their size at any depth, without norms,
 * also where all layers push the same way because they share one kernel.
 */
export function deepNetwork(layers: number) {
  const names = layerNames(layers);
  const params = {
    stem: convolution(1),
    layers: Object.fromEntries(names.map((name) => [name, convolution(CHANNELS)])),
    fc: {
      weight: {
        shape: [10, FEATURES],
        init: glorotUniform(FEATURES, 10),
        fanIn: FEATURES,
        kind: "weight",
      } as ParamSpec,
      bias: { shape: [10], init: zeros, kind: "bias" } as ParamSpec,
    },
  };
  return module(
    `deep-${layers}`,
    params,
    (_, p, images: Tensor) => {
      const stem = convolve(averagePool2d(images, { size: 2 }), p.stem);
      let x = maxPool2d(stem, { size: 2 });
      for (const name of names) {
        const own = p.layers[name] as { kernel: Tensor; bias: Tensor };
        x = add(x, mul(convolve(relu(x), own), 1 / layers));
      }
      const features = reshape(maxPool2d(relu(x), { size: 2 }), [-1, FEATURES]);
      return affine(features, p.fc.weight, p.fc.bias);
    },
    [1, 28, 28],
  );
}

/**
 * The network at a place of the spectrum: kernels of its own for each layer, kernels that one
 * generator makes of N_z numbers a layer, or one kernel for all. The generator's a_i has as many
 * numbers as there are input channels: any single kernel can then be made from any z, and each
 * place of the spectrum can be all that the places behind it can.
 */
export function spectrumNetwork(stop: Stop, layers: number): Module {
  const target = deepNetwork(layers);
  if (stop === "direct") return target;
  const kernels = Array.from({ length: layers }, () => ({ inputs: CHANNELS, outputs: CHANNELS }));
  const paths = layerNames(layers).map((name) => `layers.${name}.kernel`);
  if (stop === "shared") return hyper(target, { generator: sharedGenerator([kernels], F), paths });
  const sizes = { kernels, kernelSize: F, nz: Number(stop), d: CHANNELS };
  return hyper(target, { generator: staticGenerator(sizes), paths });
}
