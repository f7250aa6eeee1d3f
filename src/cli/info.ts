import { Argument, type Command, Option } from "commander";
import { isSequenceName, modelSpec, namedModel } from "../train/models";
import { sequencePresetNames } from "../train/sequence-presets";
import { isSequenceTask, type TaskName, taskNames } from "../train/settings";
import { asUsage, UsageError } from "./errors";
import { imageInfo } from "./info-image";
import { isSequencePreset, sequenceInfo } from "./info-sequence";
import { type GlobalOptions, positiveInteger } from "./options";
import { Output } from "./output";
import {
  addImageModelOptions,
  addModelOptions,
  addStepOptions,
  allModels,
  checkFlags,
  flagsOf,
  modelName,
  type RunFlags,
} from "./train-flags";

interface InfoOptions extends GlobalOptions, RunFlags {
  readonly seed?: number;
  readonly task?: TaskName;
  readonly preset: string;
  readonly symbols?: number;
  readonly graph?: string;
}

/** Adds the command `info`. */
export function registerInfo(program: Command): void {
  const command = program
    .command("info")
    .description("what a model is made of and what it costs; needs no GPU")
    .addArgument(new Argument("<model>", `one of ${allModels}`).argParser(modelName))
    .addOption(
      new Option("--task <name>", "default: mnist, or text for a model of sequences").choices(
        taskNames,
      ),
    )
    .addOption(
      new Option("--preset <name>", "of a task of sequences")
        .choices(sequencePresetNames)
        .default("quick"),
    )
    .option("--symbols <n>", "symbols of the text (default: the task's)", positiveInteger)
    .option(
      "--batch <n>",
      "images in a step (default: 32), or streams side by side",
      positiveInteger,
    )
    .option("--graph <file.svg>", "images: draw embeddings, generator, kernels, main network");
  addModelOptions(addStepOptions(addImageModelOptions(command))).action((name: string) =>
    info(name, command.optsWithGlobals<InfoOptions>()),
  );
}

async function info(label: string, options: InfoOptions): Promise<void> {
  const { name, options: named } = namedModel(label);
  const { task = isSequenceName(name) ? "text" : "mnist", preset, adapter, graph } = options;
  checkFlags(task, { ...options, model: label, preset });
  const output = new Output(options.json);
  const adapters = adapter === "auto" ? (["gpu", "software"] as const) : [adapter];
  const { symbols, batch = 32, memory, nz, l2 } = options;
  if (!isSequenceName(name)) {
    const given = { ...named, ...(nz && { nz, d: nz }), ...(l2 && { l2 }) };
    const spec = asUsage(() => modelSpec(name, given));
    await imageInfo({ spec, batch, memory, adapters, graph }, output);
  } else if (isSequenceTask(task) && isSequencePreset(preset)) {
    if (graph) throw new UsageError(`--graph draws models of images, not ${name}`);
    sequenceInfo({ model: name, task, preset, flags: flagsOf(options), symbols, adapters }, output);
  }
  output.close();
}
