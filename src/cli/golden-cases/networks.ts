import type { Tensor } from "../../graph/node";
import { hyper } from "../../hyper/hyper";
import { staticGenerator, type StaticGenerator } from "../../hyper/static";
import { cnn } from "../../nn/cnn";
import { crossEntropy } from "../../nn/losses";
import type { Values } from "../../nn/module";
import { conv2d } from "../../ops/conv2d";
import { add } from "../../ops/elementwise";
import { constant } from "../../ops/sources";
import { reshape } from "../../ops/views";
import { setting } from "./case";
import { graphKind } from "./graph";
import { PAPER, parameters, tiledKernel } from "./static";

/** `conv.generated`: a convolution whose kernel is generated, with a bias. */
export const convGenerated = graphKind((c, given) => {
  const kernel = tiledKernel(c, given);
  const y = conv2d(given("in.x"), kernel, {
    stride: setting(c, "stride"),
    // The numbers, not the mode: they hold for any mode and any kernel.
    padding: {
      top: setting(c, "pad_top"),
      bottom: setting(c, "pad_bottom"),
      left: setting(c, "pad_left"),
      right: setting(c, "pad_right"),
    },
  });
  const bias = given("param.bias");
  return {
    values: {
      "mid.kernel": kernel,
      "out.y": add(y, reshape(bias, [bias.shape[0] ?? 1, 1, 1])),
    },
  };
});

/** `network.hyper_cnn`: the MNIST CNN whose second kernel is generated, and its mean cross-entropy. */
export const networkHyperCnn = graphKind((c, given) => {
  const x = given("in.x");
  const channels = [setting(c, "C1"), setting(c, "C2")] as const;
  const kernelSize = setting(c, "f");
  const target = cnn({
    input: x.shape.slice(1),
    channels,
    kernelSize,
    classes: setting(c, "classes"),
  });
  const { generator, made } = watched(
    staticGenerator({
      kernels: [{ inputs: channels[0], outputs: channels[1] }],
      kernelSize,
      nz: setting(c, "N_z"),
      d: setting(c, "d"),
    }),
  );
  const net = hyper(target, { generator, paths: ["conv2.kernel"] });
  const params = {
    conv1: { kernel: given("param.conv1.kernel"), bias: given("param.conv1.bias") },
    conv2: { bias: given("param.conv2.bias") },
    // Stored as [classes, features].
    fc: { weight: given("param.fc.weight"), bias: given("param.fc.bias") },
    generator: { z: given("in.z"), ...parameters(given, PAPER) },
  } as unknown as Values<typeof net.params>;
  const logits = net.apply({ train: true, key: null }, params, {}, x).outputs;
  const [batch = 1] = x.shape;
  const { loss } = crossEntropy.apply(logits, {
    labels: given("const.labels"),
    weight: constant(new Float32Array(batch).fill(1), [batch]),
  });
  return { values: { "mid.kernel2": made[0] as Tensor, "out.logits": logits }, loss };
});

/** A generator that keeps what it makes, so that it can be differentiated by. */
function watched(generator: StaticGenerator): { generator: StaticGenerator; made: Tensor[] } {
  const made: Tensor[] = [];
  const watching: StaticGenerator = {
    ...generator,
    apply: (...args) => {
      const applied = generator.apply(...args);
      made.push(...applied.outputs);
      return applied;
    },
  };
  return { generator: watching, made };
}
