/**
 * For Node and Deno: trains, then leaves the checkpoint of a HyperLSTM in the file that is named
 * first and prints what both came to, which of the package's shaders are refused, and whether
 * hyperloom/data, hyperloom/gpu and hyperloom/train are the same library, as JSON.
 */
import { writeFileSync } from "node:fs";
import * as hyperloom from "hyperloom";
import { byteVocabulary } from "hyperloom/data";
import { LimitError } from "hyperloom/gpu";
import { checkpointSettings } from "hyperloom/train";
import { train } from "./train.js";
import { length, prompt, sizes } from "./writer.js";

const { hyperLstm, languageModel, loadCheckpoint, requestDevice, samplingProgram } = hyperloom;

const { losses } = await train(hyperloom);
const device = await requestDevice();
const model = languageModel(hyperLstm(sizes), sizes.inputs);
const { variable } = hyperloom.slabsOf(model).parameters;
const variables = new hyperloom.Variables(device, 5);
variables.buffer(variable);
const bytes = await hyperloom.saveCheckpoint(variables, { model: { name: "own", options: {} } });
writeFileSync(process.argv[2] ?? "checkpoint.safetensors", bytes);
loadCheckpoint(bytes, "own", variables, { model: "own", variables: [variable] });
const step = await hyperloom.compile(device, samplingProgram(model).program, { variables });
const symbols = [];
for (let t = 0; t < prompt.length + length - 1; t++) {
  const { symbol } = await step.run({
    given: Uint32Array.of(prompt[t] ?? 0),
    hold: Uint32Array.of(t < prompt.length ? 0 : 1),
    temperature: Float32Array.of(0),
  });
  symbols.push(...(symbol ?? []));
}

// The shaders as they are shipped, without comments and spaces.
const shaders = Object.values(await import("./node_modules/hyperloom/dist/shared/shaders.js"));
const refused = [];
for (const { name, code } of shaders) {
  device.gpu.pushErrorScope("validation");
  device.gpu.createShaderModule({ code });
  const error = await device.gpu.popErrorScope();
  if (error) refused.push(`${name}: ${error.message}`);
}

step.dispose();
variables.dispose();
device.dispose();
// hyperloom/train reads what hyperloom read, and refuses it with hyperloom's own error: no run left it.
const untrained = () => {
  try {
    return checkpointSettings(hyperloom.readCheckpoint(bytes, "own"));
  } catch (error) {
    return error;
  }
};
const one =
  LimitError === hyperloom.LimitError &&
  untrained() instanceof hyperloom.CheckpointError &&
  byteVocabulary().size === 256;
console.log(JSON.stringify({ losses, symbols, shaders: shaders.length, refused, one }));
