/** The table: a row for each limit of the adapter and each kernel, two adapters side by side. */
import type { KernelRow, RoofRow } from "../../bench/measurement";
import { significant } from "../../bench/report";
import { element } from "../shell/frame";
import { underHeadings } from "./kernels";

/** What is known of one adapter, by the names of the rows. */
export interface Side {
  readonly roof: ReadonlyMap<string, RoofRow>;
  readonly kernels: ReadonlyMap<string, KernelRow>;
}

/** What the page shows: either side may be missing. */
export interface Shown {
  readonly names: readonly string[];
  readonly own: Side | null;
  readonly beside: Side | null;
  readonly ownName: string;
  readonly besideName: string;
}

const BOUNDS = { fma: "multiply-add", storage: "storage", dispatch: "dispatch" } as const;
const ROOF = "The adapter's limits";

/** A side of a report. */
export function sideOf(report: {
  readonly roof: readonly RoofRow[];
  readonly kernels: readonly KernelRow[];
}): Side {
  return {
    roof: new Map(report.roof.map((row) => [row.name, row])),
    kernels: new Map(report.kernels.map((row) => [row.name, row])),
  };
}

function made<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  name: string,
  ...content: (string | Node)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...content);
  return node;
}

/** A cell whose role stays what it is where the row is laid out as a grid. */
function cell(name: string, ...content: (string | Node)[]): HTMLTableCellElement {
  const node = made("td", name, ...content);
  node.setAttribute("role", "cell");
  return node;
}

function bar(percent: number, label: string, detail: string): (string | Node)[] {
  const fill = made("span", "fill");
  fill.style.width = `${Math.min(100, percent)}%`;
  const track = made("span", "track", fill);
  track.setAttribute("aria-hidden", "true");
  return [track, made("span", "share", label, " ", made("small", "", detail))];
}

/** Milliseconds, and between which ends. */
function time(row: Partial<RoofRow>): (string | Node)[] {
  const { median, min, max, samples = 0 } = row;
  if (median === undefined || min === undefined || max === undefined) return [];
  if (samples < 2) return [`${significant(median)} ms`];
  const ends = `${significant(min)}–${significant(max)}`;
  return [`${significant(median)} ms`, " ", made("small", "ends", ends)];
}

type Cells = readonly [bar: (string | Node)[], rate: string, time: (string | Node)[]];

function kernelCells(row: KernelRow | undefined): Cells {
  if (!row) return [[], "", []];
  if (row.wrong !== undefined) return [["wrong"], "", []];
  const { percent = 0, bound = "fma", gflops, gbs = 0 } = row;
  // Where flops count but the bytes bound, the rate is that of the bytes.
  const flops = gflops !== undefined && bound !== "storage";
  const rate = flops ? `${significant(gflops)} GFLOP/s` : `${significant(gbs)} GB/s`;
  return [bar(percent, `${significant(percent)} %`, `of ${BOUNDS[bound]}`), rate, time(row)];
}

/** What each limit is a way to reach, and what of it makes the roof (`roofOf` of the bench). */
const WAYS = [
  [/^fma/, /^fma/],
  [/^storage/, /^storage (read|copy)/],
] as const;

function roofCells(name: string, rows: Side["roof"] | undefined): Cells {
  const row = rows?.get(name);
  if (!row) return [[], "", []];
  const [, roof] = WAYS.find(([way]) => way.test(name)) ?? [];
  const values = [...(rows?.values() ?? [])].flatMap((r) => (roof?.test(r.name) ? r.value : []));
  const percent = (100 * row.value) / Math.max(...values);
  const share = roof ? bar(percent, `${significant(percent)} %`, "of the roof") : [];
  return [share, `${significant(row.value)} ${row.unit}`, time(row)];
}

function sideCells(name: string, [share, rate, times]: Cells): HTMLTableCellElement[] {
  return [
    cell(`${name} bar`, ...share),
    cell(`${name} rate`, rate),
    cell(`${name} time`, ...times),
  ];
}

