import { existsSync } from "node:fs";
import { readSafetensors } from "../io/safetensors";
import { specs } from "../nn/module";
import { type AnyModel, type ImageModelName, isHyper } from "../train/image-models";
import {
  buildModel,
  isSequenceModel,
  isSequenceName,
  type ModelSpec,
  modelLabel,
  modelNames,
  modelSpec,
  namedModel,
} from "../train/models";
import { flagOf } from "../train/sequence-settings";
import { openCheckpoint } from "./checkpoint-file";
import { asUsage, UsageError } from "./errors";
import type { GlobalOptions } from "./options";
import { count, Output } from "./output";
import { expectPlace, writeResult } from "./run-folder";
import { runJob } from "./runtimes";
import { flagsOf, type RunFlags } from "./train-flags";
import type { LayerReport, WeightsReport } from "./weights-job";
import { groupOf, layerName } from "./weights-layout";

/** What the user may say about a look at weights. */
export interface WeightsOptions extends GlobalOptions {
  readonly png: string;
  /** Kernels that are drawn, as `chooseKernels` reads them. */
  readonly layers?: string;
  readonly nz?: number;
}

interface Opened {
  readonly spec: ModelSpec<ImageModelName>;
  readonly model: AnyModel;
  /** The bytes of a checkpoint and its steps; null for a fresh model. */
  readonly trained: { readonly bytes: Uint8Array; readonly step: number } | null;
}

/** Whether a name stands for a fresh model: `hyper-wrn-40-1`, and no file of that name is there. */
export function isFresh(given: string): boolean {
  const named = modelNames.some((name) => given === name || given.startsWith(`${name}-`));
  return named && !existsSync(given);
}

/** What a name stands for. @throws UsageError for a model of sequences. */
function open(given: string, { nz }: WeightsOptions): Opened {
  const refuse = (what: string): UsageError =>
    new UsageError(
      `${what}, a model of sequences, has no such picture; look at it with --gradients`,
    );
  if (!isFresh(given)) {
    const { path, spec, model, bytes, checkpoint } = openCheckpoint(given);
    if (isSequenceModel(model)) throw refuse(`${path} of ${spec.name}`);
    if (nz !== undefined) throw new UsageError(`--nz is for fresh models, not for ${path}`);
    const { step } = checkpoint;
    return { spec: spec as ModelSpec<ImageModelName>, model, trained: { bytes, step } };
  }
  const { name, options } = asUsage(() => namedModel(given));
  if (isSequenceName(name)) throw refuse(name);
  const spec = asUsage(() => modelSpec(name, { ...options, ...(nz && { nz, d: nz }) }));
  const image = spec as ModelSpec<ImageModelName>;
  return { spec: image, model: asUsage(() => buildModel(image)), trained: null };
}

/** The kernels of all convolutions of a model, in their order. */
export function kernelPaths(model: AnyModel): { path: string; generated: boolean }[] {
  const made = isHyper(model) ? model.paths : [];
  const { params } = isHyper(model) ? model.target : model;
  return specs(params)
    .filter(({ value }) => value.shape.length === 4)
    .map(({ path }) => ({ path, generated: made.includes(path) }));
}

/**
 * Which kernels to draw: those named, by number from 1 on or by the beginning of their path up to a
 * dot, in the order of depth. Without a name the first, the middle and the last of each group, of
 * generated ones where there are any.
 * @throws UsageError naming those that there are.
 */
export function chooseKernels(
  kernels: readonly { readonly path: string; readonly generated: boolean }[],
  wanted?: string,
): string[] {
  const paths = kernels.map(({ path }) => path);
  if (wanted === undefined) {
    const made = kernels.filter(({ generated }) => generated).map(({ path }) => path);
    const candidates = made.length > 0 ? made : paths;
    return candidates.filter((path) => {
      const group = candidates.filter((other) => groupOf(other) === groupOf(path));
      const last = group.length - 1;
      return [0, Math.floor(last / 2), last].includes(group.indexOf(path));
    });
  }
  const chosen = wanted.split(",").flatMap((text) => {
    const name = text.trim();
    const found = /^\d+$/.test(name)
      ? paths.slice(Number(name) - 1).slice(0, Number(name) > 0 ? 1 : 0)
      : paths.filter((path) => path === name || path.startsWith(`${name}.`));
    if (found.length > 0) return found;
    const known = paths.map((path, k) => `${k + 1} ${layerName(path)}`).join(", ");
    throw new UsageError(`--layers: there is no kernel ${name || '""'}; there are ${known}`);
  });
  return paths.filter((path) => chosen.includes(path));
}

