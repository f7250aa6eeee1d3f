import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { Measures } from "../train/events";
import { UsageError } from "./errors";
import type { JobEvent, WarningEvent } from "./job";

/**
 * Where words and events go: words to stdout, or to stderr where `--json -` keeps stdout for the
 * events; warnings to stderr.
 */
export class Output {
  /** The stream of words and progress. */
  readonly stream: NodeJS.WriteStream;
  readonly #json: number | "stdout" | null;
  // What the file held before stays until there is something to say.
  #begun = false;

  /** @throws UsageError where the file for the events cannot be written. */
  constructor(json?: string) {
    this.stream = json === "-" ? process.stderr : process.stdout;
    try {
      this.#json = json === undefined ? null : json === "-" ? "stdout" : openSync(json, "a");
    } catch (error) {
      throw new UsageError(`--json ${json} cannot be written (${(error as Error).message})`);
    }
  }

  say(line = ""): void {
    this.stream.write(`${line}\n`);
  }

  warn(line: string): void {
    process.stderr.write(`hyperloom: ${line}\n`);
  }

  /** Whether an event of a job is a warning, which is then said. */
  warned(event: JobEvent): boolean {
    const isWarning = event.event === "warning";
    if (isWarning) this.warn((event as WarningEvent).message);
    return isWarning;
  }

  /** One event, one line of JSON. Mere progress is left out. */
  event<E extends JobEvent>(event: E): void {
    if (event.event === "evaluating" || event.event === "compiling") return;
    const line = `${JSON.stringify(event)}\n`;
    if (this.#json === "stdout") process.stdout.write(line);
    else if (this.#json !== null) {
      if (!this.#begun) ftruncateSync(this.#json);
      this.#begun = true;
      writeSync(this.#json, line);
    }
  }

  close(): void {
    if (typeof this.#json === "number") closeSync(this.#json);
  }
}

/** A count with thousands marked: 12,544. */
export function count(n: number): string {
  return n.toLocaleString("en-US");
}

/** Bytes in the unit that reads best: 12.3 MB. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const k = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, n)) / 3));
  return `${k === 0 ? n : (n / 1000 ** k).toFixed(1)} ${units[k]}`;
}

/** Seconds as a person says them: 42 s, 3 min 05 s, 2 h 10 min. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const s = Math.round(seconds);
  const two = (n: number): string => `${n}`.padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
}

/** A share as per cent: 1.63 %. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

/** What was measured, in words: `error 1.63 % ± 0.13 %`, `2.538 bits per character` or `accuracy 99.2 %`. */
export function measured({
  bits_per_character: bits,
  accuracy,
  error = Number.NaN,
  standard_error: spread,
}: Measures): string {
  if (bits !== undefined) return `${bits.toFixed(3)} bits per character`;
  if (accuracy !== undefined) return `accuracy ${percent(accuracy)}`;
  return `error ${percent(error)}${spread === undefined ? "" : ` ± ${percent(spread)}`}`;
}
