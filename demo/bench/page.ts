/// <reference types="vite/client" />
import source from "../../bench/rates.ts?raw";
import type { AdapterDescription } from "hyperloom/gpu";
import type { Measurement } from "../../bench/measurement";
import { adapterName, type BenchReport, markdown } from "../../bench/report";
import { type Connection, connect, type WorkerError } from "../shell/channel";
import { element, enable, mountFrame, mountSource, problem, show } from "../shell/frame";
import { integer, openLink, word } from "../shell/link";
import { measurePage } from "../shell/measured";
import { copy, mountTake } from "../shell/take";
import { patternOf, SET_NAMES, SETS } from "./kernels";
import { type Choice, command, program, reportOf, summary } from "./origin";
import { BESIDE, type Beside, mountBeside } from "./results";
import { drawTable, type Side, sideOf, type Shown, updateRows } from "./table";
import type { BenchEvent, BenchHandlers } from "./worker";

const link = openLink({
  kernels: word(...SET_NAMES),
  repeat: integer(5, 1, 100),
  beside: word(...BESIDE),
});
mountFrame("bench.html", link.complaints);
mountSource("bench/rates.ts", source);

/** Where the page is; "film": stored results alone. */
const LABELS = {
  film: "Run",
  starting: "Starting …",
  training: "Stop",
  over: "Run again",
  failed: "Run again",
} as const;
type State = keyof typeof LABELS;

/** The visitor's rows while they are measured. */
interface Measuring extends Side {
  readonly roof: Map<string, Measurement["roof"][number]>;
  readonly kernels: Map<string, Measurement["kernels"][number]>;
}

element("run").innerHTML = `
  <button id="train" type="button" class="main">Run</button>
  <progress id="progress" value="0" max="1" aria-label="Samples taken"></progress>
  <span id="status" role="status"></span>`;
const button = element<HTMLButtonElement>("train");
const progress = element<HTMLProgressElement>("progress");

let state: State = "film";
let adapter: AdapterDescription | null = null;
let own: Measuring | null = null;
let report: BenchReport | null = null;
let beside: BenchReport | null = null;
let connection: Connection<BenchHandlers> | null = null;
let pressed = 0;
let [stopping, round] = [false, 0];

const measured = measurePage({
  film: async () => new TextEncoder().encode(JSON.stringify(report)),
  dispose: async () => void (await connection?.ask("dispose", null as never)),
});

const choice = (): Choice => ({
  kernels: link.values.kernels as Choice["kernels"],
  repeat: link.values.repeat,
});

/** The rows of the table: those of the set that either side has, those beside first. */
function shown(): Shown {
  const named = new RegExp(patternOf(choice().kernels));
  const [mine, others] = [[...(own?.kernels.keys() ?? [])], beside?.kernels ?? []];
  const names = new Set([...others.map(({ name }) => name), ...mine]);
  return {
    names: [...names].filter((name) => named.test(name)),
    own,
    beside: beside && sideOf(beside),
    ownName: adapter ? `This adapter: ${adapterName(adapter)}` : "This adapter",
    besideName: beside ? adapterName(beside.adapter) : "",
  };
}

const draw = (): void => drawTable(shown());

// Rows come faster than they can be read, and drawing takes time from a software adapter.
const REDRAW_MS = 250;
const stale = new Set<string>();
let redraw = 0;
function drawSoon(name: string): void {
  stale.add(name);
  redraw ||= window.setTimeout(() => {
    redraw = 0;
    if (!updateRows(stale, shown())) draw();
    stale.clear();
  }, REDRAW_MS);
}

const busy = (): boolean => state === "starting" || state === "training";

function enter(next: State, say: string): void {
  state = measured.state = next;
  document.body.dataset.state = next;
  button.textContent = LABELS[next];
  enable(button, next !== "starting");
  for (const id of ["kernels", "repeat"]) element<HTMLSelectElement>(id).disabled = busy();
  for (const id of ["copy-json", "copy-markdown"]) enable(element(id), report !== null);
  show("status", say);
}

function onEvent(event: BenchEvent): void {
  if (event.kind === "adapter") {
    adapter = event.adapter;
    own = { roof: new Map(), kernels: new Map() };
    const slow = ", a software adapter: no GPU is used, and the short list takes half a minute";
    show("adapter", `Adapter: ${adapterName(adapter)}${adapter.software ? slow : ""}.`);
    enter("training", `Each of ${event.kernels} kernels is checked before it is timed.`);
    draw();
  } else if (event.kind === "progress") {
    const { phase, done, total, name } = event.progress;
    const share = done / total;
    progress.value = phase === "preparing" ? 0.4 * share : 0.4 + 0.6 * share;
    show("now", phase === "preparing" ? `Checking ${name}` : name);
    const turn =
      phase === "timing" ? Math.min(choice().repeat, 1 + Math.floor(share * choice().repeat)) : 0;
    if (turn !== round && !stopping) show("status", `Timing, round ${turn} of ${choice().repeat}.`);
    round = turn;
  } else {
    const { row } = event;
    if (event.kind === "roof") own?.roof.set(row.name, event.row);
    else own?.kernels.set(row.name, event.row);
    if (Number.isNaN(measured.firstStep)) measured.firstStep = performance.now() - pressed;
    measured.step = (own?.kernels.size ?? 0) + (own?.roof.size ?? 0);
    drawSoon(row.name);
  }
}

