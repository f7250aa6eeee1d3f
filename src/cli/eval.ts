import { type Command, Option } from "commander";
import type { RunEvent } from "../train/events";
import { evaluationSettings } from "../train/checkpoint-settings";
import { isSequenceModel } from "../train/models";
import type { TaskName } from "../train/settings";
import type { Split } from "../train/task";
import { type CheckpointFile, openCheckpoint } from "./checkpoint-file";
import { UsageError } from "./errors";
import { type GlobalOptions, positiveInteger } from "./options";
import { count, Output } from "./output";
import { Progress } from "./progress";
import { runJob } from "./runtimes";
import { describeStart } from "./summary";
import { findData, type TaskData } from "./task-data";

interface EvalOptions extends GlobalOptions {
  readonly data?: string;
  readonly part: Split;
  readonly limit?: number;
}

/** Adds the command `eval`. */
export function registerEval(program: Command): void {
  program
    .command("eval")
    .description("measure a checkpoint on the data of its task: images, or a whole text")
    .argument("<checkpoint>", "a checkpoint, or a run's folder")
    .option(
      "--data <path>",
      "mnist, cifar10, ptb: a folder, of mnist also digits, the embedded ones; text, enwik8: a file, plain or " +
        "gzip; default: HYPERLOOM_DATA, cache, download, or what is embedded",
    )
    .addOption(
      new Option("--part <name>", "of the data")
        .choices(["train", "validation", "test"])
        .default("test"),
    )
    .option("--limit <n>", "images: of the training part the first n alone", positiveInteger)
    .action((path: string, _own: unknown, command: Command) =>
      evaluateFile(path, command.optsWithGlobals<EvalOptions>()),
    );
}

/** @throws UsageError unless the data are of the kind that a model takes. */
async function checkKind(
  { path, spec, model, checkpoint }: CheckpointFile,
  part: Split,
  { data }: TaskData,
): Promise<void> {
  const { options } = spec;
  if (data.kind === "images") {
    const { channels, height, width, classes } = data.split[part];
    const wants = `${options.input} and ${options.classes} classes`;
    const has = `${[channels, height, width]} and ${classes} classes`;
    if (wants === has) return;
    throw new UsageError(`${path} takes images of ${wants}, the data have ${has}`);
  }
  if (!isSequenceModel(model)) return;
  const { vocabulary, sizes } = data.data;
  const kept = JSON.stringify(checkpoint.data.vocabulary ?? null);
  const here = JSON.stringify((await data.data.identity()).vocabulary ?? null);
  if (kept === here && options.symbols === sizes.inputs) return;
  throw new UsageError(
    `${path} knows ${options.symbols} symbols, which are not the ${sizes.inputs} of the data` +
      `${vocabulary ? "; give the text it was trained on, see --data" : ""}`,
  );
}

async function evaluateFile(given: string, options: EvalOptions): Promise<void> {
  const file = openCheckpoint(given);
  const { path, bytes, checkpoint } = file;
  const settings = evaluationSettings(checkpoint);
  const output = new Output(options.json);
  const delay = "delay" in settings ? settings.delay : 0;
  const found = await findData(
    settings.task as TaskName,
    { path: options.data, delay, limit: options.limit },
    output,
  );
  await checkKind(file, options.part, found);
  found.files.set("checkpoint", bytes);
  const progress = new Progress(output.stream);
  await runJob(
    "evaluate",
    { checkpoint: path, part: options.part, data: found.spec },
    {
      ...options,
      files: found.files,
      onEvent: (event) => {
        output.event(event);
        if (output.warned(event)) return;
        const run = event as RunEvent;
        if (run.event === "start") {
          if (found.note) output.warn(found.note);
          const { name = "unknown data", samples = 0 } = checkpoint.data;
          const trained = `trained    on ${name} (${count(Number(samples))} ${run.unit}), step ${count(run.step)}`;
          for (const line of [...describeStart(run), trained]) output.say(line);
        }
        progress.on(run);
      },
    },
  ).finally(() => progress.pause());
  output.close();
}
