import { type Command, InvalidArgumentError, Option } from "commander";
import type { AdapterChoice } from "./browser";
import { type RuntimeChoice, runtimeNames } from "./runtimes";

/** Options that every command takes. */
export interface GlobalOptions {
  readonly runtime: RuntimeChoice;
  readonly adapter: AdapterChoice;
  readonly seed?: number;
  readonly json?: string;
  readonly variants?: string;
}

/** Adds the options that every command takes. */
export function addGlobalOptions(program: Command): void {
  program
    .addOption(new Option("--runtime <name>", "where to run").choices(runtimeNames).default("auto"))
    .addOption(
      new Option("--adapter <class>", "auto takes a real GPU where there is one")
        .choices(["auto", "gpu", "software"])
        .default("auto"),
    )
    .option(
      "--seed <n>",
      "of initial values, data order and random numbers (default: 0)",
      wholeNumber,
    )
    .option("--variants <file>", "kernels to choose, as bench --tune writes them")
    .option("--json <file>", "write events there, one JSON object a line; - is stdout");
}

/** Reads a whole number from 0. @throws InvalidArgumentError. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("Give a whole number.");
}

/** Reads a whole number from 1. @throws InvalidArgumentError. */
export function positiveInteger(text: string): number {
  const value = wholeNumber(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("Give a whole number of at least 1.");
}

/** Reads a number above 0. @throws InvalidArgumentError. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Give a number above 0.");
}
