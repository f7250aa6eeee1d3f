import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import { checkpointSettings, isSequenceRun } from "../train/checkpoint-settings";
import { isSequenceName } from "../train/models";
import { sequencePresets } from "../train/sequence-presets";
import { type SequenceFlags, sequenceModel } from "../train/sequence-settings";
import { recallSizes } from "../data/recall";
import { gradientCurves } from "./charts";
import { openCheckpoint } from "./checkpoint-file";
import { asUsage, UsageError } from "./errors";
import type { Inspected } from "./inspect-job";
import { inspectWeights, isFresh, type WeightsOptions } from "./inspect-weights";
import { type GlobalOptions, positiveInteger } from "./options";
import { Output } from "./output";
import { expectPlace, writeResult } from "./run-folder";
import { runJob } from "./runtimes";
import { addModelOptions, allModels, flagsOf } from "./train-flags";

interface InspectOptions
  extends GlobalOptions,
    Omit<SequenceFlags, "layers">,
    Partial<Pick<WeightsOptions, "png" | "layers">> {
  readonly seed?: number;
  readonly gradients?: true;
  readonly length?: number;
  readonly svg: string;
}

// Sequences whose norms are averaged: enough for a steady mean.
const BATCH = 16;
const LENGTH = 50;

/** Adds the command `inspect`. */
export function registerInspect(program: Command): void {
  const command = program
    .command("inspect")
    .description("look into models: how far a loss reaches back in time, or weights as a picture")
    .argument("<what...>", `checkpoints, runs' folders, or fresh ${allModels}`)
    .addOption(
      new Option(
        "--gradients",
        "models of sequences: ‖∂L_T/∂h_(T−k)‖ against k; L_T: the last step's loss, h: the state read out",
      ),
    )
    .option(
      "--png <file>",
      "a model of images: draw kernels, similarity of embeddings, and std against He's",
    )
    .option("--length <n>", "steps T (default: recall's own, else 50)", positiveInteger)
    .option("--svg <file>", "where it is drawn", "gradients.svg");
  const layers = new Option(
    "--layers <what>",
    "--gradients: how many a fresh model has; --png: which kernels, as numbers and paths: 1,group2",
  );
  addModelOptions(command, layers).action(async (given: string[]) =>
    inspect(given, command.optsWithGlobals<InspectOptions>()),
  );
}

/** The flags of a fresh model of sequences. @throws UsageError unless --layers is a count. */
function sequenceFlags({ layers, ...options }: InspectOptions): SequenceFlags {
  if (layers !== undefined && !/^[1-9]\d{0,5}$/.test(layers)) {
    throw new UsageError(`--layers ${layers} is no number of layers`);
  }
  return flagsOf({ ...options, ...(layers !== undefined && { layers: Number(layers) }) });
}

/** @throws UsageError which says what to do with a model of images. */
function refuseImages(what: string): never {
  throw new UsageError(`${what}, a model of images, has no time; look at it with --png FILE`);
}

interface Opened {
  readonly inspected: Inspected;
  readonly bytes: Uint8Array | null;
  readonly length: number;
}

/** What a name stands for: a file where there is one, else a fresh model. */
function open(given: string, k: number, options: InspectOptions): Opened {
  if (!existsSync(given) && isSequenceName(given)) {
    const { inputs, classes } = recallSizes();
    const preset = sequencePresets.quick.recall.software.model;
    const spec = asUsage(() =>
      sequenceModel(given, preset, sequenceFlags(options), { inputs, classes }),
    );
    return { inspected: { label: `${given} (fresh)`, spec }, bytes: null, length: LENGTH };
  }
  if (isFresh(given)) refuseImages(given);
  const { checkpoint, spec, bytes, path } = openCheckpoint(given);
  if (!isSequenceName(spec.name)) refuseImages(`${path} of ${spec.name}`);
  const settings = checkpointSettings(checkpoint);
  const delay = isSequenceRun(settings) ? settings.delay : 0;
  const label = `${spec.name}, step ${checkpoint.step}`;
  const data = delay > 0 && { data: { kind: "recall", delay } as const };
  const inspected = { label, spec, checkpoint: `checkpoint ${k}`, ...data };
  return { inspected, bytes, length: delay > 0 ? delay + 1 : LENGTH };
}

async function inspect(given: readonly string[], options: InspectOptions): Promise<void> {
  const { png, gradients } = options;
  if (png !== undefined && gradients) {
    throw new UsageError("--gradients is for models of sequences, --png for those of images");
  }
  if (png !== undefined) {
    const { layers: _, length, ...flags } = options;
    if (length !== undefined) throw new UsageError("--length is for --gradients, not for --png");
    return inspectWeights(given, { ...options, png }, flags);
  }
  if (!gradients) {
    throw new UsageError(
      "inspect what? give --gradients for models of sequences, --png FILE for those of images",
    );
  }
  const opened = given.map((name, k) => open(name, k, options));
  const lengths = opened.flatMap(({ inspected, length }) => (inspected.data ? [length] : []));
  const length = options.length ?? Math.max(...(lengths.length > 0 ? lengths : [LENGTH]));
  for (const { inspected, length: own } of opened) {
    if (inspected.data && own !== length) {
      throw new UsageError(
        `${inspected.label} has sequences of ${own} steps, --length or another model wants ${length}`,
      );
    }
  }
  expectPlace(options.svg);
  const files = new Map<string, Uint8Array>();
  for (const [k, { bytes }] of opened.entries()) if (bytes) files.set(`checkpoint ${k}`, bytes);
  const output = new Output(options.json);
  const models = opened.map(({ inspected }) => inspected);
  const curves = await runJob(
    "inspect",
    { models, length, batch: BATCH, seed: options.seed ?? 0 },
    { ...options, files, onEvent: (event) => void output.warned(event) },
  );
  output.say("mean over 16 sequences of ‖∂L_T/∂h_(T−k)‖, by k");
  output.say(["k".padStart(5), ...curves.map(({ label }) => label.padStart(24))].join(""));
  for (let k = 0; k < length; k++) {
    const shown = curves.map(({ norms }) => (norms[k] ?? Number.NaN).toExponential(2).padStart(24));
    output.say([`${k}`.padStart(5), ...shown].join(""));
  }
  await writeResult(options.svg, await gradientCurves(curves));
  output.say(`drawn      ${options.svg}`);
  output.event({ event: "inspect", length, batch: BATCH, curves });
  output.close();
}