/** Keeps a run that came to its end, or was stopped with rows. */
function keep(result: Measurement): string {
  const seconds = (performance.now() - pressed) / 1000;
  const side = sideOf(result);
  own = { roof: new Map(side.roof), kernels: new Map(side.kernels) };
  const wrong = result.kernels.filter((row) => row.wrong !== undefined);
  if (wrong.length > 0) {
    const said = wrong.map((row) => `${row.name} computes wrong values: ${row.wrong}`);
    problem(`${said.join("; ")}. They were not timed; a report of this helps.`);
  }
  if (result.kernels.length === 0 || !adapter) return "Stopped before anything was timed.";
  report = reportOf(result, adapter, choice());
  return summary(result, stopping ? "Stopped after" : "Measured", seconds);
}

function fail(error: WorkerError): void {
  const lost = error.name === "DeviceLostError";
  const fix = lost ? " “Run again” starts on a new device." : "";
  const reason = error.message.replace(/\.?$/, ".");
  problem(`${reason}${fix}`);
  const rows = own && own.roof.size + own.kernels.size > 0;
  enter("failed", rows ? "What was measured until then stays." : "The stored results stay.");
}

function open(): Connection<BenchHandlers> {
  if (connection) return connection;
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  connection = connect<BenchHandlers, BenchEvent>(worker, onEvent, (message) => {
    connection = null;
    problem(`The bench stopped: ${message}. “Run again” starts anew.`);
    enter("failed", "");
  });
  return connection;
}

async function run(): Promise<void> {
  problem("");
  pressed = performance.now();
  measured.firstStep = Number.NaN;
  [stopping, round, progress.value] = [false, 0, 0];
  [own, report] = [null, null];
  enter("starting", "Asking for an adapter.");
  const { kernels, repeat } = choice();
  try {
    const result = await open().ask("run", { pattern: patternOf(kernels), repeat });
    const sentence = keep(result);
    progress.value = 1;
    enter("over", sentence);
  } catch (error) {
    // Else the worker failed, or the page was left: that was said where it happened.
    if (busy()) fail(error as WorkerError);
  }
  show("now", "");
  window.clearTimeout(redraw);
  redraw = 0;
  stale.clear();
  draw();
}

button.onclick = () => {
  if (state !== "training") return void run();
  stopping = true;
  show("status", "Stopping after the kernel under way.");
  open()
    .ask("stop", null as never)
    .catch(fail);
};

function options(id: string, entries: readonly (readonly [string, string])[], value: string): void {
  const select = element<HTMLSelectElement>(id);
  select.replaceChildren(...entries.map(([name, text]) => new Option(text, name)));
  select.value = value;
}
options("kernels", Object.entries(SETS), link.values.kernels);
const samples = [...new Set([3, 5, 10, 20, link.values.repeat])].sort((a, b) => a - b);
options(
  "repeat",
  samples.map((n) => [`${n}`, `${n}`]),
  `${link.values.repeat}`,
);

element("kernels").onchange = ({ target }) => {
  link.set("kernels", (target as HTMLSelectElement).value);
  draw();
};
element("repeat").onchange = ({ target }) =>
  link.set("repeat", Number((target as HTMLSelectElement).value));
for (const [id, text] of [
  ["copy-json", (from: BenchReport) => JSON.stringify(from)],
  ["copy-markdown", markdown],
] as const) {
  const copyButton = element<HTMLButtonElement>(id);
  copyButton.onclick = () => {
    if (report) void copy(copyButton, text(report));
  };
}
mountTake({
  code: program,
  commands: [{ text: () => command(choice()) }],
  link: () => link.address,
  files: [
    {
      label: "Download the JSON",
      name: () => "bench.json",
      bytes: async () => {
        if (!report) throw new Error("nothing was measured yet; press Run first");
        return new TextEncoder().encode(`${JSON.stringify(report)}\n`);
      },
    },
  ],
});
// The worker's device goes with the page, also where the page is kept for going back.
window.addEventListener("pagehide", () => {
  if (busy()) enter("over", "Stopped as the page was left.");
  connection?.end();
  connection = null;
});
enter("film", "Run measures this adapter. Until then the table shows stored results.");
await mountBeside(
  link.values.beside as Beside,
  (name) => link.set("beside", name),
  (found) => {
    beside = found;
    draw();
  },
);
