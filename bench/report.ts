import type { BenchResult, StepRow } from "./job";
import type { Spread } from "./measure";
import type { KernelRow } from "./measurement";

/** A result with where, when and how it came about: the line that `--json` writes. */
export interface BenchReport extends BenchResult {
  readonly event: "done";
  /** As typed, without paths. */
  readonly command: string;
  readonly date: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly system: string };
}

/** A number to three digits at most. */
export const significant = (x: number): string =>
  x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x >= 1 ? x.toFixed(2) : x.toPrecision(2);
const optional = (x: number | undefined): string => (x === undefined ? "" : significant(x));
const megabytes = (bytes: number): string => `${significant(bytes / 1e6)} MB`;
const range = ({ min, max }: Spread): string => `${significant(min)}–${significant(max)}`;

/** What an adapter is called. */
export function adapterName({
  vendor,
  architecture,
  description,
  device,
}: BenchResult["adapter"]): string {
  return [vendor, architecture, description || device].filter(Boolean).join(" ");
}

/** A Markdown table whose columns line up, the first to the left and numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...rows.map((r) => (r[i] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((w, i) => (i === 0 ? (cells[i] ?? "").padEnd(w) : (cells[i] ?? "").padStart(w))).join(" | ")} |`;
  const rule = widths.map((w, i) => (i === 0 ? "-".repeat(w) : `${"-".repeat(w - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

function kernelCells(row: KernelRow): string[] {
  const { name, median, min = 0, max = 0, samples = 0, wrong } = row;
  if (wrong !== undefined || median === undefined) return [name, "WRONG"];
  const roof = `${significant(row.percent ?? 0)} % ${row.bound}`;
  const ends = range({ median, min, max, samples });
  return [
    name,
    significant(median),
    ends,
    optional(row.gflops),
    optional(row.gbs),
    roof,
    `${row.dispatches}`,
  ];
}

function stepCells(row: StepRow): string[] {
  const { build, compile, run } = row.first;
  const first = [build, compile, run].map(significant).join(" + ");
  return [
    row.name,
    significant(row.median),
    range(row),
    significant(row.stepsPerSecond),
    significant(row.samplesPerSecond),
    row.warm ? `(${first})` : first,
    `${row.dispatches}`,
    `${row.submits}`,
    megabytes(row.bytesPlanned),
    megabytes(row.bytesPeak),
  ];
}

const SHOWN_SHARES = 6;

function shareLine({ name, kernels }: StepRow): string {
  const shown = kernels
    .slice(0, SHOWN_SHARES)
    .map((k) => `${k.kernel} ${(100 * k.share).toFixed(0)} %`);
  const more = kernels.length - shown.length;
  return `- ${name}: ${shown.join(", ")}${more > 0 ? `, ${more} more` : ""}`;
}

const WARM =
  "First steps in brackets found kernels that a step above had compiled: " +
  "--filter '^NAME' measures one by itself.";
const CACHED =
  "More than 100 % of storage: data that stay in the caches; the roof is that of 16 MiB, which do not.";

/** What the kernels of a step take to compile, one after another. */
function pipelineTable({ name, pipelines = [] }: StepRow): string {
  const rows = pipelines.map(({ kernel, overrides, milliseconds }) => [
    kernel,
    significant(milliseconds),
    Object.entries(overrides)
      .map(([override, value]) => `${override} ${value}`)
      .join(", "),
  ]);
  const total = pipelines.reduce((sum, p) => sum + p.milliseconds, 0);
  return table(
    [`${name}: pipeline`, "ms to compile", "overrides"],
    [...rows, ["all", significant(total), ""]],
  );
}

