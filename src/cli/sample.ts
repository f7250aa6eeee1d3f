import { type Command, InvalidArgumentError } from "commander";
import { decodeBytes, encodeText, type Vocabulary } from "../data/vocabulary";
import { languageOf } from "../train/sampler";
import { openCheckpoint } from "./checkpoint-file";
import { UsageError } from "./errors";
import { type GlobalOptions, positiveInteger } from "./options";
import { Output } from "./output";
import { expectPlace, writeResult } from "./run-folder";
import { runJob } from "./runtimes";
import type { SymbolEvent } from "./sample-job";
import { tracedSymbols, traceSvg } from "./trace-svg";

interface SampleOptions extends GlobalOptions {
  readonly prompt?: string;
  readonly length: number;
  readonly temperature: number;
  readonly trace?: string;
}

/** Reads a number from 0. @throws InvalidArgumentError. */
function temperature(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Give a number of at least 0; 0 takes the likeliest.");
}

/** Adds the command `sample`. */
export function registerSample(program: Command): void {
  program
    .command("sample")
    .description("let a language model write")
    .argument("<checkpoint>", "a checkpoint, or a run's folder")
    .option("--prompt <text>", "what it reads first (default: a line's end)")
    .option(
      "--temperature <t>",
      "divides the logits; below 1 the likely become likelier",
      temperature,
      1,
    )
    .option("--length <n>", "symbols to write", positiveInteger, 400)
    .option(
      "--trace <file>",
      "write file.json and file.svg: how much the generated scales changed at each character",
    )
    .action((path: string, _own: unknown, command: Command) =>
      sample(path, command.optsWithGlobals<SampleOptions>()),
    );
}

/** What a model without a prompt reads: a line's end, or its first symbol where it knows none. */
function firstOf(vocabulary: Vocabulary): string {
  const { symbols } = vocabulary;
  const known = vocabulary.kind === "bytes" ? vocabulary.symbols.includes(10) : false;
  if (known || symbols.some((symbol) => symbol === "\n")) return "\n";
  return new TextDecoder().decode(decodeBytes(vocabulary, [0]));
}

/** One symbol as text; a byte that is no character by itself, as a dot. */
function characterOf(vocabulary: Vocabulary, symbol: number): string {
  const text = new TextDecoder().decode(decodeBytes(vocabulary, [symbol]));
  return text === "\ufffd" ? "·" : text;
}

async function sample(given: string, options: SampleOptions): Promise<void> {
  const { path, bytes, checkpoint, spec } = openCheckpoint(given);
  const { vocabulary } = languageOf(checkpoint);
  const { prompt = firstOf(vocabulary), length, seed = 0, trace } = options;
  if (prompt === "") throw new UsageError("--prompt is empty; give at least one character");
  encodeText(vocabulary, prompt, "--prompt");
  if (trace !== undefined) {
    if (!("nz" in spec.options)) {
      throw new UsageError(`--trace: ${spec.name} generates no scales; train a hyper model`);
    }
    expectPlace(`${trace}.json`);
  }
  const output = new Output(options.json);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const write = (symbols: readonly number[]): void => {
    output.stream.write(decoder.decode(decodeBytes(vocabulary, symbols), { stream: true }));
  };
  let begun = false;
  const job = { checkpoint: path, prompt, length, temperature: options.temperature, seed };
  const outcome = await runJob(
    "sample",
    { ...job, trace: trace !== undefined },
    {
      ...options,
      files: new Map([["checkpoint", bytes]]),
      onEvent: (event) => {
        if (output.warned(event)) return;
        if (!begun && options.prompt !== undefined) output.stream.write(prompt);
        begun = true;
        write([(event as SymbolEvent).symbol]);
      },
    },
  );
  output.say();
  const { symbols, changes, seconds, dispatches, submits } = outcome;
  const text = new TextDecoder().decode(decodeBytes(vocabulary, symbols));
  if (trace !== undefined) {
    const characters = symbols.map((symbol) => characterOf(vocabulary, symbol));
    const gates = String(spec.options.gates ?? "h");
    const traced = tracedSymbols(characters, changes, gates);
    const kept = { model: spec, ...job, gates, trace: traced };
    await writeResult(`${trace}.json`, `${JSON.stringify(kept)}\n`);
    const title = `${spec.name}: change of the scales of h W_h at each character, by gate`;
    await writeResult(`${trace}.svg`, traceSvg(traced, title));
    output.warn(`written ${trace}.json and ${trace}.svg`);
  }
  const speed = { seconds, perSecond: changes.length / seconds, dispatches, submits };
  output.event({ event: "sample", ...job, text, ...speed });
  output.close();
}