/** How many times faster one's own is. */
function faster(own: Partial<RoofRow> | undefined, beside: Partial<RoofRow> | undefined): string {
  if (own?.median === undefined || beside?.median === undefined) return "";
  return `${significant(beside.median / own.median)} ×`;
}

function fill(row: HTMLTableRowElement, name: string, { own, beside }: Shown): void {
  const limit = row.dataset.kind === "roof";
  const cells = (side: Side | null): Cells =>
    limit ? roofCells(name, side?.roof) : kernelCells(side?.kernels.get(name));
  const found = (side: Side | null) => (limit ? side?.roof : side?.kernels)?.get(name);
  row.replaceChildren(
    row.cells[0] as HTMLTableCellElement,
    ...sideCells("own", cells(own)),
    ...sideCells("beside", cells(beside)),
    cell("faster", faster(found(own), found(beside))),
  );
}

function section(heading: string, kind: string, names: readonly string[], shown: Shown) {
  const title = made("th", "", heading);
  title.colSpan = 8;
  title.scope = "rowgroup";
  const first = made("tr", "heading", title);
  const rows = names.map((name) => {
    const [op = "", ...shape] = kind === "roof" ? [name] : name.split(" ");
    const label = made("th", "", op, " ", made("small", "", shape.join(" ")));
    label.scope = "row";
    label.setAttribute("role", "rowheader");
    const row = made("tr", "", label);
    row.setAttribute("role", "row");
    row.dataset.kind = kind;
    row.dataset.name = name;
    fill(row, name, shown);
    return row;
  });
  const body = made("tbody", "", first, ...rows);
  body.setAttribute("role", "rowgroup");
  return body;
}

function head({ ownName, besideName }: Shown): HTMLTableSectionElement {
  const title = (name: string, text: string, columns = 1): HTMLTableCellElement => {
    const node = made("th", name, text);
    node.colSpan = columns;
    node.scope = columns > 1 ? "colgroup" : "col";
    return node;
  };
  const labels = (side: string) =>
    ["of the roof", "rate", "time"].map((text, k) =>
      title(`${side} ${["bar", "rate", "time"][k]}`, text),
    );
  const top = made(
    "tr",
    "sides",
    title("", ""),
    title("own", ownName, 3),
    title("beside", besideName, 3),
    title("faster", ""),
  );
  const below = made(
    "tr",
    "",
    title("", "kernel and shape"),
    ...labels("own"),
    ...labels("beside"),
    title("faster", "faster"),
  );
  return made("thead", "", top, below);
}

/** Draws the whole table; sides that are missing have no columns. */
export function drawTable(shown: Shown): void {
  const table = element<HTMLTableElement>("table");
  // Of a table laid out as a grid browsers forget what it is.
  table.setAttribute("role", "table");
  table.hidden = shown.own === null && shown.beside === null;
  table.classList.toggle("no-own", shown.own === null);
  table.classList.toggle("no-beside", shown.beside === null);
  const limits = new Set(
    [shown.own, shown.beside].flatMap((side) => [...(side?.roof.keys() ?? [])]),
  );
  const sections = underHeadings(shown.names).map(({ heading, names }) =>
    section(heading, "kernel", names, shown),
  );
  const roof = limits.size > 0 ? [section(ROOF, "roof", [...limits], shown)] : [];
  table.replaceChildren(
    made("caption", "hidden", "Kernels, their share of the adapter's roof, rates and times"),
    head(shown),
    ...roof,
    ...sections,
  );
}

/** Draws single rows anew. @returns Whether the table has all of them. */
export function updateRows(names: ReadonlySet<string>, shown: Shown): boolean {
  const left = new Set(names);
  for (const row of element("table").querySelectorAll<HTMLTableRowElement>("tr[data-name]")) {
    if (left.delete(row.dataset.name ?? "")) fill(row, row.dataset.name ?? "", shown);
  }
  return left.size === 0;
}
