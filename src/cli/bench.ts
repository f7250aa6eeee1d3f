import { closeSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { type BenchProgress, type BenchSpec, selection } from "../../bench/job";
import { type BenchReport, compareReports, markdown, parseReport } from "../../bench/report";
import { asUsage, UsageError } from "./errors";
import { type TuneSpec, tuningSelection } from "../../bench/tune-job";
import type { JobEvent } from "./job";
import type { JobResult, JobSpec } from "./jobs";
import { fileText } from "./file-text";
import { type GlobalOptions, positiveInteger } from "./options";
import { Output } from "./output";
import { reportOrigin } from "./report-origin";
import { runJob } from "./runtimes";
import { addShaderFlags, type ShaderFlags, shaderSpec } from "./shader-flags";
import { openTable, sayTuned, writeTable } from "./tune";

interface BenchOptions extends GlobalOptions, ShaderFlags {
  readonly ladder?: number | true;
  readonly tune?: string;
  readonly filter?: string;
  readonly kernel?: string;
  readonly shape?: readonly number[];
  readonly repeat: number;
  readonly compare?: string;
  readonly pipelines?: true;
}

/** Adds `bench`: the adapter's roof, kernels against it, and whole steps; `--tune`: their variants. */
export function registerBench(program: Command): void {
  const command = program
    .command("bench")
    .description("measure the adapter's roof, kernels and training steps; check each kernel first")
    .option("--filter <regexp>", "only kernels and steps whose name matches")
    .option("--kernel <op>", "one kernel, at the sizes of --shape; a name that is none lists all")
    .option(
      "--shape <sizes>",
      "sizes with commas or x between, such as 512,512,512 for the M,N,K of matmul; too few list the axes",
      sizes,
    )
    .option(
      "--ladder [n]",
      "matmul of n × n matrices, from the naive kernel to the library's (default: 512)",
      positiveInteger,
    )
    .option("--pipelines", "of steps: compile their kernels one after another and time each")
    .option("--tune <file>", "measure each kernel's variants here and write a table for --variants")
    .option("--repeat <n>", "samples of each", positiveInteger, 10)
    .option("--compare <a.json> <b.json>", "print two reports of --json side by side")
    .argument("[b.json]", "second report of --compare");
  addShaderFlags(command).action(
    async (second: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<BenchOptions>();
      const { compare: first, tune: file } = options;
      if (first !== undefined || second !== undefined) {
        expectAlone(options);
        compare(first, second);
      } else if (file !== undefined) await tune(file, options);
      else await bench(options);
    },
  );
}

function sizes(text: string): number[] {
  if (!/^\d+([,x×]\d+)*$/.test(text))
    throw new InvalidArgumentError("Give sizes such as 512,512,512.");
  return text.split(/[,x×]/).map(Number);
}

function compare(first: string | undefined, second: string | undefined): void {
  if (first === undefined || second === undefined)
    throw new UsageError("give bench --compare A.json B.json");
  const [a, b] = [first, second].map((file) =>
    asUsage(() => parseReport(fileText("--compare", file), file)),
  );
  process.stdout.write(`${compareReports(a as BenchReport, b as BenchReport)}\n`);
}

/** Runs a job of the bench's while an interrupt ends it and its progress is said now and then. */
async function run<K extends "bench" | "tune">(
  name: K,
  spec: JobSpec<K>,
  { runtime, adapter }: BenchOptions,
  output: Output,
): Promise<JobResult<K>> {
  const abort = new AbortController();
  const interrupt = (): void => abort.abort();
  process.once("SIGINT", interrupt);
  let said = performance.now();
  const onEvent = (event: JobEvent): void => {
    if (output.warned(event) || event.event !== "progress" || performance.now() - said < 10_000)
      return;
    const { done, total, name } = event as BenchProgress;
    process.stderr.write(`${done}/${total} · ${name}\n`);
    said = performance.now();
  };
  try {
    return await runJob(name, spec, { runtime, adapter, onEvent, signal: abort.signal });
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/** @throws UsageError where a flag is given that `--compare` has no use for. */
function expectAlone({
  kernel,
  shape,
  ladder,
  wgsl,
  tune: table,
  filter,
  json,
}: BenchOptions): void {
  const flags = { kernel, shape, ladder, wgsl, tune: table, filter, json };
  const other = Object.entries(flags).find(([, value]) => value !== undefined);
  if (other) throw new UsageError(`--compare reads two reports; it has no use for --${other[0]}`);
}

/** @throws UsageError where flags do not go together. */
function expectTogether(options: BenchOptions): void {
  const { kernel, shape, ladder, wgsl, tune: table, filter, pipelines } = options;
  if ((kernel === undefined) !== (shape === undefined)) {
    throw new UsageError(
      "--kernel and --shape belong together, such as --kernel matmul --shape 512,512,512",
    );
  }
  const what = { "--kernel": kernel, "--ladder": ladder, "--wgsl": wgsl, "--tune": table };
  const given = Object.entries(what).flatMap(([flag, value]) => (value === undefined ? [] : flag));
  if (given.length > 1) throw new UsageError(`${given.join(" and ")} do not go together`);
  if (pipelines && given.length > 0)
    throw new UsageError(`--pipelines is of steps; it does not go together with ${given[0]}`);
  if (filter !== undefined && given.length > 0 && table === undefined)
    throw new UsageError(`--filter and ${given[0]} do not go together`);
}

async function bench(options: BenchOptions): Promise<void> {
  expectTogether(options);
  const { filter, kernel, shape, ladder, repeat, json, pipelines } = options;
  const shader = shaderSpec(options);
  const spec: BenchSpec = {
    repeat,
    filter,
    ...(shader && { shader }),
    ...(pipelines && { pipelines }),
    ...(ladder !== undefined && { ladder: ladder === true ? 512 : ladder }),
    ...(kernel && shape && { kernel: { op: kernel, shape } }),
  };
  asUsage(() => selection(spec));
  const output = new Output(json);
  try {
    const result = await run("bench", spec, options, output);
    const report: BenchReport = { event: "done", ...reportOrigin("hyperloom"), ...result };
    output.event(report);
    output.say(markdown(report));
    const wrong = result.kernels.filter((row) => row.wrong !== undefined);
    for (const row of wrong) output.warn(`bench: ${row.name} computes wrong values: ${row.wrong}`);
    if (wrong.length > 0) process.exitCode = 1;
  } finally {
    output.close();
  }
}

async function tune(file: string, options: BenchOptions): Promise<void> {
  expectTogether(options);
  shaderSpec(options); // Refuses the flags of --wgsl.
  const { filter, repeat, json } = options;
  const spec: TuneSpec = { repeat, ...(filter !== undefined && { filter }) };
  for (const adapter of ["software", "gpu"] as const) asUsage(() => tuningSelection(spec, adapter));
  const table = openTable(file);
  const output = new Output(json);
  try {
    const result = await run("tune", spec, options, output);
    const origin = reportOrigin("hyperloom");
    writeTable(table, result, origin.command);
    output.event({ event: "done", ...origin, ...result });
    sayTuned(output, result);
    output.say(`${file}: ${result.rows.length} rows; take them with --variants ${file}`);
    if (result.stopped !== undefined) {
      output.warn(`bench --tune: ${result.stopped}`);
      process.exitCode = 1;
    }
  } finally {
    closeSync(table);
    output.close();
  }
}
