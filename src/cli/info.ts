import { Argument, type Command, Option } from "commander";
import { size } from "../graph/shape";
import { crossEntropy } from "../nn/losses";
import { specs } from "../nn/module";
import { countParameters } from "../nn/slabs";
import { adam } from "../optim/optimizer";
import { type AnyModel, type ImageModelName, isHyper } from "../train/image-models";
import {
  buildModel,
  isSequenceName,
  type ModelName,
  modelNames,
  modelSpec,
  modelSummary,
  parametersByPart,
} from "../train/models";
import { evaluation, trainStep } from "../train/programs";
import { sequencePresetNames } from "../train/sequence-presets";
import type { SequenceFlags } from "../train/sequence-settings";
import { isSequenceTask, type TaskName, taskNames } from "../train/settings";
import { UsageError } from "./errors";
import { isSequencePreset, sequenceInfo } from "./info-sequence";
import { networkOf } from "./network";
import { type GlobalOptions, positiveInteger } from "./options";
import { bytes, count, Output, percent } from "./output";
import { planCounts } from "./plan-counts";
import { writeResult } from "./run-folder";
import { generatedCounts, generatedLine } from "./summary";
import { addModelOptions, addStepOptions, checkFlags, flagsOf } from "./train-flags";

interface InfoOptions extends GlobalOptions, SequenceFlags {
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
    .addArgument(new Argument("<model>", "which one").choices(modelNames))
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
  addModelOptions(addStepOptions(command)).action((name: ModelName) =>
    info(name, command.optsWithGlobals<InfoOptions>()),
  );
}

function info(name: ModelName, options: InfoOptions): Promise<void> | void {
  const { task = isSequenceName(name) ? "text" : "mnist", preset, adapter, graph } = options;
  checkFlags(task, { ...options, model: name, preset });
  if (!isSequenceName(name)) return imageInfo(name as ImageModelName, options);
  if (!isSequenceTask(task) || !isSequencePreset(preset)) return;
  if (graph) throw new UsageError(`--graph draws models of images, not ${name}`);
  const output = new Output(options.json);
  const adapters = adapter === "auto" ? (["gpu", "software"] as const) : [adapter];
  const { symbols } = options;
  sequenceInfo({ model: name, task, preset, flags: flagsOf(options), symbols, adapters }, output);
  output.close();
}

/** Weights of the plain network's kernels (rank 4), and how many of them are generated. */
function kernelCounts(model: AnyModel): { kernels: number; all: number; generated: number } {
  const plain = specs(isHyper(model) ? model.target.params : model.params);
  const sum = (list: typeof plain): number =>
    list.reduce((n, { value }) => n + size(value.shape), 0);
  const kernels = sum(plain.filter(({ value }) => value.shape.length === 4));
  return { kernels, all: sum(plain), generated: generatedCounts(model)?.weights ?? 0 };
}

async function imageInfo(name: ImageModelName, options: InfoOptions): Promise<void> {
  const output = new Output(options.json);
  const spec = modelSpec(name);
  const model = buildModel(spec);
  const parts = parametersByPart(model);
  const total = countParameters(model.params);
  const { kernels, all, generated } = kernelCounts(model);
  const network = networkOf(model);
  const macs = (main: boolean): number =>
    network.boxes
      .filter(({ kind }) => (kind === "generator") !== main)
      .reduce((n, box) => n + box.macs, 0);
  const { batch = 32, adapter } = options;
  const step = trainStep(model, crossEntropy, adam(), { batch });
  const forward = evaluation(model, crossEntropy, { batch });
  const classes = adapter === "auto" ? (["gpu", "software"] as const) : [adapter];
  const plans = classes.map((of) => ({
    of,
    train: planCounts(step, of),
    evaluate: planCounts(forward, of),
  }));

  const rows: [string, string][] = [
    ["model", `${name}: ${modelSummary(name)}`],
    [
      "options",
      Object.entries(spec.options)
        .map(([k, v]) => `${k} ${JSON.stringify(v)}`)
        .join(", "),
    ],
    ["parameters", count(total)],
    ...Object.entries(parts).map(([part, n]): [string, string] => [
      `  ${part}`,
      `${count(n).padStart(9)}  ${percent(n / total)}`,
    ]),
    [
      "kernels",
      `${count(kernels)} weights, ${percent(kernels / all)} of the plain network's ${count(all)}`,
    ],
    ...(generated ? [["generated", generatedLine(model) ?? ""] as [string, string]] : []),
    [
      "MACs",
      `${count(macs(true))} a sample${macs(false) ? `, ${count(macs(false))} a step in the generator` : ""}`,
    ],
    ...plans.flatMap(({ of, train, evaluate }) =>
      (
        [
          ["train", train],
          ["evaluate", evaluate],
        ] as const
      ).map(([what, p]): [string, string] => [
        `${what}, ${of}`,
        `${p.dispatches} dispatches in ${p.submits} submit${p.submits > 1 ? "s" : ""}, ${bytes(p.bytes)} planned ` +
          `(batch ${batch})`,
      ]),
    ),
  ];
  for (const [label, value] of rows) output.say(`${label.padEnd(18)} ${value}`);
  if (options.graph) {
    const { networkSvg } = await import("./network-svg");
    const line = generatedLine(model);
    const caption = `${name}: ${count(total)} parameters${line ? `; ${line}` : ""}`;
    await writeResult(options.graph, networkSvg(network, caption));
    output.say(`${"drawn".padEnd(18)} ${options.graph}`);
  }
  const event = {
    event: "info",
    model: spec,
    parameters: { total, ...parts },
    kernels: { weights: kernels, generated },
    macs: { sample: macs(true), generator: macs(false) },
    plans,
  };
  output.event(event);
  output.close();
}
