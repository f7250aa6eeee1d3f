import { DataFileError } from "./errors";
import { unpackWhole } from "./gzip";
import type { ImageSet } from "./images";

/** The two data sets of Krizhevsky, Nair and Hinton. */
export type CifarName = "cifar10" | "cifar100";

/** What is known of each: `labels` label bytes stand before an image, the last of them is used. */
export const cifarSets = {
  cifar10: { title: "CIFAR-10", classes: 10, labels: 1, train: 50000, test: 10000 },
  cifar100: { title: "CIFAR-100", classes: 100, labels: 2, train: 50000, test: 10000 },
} as const;

/** Bytes of an image: [3, 32, 32], red, green, blue. */
const IMAGE = 3072;

/** Contents by path or name, plain or gzip, in the order in which their images are wanted. */
export type CifarFiles = ReadonlyMap<string, Uint8Array>;

/** The records of a file, unpacked, of a checked size. */
async function recordsOf(bytes: Uint8Array, file: string, name: CifarName): Promise<Uint8Array> {
  const { title, labels } = cifarSets[name];
  const records = await unpackWhole(bytes, file);
  const size = labels + IMAGE;
  if (records.length === 0 || records.length % size !== 0) {
    throw new DataFileError(
      file,
      `it has ${records.length} bytes`,
      `a multiple of ${size}, ${labels} label ${labels > 1 ? "bytes" : "byte"} and ${IMAGE} ` +
        "pixels an image",
      `give a file of ${title}'s binary version, or fetch it again`,
    );
  }
  return records;
}

/**
 * Reads files of CIFAR records, one after another: images [count, 3, 32, 32] (red, green, blue) and
 * labels 0 to 9, of CIFAR-100 the fine ones, 0 to 99. A record is a label byte, of CIFAR-100 a coarse
 * and a fine one, and 3,072 pixels; files are plain or gzip, and may have fewer records than the
 * originals.
 * @param source What the set calls its source; default the name of the data set.
 * @throws DataFileError for no file, a damaged gzip stream, a size that is no number of records of at
 *   least 1, or a label out of range.
 */
export async function readCifarRecords(
  name: CifarName,
  files: CifarFiles,
  source: string = cifarSets[name].title,
): Promise<ImageSet> {
  const { title, classes, labels: labelBytes } = cifarSets[name];
  const size = labelBytes + IMAGE;
  const parts: (readonly [string, Uint8Array])[] = [];
  for (const [file, bytes] of files) parts.push([file, await recordsOf(bytes, file, name)]);
  const count = parts.reduce((sum, [, records]) => sum + records.length / size, 0);
  if (count === 0) {
    throw new DataFileError(title, "there are 0 files", "at least 1", "give files of records");
  }
  const images = new Uint8Array(count * IMAGE);
  const labels = new Uint8Array(count);
  let image = 0;
  for (const [file, records] of parts) {
    for (let at = 0; at < records.length; at += size, image++) {
      const label = records[at + labelBytes - 1] as number;
      if (label >= classes) {
        throw new DataFileError(
          file,
          `the label of record ${at / size} is ${label}`,
          `0 to ${classes - 1}`,
          `give a file of ${title}'s binary version, or fetch it again`,
        );
      }
      labels[image] = label;
      images.set(records.subarray(at + labelBytes, at + size), image * IMAGE);
    }
  }
  return { images, labels, count, channels: 3, height: 32, width: 32, classes, source };
}

const grouped = (n: number) => n.toLocaleString("en-US");

/**
 * Reads training and test images of CIFAR, whole or in part; see `readCifarRecords`. Both sets call
 * their source `CIFAR-10 from DIR`, and say how many images there are of how many where some lack.
 * @param from The folder that the source names; default none.
 * @throws DataFileError as `readCifarRecords`.
 */
export async function readCifar(
  name: CifarName,
  files: { readonly train: CifarFiles; readonly test: CifarFiles },
  from?: string,
): Promise<{ train: ImageSet; test: ImageSet }> {
  const known = cifarSets[name];
  const train = await readCifarRecords(name, files.train);
  const test = await readCifarRecords(name, files.test);
  const of = (part: "train" | "test", { count }: ImageSet) =>
    `${grouped(count)} ${part === "train" ? "training" : "test"} images of ${grouped(known[part])}`;
  const whole = train.count === known.train && test.count === known.test;
  const source =
    known.title +
    (from === undefined ? "" : ` from ${from}`) +
    (whole ? "" : ` (${of("train", train)}, ${of("test", test)})`);
  return { train: { ...train, source }, test: { ...test, source } };
}
