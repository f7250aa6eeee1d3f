import { type Command, InvalidArgumentError, Option } from "commander";
import { imageModelNames } from "../train/image-models";
import { imagePresetNames } from "../train/image-task";
import { modelNames } from "../train/models";
import { sequenceModelNames } from "../train/sequence-models";
import { sequencePresetNames } from "../train/sequence-presets";
import type { SequenceFlags } from "../train/sequence-settings";
import { isSequenceTask, type TaskName } from "../train/settings";
import { UsageError } from "./errors";
import { positiveInteger, positiveNumber } from "./options";

/** What the user may say about a run, besides the flags of settings. */
export interface ChoiceFlags {
  readonly model?: string;
  readonly preset?: string;
  readonly data?: string;
}

/** Reads a part that is kept: above 0, at most 1. @throws InvalidArgumentError. */
function kept(text: string): number {
  const value = positiveNumber(text);
  if (value <= 1) return value;
  throw new InvalidArgumentError("Give a number above 0 and at most 1: the part that is kept.");
}

/** Reads the steps of a chunk. @throws InvalidArgumentError. */
function chunkSteps(text: string): number | "auto" {
  return text === "auto" ? text : positiveInteger(text);
}

/** Adds the flags by which the model of a sequence task is chosen. */
export function addModelOptions(command: Command): Command {
  const group = "Models of sequences:";
  const option = (flags: string, text: string, parse: (text: string) => unknown): Option =>
    new Option(flags, text).argParser(parse).helpGroup(group);
  return command
    .addOption(option("--hidden <n>", "units of a layer", positiveInteger))
    .addOption(option("--hyper <n>", "units of the hyper cell", positiveInteger))
    .addOption(option("--nz <n>", "size of an embedding z", positiveInteger))
    .addOption(option("--layers <n>", "layers", positiveInteger))
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

/** Names of the models that a task trains, its default first. */
export function modelsOf(task: TaskName): readonly string[] {
  if (!isSequenceTask(task)) return ["hyper-cnn", ...imageModelNames];
  return [task === "recall" ? "lstm" : "ln-hyperlstm", ...sequenceModelNames];
}

/** All names of presets, of whatever task. */
export const allPresets = [...new Set([...imagePresetNames, ...sequencePresetNames])];

/** All names of models. */
export const allModels: readonly string[] = modelNames;

const SEQUENCE_FLAGS = [
  "seq",
  "chunk",
  "hidden",
  "hyper",
  "nz",
  "layers",
  "init",
  "keep",
  "keepRecurrent",
  "keepInput",
  "keepOutput",
] as const;

/** The flag of an option: `--keep-input` of keepInput. */
export function flagOf(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** @throws UsageError for a flag, model or preset that is none of the task's. */
export function checkFlags(task: TaskName, options: SequenceFlags & ChoiceFlags): void {
  const refuse = (flag: keyof SequenceFlags | "data", tasks: string): void => {
    if (options[flag] === undefined) return;
    throw new UsageError(`${flagOf(flag)} is a flag of ${tasks}, not of ${task}`);
  };
  if (!isSequenceTask(task)) {
    for (const flag of SEQUENCE_FLAGS) refuse(flag, "text, ptb, enwik8 and recall");
  }
  if (task !== "recall") refuse("delay", "recall");
  else {
    refuse("seq", "text, ptb and enwik8 (a sequence of recall has delay + 1 steps)");
    refuse("data", "mnist, text, ptb and enwik8 (recall makes its own)");
  }
  const { model, preset } = options;
  const models = [...new Set(modelsOf(task))];
  if (model !== undefined && !models.includes(model)) {
    throw new UsageError(`${task} has no model ${model}; it has ${models.join(", ")}`);
  }
  const presets: readonly string[] = isSequenceTask(task) ? sequencePresetNames : imagePresetNames;
  if (preset !== undefined && !presets.includes(preset)) {
    throw new UsageError(`${task} has no preset ${preset}; it has ${presets.join(", ")}`);
  }
}

/** What --chunk may say in place of a number, as if it were not given. */
const AUTO: unknown = "auto";

/** The flags that beat a preset, of what the user gave. */
export function flagsOf(options: SequenceFlags): SequenceFlags {
  const names = ["seed", "epochs", "steps", "batch", "lr", "clip", "delay", ...SEQUENCE_FLAGS];
  const given = Object.entries(options).filter(
    ([name, value]) => names.includes(name) && value !== undefined && value !== AUTO,
  );
  return Object.fromEntries(given);
}
