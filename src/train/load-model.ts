import type { Device } from "../gpu/device";
import type { WaitOptions } from "../gpu/wait-options";
import { type Shape, size } from "../graph/shape";
import { slabsOf } from "../nn/slabs";
import { compile } from "../schedule/executable";
import { Variables } from "../schedule/variables";
import {
  type Checkpoint,
  CheckpointError,
  checkpointModel,
  readCheckpoint,
  restoreCheckpoint,
} from "./checkpoint";
import type { AnyModel } from "./image-models";
import { isSequenceModel } from "./models";
import { prediction } from "./programs";

/** A model ready to answer. */
export interface LoadedModel {
  readonly checkpoint: Checkpoint;
  /**
   * Outputs [n, …] for any number n of samples, one after another: f32 [n, C, H, W] of pixels / 255.
   * Progress counts samples. @throws RangeError for a part of a sample; the signal's reason.
   */
  predict(x: Float32Array, options?: WaitOptions): Promise<Float32Array>;
  /** Frees all that it holds on the device. */
  dispose(): void;
}

/**
 * Rebuilds the model that a checkpoint was made from and puts its weights on a device.
 * @param options.model In place of the named model, with `input`, the shape of one sample, where it
 *   leaves that open; `batch` samples are computed at a time (64); `file` is its name in messages;
 *   `onProgress` counts kernels compiled.
 * @throws CheckpointError before any work on the device; the signal's reason.
 */
export async function loadModel(
  device: Device,
  bytes: Uint8Array,
  options: {
    readonly model?: AnyModel;
    readonly input?: Shape;
    readonly batch?: number;
    readonly file?: string;
  } & WaitOptions = {},
): Promise<LoadedModel> {
  const { batch = 64, file = "checkpoint", onProgress, signal } = options;
  const checkpoint = readCheckpoint(bytes, file);
  const model = options.model ?? checkpointModel(checkpoint).model;
  if (isSequenceModel(model)) {
    throw new CheckpointError(file, "it is of a model of sequences; use loadSampler");
  }
  const { parameters, state } = slabsOf(model);
  const wanted = [parameters.variable, ...(state ? [state.variable] : [])];
  const variables = new Variables(device, checkpoint.seed);
  restoreCheckpoint(checkpoint, variables, wanted);
  const program = prediction(model, { batch, ...(options.input && { input: options.input }) });
  const [input, output] = [program.inputs.x, program.outputs.y].map(
    (t) => size(t?.shape ?? []) / batch,
  );
  const executable = await compile(device, program, { variables, onProgress, signal }).catch(
    (error: unknown) => {
      variables.dispose();
      throw error;
    },
  );
  const predict = async (
    x: Float32Array,
    { onProgress, signal }: WaitOptions = {},
  ): Promise<Float32Array> => {
    const [inputs, outputs] = [input ?? 1, output ?? 1];
    const n = x.length / inputs;
    if (!Number.isInteger(n)) {
      throw new RangeError(
        `hyperloom: predict: ${x.length} values are no multiple of ${inputs} a sample`,
      );
    }
    const y = new Float32Array(n * outputs);
    for (let at = 0; at < n; at += batch) {
      signal?.throwIfAborted();
      const padded = new Float32Array(batch * inputs);
      padded.set(x.subarray(at * inputs, (at + batch) * inputs));
      const rows = (await executable.run({ x: padded })).y as Float32Array;
      y.set(rows.subarray(0, Math.min(batch, n - at) * outputs), at * outputs);
      onProgress?.(Math.min(n, at + batch), n);
    }
    return y;
  };
  const dispose = (): void => {
    executable.dispose();
    variables.dispose();
  };
  return { checkpoint, predict, dispose };
}