/** Everything as a Markdown block that may be pasted anywhere. */
export function markdown(report: BenchReport): string {
  const { adapter, versions, machine, clock } = report;
  const { hyperloom, runtime = "" } = versions;
  const samples = [...report.roof, ...report.kernels, ...report.steps].map((r) => r.samples ?? 0);
  const parts = [
    `\`${report.command}\`, ${report.date}`,
    [
      `hyperloom ${hyperloom} on ${runtime} ${versions[runtime] ?? ""}`,
      `${adapter.software ? "software adapter" : "GPU"} ${adapterName(adapter)}`,
      `${machine.cores} × ${machine.cpu}, ${machine.system}`,
      `medians of ${Math.max(0, ...samples)}, cases in turn; kernels by ${clock}, steps by wall time`,
    ].join("  \n"),
    table(
      ["roof", "value", "unit", "ms", "min–max"],
      report.roof.map((r) => [
        r.name,
        significant(r.value),
        r.unit,
        significant(r.median),
        range(r),
      ]),
    ),
  ];
  if (report.kernels.length > 0) {
    const head = ["kernel", "ms", "min–max", "GFLOP/s", "GB/s", "of the roof", "dispatches"];
    parts.push(table(head, report.kernels.map(kernelCells)));
    const wrong = report.kernels.flatMap((row) =>
      row.wrong ? `- ${row.name} is WRONG: ${row.wrong}` : [],
    );
    if (wrong.length > 0) parts.push(wrong.join("\n"));
    const notes = report.kernels.flatMap(({ name, note }) => (note ? [`- ${name}: ${note}`] : []));
    if (notes.length > 0) parts.push(notes.join("\n"));
    const cached = report.kernels.some(
      ({ bound, percent = 0 }) => bound === "storage" && percent > 100,
    );
    if (cached) parts.push(CACHED);
  }
  if (report.ratios.length > 0) {
    parts.push(
      table(
        ["ratio of rates", "times"],
        report.ratios.map((r) => [r.name, significant(r.value)]),
      ),
    );
  }
  if (report.steps.length > 0) {
    const head = [
      "step",
      "ms",
      "min–max",
      "steps/s",
      "samples/s",
      "first ms: build + compile + run",
      "dispatches",
      "submits",
      "planned",
      "peak",
    ];
    parts.push(table(head, report.steps.map(stepCells)));
    if (report.steps.some(({ warm }) => warm)) parts.push(WARM);
    parts.push(report.steps.map(shareLine).join("\n"));
    parts.push(...report.steps.filter((row) => row.pipelines).map(pipelineTable));
  }
  return parts.join("\n\n");
}

/**
 * The report in the text of a file that `--json` wrote.
 * @throws RangeError naming the file where there is none.
 */
export function parseReport(text: string, file: string): BenchReport {
  // The last line that is one; or all of it, as editors lay JSON out.
  for (const line of [...text.split("\n").reverse(), text]) {
    try {
      const found = JSON.parse(line) as Partial<BenchReport> | null;
      const rows = [found?.roof, found?.kernels, found?.steps];
      const about = [found?.adapter, found?.versions, found?.machine];
      if (rows.every(Array.isArray) && about.every((one) => typeof one === "object" && one)) {
        return found as BenchReport;
      }
    } catch {
      // Not a line of JSON: the next may be.
    }
  }
  throw new RangeError(
    `hyperloom: ${file} is no report of bench; write one with bench --json ${file} ` +
      "(those of bench:peers and of bench --tune have other rows)",
  );
}

/** A row of any table of a report. */
type AnyRow = Partial<Spread> & { readonly name: string; readonly wrong?: string };

/** Two reports row by row, as a Markdown block: how many times faster b is than a. */
export function compareReports(a: BenchReport, b: BenchReport): string {
  const rowsOf = ({ roof, kernels, steps }: BenchReport): Map<string, AnyRow> =>
    new Map([...roof, ...kernels, ...steps].map((row) => [row.name, row]));
  const [before, after] = [rowsOf(a), rowsOf(b)];
  const cells = (row: AnyRow | undefined): string[] => {
    if (!row) return ["not there", ""];
    const { median, min = 0, max = 0, samples = 0, wrong } = row;
    if (wrong !== undefined || median === undefined) return ["WRONG", ""];
    return [significant(median), range({ median, min, max, samples })];
  };
  const rows = [...new Set([...before.keys(), ...after.keys()])].map((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    const ratio = was?.median && is?.median ? significant(was.median / is.median) : "";
    return [name, ...cells(was), ...cells(is), ratio];
  });
  const heading = ({ command, versions, adapter, date, machine }: BenchReport): string =>
    `\`${command}\`, ${versions.runtime}, ${adapterName(adapter)}, ${machine.cores} × ${machine.cpu}, ${date}`;
  return [
    `A: ${heading(a)}  \nB: ${heading(b)}`,
    table(["median", "A ms", "min–max", "B ms", "min–max", "A / B"], rows),
  ].join("\n\n");
}
