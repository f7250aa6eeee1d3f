import { type Command, Option } from "commander";
import type { RunEvent } from "../train/events";
import { openCheckpoint } from "./checkpoint-file";
import { UsageError } from "./errors";
import { imageFiles, type Part, type WarningEvent } from "./job";
import type { GlobalOptions } from "./options";
import { count, Output } from "./output";
import { Progress } from "./progress";
import { runJob } from "./runtimes";
import { describeStart } from "./summary";
import { findData } from "./train";

interface EvalOptions extends GlobalOptions {
  readonly data?: string;
  readonly part: Part;
}

/** Adds the command `eval`. */
export function registerEval(program: Command): void {
  program
    .command("eval")
    .description("measure a checkpoint on MNIST")
    .argument("<checkpoint>", "a checkpoint, or a run's folder")
    .option(
      "--data <dir>",
      "folder with the four MNIST files; default: HYPERLOOM_DATA, cache, download",
    )
    .addOption(
      new Option("--part <name>", "of the data")
        .choices(["train", "validation", "test"])
        .default("test"),
    )
    .action((path: string, _own: unknown, command: Command) =>
      evaluateFile(path, command.optsWithGlobals<EvalOptions>()),
    );
}

async function evaluateFile(given: string, options: EvalOptions): Promise<void> {
  const { path, bytes, checkpoint, spec: named, model } = openCheckpoint(given);
  const output = new Output(options.json);
  const data = await findData(options.data, output);
  const { channels, height, width, classes } = data[options.part];
  const wants = `${named.options.input} and ${named.options.classes} classes`;
  const has = `${[channels, height, width]} and ${classes} classes`;
  if (wants !== has) throw new UsageError(`${path} takes images of ${wants}, the data have ${has}`);
  const { spec, files } = imageFiles(data);
  files.set("checkpoint", bytes);
  const progress = new Progress(output.stream);
  await runJob(
    "evaluate",
    { checkpoint: path, part: options.part, data: spec },
    {
      ...options,
      files,
      onEvent: (event) => {
        output.event(event);
        if (event.event === "warning") return output.warn((event as WarningEvent).message);
        const run = event as RunEvent;
        if (run.event === "start") {
          if (data.note) output.warn(data.note);
          const { name = "unknown data", samples = 0 } = checkpoint.data;
          const trained = `trained    on ${name} (${count(Number(samples))} images), step ${count(run.step)}`;
          for (const line of [...describeStart(run, model), trained]) output.say(line);
        }
        progress.on(run);
      },
    },
  ).finally(() => progress.pause());
  output.close();
}
