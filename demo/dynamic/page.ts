/// <reference types="vite/client" />
import source from "../../src/hyper/hyper-cell.ts?raw";
import { createCurves } from "../shell/curves";
import { type Film, type Frame, type Values, writeFilm } from "../shell/film";
import { calm, element, enable, mountFrame, mountSource, show, whole } from "../shell/frame";
import { integer, number, openLink, seed, word } from "../shell/link";
import { createRun } from "../shell/run";
import { createScrub, storedFilm } from "../shell/scrub";
import { mountSettings } from "../shell/settings";
import { mountTake } from "../shell/take";
import { command, further, program, says, type Told } from "./code";
import { createPickedTable, mountDesk } from "./controls";
import type { Who } from "./desk";
import { testsOf } from "./held-out";
import { createSampleView } from "./sample-view";
import { hyperLstmParameters, lstmParameters, lstmUnits, SIZES, type SizeName } from "./sizes";
import { parted } from "./snapshot";
import { createStream } from "./stream";
import { promptFor } from "./text";
import { mountText } from "./text-box";
import type { DynamicHandlers, DynamicSettings } from "./worker";

/** Milliseconds of training between two samples. */
const PERIOD = 2500;

const link = openLink({
  seed,
  steps: integer(200, 1, 100_000),
  size: word("small", "medium", "large"),
  equal: word("parameters", "units"),
  race: word("steps", "seconds"),
  norm: word("off", "on"),
  temperature: number(0.7, 0, 2),
});
mountFrame("dynamic.html", link.complaints);
mountSource("src/hyper/hyper-cell.ts", source);

const bits = (value: number): string => value.toFixed(2);
const curves = [
  { name: "hyper", label: "HyperLSTM", colour: "--orange" },
  { name: "lstm", label: "LSTM", colour: "--blue" },
];
const training = createCurves(element("training"), { curves, format: bits });
const held = createCurves(element("held"), {
  curves: curves.map((curve) => ({ ...curve, smooth: false })),
  format: bits,
});

const label = "What the HyperLSTM wrote, arrow keys go from character to character";
const views: Readonly<Record<Who, ReturnType<typeof createSampleView>>> = {
  hyper: createSampleView(element("hyper-text"), {
    label,
    onPick: createPickedTable(element("picked")),
  }),
  lstm: createSampleView(element("lstm-text"), { label: "What the LSTM wrote" }),
};

/** The symbols of a run's text, by number. */
const symbolsOf = (film: Film): string[] => [...`${film.about.symbols ?? ""}`];
let symbols: string[] = [];
// The snapshot that stands in the page; null where something else was written since.
let drawn: Frame | null = null;

/** Samples are no numbers between which there were others: the last one written by then is shown. */
function drawSample(step: number): void {
  // Nothing was written before the first step.
  const frames = run.film.frames.filter(({ tensors }) => (tensors.hyper?.[0] ?? -1) >= 0);
  const frame = frames.findLast((each) => each.step <= step) ?? frames[0];
  if (!frame || frame === drawn) return;
  drawn = frame;
  const { hyper, changes, lstm } = frame.tensors;
  const text = (ids: Float32Array | undefined): string[] =>
    Array.from(ids ?? [], (id) => symbols[Math.round(id)] ?? "");
  views.hyper.show(text(hyper), changes ?? null);
  views.lstm.show(text(lstm), null);
}

const scrub = createScrub((frame, live) => {
  const point = run.film.valuesAt(frame.step);
  for (const plot of [training, held]) plot.cursor(live ? null : frame.step);
  if (point) numbers(point.step, point.values);
  drawSample(frame.step);
});

const stream = createStream({
  views,
  characterOf: (symbol) => symbols[symbol] ?? "",
  follows: () => scrub.follows,
});

function numbers(step: number, values: Values): void {
  const { hyper = 0, lstm = 0, lstmSteps = step } = values;
  show("at-step", lstmSteps === step ? whole(step) : `${whole(step)} · ${whole(lstmSteps)}`);
  show("hyper-bits", bits(hyper));
  show("lstm-bits", bits(lstm));
}

function plot(film: Film, steps: number): void {
  training.set(film.points, steps);
  held.set(testsOf(film.points), steps);
}

function showFilm(film: Film, isStored: boolean): void {
  symbols = symbolsOf(film);
  drawn = null;
  plot(film, Number(film.about.steps ?? film.end) || link.values.steps);
  scrub.show(film, isStored);
  sizes();
}

function changed(): void {
  if (run.state !== "film") show("changed", "Reset, then Train takes the new text and settings.");
}

/** Both models' sizes, of the run at hand, or of the next. */
function sizes(): void {
  const { size, equal, norm } = link.values;
  const layerNorm = norm === "on";
  const name = size as SizeName;
  const about = run.ready?.about;
  const count = box.checked?.symbols.size;
  if (!about && !count) return;
  const units = lstmUnits(count ?? 0, name, layerNorm, equal);
  const hyper = about?.hyper ?? hyperLstmParameters(count ?? 0, name, layerNorm);
  const lstm = about?.lstm ?? lstmParameters(count ?? 0, units, layerNorm);
  const hidden = about?.hidden ?? SIZES[name].hidden;
  show("hyper-size", `${whole(Number(hyper))} parameters, ${hidden} units`);
  show("lstm-size", `${whole(Number(lstm))} parameters, ${about?.units ?? units} units`);
}

