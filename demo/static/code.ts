/** This run as a program and as a line for a terminal. */

/** The settings that the texts need. */
export interface Told {
  readonly seed: number;
  readonly nz: number;
  readonly batch: number;
  readonly steps: number;
  /** What the run is trained on, "MNIST" or drawn digits. */
  readonly source: string;
  /** Digits to draw for training. */
  readonly train: number;
}

/** Digits that the terminal draws. */
const DRAWN = 10_000;

/** What is to be done before the line or the program can run. */
export const says = ({ source }: Told): string =>
  source === "MNIST" ? "With MNIST’s four files, as they are or as .gz, in the folder mnist:" : "";

/** A line that trains the same network on the same data from the same seed. */
export function command({ seed, nz, batch, steps, source, train }: Told): string {
  const drawn = train === DRAWN ? "--data digits" : `--data digits --limit ${train}`;
  const data = source === "MNIST" ? "--data mnist/" : drawn;
  return `npx hyperloom train mnist ${data} --model hyper-cnn --nz ${nz} --batch ${batch} --steps ${steps} --seed ${seed}`;
}

/** The lines of the program that find its data. */
function data({ source, train }: Told): { names: string; lines: string } {
  if (source !== "MNIST") {
    return {
      names: "batchSource, digitsSplit",
      lines: `const { train } = digitsSplit({ train: ${train} });`,
    };
  }
  return {
    names: "batchSource, mnistNames, mnistSplit, readMnist",
    lines: `const { readFile } = await import("node:fs/promises");
const file = (name) => readFile(\`mnist/\${name}\`).catch(() => readFile(\`mnist/\${name}.gz\`));
const files = await Promise.all(mnistNames.map(async (name) => [name, await file(name)]));
const { train } = mnistSplit(await readMnist(Object.fromEntries(files)));`,
  };
}

/** A program that trains the same network, in Node or in Deno, and on drawn digits in a page. */
export function program(told: Told): string {
  const { seed, nz, batch, steps } = told;
  const { names, lines } = data(told);
  return `import {
  adam, compile, crossEntropy, exponentialRate, hyperCnn, requestDevice, saveCheckpoint,
  trainStep, Variables,
} from "hyperloom";
import { ${names} } from "hyperloom/data";

const net = hyperCnn({ nz: ${nz} });
const variables = new Variables(await requestDevice(), ${seed});
const optimizer = adam({ lr: exponentialRate(3e-3, 0.998, 3e-4) });
const program = trainStep(net, crossEntropy, optimizer, { batch: ${batch} });
const step = await compile(variables.device, program, { variables });
${lines}
const digits = batchSource(train, { batch: ${batch}, seed: ${seed}, shuffle: true });
for (let t = 0; t < ${steps}; t++) {
  const { images, labels, weight, size } = digits.at(t);
  const { loss, correct } = await step.run({ x: images, labels, weight });
  console.log(\`step \${t + 1}: loss \${loss[0].toFixed(3)}, \${correct[0]} of \${size} right\`);
}
const model = { name: "hyper-cnn", options: { nz: ${nz}, d: ${nz} } };
const bytes = await saveCheckpoint(variables, { model }); // safetensors
`;
}
