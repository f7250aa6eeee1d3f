/// <reference types="vite/client" />
import type { MnistFiles } from "hyperloom/data";
import source from "../../src/hyper/static.ts?raw";
import { drawMatrix } from "../shell/colours";
import { createCurves } from "../shell/curves";
import type { Film, Frame } from "../shell/film";
import {
  element,
  enable,
  mountFrame,
  mountSource,
  percent,
  problem,
  show,
  whole,
} from "../shell/frame";
import { integer, openLink, seed } from "../shell/link";
import { createRun, withPeriod } from "../shell/run";
import { createScrub, storedFilm } from "../shell/scrub";
import { mountSettings } from "../shell/settings";
import { download, mountTake } from "../shell/take";
import { command, program, says, type Told } from "./code";
import { takeFiles } from "./files";
import { createMosaic, FULL } from "./mosaic";
import { CHANNELS, F, generateMatrix, generatorParameters, logits, MADE, softmax } from "./network";
import { createPad } from "./pad";
import { createSliders } from "./sliders";
import type { StaticHandlers, StaticSettings } from "./worker";

const link = openLink({
  seed,
  nz: integer(4, 1, 16),
  batch: integer(32, 1, 1024),
  steps: integer(500, 1, 100_000),
  train: integer(10_000, 10, 10_000),
  test: integer(2000, 10, 10_000),
});
mountFrame("index.html", link.complaints);
mountSource("src/hyper/static.ts", source);

let files: MnistFiles | null = null;
let shown: Frame | null = null;

const loss = createCurves(element("loss"), {
  curves: [{ name: "loss", label: "loss", colour: "--orange" }],
  log: true,
  range: [0.004, 4],
});
const accuracy = createCurves(element("accuracy"), {
  curves: [{ name: "accuracy", label: "right", colour: "--blue" }],
  range: [0, 1],
  format: (value) => percent(value),
});

/** conv1's kernels [16, 1, 7, 7] as a matrix of one row of tiles. */
function firstLayer(kernel: Float32Array): Float32Array {
  return Float32Array.from(kernel, (_, at) => {
    const [r, o, c] = [Math.floor(at / (CHANNELS * F)), Math.floor(at / F) % CHANNELS, at % F];
    return kernel[(o * F + r) * F + c] ?? 0;
  });
}

const change = element<HTMLInputElement>("change");
const mosaic = createMosaic();

/** A matrix less that of the film's first snapshot. */
function changed(matrix: Float32Array): Float32Array {
  const first = run.film.frames[0]?.tensors;
  const start = first && generateMatrix(first, first["generator.z"] as Float32Array);
  return matrix.map((weight, at) => weight - (start?.[at] ?? 0));
}

function draw(): void {
  if (!shown) return;
  const { tensors, step } = shown;
  const learned = tensors["generator.z"] as Float32Array;
  sliders.learned(learned);
  const matrix = generateMatrix(tensors, sliders.chosen ?? learned);
  mosaic.draw(change.checked ? changed(matrix) : matrix);
  const first = firstLayer(tensors["conv1.kernel"] as Float32Array);
  drawMatrix(element<HTMLCanvasElement>("first"), first, {
    rows: F,
    columns: CHANNELS * F,
    full: 2 * FULL,
    tile: [F, F],
  });
  const most = matrix.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
  const label = `16 by 16 generated kernels at step ${Math.round(step)}, largest weight ${most.toFixed(2)}`;
  element("kernels").setAttribute("aria-label", label);
  pad.answer(pad.image && softmax(logits(tensors, matrix, pad.image)));
}

const sliders = createSliders(draw);
const pad = createPad(draw);

// What lies on the pad at first tells the story without a click.
pad.sample(3);
change.onchange = draw;

const scrub = createScrub((frame, live) => {
  shown = frame;
  const point = run.film.valuesAt(frame.step);
  loss.cursor(live ? null : frame.step);
  accuracy.cursor(live ? null : frame.step);
  if (point) numbers(point.step, point.values);
  draw();
});

