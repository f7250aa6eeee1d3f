import { readFileSync } from "node:fs";
import { availableParallelism, cpus, homedir, platform, release } from "node:os";
import { type Command, InvalidArgumentError } from "commander";
import { type BenchProgress, type BenchSpec, selection } from "../../bench/job";
import { type BenchReport, compareReports, markdown, parseReport } from "../../bench/report";
import { UsageError } from "./errors";
import type { JobEvent, WarningEvent } from "./job";
import { type GlobalOptions, positiveInteger } from "./options";
import { Output } from "./output";
import { runJob } from "./runtimes";

interface BenchOptions extends GlobalOptions {
  readonly filter?: string;
  readonly kernel?: string;
  readonly shape?: readonly number[];
  readonly repeat: number;
  readonly compare?: string;
}

/** Adds `bench`: the adapter's roof, kernels against it, and whole steps. */
export function registerBench(program: Command): void {
  program
    .command("bench")
    .description("measure the adapter's roof, kernels and training steps; check each kernel first")
    .option("--filter <regexp>", "only kernels and steps whose name matches")
    .option("--kernel <op>", "one kernel, at the sizes of --shape")
    .option("--shape <sizes>", "sizes with commas or x between, such as 512,512,512", sizes)
    .option("--repeat <n>", "samples of each", positiveInteger, 10)
    .option("--compare <a.json> <b.json>", "print two reports of --json side by side")
    .argument("[b.json]", "second report of --compare")
    .action(async (second: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<BenchOptions>();
      if (options.compare !== undefined || second !== undefined) compare(options.compare, second);
      else await bench(options);
    });
}

function sizes(text: string): number[] {
  if (!/^\d+([,x×]\d+)*$/.test(text))
    throw new InvalidArgumentError("Give sizes such as 512,512,512.");
  return text.split(/[,x×]/).map(Number);
}

/** Turns what a user's flag or file caused into an error of usage. */
function asUsage<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UsageError((error as Error).message.replace("hyperloom: ", ""));
  }
}

function compare(first: string | undefined, second: string | undefined): void {
  if (first === undefined || second === undefined)
    throw new UsageError("give bench --compare A.json B.json");
  const [a, b] = [first, second].map((file) =>
    asUsage(() => parseReport(readFileSync(file, "utf8"), file)),
  );
  process.stdout.write(`${compareReports(a as BenchReport, b as BenchReport)}\n`);
}

async function bench({ runtime, adapter, json, ...options }: BenchOptions): Promise<void> {
  const { filter, kernel, shape, repeat } = options;
  if ((kernel === undefined) !== (shape === undefined)) {
    throw new UsageError(
      "--kernel and --shape belong together, such as --kernel matmul --shape 512,512,512",
    );
  }
  const spec: BenchSpec = {
    repeat,
    filter,
    ...(kernel && shape && { kernel: { op: kernel, shape } }),
  };
  asUsage(() => selection(spec));
  const output = new Output(json);
  const abort = new AbortController();
  const interrupt = (): void => abort.abort();
  process.once("SIGINT", interrupt);
  let said = performance.now();
  const onEvent = (event: JobEvent): void => {
    if (event.event === "warning") output.warn((event as WarningEvent).message);
    if (event.event !== "progress" || performance.now() - said < 10_000) return;
    const { done, total, name } = event as BenchProgress;
    process.stderr.write(`${done}/${total} · ${name}\n`);
    said = performance.now();
  };
  try {
    const result = await runJob("bench", spec, { runtime, adapter, onEvent, signal: abort.signal });
    const report: BenchReport = {
      event: "done",
      command: commandLine(),
      date: new Date().toISOString(),
      machine: {
        cpu: cpus()[0]?.model.trim() ?? "unknown CPU",
        cores: availableParallelism(),
        system: `${platform()} ${release()}`,
      },
      ...result,
    };
    output.event(report);
    output.say(markdown(report));
    const wrong = result.kernels.filter((row) => row.wrong !== undefined);
    for (const row of wrong) output.warn(`bench: ${row.name} computes wrong values: ${row.wrong}`);
    if (wrong.length > 0) process.exitCode = 1;
  } finally {
    process.off("SIGINT", interrupt);
    output.close();
  }
}

/** The command as typed, without the file that it writes. */
function commandLine(): string {
  const words = process.argv.slice(2);
  const at = words.indexOf("--json");
  if (at >= 0) words.splice(at, 2);
  const quoted = words.map((word) => (/^[\w=.,:/~-]+$/.test(word) ? word : `'${word}'`));
  return ["hyperloom", ...quoted].join(" ").replaceAll(homedir(), "~");
}
