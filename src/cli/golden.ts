import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { UsageError } from "./errors";
import { parseCase } from "./golden-cases/case";
import type { CaseReport } from "./golden-cases/kinds";
import type { GoldenCaseEvent } from "./golden-job";
import type { JobEvent } from "./job";
import type { GlobalOptions } from "./options";
import { Output } from "./output";
import { runJob } from "./runtimes";

/** Adds `golden DIR`: recorded cases evaluated on the GPU, each result against its tolerance. */
export function registerGolden(program: Command): void {
  program
    .command("golden")
    .description("evaluate the golden cases of a folder: NAME.json and NAME.safetensors")
    .argument("<dir>", "folder of the cases")
    .action(async (dir: string, _: unknown, command: Command) => {
      const { runtime, adapter, json } = command.optsWithGlobals<GlobalOptions>();
      const { names, files } = readCases(dir);
      const output = new Output(json);
      const abort = new AbortController();
      const interrupt = (): void => abort.abort();
      process.once("SIGINT", interrupt);
      const onEvent = (event: JobEvent): void => {
        output.event(event);
        if (!output.warned(event) && event.event === "case")
          output.say(caseLine(event as GoldenCaseEvent));
      };
      try {
        const options = { runtime, adapter, files, onEvent, signal: abort.signal };
        const { passed, failed } = await runJob("golden", { names }, options);
        output.say(`${passed} passed, ${failed} failed`);
        if (failed > 0) process.exitCode = 1;
      } finally {
        process.off("SIGINT", interrupt);
        output.close();
      }
    });
}

/** `NAME  out.kernel 0.02  grad.in.z 0.05  pass`: each number is the worst error over its tolerance. */
export function caseLine({ name, pass, message, tensors }: CaseReport): string {
  if (message !== undefined) return `${name}  fail: ${message}`;
  const results = tensors.map(({ name: tensor, errorOverTolerance: error, pass: within }) => {
    const text = error === null ? "none" : error < 1e4 ? error.toFixed(3) : error.toExponential(1);
    return `${tensor} ${text}${within ? "" : "!"}`;
  });
  return [name, ...results, pass ? "pass" : "fail"].join("  ");
}

/**
 * The cases of a folder, all of them read and checked before anything runs.
 * @throws UsageError, SafetensorsError for a folder or file that cannot be read.
 */
export function readCases(dir: string): { names: string[]; files: Map<string, Uint8Array> } {
  const found = new Set(listFolder(dir));
  const stems = (extension: string): string[] =>
    [...found]
      .filter((file) => file.endsWith(extension))
      .map((file) => file.slice(0, -extension.length));
  // A folder may have a list of its contents.
  const isList = (name: string): boolean => name === "index" && !found.has("index.safetensors");
  const all = new Set(
    [...stems(".json"), ...stems(".safetensors")].filter((name) => !isList(name)),
  );
  const names = [...all].sort();
  if (names.length === 0) {
    throw new UsageError(`golden ${dir}: no cases there; a case is NAME.json and NAME.safetensors`);
  }
  const files = new Map<string, Uint8Array>();
  for (const [k, name] of names.entries()) {
    for (const extension of ["json", "safetensors"]) {
      files.set(`${k}.${extension}`, readBytes(join(dir, `${name}.${extension}`)));
    }
    const sidecar = new TextDecoder().decode(files.get(`${k}.json`));
    parseCase({ name, sidecar, safetensors: files.get(`${k}.safetensors`) as Uint8Array });
  }
  return { names, files };
}

function listFolder(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    throw new UsageError(`golden ${dir}: the folder cannot be read (${(error as Error).message})`);
  }
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${(error as Error).message})`);
  }
}
