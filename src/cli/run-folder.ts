import { closeSync, mkdirSync, openSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { writeWhole } from "../data/write-whole";
import { UsageError } from "./errors";

/**
 * Makes the folder of a run: the one given, which must be empty or new, else `runs/NAME-TIME`.
 * @throws UsageError where it cannot be made, is not empty, or cannot be written to.
 */
export function makeRunFolder(given: string | undefined, name: string): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  const [parent, ...names] = given
    ? [dirname(given), basename(given)]
    : ["runs", ...["", "-2", "-3", "-4"].map((suffix) => `${name}-${time}${suffix}`)];
  try {
    mkdirSync(parent as string, { recursive: true });
  } catch (error) {
    throw unwritable(given ?? "runs", error);
  }
  for (const folder of names.map((last) => join(parent as string, last))) {
    try {
      mkdirSync(folder);
      return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw unwritable(folder, error);
    }
  }
  const folder = given ?? "runs";
  if (!statSync(folder).isDirectory())
    throw new UsageError(`--out ${folder} is a file, not a folder`);
  if (given && readdirSync(folder).length === 0) {
    expectWritable(folder);
    return folder;
  }
  throw new UsageError(
    `the output folder ${folder} is not empty; nothing is ever overwritten, give another one`,
  );
}

/** Tries it out: what modes and mounts allow is not to be had otherwise. @throws UsageError. */
function expectWritable(folder: string): void {
  const probe = join(folder, `.${process.pid}.tmp`);
  try {
    closeSync(openSync(probe, "wx"));
    rmSync(probe);
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function unwritable(folder: string, error: unknown): UsageError {
  return new UsageError(
    `the output folder ${folder} cannot be written to (${(error as Error).message})`,
  );
}

/** Tries out whether a file can be put somewhere, before there is any work. @throws UsageError. */
export function expectPlace(path: string): void {
  expectWritable(dirname(path));
}

/** Takes a run's folder away again where nothing was put into it. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It has files, and so it stays.
  }
}

/** Writes a whole file or none. @throws UsageError where the folder does not take it. */
export async function writeResult(path: string, bytes: Uint8Array | string): Promise<void> {
  try {
    await writeWhole(path, bytes);
  } catch (error) {
    throw unwritable(dirname(path), error);
  }
}
