/**
 * Finds the texts of the language tasks on this machine (Node and Deno only: it reads files).
 *
 * Order: the path given by the caller; for `ptb` and `enwik8` HYPERLOOM_DATA. No download. Only the task `text` has a text of its own, generated, for when no path is given.
 */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { embeddedTextSplit } from "./embedded-text";
import { DataFileError } from "./errors";
import { bytesOf, type Environment } from "./folders";
import { type PtbFiles, ptbNames, ptbSplit, readText, type TextSplit, textSplit } from "./text";

/** The tasks whose data is a text. */
export const textTasks = ["text", "ptb", "enwik8"] as const;
/** One of them. */
export type TextTask = (typeof textTasks)[number];

/** Symbols of the whole of enwik8, each a byte. */
const ENWIK8_BYTES = 100_000_000;

/** Where to look; all optional but the task. */
export interface LoadTextOptions {
  readonly task: TextTask;
  /**
   * `text`: a file. `ptb`: a folder with the three files, or with a folder `ptb` that has them.
   * `enwik8`: a file, or a folder with `enwik8` or a first part of it, or with a folder `enwik8`
   * that has it. Every file may be gzip.
   */
  readonly path?: string | undefined;
  /** In place of process.env: HYPERLOOM_DATA, a folder as above. */
  readonly env?: Environment;
}

/** A text and how it was come by. */
export interface LoadedText extends TextSplit {
  /** A sentence for the user where something is not as might be thought, else undefined. */
  readonly note: string | undefined;
}

type Found = "file" | "folder" | "nothing";

const look = (path: string): Promise<Found> =>
  stat(path).then(
    (found) => (found.isDirectory() ? "folder" : "file"),
    () => "nothing",
  );

/** A text file as it was asked for. */
async function readAsked(path: string): Promise<LoadedText> {
  const found = await look(path);
  if (found !== "file") {
    const what = found === "folder" ? "it is a folder" : "there is no such file";
    const fix = "give the path of a file, or none for the embedded text";
    throw new DataFileError(path, what, "a text file, plain or gzip", fix);
  }
  const text = await readText(await bytesOf(path), path);
  const split = textSplit(text, { file: path, source: `text from ${path}` });
  return { ...split, note: undefined };
}

/** The path of each Penn Treebank file in `folder` or `folder`/ptb; none where neither has any. */
async function findPtb(folder: string): Promise<{ folder: string; paths: Map<string, string> }> {
  for (const candidate of [folder, join(folder, "ptb")]) {
    const paths = new Map<string, string>();
    for (const name of ptbNames) {
      for (const path of [join(candidate, `${name}.gz`), join(candidate, name)]) {
        if (!paths.has(name) && (await look(path)) === "file") paths.set(name, path);
      }
    }
    if (paths.size > 0) return { folder: candidate, paths };
  }
  return { folder, paths: new Map() };
}

async function readPtbFolder(given: string): Promise<LoadedText> {
  const { folder, paths } = await findPtb(given);
  if (paths.size === 0) {
    const kind = await look(given);
    throw new DataFileError(
      given,
      kind === "folder"
        ? "neither it nor its folder ptb has any of the Penn Treebank's character files"
        : `there is ${kind === "file" ? "a file" : "nothing"} of that name`,
      `a folder with ${ptbNames.join(", ")}, each as it is or as .gz`,
      "put them there (the treebank's licence forbids to hand them out), or train on text",
    );
  }
  const path = (name: string) => paths.get(name) ?? join(folder, name);
  const read = async (name: (typeof ptbNames)[number]) => {
    if (!paths.has(name)) {
      throw new DataFileError(path(name), "it is missing", "it or its .gz", "put it there");
    }
    return [name, await bytesOf(path(name))] as const;
  };
  const files = Object.fromEntries(await Promise.all(ptbNames.map(read))) as PtbFiles;
  return { ...(await ptbSplit(files, `PTB from ${folder}`, path)), note: undefined };
}

/** The bytes that the name of a first part of enwik8 declares (`enwik8.first4000000.gz`), else 0. */
const firstBytes = (name: string): number =>
  Number(/^enwik8\.first(\d+)(\.gz)?$/.exec(name)?.[1] ?? 0);

/** The path of enwik8 in `folder` or `folder`/enwik8: the whole, else its longest first part. */
async function findEnwik8(folder: string): Promise<string | undefined> {
  for (const candidate of [folder, join(folder, "enwik8")]) {
    const names = await readdir(candidate).catch(() => [] as string[]);
    const parts = names.filter((name) => firstBytes(name) > 0);
    parts.sort((a, b) => firstBytes(b) - firstBytes(a) || (a < b ? -1 : 1));
    for (const name of ["enwik8.gz", "enwik8", ...parts]) {
      const path = join(candidate, name);
      if (names.includes(name) && (await look(path)) === "file") return path;
    }
  }
  return undefined;
}

async function readEnwik8(given: string): Promise<LoadedText> {
  const kind = await look(given);
  const path = kind === "file" ? given : await findEnwik8(given);
  if (path === undefined) {
    throw new DataFileError(
      given,
      kind === "nothing" ? "there is nothing of that name" : "it has no part of enwik8",
      "a file, or a folder with enwik8, enwik8.gz or enwik8.first<bytes>.gz",
      "fetch enwik8.zip (Large Text Compression Benchmark), unpack it and give its path",
    );
  }
  const text = await readText(await bytesOf(path), path);
  const split = textSplit(text, { file: path, shares: "90/5/5", source: `enwik8 from ${path}` });
  const note =
    text.length === ENWIK8_BYTES
      ? undefined
      : `${path} has ${text.length} bytes where enwik8 has ${ENWIK8_BYTES}: bits per character ` +
        "are not comparable with published figures.";
  return { ...split, note };
}

/**
 * The text of a task as training, validation and test tokens; where the text has no third part,
 * `test` is `validation` itself.
 * @throws DataFileError naming the path: nothing there, a folder where a file is wanted, empty or
 *   too short, damaged, or not of the format. What was asked for is never replaced.
 */
export async function loadText(options: LoadTextOptions): Promise<LoadedText> {
  const { task, path } = options;
  if (task === "text") {
    if (path !== undefined) return readAsked(path);
    const note =
      "Training on the embedded generated tales. For a text of your own give a file, plain or " +
      "gzip, as the data.";
    return { ...embeddedTextSplit(), note };
  }
  const asked = path ?? ((options.env ?? process.env).HYPERLOOM_DATA || undefined);
  if (asked === undefined) {
    throw new DataFileError(
      task,
      "no path is given, and it cannot be downloaded",
      task === "ptb" ? `a folder with ${ptbNames.join(", ")}` : "a file enwik8, plain or gzip",
      "give its path as the data, or the folder above it as HYPERLOOM_DATA",
    );
  }
  return task === "ptb" ? readPtbFolder(asked) : readEnwik8(asked);
}
