import { ftruncateSync, openSync, writeSync } from "node:fs";
import { said, type Tried } from "../../bench/tune";
import type { TuneResult } from "../../bench/tune-job";
import { VARIANT_FORMAT } from "../ops/variant-file";
import { UsageError } from "./errors";
import type { Output } from "./output";

const significant = (x: number): string => x.toPrecision(3);

/** A candidate's fate in a few words. */
function fate({ wrong, slow, score }: Tried): string {
  if (wrong !== undefined) return `WRONG: ${wrong}`;
  if (slow) return "given up: several times slower";
  return `${significant(score ?? Number.NaN)} times the best of each case`;
}

/** Says what was tried and what came of it, best first within each class. */
export function sayTuned(output: Output, { rows, tried }: TuneResult): void {
  const classes = new Set(tried.map(({ op, shape }) => `${op} ${shape}`));
  for (const name of classes) {
    const of = tried.filter(({ op, shape }) => `${op} ${shape}` === name);
    const order = ({ score = Infinity }: Tried): number => score;
    output.say(`${name}:`);
    for (const one of [...of].sort((a, b) => order(a) - order(b))) {
      output.say(`  ${said(one.variant)}: ${fate(one)}`);
    }
    const row = rows.find(({ op, shape }) => `${op} ${shape}` === name);
    output.say(row ? `  chosen: ${said(row)}` : "  the table's own stays");
  }
}

/** The file for a table, opened before anything is measured; it keeps what it holds until then. @throws UsageError. */
export function openTable(file: string): number {
  try {
    return openSync(file, "a");
  } catch (error) {
    throw new UsageError(`--tune ${file} cannot be written (${(error as Error).message})`);
  }
}

/** Writes a table that `--variants` and `parseVariants` read. */
export function writeTable(opened: number, result: TuneResult, command: string): void {
  const { rows, ...about } = result;
  const date = new Date().toISOString();
  const table = { format: VARIANT_FORMAT, command, date, rows, ...about };
  ftruncateSync(opened);
  writeSync(opened, `${JSON.stringify(table, null, 2)}\n`);
}
