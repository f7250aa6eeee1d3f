/** This run as a program and as a line for a terminal. */

/** The settings that the texts need. */
export interface Told {
  readonly seed: number;
  readonly nz: number;
  readonly batch: number;
  readonly steps: number;
}

/** A line that trains the same network from the same seed. */
export function command({ seed, nz, batch, steps }: Told): string {
  return `npx hyperloom train mnist --model hyper-cnn --nz ${nz} --batch ${batch} --steps ${steps} --seed ${seed}`;
}

/** A program that trains the same network from the same seed, in a page, in Node or in Deno. */
export function program({ seed, nz, batch, steps }: Told): string {
  return `import {
  adam, compile, crossEntropy, exponentialRate, hyperCnn, requestDevice, saveCheckpoint,
  trainStep, Variables,
} from "hyperloom";
import { batchSource, digitsSplit } from "hyperloom/data";

const net = hyperCnn({ nz: ${nz} });
const variables = new Variables(await requestDevice(), ${seed});
const optimizer = adam({ lr: exponentialRate(3e-3, 0.998, 3e-4) });
const program = trainStep(net, crossEntropy, optimizer, { batch: ${batch} });
const step = await compile(variables.device, program, { variables });
const digits = batchSource(digitsSplit().train, { batch: ${batch}, seed: ${seed}, shuffle: true });
for (let t = 0; t < ${steps}; t++) {
  const { images, labels, weight, size } = digits.at(t);
  const { loss, correct } = await step.run({ x: images, labels, weight });
  console.log(\`step \${t + 1}: loss \${loss[0].toFixed(3)}, \${correct[0]} of \${size} right\`);
}
const model = { name: "hyper-cnn", options: { nz: ${nz}, d: ${nz} } };
const bytes = await saveCheckpoint(variables, { model }); // safetensors
`;
}
