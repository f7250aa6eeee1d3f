import { existsSync } from "node:fs";
import { join } from "node:path";
import { Argument, type Command, Option } from "commander";
import { checkData, checkTensors } from "../train/checkpoint";
import { checkpointSettings } from "../train/checkpoint-settings";
import { isSequenceName, modelLabel } from "../train/models";
import { flagOf, idleFlags, keepFlags, modelFlags, recallDelay } from "../train/sequence-settings";
import type { SequencePresetName } from "../train/sequence-presets";
import { resumedSettings, type TaskName, taskNames, type TrainSettings } from "../train/settings";
import { type CheckpointFile, openCheckpoint } from "./checkpoint-file";
import { asUsage, UsageError } from "./errors";
import { type GlobalOptions, positiveInteger, positiveNumber } from "./options";
import { Output } from "./output";
import { Recorder, runFiles } from "./recorder";
import { makeRunFolder, removeIfEmpty, writeResult } from "./run-folder";
import { runJob } from "./runtimes";
import { describeStart, resumeCommand, sayEnd } from "./summary";
import { findData, type TaskData } from "./task-data";
import {
  addImageOptions,
  addModelOptions,
  addStepOptions,
  allModels,
  allPresets,
  checkFlags,
  type ChoiceFlags,
  defaultModels,
  flagsOf,
  modelName,
  type RunFlags,
} from "./train-flags";
import { freshSettings, stepsPerEpoch, taskOf, type TrainChoice } from "./training-jobs";

interface TrainOptions extends GlobalOptions, RunFlags, ChoiceFlags {
  readonly seed?: number;
  readonly out?: string;
  readonly resume?: string;
}

/** Adds the command `train`. */
export function registerTrain(program: Command): void {
  const command = program
    .command("train")
    .description("train a model; leaves checkpoints, a log, a loss curve and pictures")
    .addArgument(new Argument("<task>", "what to learn").choices(taskNames))
    .addOption(
      new Option(
        "--model <name>",
        `one of ${allModels} (default: hyper-cnn of digits, hyper-wrn-10-1 of objects, ln-hyperlstm ` +
          "of texts, lstm of recall)",
      ).argParser(modelName),
    )
    .addOption(
      new Option(
        "--preset <name>",
        "default: quick; paper has the paper's settings, notebook those of its code (mnist)",
      ).choices(allPresets),
    )
    .addOption(
      new Option("--epochs <n>", "times that all training data are seen")
        .argParser(positiveNumber)
        .conflicts("steps"),
    )
    .option("--steps <n>", "training steps in all", positiveInteger)
    .option("--batch <n>", "images in a step, or streams side by side", positiveInteger)
    .option("--lr <rate>", "learning rate", positiveNumber)
    .option("--clip <norm>", "largest global norm of the gradient", positiveNumber)
    .option(
      "--data <path>",
      "mnist, cifar10, ptb: a folder, of mnist also digits, the embedded ones; text, enwik8: a file, plain or " +
        "gzip; default: HYPERLOOM_DATA, cache, download, or what is embedded",
    )
    .option("--out <dir>", "new or empty folder for the results; default: runs/…")
    .option("--resume <path>", "go on from a checkpoint or a run's folder");
  addModelOptions(addStepOptions(addImageOptions(command))).action(
    async (task: TaskName, _own: unknown) => {
      process.exitCode = await trainTask(task, command.optsWithGlobals<TrainOptions>());
    },
  );
}

