import { readFileSync } from "node:fs";
import { UsageError } from "./errors";

/** The text of a file that a flag names. @throws UsageError naming both. */
export function fileText(flag: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${flag} ${file} cannot be read (${(error as Error).message})`);
  }
}
