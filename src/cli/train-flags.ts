import { type Command, InvalidArgumentError, Option } from "commander";
import { imagePresetNames } from "../train/image-presets";
import type { ImageFlags } from "../train/image-task";
import { imageModelForms, isSequenceName, modelForms, namedModel } from "../train/models";
import { sequenceModelNames } from "../train/sequence-models";
import { sequencePresetNames } from "../train/sequence-presets";
import { flagOf, keepFlags, type SequenceFlags } from "../train/sequence-settings";
import { isSequenceTask, type TaskName } from "../train/settings";
import { asUsage, UsageError } from "./errors";
import { positiveInteger, positiveNumber } from "./options";

/** Flags that beat a preset, of all tasks. */
export interface RunFlags extends SequenceFlags, ImageFlags {}

/** What the user may say about a run, besides the flags of settings. */
export interface ChoiceFlags {
  readonly model?: string;
  readonly preset?: string;
  readonly data?: string;
  readonly limit?: number;
}

/** Reads a part that is kept: above 0, at most 1. @throws InvalidArgumentError. */
function kept(text: string): number {
  const value = positiveNumber(text);
  if (value <= 1) return value;
  throw new InvalidArgumentError("Give a number above 0 and at most 1: the part that is kept.");
}

/** Reads a number from 0. @throws InvalidArgumentError. */
function nonNegative(text: string): number {
  return Number(text) === 0 && text.trim() !== "" ? 0 : positiveNumber(text);
}

/** Reads the name of a model. @throws InvalidArgumentError. */
export function modelName(text: string): string {
  try {
    namedModel(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message.replace("hyperloom: ", ""));
  }
}

/** Reads the steps of a chunk. @throws InvalidArgumentError. */
function chunkSteps(text: string): number | "auto" {
  return text === "auto" ? text : positiveInteger(text);
}

/**
 * Adds the flags by which the model of a sequence task is chosen.
 * @param layers In place of `--layers`, where a command has another use for it too.
 */
export function addModelOptions(command: Command, layers?: Option): Command {
  const group = "Models of sequences:";
  const option = (flags: string, text: string, parse: (text: string) => unknown): Option =>
    new Option(flags, text).argParser(parse).helpGroup(group);
  return command
    .addOption(option("--hidden <n>", "units of a layer", positiveInteger))
    .addOption(option("--hyper <n>", "units of the hyper cell", positiveInteger))
    .addOption(new Option("--nz <n>", "size of an embedding z").argParser(positiveInteger))
    .addOption(layers ?? option("--layers <n>", "layers", positiveInteger))
    .addOption(
      new Option("--init <name>", "of what is generated: broken symmetry, or the paper's")
        .choices(["broken", "paper"])
        .helpGroup(group),
    )
    .addOption(option("--keep <part>", "kept by every dropout of the model", kept))
    .addOption(option("--keep-recurrent <part>", "kept of tanh(g) in an LSTM's update", kept))
    .addOption(option("--keep-input <part>", "kept of the inputs", kept))
    .addOption(option("--keep-output <part>", "kept of the layers' outputs", kept));
}

const imageOption = (flags: string, text: string): Option =>
  new Option(flags, text).helpGroup("Images:");

/** Adds the flags of runs on images. */
export function addImageOptions(command: Command): Command {
  return addImageModelOptions(command)
    .addOption(
      imageOption("--limit <n>", "train on the first n images alone").argParser(positiveInteger),
    )
    .addOption(imageOption("--augment", "crop at random, mirror objects (default: the preset's)"))
    .addOption(imageOption("--no-augment", "images as they are"));
}

/** Adds the flags that decide what a training step on images computes. */
export function addImageModelOptions(command: Command): Command {
  return command
    .addOption(
      imageOption(
        "--l2 <λ>",
        "penalty λ Σ K² on kernels, direct and generated (hyper-cnn: the generated one)",
      ).argParser(nonNegative),
    )
    .addOption(
      imageOption(
        "--memory <much>",
        "low: keep the blocks' inputs alone, compute the rest once more",
      ).choices(["normal", "low"]),
    );
}

