/**
 * The smallest page that lets a trained HyperLSTM write. The build weighs it, so it takes from the
 * library what it needs, by name.
 */
import {
  compile,
  hyperLstm,
  languageModel,
  readCheckpoint,
  requestDevice,
  restoreCheckpoint,
  samplingProgram,
  slabsOf,
  Variables,
} from "hyperloom";
import { length, prompt, sizes } from "./writer.js";

const log = /** @type {HTMLElement} */ (document.querySelector("#log"));
try {
  const device = await requestDevice();
  const model = languageModel(hyperLstm(sizes), sizes.inputs);
  const file = "checkpoint.safetensors";
  const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
  const variables = new Variables(device);
  const { program } = samplingProgram(model);
  const step = await compile(device, program, { variables });
  restoreCheckpoint(readCheckpoint(bytes, file), variables, [slabsOf(model).parameters.variable]);
  /** @type {number[]} */
  const symbols = [];
  for (let t = 0; t < prompt.length + length - 1; t++) {
    // Temperature 0: the likeliest symbol, read as the next one once the prompt is through.
    const given = prompt[t] ?? symbols[t - 1] ?? 0;
    const { symbol } = await step.run({
      given: Uint32Array.of(given),
      hold: Uint32Array.of(0),
      temperature: Float32Array.of(0),
    });
    symbols.push(...(symbol ?? []));
  }
  log.textContent = JSON.stringify({ symbols });
} catch (error) {
  log.textContent = JSON.stringify({ error: String(error) });
}
