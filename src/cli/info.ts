import { Argument, type Command } from "commander";
import type { Target } from "../gpu/dispatch";
import { size } from "../graph/shape";
import { crossEntropy } from "../nn/losses";
import { specs } from "../nn/module";
import { countParameters } from "../nn/slabs";
import { adam } from "../optim/optimizer";
import type { Program } from "../schedule/executable";
import { plan } from "../schedule/plan";
import { parametersByPart } from "../train/loop";
import { evaluation, trainStep } from "../train/programs";
import {
  type AnyModel,
  buildModel,
  isHyper,
  type ModelName,
  modelNames,
  modelSpec,
  modelSummary,
} from "../train/tasks";
import { networkOf } from "./network";
import { type GlobalOptions, positiveInteger } from "./options";
import { bytes, count, Output, percent } from "./output";
import { writeResult } from "./run-folder";
import { generatedCounts, generatedLine } from "./summary";

interface InfoOptions extends GlobalOptions {
  readonly batch: number;
  readonly graph?: string;
}

/** Adds the command `info`. */
export function registerInfo(program: Command): void {
  program
    .command("info")
    .description("what a model is made of and what it costs; needs no GPU")
    .addArgument(new Argument("<model>", "which one").choices(modelNames))
    .option("--batch <n>", "samples in a step", positiveInteger, 32)
    .option("--graph <file.svg>", "draw it: embeddings, generator, kernels, main network")
    .action((name: ModelName, _own: unknown, command: Command) =>
      info(name, command.optsWithGlobals<InfoOptions>()),
    );
}

/** WebGPU's default limits: what every adapter has. */
const limits: Target["limits"] = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxComputeWorkgroupStorageSize: 16 * 2 ** 10,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};

interface PlanCounts {
  readonly dispatches: number;
  readonly submits: number;
  /** Of the plan and of the variables it works on. */
  readonly bytes: number;
}

function planCounts(program: Program, adapter: Target["adapter"]): PlanCounts {
  const roots = [...Object.values(program.outputs), ...(program.updates?.values() ?? [])];
  const planned = plan(roots, { adapter, limits, features: new Set() });
  const variables = planned.storages.filter(({ kind }) => kind === "variable");
  const held = variables.reduce((n, s) => n + s.bytes, 0);
  return {
    dispatches: planned.dispatches.length,
    submits: planned.cuts.length,
    bytes: planned.bytes + held,
  };
}

/** Weights of the plain network's kernels (rank 4), and how many of them are generated. */
function kernelCounts(model: AnyModel): { kernels: number; all: number; generated: number } {
  const plain = specs(isHyper(model) ? model.target.params : model.params);
  const sum = (list: typeof plain): number =>
    list.reduce((n, { value }) => n + size(value.shape), 0);
  const kernels = sum(plain.filter(({ value }) => value.shape.length === 4));
  return { kernels, all: sum(plain), generated: generatedCounts(model)?.weights ?? 0 };
}

async function info(name: ModelName, options: InfoOptions): Promise<void> {
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
  const { batch, adapter } = options;
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