// The text of the last run that was started.
let taken = "";
function settings(): DynamicSettings {
  const { seed: chosen, steps, size, equal, race, norm } = link.values;
  const text = box.take();
  taken = text;
  if (box.checked) desk.prompt = promptFor(desk.prompt, text, box.checked);
  return {
    seed: chosen,
    steps,
    size: size as SizeName,
    equal,
    race,
    norm: norm === "on",
    text,
    source: box.source,
    prompt: desk.prompt,
    temperature: desk.temperature,
    period: calm() ? 2 * PERIOD : PERIOD,
  };
}

const box = mountText((own) => {
  sizes();
  if (box.checked && run.ready === null)
    desk.prompt = promptFor(desk.prompt, box.text, box.checked);
  if (own) changed();
});

const desk = mountDesk(
  {
    rest: () => link.set("temperature", desk.temperature),
    wish() {
      if (run.ready) void ask("wish", { prompt: desk.prompt, temperature: desk.temperature });
    },
    write(anew) {
      desk.canWrite(false);
      // The end of the film, and what was written beyond it.
      scrub.show(run.film, false);
      drawn = null;
      stream.resume();
      void ask("write", { anew });
    },
    tint(shown) {
      views.hyper.tint(shown);
    },
  },
  "The ",
  link.values.temperature,
);

/** Asks the worker; what it refuses stands below the controls. */
async function ask(
  name: "wish" | "write",
  payload: { readonly prompt: string; readonly temperature: number } | { readonly anew: boolean },
): Promise<void> {
  try {
    await run.open().ask(name, payload as never);
    if (name === "write") await stream.end();
    show("desk-note", "");
  } catch (error) {
    const { name: kind, message } = error as Error;
    if (kind !== "EndedError") show("desk-note", `${message}.`);
  }
  if (name === "write") desk.canWrite(run.state === "paused" || run.state === "over");
}

const run = createRun<DynamicSettings, DynamicHandlers>(
  {
    worker: () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
    settings,
    onReady: sizes,
    onStep: ({ step, values }, perSecond) => {
      plot(run.film, run.ready?.steps ?? 1);
      show("speed", whole(perSecond));
      if (scrub.follows) numbers(step, values);
    },
    onFrame: () => {
      stream.stop();
      scrub.grown();
    },
    onDone: ({ hyper = 0, lstm = 0, characters = 0, lstmSteps = 0 }) =>
      `On ${whole(characters)} held-out characters: HyperLSTM ${hyper.toFixed(3)} bits per character, ` +
      `LSTM ${lstm.toFixed(3)} after ${whole(lstmSteps)} steps.`,
    onState: (state) => {
      enable(element("unplug"), state === "training");
      desk.canWrite(state === "paused" || state === "over");
      if (state === "starting") {
        scrub.hold();
        stream.hear(run.open());
      } else {
        scrub.release();
      }
    },
    onFilm: showFilm,
  },
  storedFilm("dynamic"),
);

element("unplug").onclick = () => void run.unplug();

// Samples are small: a stored run has more of them than other pages' films.
window.hyperloomDemo.film = () => writeFilm(run.film, 20);

mountSettings(link, ["size", "equal", "race", "norm", "steps", "seed"], () => {
  sizes();
  changed();
});

/** What of this run the texts tell: of the run at hand, or of the next. */
function told(): Told {
  const { ready } = run;
  const about = { ...link.values, ...ready?.about };
  const [size, norm] = [about.size as SizeName, about.norm === "on"];
  const count = box.checked?.symbols.size ?? symbols.length;
  return {
    seed: about.seed,
    steps: ready?.steps ?? about.steps,
    size,
    norm,
    units: Number(ready?.about.units ?? lstmUnits(count, size, norm, about.equal)),
    prompt: desk.prompt,
    temperature: desk.temperature,
  };
}
/** The text of the run at hand, or of the next. */
const learned = (): string => (run.ready ? taken : box.text);

const checkpoint = async (which: 0 | 1): Promise<Uint8Array<ArrayBuffer>> => {
  if (!run.connection || !run.ready) throw new Error("nothing was trained yet");
  return parted(await run.connection.ask("save", null as never))[which];
};
const fileOf = (name: string, bytes: () => Promise<Uint8Array<ArrayBuffer>>) => ({
  label: `Download ${name}`,
  name: () => name,
  bytes,
});
mountTake({
  code: () => program(told()),
  commands: [
    { says: () => says(learned()), text: () => command(told()) },
    { says: () => "The LSTM for as many steps, then a sample:", text: () => further(told()) },
  ],
  link: () => link.address,
  files: [
    fileOf("hyperlstm.safetensors", () => checkpoint(0)),
    fileOf("lstm.safetensors", () => checkpoint(1)),
    fileOf("text.txt", async () => new TextEncoder().encode(learned())),
  ],
});
