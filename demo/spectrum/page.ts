/// <reference types="vite/client" />
import { type Curves, createCurves } from "../shell/curves";
import { Film } from "../shell/film";
import { element, enable, mountFrame, mountSource, percent, show, whole } from "../shell/frame";
import { integer, openLink, seed, word } from "../shell/link";
import { createRun, withPeriod } from "../shell/run";
import { createScrub } from "../shell/scrub";
import { mountSettings } from "../shell/settings";
import { mountTake } from "../shell/take";
import { createBoard, createSlider, drawRace } from "./board";
import { command, FILE, program, type Told } from "./code";
import { createMosaics } from "./mosaics";
import source from "./network.ts?raw";
import { Results } from "./results";
import { called, layersOf, likeness, STOPS, type Stop } from "./stops";
import type { SpectrumHandlers, SpectrumSettings } from "./worker";

const link = openLink({
  stop: word("4", ...STOPS.filter((stop) => stop !== "4")),
  layers: integer(12, 2, 48),
  seed,
  batch: integer(16, 1, 1024),
  steps: integer(250, 1, 100_000),
  train: integer(4000, 10, 60_000),
  test: integer(1000, 10, 10_000),
});
mountFrame("spectrum.html", link.complaints);
mountSource("demo/spectrum/network.ts", source);

const results = new Results();
const mosaics = createMosaics();
/** The place that is looked at, and the one that the run at hand trains. */
let chosen = link.values.stop as Stop;
let active = chosen;
/** What "Train all" has still before it. */
let queue: Stop[] = [];
/** Set while a run makes way for another, whose results stay. */
let making = false;

const curvesOf = (id: string, more: { log?: boolean; format?: (x: number) => string }): Curves =>
  createCurves(element(id), {
    curves: STOPS.map((stop) => ({
      name: stop,
      label: called(stop),
      colour: `--stop-${stop}`,
      smooth: false,
    })),
    range: more.log ? [0.03, 4] : [0, 1],
    ...more,
  });
const loss = curvesOf("loss", { log: true });
const accuracy = curvesOf("accuracy", { format: (value) => percent(value) });

/** Layers of the network that is looked at: of its film, or of the next run. */
const layerCount = (): number => Number(results.film(chosen).about.layers) || link.values.layers;

const scrub = createScrub((frame, live) => {
  const layers = layersOf(chosen, layerCount(), frame.tensors);
  mosaics.set(layers, chosen === "shared");
  loss.cursor(live ? null : frame.step);
  accuracy.cursor(live ? null : frame.step);
  const values = results.film(chosen).valuesAt(frame.step)?.values;
  show("at-step", whole(frame.step));
  show("nats", values?.loss?.toFixed(3) ?? "–");
  show("right", values?.accuracy === undefined ? "–" : percent(values.accuracy));
  show("alike", likeness(layers).toFixed(2).replace("-", "−"));
});

const setSlider = createSlider(choose);
const writeBoard = createBoard(choose);

/** Looks at another place; a run under way goes on. */
function choose(stop: Stop): void {
  if (stop === chosen) return;
  chosen = stop;
  link.set("stop", stop);
  look();
}

/** Shows the chosen place from its beginning, or follows its run. */
function look(): void {
  setSlider(chosen);
  const film = results.film(chosen);
  if (film.frames.length === 0 && results.isStored(chosen)) mosaics.clear(layerCount());
  scrub.show(film, results.isStored(chosen));
  compare();
}

/** Board and race, which change with tests, not with steps. */
function compare(): void {
  writeBoard(chosen, layerCount(), results.tested);
  drawRace(layerCount(), results.tested);
  curves();
}

function curves(): void {
  const film = results.film(active);
  const steps = Number(film.about.steps) || link.values.steps;
  loss.set(results.curves("loss", steps), steps);
  accuracy.set(results.curves("accuracy", steps), steps);
}

const all = document.createElement("button");
all.type = "button";
all.id = "all";
all.textContent = "Train all seven";

