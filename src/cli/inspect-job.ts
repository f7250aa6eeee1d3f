import { fold, key, WordStream } from "../graph/random";
import { compile } from "../schedule/executable";
import { Variables } from "../schedule/variables";
import { checkpointModel, readCheckpoint, restoreCheckpoint } from "../train/checkpoint";
import { gradientNorms } from "../train/gradient-norms";
import { buildModel, isSequenceModel, type ModelSpec, modelVariables } from "../train/models";
import { type DataSpec, type JobContext, readData } from "./job";
import { withDevice } from "./training-jobs";

/** A model whose gradients are looked at. File: its checkpoint, where it has one, by that name. */
export interface Inspected {
  readonly label: string;
  readonly spec: ModelSpec;
  readonly checkpoint?: string;
  /** Data that it was trained on, whose files are given; else symbols at random. */
  readonly data?: DataSpec;
}

/** What to inspect. */
export interface InspectSpec {
  readonly models: readonly Inspected[];
  readonly length: number;
  readonly batch: number;
  readonly seed: number;
}

/** ‖∂L_T/∂h_{T−k}‖ of each model, by k. */
export type GradientCurves = readonly { readonly label: string; readonly norms: number[] }[];

/** Measures how far the loss of the last step reaches back, model by model. */
export async function inspectJob(spec: InspectSpec, context: JobContext): Promise<GradientCurves> {
  return withDevice(context, async (device) => {
    const curves: { label: string; norms: number[] }[] = [];
    for (const inspected of spec.models) {
      const { checkpoint: name, label } = inspected;
      const checkpoint = name ? readCheckpoint(await context.read(name), label) : null;
      const { model } = checkpoint
        ? checkpointModel(checkpoint)
        : { model: buildModel(inspected.spec) };
      if (!isSequenceModel(model)) throw new Error(`internal: ${label} is no model of sequences`);
      const variables = new Variables(device, spec.seed);
      const { batch, length } = spec;
      const program = gradientNorms(model, { batch, length });
      if (checkpoint) restoreCheckpoint(checkpoint, variables, modelVariables(model));
      const executable = await compile(device, program, { variables });
      const outputs = await executable.run(await symbolsOf(inspected, spec, context.read));
      curves.push({ label, norms: [...(outputs.norms ?? [])].reverse() });
      executable.dispose();
      variables.dispose();
    }
    return curves;
  });
}

/** The symbols that a model reads, [T, B], and the one that it is to tell at the end, [B]. */
async function symbolsOf(
  { data, spec: { options } }: Inspected,
  { batch, length, seed }: InspectSpec,
  read: JobContext["read"],
): Promise<{ x: Uint32Array<ArrayBuffer>; labels: Uint32Array<ArrayBuffer> }> {
  const found = data && (await readData(data, read));
  if (found?.kind === "sequences") {
    const { x, labels } = found.data.whole("test", { batch, length }).at(0);
    return { x, labels: labels.slice((length - 1) * batch) };
  }
  const random = new WordStream(fold(key(seed), "inspect"));
  const below = (n: number, bound: number): Uint32Array<ArrayBuffer> =>
    Uint32Array.from({ length: n }, () => random.below(bound));
  const x = below(length * batch, Number(options.symbols));
  return { x, labels: below(batch, Number(options.outputs)) };
}
