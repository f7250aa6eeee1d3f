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

/** Lines that train both models on the text, which was saved as text.txt, and let one write. */
export function command({ seed, steps, size, norm, units, prompt, temperature }: Told): string {
  const { hidden, hyper, nz, batch, seq } = SIZES[size];
  const prefix = norm ? "ln-" : "";
  const common = `--data text.txt --batch ${batch} --seq ${seq} --steps ${steps} --lr 0.005 --seed ${seed}`;
  return `npx hyperloom train text ${common} --model ${prefix}hyperlstm --hidden ${hidden} --hyper ${hyper} --nz ${nz} --out hyper
npx hyperloom train text ${common} --model ${prefix}lstm --hidden ${units} --out lstm
npx hyperloom sample hyper --prompt ${quoted(prompt)} --temperature ${temperature} --trace trace
`;
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
