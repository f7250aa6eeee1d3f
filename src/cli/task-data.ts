import { loadMnist } from "../data/mnist-folder";
import { loadText } from "../data/text-folder";
import { imageIdentity } from "../train/image-task";
import type { JsonObject } from "../train/events";
import { recallData, textData } from "../train/sequence-data";
import type { TaskName } from "../train/settings";
import { type JobData, type PackedData, packImages, packText } from "./job";
import type { Output } from "./output";

/** The data of a task in the terminal: as they are, and packed for a job. */
export interface TaskData extends PackedData {
  readonly data: JobData;
  /** A sentence for the user where something is not as might be thought. */
  readonly note: string | undefined;
  readonly identity: () => Promise<JsonObject>;
}

/**
 * Finds or makes the data of a task; the note is for later, once nothing else can be wrong.
 * @param path As the user gave it. @param delay Of the memory task.
 * @throws DataFileError naming what is wrong with a file.
 */
export async function findData(
  task: TaskName,
  path: string | undefined,
  delay: number,
  output: Output,
): Promise<TaskData> {
  if (task === "mnist") return findImages(path, output);
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

async function findImages(folder: string | undefined, output: Output): Promise<TaskData> {
  let said = false;
  const { note, ...split } = await loadMnist({
    folder,
    onProgress: (_, total) => {
      if (!said) output.say(`downloading MNIST (${(total / 1e6).toFixed(1)} MB)`);
      said = true;
    },
  });
  return {
    data: { kind: "images", split },
    ...packImages(split),
    note,
    identity: () => imageIdentity(split.train),
  };
}