async function trainTask(task: TaskName, options: TrainOptions): Promise<number> {
  checkFlags(task, options);
  const resume = options.resume === undefined ? null : openCheckpoint(options.resume);
  const settings = resume && resumable(resume, task, options);
  const choice: TrainChoice = {
    task,
    model: settings ? modelLabel(settings.model) : (options.model ?? defaultModels[task]),
    preset: options.preset ?? "quick",
    flags: flagsOf(options),
  };
  const folder = makeRunFolder(options.out, `${task}-${choice.model}`);
  try {
    const output = new Output(options.json);
    const found = await findData(
      task,
      {
        path: options.data,
        delay: delayOf(choice, settings),
        limit: settings && "limit" in settings ? settings.limit || undefined : options.limit,
      },
      output,
    );
    if (resume && settings) await checkResumed(resume, settings, choice.flags, found);
    else checkFresh(choice, found);
    if (resume) found.files.set("checkpoint", resume.bytes);
    const recorder = new Recorder(folder, output, (start) => {
      if (found.note) output.warn(found.note);
      const idle = isSequenceName(choice.model) ? idleFlags(choice.model, choice.flags) : [];
      if (idle.length > 0) {
        output.warn(`${choice.model} has no hyper cell: ${idle.join(", ")} left aside`);
      }
      if (resume) recorder.continue(resume);
      return describeStart(start);
    });
    let weights: Uint8Array | null = null;
    const outcome = await runJob(
      "train",
      { ...choice, data: found.spec, ...(resume && { resume: resume.path }) },
      {
        ...options,
        files: found.files,
        signal: interruption(output, recorder),
        onEvent: (event) => recorder.on(event),
        onFile: async (file, bytes) => {
          if (runFiles[file]) await writeResult(join(folder, runFiles[file]), bytes);
          else weights = bytes;
        },
      },
    ).finally(() => recorder.pause());
    await recorder.pictures(choice.model, weights);
    sayEnd(output, folder, outcome, options.data);
    output.close();
    return outcome.completed ? 0 : 130;
  } catch (error) {
    if (existsSync(join(folder, runFiles.last as string))) {
      process.stderr.write(`hyperloom: to go on: ${resumeCommand(task, folder, options.data)}\n`);
    }
    throw error;
  } finally {
    removeIfEmpty(folder);
  }
}

function delayOf({ preset, flags }: TrainChoice, settings: TrainSettings | null): number {
  if (settings) return "delay" in settings ? settings.delay : 0;
  // Only recall has one, and no preset's depends on the adapter.
  return preset === "notebook" ? 0 : recallDelay(preset as SequencePresetName, "software", flags);
}

/** Settings that cannot be are refused before there is any work for the GPU, whichever it is. */
function checkFresh(choice: TrainChoice, { data }: TaskData): void {
  for (const adapter of ["software", "gpu"] as const) {
    asUsage(() => freshSettings(choice, adapter, data));
  }
}

/** The settings to go on with. @throws UsageError where a flag says otherwise. */
function resumable(
  { path, checkpoint, spec }: CheckpointFile,
  task: TaskName,
  options: TrainOptions,
): TrainSettings {
  const settings = checkpointSettings(checkpoint);
  if (settings.task !== task) {
    throw new UsageError(`${path} is of a run of ${settings.task}, not of ${task}`);
  }
  const was: Readonly<Record<string, unknown>> = {
    ...spec.options,
    ...settings,
    model: modelLabel(spec),
  };
  const { keep, ...rest } = options;
  const given: Readonly<Record<string, unknown>> = {
    ...Object.fromEntries(
      keepFlags
        .filter((option) => keep !== undefined && option in spec.options)
        .map((option) => [option, keep]),
    ),
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
  };
  const fixed = ["model", "preset", "seed", "batch", "lr", "clip", "seq", "chunk", "delay"];
  for (const flag of [...fixed, ...modelFlags, "augment", "l2", "memory", "limit"]) {
    if (given[flag] === undefined || given[flag] === was[flag]) continue;
    throw new UsageError(
      `${flagOf(flag)} ${given[flag]} is not what ${path} was trained with (${was[flag] ?? "none"}); ` +
        "a resumed run keeps its settings",
    );
  }
  return settings;
}

/** @throws UsageError where nothing is left to do; CheckpointError for another run's checkpoint. */
async function checkResumed(
  { path, checkpoint }: CheckpointFile,
  settings: TrainSettings,
  flags: RunFlags,
  { data, identity }: TaskData,
): Promise<void> {
  const perEpoch = asUsage(() => stepsPerEpoch(settings, data));
  const { steps } = resumedSettings<TrainSettings>(settings, flags, perEpoch);
  const { step, progress } = checkpoint;
  // A run may have ended before its test.
  if (step > steps || (step === steps && progress.tested === true)) {
    throw new UsageError(
      `${path} is at step ${step} of ${steps} already; give --steps or --epochs for more`,
    );
  }
  checkTensors(checkpoint, taskOf(settings, data, "software").variables);
  checkData(checkpoint, await identity());
}

/** Ctrl-C ends the run after its step; once more ends the program. */
function interruption(output: Output, recorder: Recorder): AbortSignal {
  const abort = new AbortController();
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(130);
    recorder.pause();
    output.say("ending after this step, with a checkpoint (again: ends now)");
    abort.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return abort.signal;
}
