/** How data sets are sought on this machine (Node and Deno only: it reads files). */

import { readFile } from "node:fs/promises";
import { homedir, platform } from "node:os";
import { join } from "node:path";
import { DataFileError } from "./errors";
import type { ImageSplit } from "./images";

/** Environment variables; in use HYPERLOOM_DATA, HYPERLOOM_OFFLINE and those of the cache folder. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A data set and how it was come by. */
export interface LoadedImages extends ImageSplit {
  /** `MNIST from DIR`, `MNIST downloaded to DIR` or `generated digits`. */
  readonly source: string;
  /** A sentence for the user where something did not go as hoped, else undefined. */
  readonly note: string | undefined;
}

/** The folder a data set is kept in: in XDG_CACHE_HOME, LOCALAPPDATA on Windows, else ~/.cache. */
export function cacheFolder(env: Environment, dataSet: string): string {
  const local = platform() === "win32" ? env.LOCALAPPDATA : undefined;
  return join(env.XDG_CACHE_HOME || local || join(homedir(), ".cache"), "hyperloom", dataSet);
}

/** Reads a file whole. @throws DataFileError where that cannot be. */
export async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const found = `it cannot be read (${(error as Error).message})`;
    const fix = "look at its permissions and its size";
    throw new DataFileError(path, found, "a readable file", fix, { cause: error });
  }
}

/**
 * What was asked for: the data set in `folder`, or where none is given, that in HYPERLOOM_DATA,
 * which may hold other data sets only.
 * @param read Reads a folder; undefined where it has nothing of the data set.
 * @param nothing The error for a folder that has nothing.
 * @returns undefined where nothing was asked for.
 * @throws `nothing` of the given folder, and what `read` throws: what was asked for is never
 *   replaced.
 */
export async function readAsked(
  folder: string | undefined,
  env: Environment,
  read: (folder: string) => Promise<LoadedImages | undefined>,
  nothing: (folder: string) => Error,
): Promise<LoadedImages | undefined> {
  if (folder === undefined) return env.HYPERLOOM_DATA ? read(env.HYPERLOOM_DATA) : undefined;
  const found = await read(folder);
  if (found) return found;
  throw nothing(folder);
}
