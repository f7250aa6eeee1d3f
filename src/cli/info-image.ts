import type { Target } from "../gpu/dispatch";
import { size } from "../graph/shape";
import { crossEntropy } from "../nn/losses";
import { type ParamSpec, specs } from "../nn/module";
import { countParameters } from "../nn/slabs";
import { adam } from "../optim/optimizer";
import { type AnyModel, isHyper } from "../train/image-models";
import { buildModel, type ModelSpec, modelLabel, parametersByPart } from "../train/models";
import { evaluation, trainStep } from "../train/programs";
import type { ImageFlags } from "../train/image-task";
import { modelSummaries } from "./model-summaries";
import { networkOf } from "./network";
import { bytes, count, type Output, percent } from "./output";
import { type PlanCounts, planCounts } from "./plan-counts";
import { writeResult } from "./run-folder";
import { generatedCounts, generatedLine } from "./summary";

/** What the user asked about. */
export interface ImageInfo {
  readonly spec: ModelSpec;
  readonly batch: number;
  readonly memory: ImageFlags["memory"];
  readonly adapters: readonly Target["adapter"][];
  /** Where the model is drawn, if anywhere. */
  readonly graph: string | undefined;
}

/** What a parameter is for: itself a weight, an embedding, or a part of the generator. */
function roleOf({ kind }: ParamSpec): "direct" | "embeddings" | "generator" {
  if (kind === "embedding") return "embeddings";
  return kind === "generator" ? "generator" : "direct";
}

/** Parameters by role. */
function roles(model: AnyModel): Record<ReturnType<typeof roleOf>, number> {
  const sums = { direct: 0, embeddings: 0, generator: 0 };
  for (const { value } of specs(model.params)) sums[roleOf(value)] += size(value.shape);
  return sums;
}

/** Prints what a model of images is made of and what it costs. */
export async function imageInfo(asked: ImageInfo, output: Output): Promise<void> {
  const { spec, batch, adapters, memory } = asked;
  const model = buildModel(spec) as AnyModel;
  const label = modelLabel(spec);
  const parts = parametersByPart(model);
  const total = countParameters(model.params);
  const role = roles(model);
  const plain = specs(isHyper(model) ? model.target.params : model.params);
  const sum = (list: typeof plain): number =>
    list.reduce((n, { value }) => n + size(value.shape), 0);
  const kernels = sum(plain.filter(({ value }) => value.shape.length === 4));
  const all = sum(plain);
  const network = networkOf(model);
  const macs = (main: boolean): number =>
    network.boxes
      .filter(({ kind }) => (kind === "generator") !== main)
      .reduce((n, box) => n + box.macs, 0);
  const options = { batch, ...(memory === "low" && { memory }) };
  const step = trainStep(model, crossEntropy, adam(), options);
  const forward = evaluation(model, crossEntropy, { batch });
  const plans = adapters.map((of) => ({
    of,
    train: planCounts(step, of),
    evaluate: planCounts(forward, of),
  }));

  const say = (name: string, text: string): void => output.say(`${name.padEnd(18)} ${text}`);
  const share = (n: number, text: string): string =>
    `${count(n).padStart(9)}  ${percent(n / total).padStart(6)}${text}`;
  say("model", `${label}: ${modelSummaries[spec.name]}`);
  const shown = Object.entries(spec.options).map(([k, v]) => `${k} ${JSON.stringify(v)}`);
  say("options", shown.join(", "));
  say("parameters", count(total));
  for (const [part, n] of Object.entries(parts)) say(`  ${part}`, share(n, ""));
  if (isHyper(model)) {
    const { embeddings, generator, direct } = role;
    say(
      "of these",
      `direct ${count(direct)}, embeddings ${count(embeddings)}, generator ${count(generator)}`,
    );
    say("generated", generatedLine(model) ?? "");
    const [word, share] = total <= all ? ["saved", 1 - total / all] : ["added", total / all - 1];
    say(word, `${percent(share)} of the plain network's ${count(all)} parameters`);
  }
  say(
    "kernels",
    `${count(kernels)} weights, ${percent(kernels / all)} of the plain network's ${count(all)}`,
  );
  const generating = macs(false) ? `, ${count(macs(false))} a step in the generator` : "";
  say("MACs", `${count(macs(true))} a sample${generating}`);
  const planned = (p: PlanCounts): string =>
    `${count(p.dispatches)} dispatches in ${p.submits} submit${p.submits > 1 ? "s" : ""}, ` +
    `${bytes(p.bytes)} planned, largest binding ${bytes(p.largest)} (batch ${batch})`;
  for (const { of, train, evaluate } of plans) {
    say(`train, ${of}`, planned(train));
    say(`evaluate, ${of}`, planned(evaluate));
  }
  if (asked.graph) {
    const { networkSvg } = await import("./network-svg");
    const line = generatedLine(model);
    const caption = `${label}: ${count(total)} parameters${line ? `; ${line}` : ""}`;
    await writeResult(asked.graph, networkSvg(network, caption));
    say("drawn", asked.graph);
  }
  output.event({
    event: "info",
    model: spec,
    parameters: { total, ...parts },
    roles: role,
    kernels: { weights: kernels, generated: generatedCounts(model)?.weights ?? 0 },
    macs: { sample: macs(true), generator: macs(false) },
    plans,
  });
}
