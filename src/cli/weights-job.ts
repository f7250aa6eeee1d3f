import type { Shape } from "../graph/shape";
import { embeddingGrids, embeddingSimilarity, similarityToPrevious } from "../hyper/embeddings";
import { writeSafetensors } from "../io/safetensors";
import { readSlab, slabsOf } from "../nn/slabs";
import { Variables } from "../schedule/variables";
import { checkpointModel, readCheckpoint, restoreCheckpoint } from "../train/checkpoint";
import { type AnyModel, type ImageModelName, isHyper } from "../train/image-models";
import { plainWeights } from "../train/image-task";
import { buildModel, isSequenceModel, type ModelSpec, modelVariables } from "../train/models";
import type { JobContext } from "./job";
import { withDevice } from "./training-jobs";

/** Whose weights to look at. File: `checkpoint`, where there is one. */
export interface WeightsSpec {
  readonly label: string;
  readonly model: ModelSpec<ImageModelName>;
  readonly checkpoint: boolean;
  /** Of a fresh model's initial values. */
  readonly seed: number;
  /** Paths of kernels that are handed back whole. */
  readonly kernels: readonly string[];
}

/** A kernel [C_out, C_in, f, f] of the network, in numbers. */
export interface LayerReport {
  readonly path: string;
  readonly shape: Shape;
  readonly generated: boolean;
  readonly std: number;
  /** √(2/fan-in), which He et al. 2015 ask of a layer in front of a ReLU. */
  readonly he: number;
  /** Mean |cosine| between its embeddings and those of the generated layer before it. */
  readonly similarity: number | null;
}

/** What was found. */
export interface WeightsReport {
  readonly layers: readonly LayerReport[];
  /** Mean cosine between the embeddings of generated layers, in their order; null without any. */
  readonly similarity: readonly (readonly number[])[] | null;
}

/** Standard deviation of some values about their mean. */
export function deviation(values: ArrayLike<number>): number {
  const all = Array.from(values);
  const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
  return Math.sqrt(all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length);
}

/**
 * Looks at the kernels of a model of images as the plain network has them, and at the embeddings
 * that they are made from. Writes `kernels`, those asked for, as safetensors.
 */
export async function weightsJob(spec: WeightsSpec, context: JobContext): Promise<WeightsReport> {
  const checkpoint = spec.checkpoint
    ? readCheckpoint(await context.read("checkpoint"), spec.label)
    : null;
  const model = checkpoint ? checkpointModel(checkpoint).model : buildModel(spec.model);
  if (isSequenceModel(model)) throw new Error(`internal: ${spec.label} is no model of images`);
  return withDevice(context, async (device) => {
    const variables = new Variables(device, spec.seed);
    try {
      if (checkpoint) restoreCheckpoint(checkpoint, variables, modelVariables(model));
      const weights = await plainWeights(model, variables);
      const { previous, similarity } = await embeddingsOf(model, variables);
      const tensors = spec.kernels.map((name) => {
        const { shape, data } = weights.get(name) ?? { shape: [0], data: new Float32Array() };
        return { name, shape, dtype: "f32" as const, data: data as Float32Array };
      });
      await context.write("kernels", writeSafetensors(tensors));
      const layers: LayerReport[] = [];
      for (const [path, { shape, data }] of weights) {
        if (shape.length !== 4) continue;
        const fanIn = shape.slice(1).reduce((n, size) => n * size, 1);
        layers.push({
          path,
          shape,
          generated: isHyper(model) && model.paths.includes(path),
          std: deviation(data),
          he: Math.sqrt(2 / fanIn),
          similarity: previous.get(path) ?? null,
        });
      }
      return { layers, similarity };
    } finally {
      variables.dispose();
    }
  });
}

/** How alike a model's embeddings are: each to the one before it by path, and each to each. */
async function embeddingsOf(
  model: AnyModel,
  variables: Variables,
): Promise<Pick<WeightsReport, "similarity"> & { previous: Map<string, number | null> }> {
  const grids = isHyper(model) ? embeddingGrids(model) : null;
  if (!isHyper(model) || !grids) return { previous: new Map(), similarity: null };
  const values = await readSlab(slabsOf(model).parameters, variables);
  const embeddings = values.get(`${model.branch}.z`);
  if (!embeddings) throw new Error(`internal: ${model.name} has no embeddings`);
  const [z, [, nz = 0]] = [embeddings.data as Float32Array, embeddings.shape];
  const previous = similarityToPrevious(z, nz, grids);
  return {
    previous: new Map(grids.map(({ path }, l) => [path, previous[l] ?? null])),
    similarity: embeddingSimilarity(z, nz, grids),
  };
}
