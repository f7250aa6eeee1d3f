/** This run as a program and as lines for a terminal. */
import { SIZES, type SizeName } from "./sizes";

/** The settings that the texts need. */
export interface Told {
  readonly seed: number;
  readonly steps: number;
  readonly size: SizeName;
  readonly norm: boolean;
  /** Units of the LSTM. */
  readonly units: number;
  readonly prompt: string;
  readonly temperature: number;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A line up to the model's sizes. */
function train({ seed, steps, size, norm }: Told, model: "hyperlstm" | "lstm"): string {
  const { batch, seq } = SIZES[size];
  const common = `--batch ${batch} --seq ${seq} --steps ${steps} --lr 0.005 --seed ${seed}`;
  return `npx hyperloom train text --data text.txt ${common} --model ${norm ? "ln-" : ""}${model}`;
}

/** A line that trains the HyperLSTM on the text, which was saved as text.txt. */
export function command(told: Told): string {
  const { hidden, hyper, nz } = SIZES[told.size];
  return `${train(told, "hyperlstm")} --hidden ${hidden} --hyper ${hyper} --nz ${nz} --out hyper`;
}

/** Lines that train the LSTM, and let the HyperLSTM of `command` write. */
export function further(told: Told): string {
  const { units, prompt, temperature } = told;
  return `${train(told, "lstm")} --hidden ${units} --out lstm
npx hyperloom sample hyper --prompt ${quoted(prompt)} --temperature ${temperature} --trace trace
`;
}

/** What is to be done before `command`, and in what it differs from the page. */
export function says(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const plain = bytes.every((byte) => byte < 128);
  const note = "; there the symbols are the text’s bytes, here its characters";
  return `With text.txt, which the button above downloads, in the folder${plain ? "" : note}:`;
}

/** A program that trains the same HyperLSTM from the same seed, in Node or in Deno. */
export function program({ seed, steps, size, norm, prompt, temperature }: Told): string {
  const { hidden, hyper, nz, batch, seq } = SIZES[size];
  return `import { readFile } from "node:fs/promises";
import {
  adam, bitsPerSymbol, compile, hyperLstm, languageModel, requestDevice, samplingProgram,
  sequenceStep, Variables,
} from "hyperloom";
import { streams, textSplit } from "hyperloom/data";

const file = "text.txt";
const { train, vocabulary } = textSplit(await readFile(file), { file, vocabulary: "characters" });
const sizes = { units: ${hidden}, hyperUnits: ${hyper}, nz: ${nz}, layerNorm: ${norm} };
const cell = hyperLstm({ inputs: vocabulary.size, ...sizes });
const model = languageModel(cell, vocabulary.size);

const variables = new Variables(await requestDevice(), ${seed});
const size = { batch: ${batch}, length: ${seq} };
const optimizer = adam({ lr: 0.005, clip: { norm: 1 } });
const step = await compile(variables.device, sequenceStep(model, optimizer, size), { variables });
const windows = streams(train, size);
for (let t = 0; t < ${steps}; t++) {
  const { x, labels, weight, first } = windows.at(t);
  const { loss } = await step.run({ x, labels, weight, keep: Float32Array.of(first ? 0 : 1) });
  console.log(\`step \${t + 1}: \${bitsPerSymbol(loss[0]).toFixed(3)} bits per character\`);
}

const writer = await compile(variables.device, samplingProgram(model).program, { variables });
let text = ${JSON.stringify(prompt)};
const prompt = [...text].map((character) => vocabulary.symbols.indexOf(character));
for (let t = 0; t < prompt.length + 200; t++) {
  const { symbol } = await writer.run({
    given: Uint32Array.of(prompt[t] ?? 0),
    hold: Uint32Array.of(t < prompt.length ? 0 : 1), // 1: the character that it drew last
    temperature: Float32Array.of(${temperature}),
  });
  if (t >= prompt.length - 1) text += vocabulary.symbols[symbol[0]];
}
console.log(text);
variables.device.dispose();
`;
}