const run = createRun<SpectrumSettings, SpectrumHandlers>(
  {
    worker: () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
    settings: () => withPeriod({ ...link.values, stop: active }),
    onStep: curves,
    onFrame: () => {
      if (chosen === active) scrub.grown();
    },
    onDone: ({ error = 0, samples = 0 }) => {
      results.end(active, { error, samples });
      compare();
      return `${called(active)}: test error ${percent(error, 1)} on ${whole(samples)} unseen digits.`;
    },
    onState: (state) => {
      // Nothing could be started: nobody waits for the rest.
      if (state === "film" && !making) queue = [];
      enable(all, queue.length === 0 || state === "paused" || state === "failed");
      // A film that plays takes time from the start.
      if (state === "starting") scrub.hold();
      else scrub.release();
      // The state is entered before the next run begins.
      if (state === "over" && queue.length > 0) queueMicrotask(next);
    },
    onFilm: (film, stored) => {
      if (!stored) results.begin(active, film);
      else if (!making) {
        queue = [];
        results.clear();
      }
      look();
    },
  },
  // Each place has a stored run of its own, in `results`.
  new Film(),
);
window.hyperloomDemo.film = () => results.file(chosen);

element("step").before(all);

/** Lets the run at hand make way for another; what it recorded stays. */
async function makeWay(): Promise<void> {
  making = true;
  await run.reset();
  making = false;
}

/** Trains the next place of "Train all"; who follows the race goes along. */
function next(): void {
  const stop = queue.shift();
  if (!stop) return;
  const follows = chosen === active;
  active = stop;
  if (follows) choose(stop);
  void run.train();
}

all.onclick = async () => {
  results.compareWith(link.values);
  const left = STOPS.filter((stop) => !results.done(stop));
  queue = left.length > 0 ? left : [...STOPS];
  const busy = ["starting", "training", "paused", "testing"].includes(run.state);
  if (busy) queue = queue.filter((stop) => stop !== active);
  enable(all, false);
  if (run.state === "failed") await makeWay();
  if (!busy) next();
  else if (run.state === "paused") await run.train();
};

// Train and Step are about the place that is looked at, also where another one is paused.
element("run").addEventListener(
  "click",
  async (event) => {
    const { id } = event.target as HTMLElement;
    if ((id !== "train" && id !== "step") || run.state === "training") return;
    if (chosen !== active && (run.state === "paused" || run.state === "failed")) {
      event.stopPropagation();
      queue = [];
      await makeWay();
      element(id).click();
      return;
    }
    if (run.state === "film" || run.state === "over") active = chosen;
  },
  true,
);

mountSettings(link, ["layers", "batch", "steps", "seed"], () => {
  show("changed", "The next run takes the new settings; runs with others are forgotten then.");
});

/** The settings of the place's own run, else of the next one. */
function told(): Told {
  const about = results.isStored(chosen) ? {} : results.film(chosen).about;
  const of = (name: Exclude<keyof Told, "stop">): number =>
    Number(about[name] ?? link.values[name]);
  const [layers, seed, batch, steps, train] = [
    of("layers"),
    of("seed"),
    of("batch"),
    of("steps"),
    of("train"),
  ];
  return { stop: chosen, layers, seed, batch, steps, train };
}

mountTake({
  code: () => program(told()),
  commands: [{ text: command }],
  link: () => link.address,
  files: [
    {
      label: `Download ${FILE}`,
      name: () => FILE,
      bytes: async () => new TextEncoder().encode(program(told())),
    },
    {
      label: "Download safetensors",
      name: () => `spectrum-${active}.safetensors`,
      bytes: async () => {
        if (!run.connection) throw new Error("nothing was trained yet");
        return run.connection.ask("save", null);
      },
    },
  ],
});

look();
void results.load(chosen, (stop) => {
  if (!results.isStored(stop)) return;
  if (stop === chosen) look();
  else compare();
});
