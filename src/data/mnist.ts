import { type DownloadOptions, download, type KnownFile } from "./download";
import { DataFileError } from "./errors";
import { readIdxImages, readIdxLabels } from "./idx";
import type { ImageSet } from "./images";

/** The four files of MNIST, by the names without `.gz`. */
export const mnistNames = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
] as const;

/** The name of one of the four files, without `.gz`. */
export type MnistName = (typeof mnistNames)[number];

/** The contents of the four files, gzip or plain. */
export type MnistFiles = Readonly<Record<MnistName, Uint8Array>>;

/** Size and SHA-256 of the four original files of LeCun, Cortes and Burges, as gzip. */
export const mnistDownloads: readonly KnownFile[] = [
  {
    name: "train-images-idx3-ubyte.gz",
    bytes: 9912422,
    sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
  },
  {
    name: "train-labels-idx1-ubyte.gz",
    bytes: 28881,
    sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
  },
  {
    name: "t10k-images-idx3-ubyte.gz",
    bytes: 1648877,
    sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
  },
  {
    name: "t10k-labels-idx1-ubyte.gz",
    bytes: 4542,
    sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
  },
];

/** Public mirrors of the four files. */
export const mnistMirrors: readonly string[] = [
  "https://ossci-datasets.s3.amazonaws.com/mnist/",
  "https://storage.googleapis.com/cvdf-datasets/mnist/",
];

/**
 * Downloads the four files (11.6 MB), checked by size and SHA-256.
 * @throws DataFileError where no mirror gives a file; the signal's reason when aborted.
 */
export async function fetchMnist(options: DownloadOptions = {}): Promise<MnistFiles> {
  const got = await download(mnistDownloads, mnistMirrors, options);
  const file = (name: MnistName) => got.get(`${name}.gz`) as Uint8Array;
  return Object.fromEntries(mnistNames.map((name) => [name, file(name)])) as MnistFiles;
}

/**
 * Reads the four files: images [count, 1, 28, 28] and labels 0 to 9, training and test.
 * @param source What the sets call their source.
 * @param path How messages call a file; default its name.
 * @throws DataFileError for a damaged file, images that are not 28 x 28, or unequal counts.
 */
export async function readMnist(
  files: MnistFiles,
  source = "MNIST",
  path: (name: MnistName) => string = (name) => name,
): Promise<{ train: ImageSet; test: ImageSet }> {
  const read = async (imageName: MnistName, labelName: MnistName): Promise<ImageSet> => {
    const { count, rows, columns, pixels } = await readIdxImages(files[imageName], path(imageName));
    const labels = await readIdxLabels(files[labelName], path(labelName), 10);
    if (rows !== 28 || columns !== 28) {
      throw new DataFileError(
        path(imageName),
        `its images are ${rows} x ${columns}`,
        "28 x 28",
        "give the original MNIST files or a data set of the same shape",
      );
    }
    if (labels.length !== count) {
      throw new DataFileError(
        path(labelName),
        `it has ${labels.length} labels`,
        `${count}, the number of images in ${path(imageName)}`,
        "give two files of one data set",
      );
    }
    return {
      images: pixels,
      labels,
      count,
      channels: 1,
      height: 28,
      width: 28,
      classes: 10,
      source,
    };
  };
  return {
    train: await read("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    test: await read("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
  };
}
