import { loadCifar } from "../data/cifar-folder";
import { limitTraining } from "../data/images";
import { loadMnist } from "../data/mnist-folder";
import { loadText } from "../data/text-folder";
import { imageIdentity } from "../train/image-task";
import type { JsonObject } from "../train/events";
import { recallData, textData } from "../train/sequence-data";
import { type ImageTaskName, isSequenceTask, type TaskName } from "../train/settings";
import { asUsage } from "./errors";
import { type JobData, type PackedData, packImages, packText } from "./job";
import type { Output } from "./output";

/** The data of a task in the terminal: as they are, and packed for a job. */
export interface TaskData extends PackedData {
  readonly data: JobData;
  /** A sentence for the user where something is not as might be thought. */
  readonly note: string | undefined;
  readonly identity: () => Promise<JsonObject>;
}

/** Which data of a task, as the user said. */
export interface DataChoice {
  readonly path: string | undefined;
  /** Of the memory task. */
  readonly delay: number;
  /** Of images: the first so many of the training part. */
  readonly limit: number | undefined;
}

/**
 * Finds or makes the data of a task; the note is for later, once nothing else can be wrong.
 * @throws DataFileError naming what is wrong with a file; UsageError for a limit beyond the data.
 */
export async function findData(
  task: TaskName,
  { path, delay, limit }: DataChoice,
  output: Output,
): Promise<TaskData> {
  if (!isSequenceTask(task)) return findImages(task, path, limit, output);
  if (task === "recall") {
    const data = recallData(delay);
    return {
      data: { kind: "sequences", data },
      spec: { kind: "recall", delay },
      files: new Map(),
      note: undefined,
      identity: data.identity,
    };
  }
  const { note, ...split } = await loadText({ task, path });
  const data = textData(split);
  return {
    data: { kind: "sequences", data },
    ...packText(split),
    note,
    identity: data.identity,
  };
}

async function findImages(
  task: ImageTaskName,
  folder: string | undefined,
  limit: number | undefined,
  output: Output,
): Promise<TaskData> {
  let said = false;
  const onProgress = (_: number, total: number): void => {
    if (!said) output.say(`downloading MNIST (${(total / 1e6).toFixed(1)} MB)`);
    said = true;
  };
  const { note, ...whole } =
    task === "mnist" ? await loadMnist({ folder, onProgress }) : await loadCifar({ folder });
  const split = limit === undefined ? whole : asUsage(() => limitTraining(whole, limit));
  return {
    data: { kind: "images", split },
    ...packImages(split),
    note,
    identity: () => imageIdentity(split.train),
  };
}
