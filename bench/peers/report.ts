import type { AdapterDescription } from "../../src/gpu/device";
import type { PeerCase } from "./cases";
import type { Row } from "./measure-case";

/** All that was measured, with where and how: what `--json` writes. */
export interface PeersReport {
  readonly event: "done";
  readonly command: string;
  readonly date: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly system: string };
  readonly adapter: AdapterDescription;
  readonly versions: Readonly<Record<string, string>>;
  readonly cases: readonly (PeerCase & {
    readonly rows: readonly Row[];
    /** How many times faster hyperloom is than the faster of the others, and its first step. */
    readonly times?: number;
    readonly firstTimes?: number;
  })[];
}

const significant = (x: number): string =>
  x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x >= 1 ? x.toFixed(2) : x.toPrecision(2);

/** The least of the peers' numbers over hyperloom's; undefined where one side has none. */
export function advantage(
  rows: readonly Row[],
  of: (row: Row) => number | undefined,
): number | undefined {
  const [own, ...peers] = rows.map((row) => (row.error === undefined ? of(row) : undefined));
  const found = peers.filter((x) => x !== undefined);
  return own && found.length > 0 ? Math.min(...found) / own : undefined;
}

const LIBRARIES = ["hyperloom", "jax-js", "TensorFlow.js"] as const;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, i) => (i === 0 ? "---" : "--:"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

function timeCell({ error, median, min = 0, max = 0 }: Row): string {
  if (error !== undefined || median === undefined) return "fails";
  return `${significant(median)} (${significant(min)}–${significant(max)})`;
}

/** The tables as Markdown, that may be pasted anywhere. */
export function markdown(report: PeersReport): string {
  const { adapter, versions, machine } = report;
  const samples = report.cases.flatMap(({ rows }) => rows.map((row) => row.samples ?? 0));
  const { vendor, architecture, description, device } = adapter;
  const named = [vendor, architecture, description || device].filter(Boolean).join(" ");
  const parts = [
    `\`${report.command}\`, ${report.date}`,
    [
      `${Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}`,
      `${adapter.software ? "software adapter" : "GPU"} ${named}`,
      `${machine.cores} × ${machine.cpu}, ${machine.system}`,
      `medians of ${Math.max(0, ...samples)} (min–max) in ms, the libraries in turn in one page`,
    ].join("  \n"),
  ];
  const times = (x: number | undefined): string => (x === undefined ? "" : `${significant(x)}×`);
  const kernels = report.cases.filter((c) => c.kind === "kernel");
  if (kernels.length > 0) {
    const head = ["kernel", ...LIBRARIES.flatMap((name) => [name, "GFLOP/s"]), "faster by"];
    const cells = kernels.map((c) => [
      c.name,
      ...c.rows.flatMap((row) => [
        timeCell(row),
        row.median ? significant(c.flops / row.median / 1e6) : "",
      ]),
      times(c.times),
    ]);
    parts.push(table(head, cells));
  }
  const steps = report.cases.filter((c) => c.kind === "step");
  if (steps.length > 0) {
    const head = ["step", ...LIBRARIES, "faster by"];
    const first = LIBRARIES.map((name) => `${name} first`);
    const cells = steps.map((c) => [
      c.name,
      ...c.rows.map(timeCell),
      times(c.times),
      ...c.rows.map((row) => (row.first === undefined ? "fails" : significant(row.first))),
      times(c.firstTimes),
    ]);
    parts.push(table([...head, ...first, "first faster by"], cells));
  }
  const losses = steps.flatMap((c) =>
    c.rows.flatMap(({ library, losses: found }) =>
      found ? [`- ${c.name}, ${library}: ${found.map((x) => x.toPrecision(6)).join(", ")}`] : [],
    ),
  );
  if (losses.length > 0) parts.push(["Losses of the first steps:", ...losses].join("\n"));
  const failures = report.cases.flatMap((c) =>
    c.rows.flatMap(({ library, error }) =>
      error === undefined ? [] : [`- ${library} fails at ${c.name}: ${error}`],
    ),
  );
  if (failures.length > 0) parts.push(failures.join("\n"));
  return parts.join("\n\n");
}