/** Adds the flags of the sizes of a step. */
export function addStepOptions(command: Command): Command {
  const group = "Sequences:";
  return command
    .addOption(
      new Option("--seq <n>", "symbols of a window, where backpropagation ends")
        .argParser(positiveInteger)
        .helpGroup(group),
    )
    .addOption(
      new Option(
        "--chunk <n>",
        "steps of a time chunk (default: auto, as many as the device's bindings hold)",
      )
        .argParser(chunkSteps)
        .helpGroup(group),
    )
    .addOption(
      new Option("--delay <n>", "recall: steps between a symbol and its recall")
        .argParser(positiveInteger)
        .helpGroup(group),
    );
}

/** The model that a task trains unless another is named. */
export const defaultModels: Readonly<Record<TaskName, string>> = {
  mnist: "hyper-cnn",
  cifar10: "hyper-wrn-10-1",
  text: "ln-hyperlstm",
  ptb: "ln-hyperlstm",
  enwik8: "ln-hyperlstm",
  recall: "lstm",
};

/** Names of the models that a task trains. */
const modelsOf = (task: TaskName): readonly string[] =>
  isSequenceTask(task) ? sequenceModelNames : imageModelForms;

/** All names of presets, of whatever task. */
export const allPresets = [...new Set([...imagePresetNames, ...sequencePresetNames])];

/** All names of models. */
export const allModels = modelForms.join(", ");

const SEQUENCE_FLAGS = [
  "seq",
  "chunk",
  "hidden",
  "hyper",
  "layers",
  "init",
  "keep",
  ...keepFlags,
] as const;

const IMAGE_FLAGS = ["limit", "augment", "l2", "memory"] as const;

/** @throws UsageError for a flag, model or preset that is none of the task's. */
export function checkFlags(task: TaskName, options: RunFlags & ChoiceFlags): void {
  const refuse = (flag: keyof RunFlags | keyof ChoiceFlags, tasks: string): void => {
    if (options[flag] === undefined) return;
    throw new UsageError(`${flagOf(flag)} is a flag of ${tasks}, not of ${task}`);
  };
  if (!isSequenceTask(task)) {
    for (const flag of SEQUENCE_FLAGS) refuse(flag, "text, ptb, enwik8 and recall");
  } else {
    for (const flag of IMAGE_FLAGS) refuse(flag, "mnist and cifar10");
  }
  if (task !== "recall") refuse("delay", "recall");
  else {
    refuse("seq", "text, ptb and enwik8 (a sequence of recall has delay + 1 steps)");
    refuse("data", "mnist, cifar10, text, ptb and enwik8 (recall makes its own)");
  }
  const { model, preset } = options;
  if (model !== undefined) {
    const { name } = asUsage(() => namedModel(model));
    if (isSequenceName(name) !== isSequenceTask(task)) {
      throw new UsageError(`${task} has no model ${model}; it has ${modelsOf(task).join(", ")}`);
    }
  }
  const presets: readonly string[] = isSequenceTask(task)
    ? sequencePresetNames
    : imagePresetNames.filter((name) => task === "mnist" || name !== "notebook");
  if (preset !== undefined && !presets.includes(preset)) {
    throw new UsageError(`${task} has no preset ${preset}; it has ${presets.join(", ")}`);
  }
}

/** What --chunk may say in place of a number, as if it were not given. */
const AUTO: unknown = "auto";

/** The flags that beat a preset, of what the user gave. */
export function flagsOf(options: RunFlags): RunFlags {
  const common = ["seed", "epochs", "steps", "batch", "lr", "clip", "nz"];
  const names: string[] = [...common, "delay", ...SEQUENCE_FLAGS, ...IMAGE_FLAGS];
  const given = Object.entries(options).filter(
    ([name, value]) => names.includes(name) && value !== undefined && value !== AUTO,
  );
  return Object.fromEntries(given);
}