function numbers(step: number, values: Readonly<Record<string, number>>): void {
  show("at-step", `${whole(step)}`);
  show("nats", (values.loss ?? 0).toFixed(3));
  show("right", percent(values.accuracy ?? 0));
}

/** Parameters learned directly, and those that generate. */
function counts(nz: number, learned: number, made: number): void {
  show("learned", whole(learned));
  show("made", whole(made));
  show("of-z", `${nz}`);
  element("share").style.setProperty("--share", `${Math.min(1, learned / made)}`);
}

function showFilm(film: Film, isStored: boolean): void {
  sliders.release();
  const steps = Number(film.about.steps ?? film.end) || link.values.steps;
  loss.set(film.points, steps);
  accuracy.set(film.points, steps);
  scrub.show(film, isStored);
}

function settings(): StaticSettings {
  const { seed: chosen, nz, batch, steps, train, test } = link.values;
  return withPeriod({ seed: chosen, nz, batch, steps, train, test, files });
}

/** What of this run the texts tell: of the run at hand, or of the next. */
function told(): Told {
  const { seed: chosen, nz, batch, steps, train } = link.values;
  const { ready } = run;
  const next = { seed: chosen, nz, batch, source: files ? "MNIST" : "generated digits", train };
  return { ...next, steps: ready?.steps ?? steps, ...ready?.about };
}

const run = createRun<StaticSettings, StaticHandlers>(
  {
    worker: () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
    settings,
    onReady: ({ about, learned, made }) => {
      counts(Number(about.nz), learned, made);
      show("changed", "");
      show("source-of-data", `${about.source}`);
    },
    onStep: ({ step, values }, perSecond) => {
      loss.set(run.film.points, run.ready?.steps ?? 1);
      accuracy.set(run.film.points, run.ready?.steps ?? 1);
      show("speed", whole(perSecond));
      if (scrub.follows) numbers(step, values);
    },
    onFrame: () => scrub.grown(),
    onDone: ({ error = 0, samples = 0 }) =>
      `Test error ${percent(error, 2)} on ${whole(samples)} unseen digits.`,
    onState: (state) => {
      if (state === "starting") scrub.hold();
      else scrub.release();
      enable(element("save"), ["training", "paused", "over"].includes(state));
      enable(element("unplug"), state === "training");
    },
    onFilm: showFilm,
  },
  storedFilm("static"),
);

mountSettings(link, ["nz", "batch", "steps", "seed"], () => {
  counts(link.values.nz, generatorParameters(link.values.nz), MADE);
  if (run.state !== "film") show("changed", "Reset, then Train takes the new settings.");
});

counts(link.values.nz, generatorParameters(link.values.nz), MADE);

const save = async (): Promise<Uint8Array<ArrayBuffer>> => {
  if (!run.connection) throw new Error("nothing was trained yet");
  return run.connection.ask("save", null as never);
};
element("save").onclick = async () => {
  try {
    download("checkpoint.safetensors", await save());
  } catch (error) {
    problem(`The checkpoint was not saved: ${(error as Error).message}`);
  }
};
element("unplug").onclick = () => void run.unplug();
mountTake({
  code: () => program(told()),
  commands: [{ says: () => says(told()), text: () => command(told()) }],
  link: () => link.address,
  files: [{ label: "Download safetensors", name: () => "checkpoint.safetensors", bytes: save }],
});
takeFiles({
  say: problem,
  checkpoint: async (bytes, name) => {
    await run.resume(bytes, name);
  },
  mnist: async (given) => {
    try {
      const { train, test } = await run.open().ask("check", given as never);
      files = given;
      problem("");
      const text = `MNIST, ${whole(train)} digits to learn and ${whole(test)} to test`;
      show("source-of-data", text);
      if (run.state !== "film") show("changed", "Reset, then Train takes MNIST.");
    } catch (error) {
      problem((error as Error).message);
    }
  },
});
