import { accessSync, constants, mkdirSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
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
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw unwritable(folder, error);
  }
  if (given && readdirSync(folder).length === 0) return folder;
  throw new UsageError(
    `the output folder ${folder} is not empty; nothing is ever overwritten, give another one`,
  );
}

function unwritable(folder: string, error: unknown): UsageError {
  return new UsageError(
    `the output folder ${folder} cannot be written to (${(error as Error).message})`,
  );
}

/** Takes a run's folder away again where nothing was put into it. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It has files, and so it stays.
  }
}

/** Writes a file under a temporary name, syncs it and renames it: it is whole or not there at all. */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, "w").catch((error: unknown) => {
    throw unwritable(dirname(path), error);
  });
  try {
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}
