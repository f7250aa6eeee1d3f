/**
 * Finds CIFAR-10 on this machine (Node and Deno only: it reads files).
 *
 * Order: the folder given by the caller; HYPERLOOM_DATA; the cache folder; the embedded shapes,
 * saying so. No download: the originals are one archive of 170 MB, whose files need unpacking.
 */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { cifarSets, readCifar } from "./cifar";
import { DataFileError } from "./errors";
import { bytesOf, cacheFolder, type Environment, type LoadedImages, readAsked } from "./folders";
import { cifarSplit, shapesSplit } from "./images";

/** Names of the files, without `.gz`, and of the folder and the archive that they come in. */
const TRAIN = /^data_batch_[1-5]\.bin$/;
const TEST = /^test_batch.*\.bin$/;
const WHOLE_TEST = "test_batch.bin";
const UNPACKED = "cifar-10-batches-bin";
const ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";

/** Where to look; all optional. */
export interface LoadCifarOptions {
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
async function readFolder(given: string): Promise<LoadedImages | undefined> {
  const places = ["", "cifar10", UNPACKED, join("cifar10", UNPACKED)];
  for (const folder of places.map((place) => join(given, place))) {
    const names = await readdir(folder).catch(() => [] as string[]);
    const train = matching(names, TRAIN);
    const test = matching(names, TEST);
    if (train.size + test.size === 0) continue;
    const lacking =
      train.size === 0 ? "data_batch_1.bin" : test.size === 0 ? WHOLE_TEST : undefined;
    if (lacking !== undefined) {
      const path = join(folder, lacking);
      throw new DataFileError(path, "it is missing", "it or its .gz", "put it there");
    }
    const [one, other] = test.has(WHOLE_TEST) ? [WHOLE_TEST] : test.keys();
    if (other !== undefined) {
      const found = `it has ${test.size} parts of the test images, ${one}, ${other}`;
      throw new DataFileError(folder, found, "1 test file", "leave one of them there");
    }
    return read(folder, [...train.values()], test.get(one as string) as string);
  }
  return undefined;
}

async function read(folder: string, train: readonly string[], test: string): Promise<LoadedImages> {
  const contents = async (names: readonly string[]) => {
    const files = new Map<string, Uint8Array>();
    for (const file of names) files.set(join(folder, file), await bytesOf(join(folder, file)));
    return files;
  };
  const files = { train: await contents(train), test: await contents([test]) };
  const sets = await readCifar("cifar10", files, folder);
  if (sets.train.count < 10) {
    const found = `${sets.train.count} training images leave none to validate with`;
    throw new DataFileError(folder, found, "10 or more", "give more of the data");
  }
  const { source } = sets.train;
  const known = cifarSets.cifar10;
  const note =
    sets.train.count < known.train || sets.test.count < known.test
      ? `Only a part of CIFAR-10 is there: errors are not comparable with published figures.`
      : undefined;
  return { ...cifarSplit(sets), source, note };
}

/**
 * CIFAR-10 as training, validation and test set, from the first place that has it, whole
 * or in part, else the embedded shapes, of ten classes, with a note.
 * @throws DataFileError where `folder` has none of the files, and where any of the places has
 *   training files without test files, test files without training files, or a bad file: what is
 *   there is never replaced.
 */
export async function loadCifar(options: LoadCifarOptions = {}): Promise<LoadedImages> {
  const { env = process.env } = options;
  const found = await readAsked(
    options.folder,
    env,
    readFolder,
    (folder) =>
      new DataFileError(
        folder,
        `neither it nor its folders cifar10 and ${UNPACKED} have any of CIFAR-10's binary files`,
        `data_batch_1.bin to data_batch_5.bin, or some of them, and ${WHOLE_TEST}, each as it is or as .gz`,
        "give a folder that has them, or none at all",
      ),
  );
  if (found) return found;
  // The cache was filled by hand: a bad file there is the user's to know of.
  const cache = cacheFolder(env, "cifar10");
  const cached = await readFolder(cache);
  if (cached) return cached;
  const asked = env.HYPERLOOM_DATA;
  const searched = [...(asked ? [`HYPERLOOM_DATA (${asked})`] : []), cache].join(" or in ");
  const note =
    `CIFAR-10 is not in ${searched}; training on the embedded generated shapes instead. ` +
    `For CIFAR-10 type \`curl -L ${ARCHIVE} | tar xz\` and give the folder ${UNPACKED} as the data ` +
    `folder or as HYPERLOOM_DATA, or move it to ${cache}.`;
  return { ...shapesSplit(), source: "generated shapes", note };
}