/** Why no embeddings are compared, or null where they are. */
function withoutSimilarity(model: AnyModel, { similarity }: WeightsReport): string | null {
  if (!isHyper(model)) return "all kernels are parameters: no embeddings";
  if (!similarity) return "the layers of a group share one kernel: no embeddings to compare";
  return similarity.length > 1 ? null : "one generated layer: no embeddings to compare";
}

/** The mean off the diagonal. */
function meanSimilarity(similarity: readonly (readonly number[])[]): number {
  const pairs = similarity.flatMap((row, a) => row.filter((_, b) => b !== a));
  return pairs.reduce((sum, x) => sum + x, 0) / pairs.length;
}

/** The table of kernels, a line a layer beneath a line of headings. */
function* lines(layers: readonly LayerReport[]): Generator<string> {
  const wide = Math.max(...layers.map(({ path }) => path.length));
  const row = (...cells: readonly string[]): string => {
    const [number = "", path = "", shape = "", ...rest] = cells;
    const numbers = rest.map((cell) => cell.padStart(9)).join("");
    return `${number.padStart(3)}  ${path.padEnd(wide)}  ${shape.padEnd(11)}${numbers}`.trimEnd();
  };
  yield row("", "kernel", "shape", "std", "He's", "ratio", "|cos|");
  for (const [k, { path, shape, std, he, similarity, generated }] of layers.entries()) {
    const cosine = similarity === null ? (generated ? "" : "direct") : similarity.toFixed(3);
    const numbers = [std.toFixed(4), he.toFixed(4), (std / he).toFixed(3), cosine];
    yield row(`${k + 1}`, path, shape.join("×"), ...numbers);
  }
}

/**
 * Lists the kernels of a model of images and draws its weights.
 * @throws UsageError for what cannot be, before there is any work.
 */
export async function inspectWeights(
  given: readonly string[],
  options: WeightsOptions,
  flags: RunFlags,
): Promise<void> {
  const [name, ...more] = given;
  if (name === undefined || more.length > 0) {
    throw new UsageError(`--png draws one model at a time, not ${given.length}`);
  }
  const unused = Object.keys(flagsOf(flags)).find((flag) => flag !== "seed" && flag !== "nz");
  if (unused) throw new UsageError(`${flagOf(unused)} is nothing that --png has a use for`);
  const { spec, model, trained } = open(name, options);
  const chosen = chooseKernels(kernelPaths(model), options.layers);
  expectPlace(options.png);
  const { seed = 0, png } = options;
  const output = new Output(options.json);
  const when = trained ? `step ${count(trained.step)}` : `fresh, seed ${seed}`;
  const title = `${modelLabel(spec)}, ${when}`;
  let kernels: ReturnType<typeof readSafetensors>["tensors"] = new Map();
  const report = await runJob(
    "weights",
    { label: name, model: spec, checkpoint: trained !== null, seed, kernels: chosen },
    {
      ...options,
      files: new Map(trained ? [["checkpoint", trained.bytes]] : []),
      onEvent: (event) => void output.warned(event),
      onFile: (file, bytes) => {
        if (file === "kernels") kernels = readSafetensors(bytes, file).tensors;
      },
    },
  );
  const { layers, similarity } = report;
  const without = withoutSimilarity(model, report);
  const mean = meanSimilarity(similarity ?? []).toFixed(3);
  const note =
    without ?? `mean cosine between the embeddings of two layers: ${mean}; with full sharing 1`;
  output.say(`model      ${title}`);
  output.say();
  for (const line of lines(layers)) output.say(line);
  output.say();
  output.say(`similarity ${note}`);
  const { weightsPicture } = await import("./weights-png");
  const drawn = new Map(
    chosen.flatMap((path) => {
      const tensor = kernels.get(path);
      return tensor ? [[path, tensor] as const] : [];
    }),
  );
  await writeResult(png, await weightsPicture({ ...report, title, note, kernels: drawn }));
  output.say(`drawn      ${png}`);
  const step = trained && { step: trained.step };
  output.event({ event: "inspect", model: spec, ...step, layers, similarity });
  output.close();
}
