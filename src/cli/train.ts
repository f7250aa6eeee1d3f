import { existsSync } from "node:fs";
import { join } from "node:path";
import { Argument, type Command, Option } from "commander";
import { type LoadedImages, loadMnist } from "../data/mnist-folder";
import { checkData, checkpointSettings, checkTensors, runVariables } from "../train/checkpoint";
import {
  buildModel,
  type ModelName,
  modelNames,
  modelSpec,
  type PresetName,
  presetNames,
  resumedSettings,
  type TrainFlags,
  type TrainSettings,
} from "../train/tasks";
import { type CheckpointFile, openCheckpoint } from "./checkpoint-file";
import { UsageError } from "./errors";
import { imageFiles } from "./job";
import { type GlobalOptions, positiveInteger, positiveNumber } from "./options";
import { count, Output, percent } from "./output";
import { Recorder, runFiles } from "./recorder";
import { makeRunFolder, removeIfEmpty, writeResult } from "./run-folder";
import { runJob } from "./runtimes";
import { describeStart } from "./summary";
import type { TrainOutcome } from "./training-jobs";

interface TrainOptions extends GlobalOptions, TrainFlags {
  readonly model?: ModelName;
  readonly preset?: PresetName;
  readonly data?: string;
  readonly out?: string;
  readonly resume?: string;
}

/** Adds the command `train`. */
export function registerTrain(program: Command): void {
  program
    .command("train")
    .description(
      "train a model; leaves checkpoints, a log, a loss curve and a picture of the kernels",
    )
    .addArgument(new Argument("<task>", "what to learn").choices(["mnist"]))
    .addOption(new Option("--model <name>", "default: hyper-cnn").choices(modelNames))
    .addOption(
      new Option(
        "--preset <name>",
        "default: quick; paper is appendix A.3.1, notebook its published code",
      ).choices(presetNames),
    )
    .addOption(
      new Option("--epochs <n>", "times that every training image is seen")
        .argParser(positiveNumber)
        .conflicts("steps"),
    )
    .option("--steps <n>", "training steps in all", positiveInteger)
    .option("--batch <n>", "images in a step", positiveInteger)
    .option("--lr <rate>", "learning rate", positiveNumber)
    .option(
      "--data <dir>",
      "folder with the four MNIST files; default: HYPERLOOM_DATA, cache, download",
    )
    .option("--out <dir>", "new or empty folder for the results; default: runs/…")
    .option("--resume <path>", "go on from a checkpoint or a run's folder")
    .action(async (_task: string, _own: unknown, command: Command) => {
      process.exitCode = await trainMnist(command.optsWithGlobals<TrainOptions>());
    });
}

async function trainMnist(options: TrainOptions): Promise<number> {
  const resume = options.resume === undefined ? null : openCheckpoint(options.resume);
  const settings = resume && resumable(resume, options);
  const model = resume?.model ?? buildModel(modelSpec(options.model ?? "hyper-cnn"));
  const name = settings?.model.name ?? options.model ?? "hyper-cnn";
  const folder = makeRunFolder(options.out, `mnist-${name}`);
  try {
    const output = new Output(options.json);
    const data = await findData(options.data, output);
    if (resume && settings) {
      checkLength(resumedSettings(settings, options, data.train.count), resume);
      await checkData(resume.checkpoint, data.train);
    }
    const { spec, files } = imageFiles(data);
    if (resume) files.set("checkpoint", resume.bytes);
    const recorder = new Recorder(folder, output, (start) => {
      if (data.note) output.warn(data.note);
      if (resume) recorder.continue(resume);
      return describeStart(start, model);
    });
    let weights: Uint8Array | null = null;
    const outcome = await runJob(
      "train",
      {
        model: name,
        preset: options.preset ?? "quick",
        flags: flagsOf(options),
        data: spec,
        ...(resume && { resume: resume.path }),
      },
      {
        ...options,
        files,
        signal: interruption(output, recorder),
        onEvent: (event) => recorder.on(event),
        onFile: async (file, bytes) => {
          if (runFiles[file]) await writeResult(join(folder, runFiles[file]), bytes);
          else weights = bytes;
        },
      },
    ).finally(() => recorder.pause());
    await recorder.pictures(name, weights);
    sayEnd(output, folder, name, outcome);
    output.close();
    return outcome.completed ? 0 : 130;
  } catch (error) {
    if (existsSync(join(folder, runFiles.last as string))) {
      process.stderr.write(`hyperloom: to go on: npx hyperloom train mnist --resume ${folder}\n`);
    }
    throw error;
  } finally {
    removeIfEmpty(folder);
  }
}

function flagsOf({ seed, epochs, steps, batch, lr }: TrainOptions): TrainFlags {
  const flags = Object.entries({ seed, epochs, steps, batch, lr });
  return Object.fromEntries(flags.filter(([, value]) => value !== undefined));
}

/** The settings to go on with. @throws UsageError where a flag says otherwise. */
function resumable(
  { path, checkpoint, model, spec }: CheckpointFile,
  options: TrainOptions,
): TrainSettings {
  const settings = checkpointSettings(checkpoint);
  const was = { ...settings, model: spec.name };
  for (const flag of ["model", "preset", "seed", "batch", "lr"] as const) {
    const given = options[flag];
    if (given !== undefined && given !== was[flag]) {
      throw new UsageError(
        `--${flag} ${given} is not what ${path} was trained with (${was[flag]}); a resumed run keeps its settings`,
      );
    }
  }
  checkTensors(checkpoint, runVariables(model, settings));
  return settings;
}

/** @throws UsageError where nothing is left to do, not even the test. */
function checkLength({ steps }: TrainSettings, { path, checkpoint }: CheckpointFile): void {
  const { step, progress } = checkpoint;
  if (step < steps || (step === steps && progress.tested !== true)) return;
  throw new UsageError(
    `${path} is at step ${step} of ${steps} already; give --steps or --epochs for more`,
  );
}

/** Finds the data; its note is for later, once nothing else can be wrong. */
export async function findData(folder: string | undefined, output: Output): Promise<LoadedImages> {
  let said = false;
  const data = await loadMnist({
    folder,
    onProgress: (_, total) => {
      if (!said) output.say(`downloading MNIST (${(total / 1e6).toFixed(1)} MB)`);
      said = true;
    },
  });
  return data;
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

function sayEnd(
  output: Output,
  folder: string,
  name: string,
  { completed, step, metrics }: TrainOutcome,
): void {
  output.say();
  if (completed) {
    const { test_error: error = Number.NaN, parameters = 0 } = metrics;
    output.say(
      `done       ${count(step)} steps; test error ${percent(error)} with ${count(parameters)} parameters`,
    );
    output.say(
      `written    ${folder}/: checkpoint and best .safetensors, log.jsonl, loss.svg, kernels.png`,
    );
    output.say(`next       npx hyperloom eval ${folder}`);
    output.say(`           npx hyperloom train mnist --resume ${folder} --steps ${2 * step}`);
    output.say(`           npx hyperloom info ${name} --graph ${name}.svg`);
  } else {
    output.say(`interrupted after step ${count(step)}; to go on:`);
    output.say(`           npx hyperloom train mnist --resume ${folder}`);
  }
}
