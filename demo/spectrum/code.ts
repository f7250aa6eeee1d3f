/** This run as a program, and as a line for a terminal. */
import { CHANNELS, CLIP, F, RATE, type Stop } from "./stops";

/** The settings that the program needs. */
export interface Told {
  readonly stop: Stop;
  readonly layers: number;
  readonly seed: number;
  readonly batch: number;
  readonly steps: number;
  /** Digits to draw for training. */
  readonly train: number;
}

/** The file that the program is downloaded as. */
export const FILE = "spectrum.mjs";

/** The line that runs the downloaded program; Node takes WebGPU from the package webgpu. */
export const command = (): string => `npm install hyperloom webgpu && node ${FILE}`;

function generator(stop: Stop): string {
  if (stop === "shared") return `sharedGenerator([kernels], ${F})`;
  return `staticGenerator({ kernels, kernelSize: ${F}, nz: ${stop}, d: ${CHANNELS} })`;
}

/** A program that trains the same network from the same seed, in a page, in Node or in Deno. */
export function program(told: Told): string {
  const { stop, layers, seed, batch, steps, train } = told;
  const generated = stop !== "direct";
  const from = stop === "shared" ? "sharedGenerator" : "staticGenerator";
  const names = generated ? `, hyper, ${from}` : "";
  const network = generated
    ? `const kernels = names.map(() => ({ inputs: ${CHANNELS}, outputs: ${CHANNELS} }));
const generator = ${generator(stop)};
const net = hyper(target, { generator, paths: names.map((name) => \`layers.\${name}.kernel\`) });`
    : "const net = target;";
  return `import {
  adam, add, affine, averagePool2d, compile, conv2d, crossEntropy, exponentialRate, glorotUniform,
  heNormal, maxPool2d, module, mul, relu, requestDevice, reshape, trainStep, Variables, zeros${names},
} from "hyperloom";
import { batchSource, digitsSplit } from "hyperloom/data";

const names = Array.from({ length: ${layers} }, (_, j) => \`layer\${j + 1}\`);
const conv = (inputs) => ({
  kernel: { shape: [16, inputs, 3, 3], init: heNormal(9 * inputs), fanIn: 9 * inputs, kind: "weight" },
  bias: { shape: [16], init: zeros, kind: "bias" },
});
const params = {
  stem: conv(1),
  layers: Object.fromEntries(names.map((name) => [name, conv(16)])),
  fc: {
    weight: { shape: [10, 144], init: glorotUniform(144, 10), fanIn: 144, kind: "weight" },
    bias: { shape: [10], init: zeros, kind: "bias" },
  },
};
const convolve = (x, { kernel, bias }) =>
  add(conv2d(x, kernel, { padding: "symmetric" }), reshape(bias, [16, 1, 1]));
const target = module("deep", params, (_, p, images) => {
  let x = maxPool2d(convolve(averagePool2d(images, { size: 2 }), p.stem), { size: 2 });
  for (const name of names) {
    x = add(x, mul(convolve(relu(x), p.layers[name]), 1 / names.length));
  }
  const features = reshape(maxPool2d(relu(x), { size: 2 }), [-1, 144]);
  return affine(features, p.fc.weight, p.fc.bias);
}, [1, 28, 28]);
${network}

const variables = new Variables(await requestDevice(), ${seed});
const lr = exponentialRate(${RATE.from}, ${RATE.decay}, ${RATE.floor});
const optimizer = adam({ lr, clip: { norm: ${CLIP} } });
const step = await compile(variables.device,
  trainStep(net, crossEntropy, optimizer, { batch: ${batch} }), { variables });
const { train } = digitsSplit({ train: ${train} });
const digits = batchSource(train, { batch: ${batch}, seed: ${seed}, shuffle: true });
for (let t = 0; t < ${steps}; t++) {
  const { images, labels, weight, size } = digits.at(t);
  const { loss, correct } = await step.run({ x: images, labels, weight });
  console.log(\`step \${t + 1}: loss \${loss[0].toFixed(3)}, \${correct[0]} of \${size} right\`);
}
`;
}
