import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type Checkpoint,
  checkpointModel,
  checkTensors,
  readCheckpoint,
} from "../train/checkpoint";
import { type ModelSpec, modelVariables, type NamedModel } from "../train/models";
import { UsageError } from "./errors";

/** A checkpoint of the disk, checked as far as that goes without a GPU. */
export interface CheckpointFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly checkpoint: Checkpoint;
  readonly spec: ModelSpec;
  readonly model: NamedModel;
}

/**
 * Reads a checkpoint, or the last one of a run's folder, and compares it with its model.
 * @throws UsageError where there is no such file; CheckpointError where it is damaged.
 */
export function openCheckpoint(given: string): CheckpointFile {
  let path = given;
  let bytes: Uint8Array;
  try {
    if (statSync(given).isDirectory()) path = join(given, "checkpoint.safetensors");
    bytes = readFileSync(path);
  } catch (error) {
    throw new UsageError(
      `there is no checkpoint ${path} (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const checkpoint = readCheckpoint(bytes, path);
  const { spec, model } = checkpointModel(checkpoint);
  checkTensors(checkpoint, modelVariables(model));
  return { path, bytes, checkpoint, spec, model };
}
