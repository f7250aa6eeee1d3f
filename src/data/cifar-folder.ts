/**
 * Finds CIFAR-10 or CIFAR-100 on this machine (Node and Deno only: it reads files).
 *
 * Order: the folder given by the caller; HYPERLOOM_DATA; the cache folder; the embedded shapes,
 * saying so. No download: the originals are one archive of 170 MB, whose files need unpacking.
 */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type CifarName, cifarSets, readCifar } from "./cifar";
import { DataFileError } from "./errors";
import { bytesOf, cacheFolder, type Environment, type LoadedImages, readAsked } from "./folders";
import { cifarSplit, shapesSplit } from "./images";

/** Names of the files, without `.gz`, and of the folder and the archive that they come in. */
const layouts = {
  cifar10: {
    train: /^data_batch_[1-5]\.bin$/,
    test: /^test_batch.*\.bin$/,
    first: "data_batch_1.bin",
    whole: "test_batch.bin",
    files: "data_batch_1.bin to data_batch_5.bin, or some of them, and test_batch.bin",
    unpacked: "cifar-10-batches-bin",
    archive: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  },
  cifar100: {
    train: /^train\.bin$/,
    test: /^test\.bin$/,
    first: "train.bin",
    whole: "test.bin",
    files: "train.bin and test.bin",
    unpacked: "cifar-100-binary",
    archive: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
  },
} as const;

/** Where to look; all optional. */
export interface LoadCifarOptions {
  /** Default `cifar10`. */
  readonly name?: CifarName;
  /**
   * A folder with the files of the binary version, plain or gzip, or one of the name of the data
   * set or of its archive's folder (`cifar10`, `cifar-10-batches-bin`) above them.
   */
  readonly folder?: string | undefined;
  /** In place of process.env: HYPERLOOM_DATA and the cache's variables. */
  readonly env?: Environment;
}

/** Files of a folder by their names without `.gz`, in order; a packed file goes before a plain one. */
function matching(names: readonly string[], pattern: RegExp): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of [...names].sort()) {
    const plain = name.replace(/\.gz$/, "");
    if (pattern.test(plain)) found.set(plain, name);
  }
  return found;
}

/** The data set in a folder or one below it, whole or in part; undefined where none has a file. */
async function readFolder(name: CifarName, given: string): Promise<LoadedImages | undefined> {
  const layout = layouts[name];
  const places = ["", name, layout.unpacked, join(name, layout.unpacked)];
  for (const folder of places.map((place) => join(given, place))) {
    const names = await readdir(folder).catch(() => [] as string[]);
    const train = matching(names, layout.train);
    const test = matching(names, layout.test);
    if (train.size + test.size === 0) continue;
    const lacking = train.size === 0 ? layout.first : test.size === 0 ? layout.whole : undefined;
    if (lacking !== undefined) {
      const path = join(folder, lacking);
      throw new DataFileError(path, "it is missing", "it or its .gz", "put it there");
    }
    const [one, other] = test.has(layout.whole) ? [layout.whole] : test.keys();
    if (other !== undefined) {
      const found = `it has ${test.size} parts of the test images, ${one}, ${other}`;
      throw new DataFileError(folder, found, "1 test file", "leave one of them there");
    }
    return read(name, folder, [...train.values()], test.get(one as string) as string);
  }
  return undefined;
}

async function read(
  name: CifarName,
  folder: string,
  train: readonly string[],
  test: string,
): Promise<LoadedImages> {
  const contents = async (names: readonly string[]) => {
    const files = new Map<string, Uint8Array>();
    for (const file of names) files.set(join(folder, file), await bytesOf(join(folder, file)));
    return files;
  };
  const files = { train: await contents(train), test: await contents([test]) };
  const sets = await readCifar(name, files, folder);
  if (sets.train.count < 10) {
    const found = `${sets.train.count} training images leave none to validate with`;
    throw new DataFileError(folder, found, "10 or more", "give more of the data");
  }
  const { source } = sets.train;
  const known = cifarSets[name];
  const note =
    sets.train.count < known.train || sets.test.count < known.test
      ? `Only a part of ${known.title} is there: errors are not comparable with published figures.`
      : undefined;
  return { ...cifarSplit(sets), source, note };
}

/**
 * CIFAR-10 or CIFAR-100 as training, validation and test set, from the first place that has it, whole
 * or in part, else the embedded shapes, of ten classes, with a note.
 * @throws DataFileError where `folder` has none of the files, and where any of the places has
 *   training files without test files, test files without training files, or a bad file: what is
 *   there is never replaced.
 */
export async function loadCifar(options: LoadCifarOptions = {}): Promise<LoadedImages> {
  const { name = "cifar10", env = process.env } = options;
  const { title } = cifarSets[name];
  const { files, unpacked, archive } = layouts[name];
  const found = await readAsked(
    options.folder,
    env,
    (folder) => readFolder(name, folder),
    (folder) =>
      new DataFileError(
        folder,
        `neither it nor its folders ${name} and ${unpacked} have any of ${title}'s binary files`,
        `${files}, each as it is or as .gz`,
        "give a folder that has them, or none at all",
      ),
  );
  if (found) return found;
  // The cache was filled by hand: a bad file there is the user's to know of.
  const cache = cacheFolder(env, name);
  const cached = await readFolder(name, cache);
  if (cached) return cached;
  const asked = env.HYPERLOOM_DATA;
  const searched = [...(asked ? [`HYPERLOOM_DATA (${asked})`] : []), cache].join(" or in ");
  const note =
    `${title} is not in ${searched}; training on the embedded generated shapes instead. ` +
    `For ${title} type \`curl -L ${archive} | tar xz\` and give the folder ${unpacked} as the data ` +
    `folder or as HYPERLOOM_DATA, or move it to ${cache}.`;
  return { ...shapesSplit(), source: "generated shapes", note };
}
