/**
 * Finds MNIST on this machine (Node and Deno only: it reads files) or gets it.
 *
 * Order: the folder given by the caller, "digits" for the embedded ones; HYPERLOOM_DATA; the cache
 * folder; a download into the cache; the embedded digits, saying so.
 */

import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DownloadOptions } from "./download";
import { DataFileError } from "./errors";
import { bytesOf, cacheFolder, type Environment, type LoadedImages, readAsked } from "./folders";
import { digitsSplit, mnistSplit } from "./images";
import { fetchMnist, type MnistFiles, type MnistName, mnistNames, readMnist } from "./mnist";
import { writeWhole } from "./write-whole";

/** A download without a new byte for this long is given up. */
const STALL_MS = 20000;

/** Where to look; all optional. */
export interface LoadMnistOptions {
  /** A folder with the four files, or with a folder `mnist` that has them; or `digits`. */
  readonly folder?: string | undefined;
  /** In place of process.env: HYPERLOOM_DATA, HYPERLOOM_OFFLINE and the cache's variables. */
  readonly env?: Environment;
  /** In place of `fetchMnist`. */
  readonly download?: (options: DownloadOptions) => Promise<MnistFiles>;
  readonly onProgress?: (received: number, total: number) => void;
  /** Milliseconds without a new byte after which the download is given up; default 20,000. */
  readonly stallMs?: number;
}

const isFile = (path: string) =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Paths of those of the four files that are in `folder` or `folder`/mnist. */
async function look(folder: string): Promise<{ folder: string; paths: Map<MnistName, string> }> {
  for (const candidate of [folder, join(folder, "mnist")]) {
    const paths = new Map<MnistName, string>();
    for (const name of mnistNames) {
      const plain = join(candidate, name);
      if (await isFile(`${plain}.gz`)) paths.set(name, `${plain}.gz`);
      else if (await isFile(plain)) paths.set(name, plain);
    }
    if (paths.size > 0) return { folder: candidate, paths };
  }
  return { folder, paths: new Map() };
}

/** The data set in a folder, whole or an error; undefined where none of the four files is there. */
async function readFolder(given: string): Promise<LoadedImages | undefined> {
  const { folder, paths } = await look(given);
  if (paths.size === 0) return undefined;
  const path = (name: MnistName) => paths.get(name) ?? join(folder, name);
  const read = async (name: MnistName): Promise<[MnistName, Uint8Array]> => {
    if (!paths.has(name)) {
      throw new DataFileError(path(name), "it is missing", "it or its .gz", "put it there");
    }
    return [name, await bytesOf(path(name))];
  };
  const files = Object.fromEntries(await Promise.all(mnistNames.map(read))) as MnistFiles;
  const source = `MNIST from ${folder}`;
  return { ...mnistSplit(await readMnist(files, source, path)), source, note: undefined };
}

/** Runs the download, aborted once no byte has come for `stallMs`. */
async function downloadOrStall(options: LoadMnistOptions): Promise<MnistFiles> {
  const { download = fetchMnist, stallMs = STALL_MS, onProgress } = options;
  const abort = new AbortController();
  const stalled = () => abort.abort(new Error(`no data for ${stallMs / 1000} s`));
  let timer = setTimeout(stalled, stallMs);
  const alive = (received: number, total: number) => {
    if (abort.signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(stalled, stallMs);
    onProgress?.(received, total);
  };
  // A fetch that does not heed its signal must not hold the caller either.
  const given = new Promise<never>((_, reject) => {
    abort.signal.addEventListener("abort", () => reject(abort.signal.reason), { once: true });
  });
  try {
    return await Promise.race([download({ signal: abort.signal, onProgress: alive }), given]);
  } finally {
    clearTimeout(timer);
  }
}

/** An error in a few words: of a download that failed everywhere, what the first mirror did. */
function reason(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  return cause instanceof AggregateError ? reason(cause.errors[0]) : message;
}

const digits = (note?: string): LoadedImages => ({
  ...digitsSplit(),
  source: "generated digits",
  note,
});

/** The embedded digits where something else was hoped for. */
function standIn(why: string): LoadedImages {
  const note =
    `${why}; training on the embedded generated digits instead. For MNIST put its four files in ` +
    "a folder and give that as the data folder or as HYPERLOOM_DATA.";
  return digits(note);
}

/**
 * MNIST as training, validation and test set, from the first place that has it, else the embedded
 * digits with a note. HYPERLOOM_OFFLINE=1 forbids the download. The folder `digits` stands for the
 * embedded digits themselves; one of that name is `./digits`.
 * @throws DataFileError where `folder` lacks one of the four files or has a bad one, and where
 *   HYPERLOOM_DATA has some of them but not four good ones: what was asked for is never replaced.
 */
export async function loadMnist(options: LoadMnistOptions = {}): Promise<LoadedImages> {
  if (options.folder === "digits") return digits();
  const env = options.env ?? process.env;
  const found = await readAsked(
    options.folder,
    env,
    readFolder,
    (folder) =>
      new DataFileError(
        folder,
        "neither it nor its folder mnist has any of the four MNIST files",
        `${mnistNames.join(", ")}, each as it is or as .gz`,
        "give a folder that has them, or none at all",
      ),
  );
  if (found) return found;
  const cache = cacheFolder(env, "mnist");
  // A damaged cache is nobody's request: gzip's checksum finds it, and the download replaces it.
  const cached = await readFolder(cache).catch(() => undefined);
  if (cached) return cached;
  if (env.HYPERLOOM_OFFLINE === "1") return standIn("HYPERLOOM_OFFLINE forbids to download MNIST");

  let files: MnistFiles;
  try {
    files = await downloadOrStall(options);
  } catch (error) {
    return standIn(`MNIST could not be downloaded (${reason(error)})`);
  }
  let source = `MNIST downloaded to ${cache}`;
  let note: string | undefined;
  try {
    await mkdir(cache, { recursive: true });
    for (const name of mnistNames) await writeWhole(join(cache, `${name}.gz`), files[name]);
  } catch (error) {
    source = "MNIST downloaded";
    note = `MNIST could not be kept in ${cache} (${reason(error)}), so the next run downloads it again.`;
  }
  return { ...mnistSplit(await readMnist(files, source)), source, note };
}
