/// <reference types="vite/client" />
import source from "../../src/hyper/flat.ts?raw";
import { drawMatrix } from "../shell/colours";
import { createCurves } from "../shell/curves";
import type { Film, Frame } from "../shell/film";
import {
  element,
  enable,
  mountFrame,
  mountSource,
  onTheme,
  problem,
  show,
  whole,
} from "../shell/frame";
import { integer, number, openLink, seed, word } from "../shell/link";
import { createRun, withPeriod } from "../shell/run";
import { createScrub, storedFilm } from "../shell/scrub";
import { mountSettings } from "../shell/settings";
import { download, mountTake } from "../shell/take";
import { command, FILE, program } from "./code";
import { CONDITION, conditionOf, flowerPicture, pixels } from "./flowers";
import {
  countParameters,
  countWeights,
  generate,
  GRID,
  type Picture,
  SIZES,
  type SizeName,
} from "./network";
import { createPainter, type Painted } from "./painter";
import { drawGrid, placeAt } from "./pictures";
import { gridConditions } from "./samples";
import { createSliders } from "./sliders";
import type { FamilyHandlers, FamilySettings } from "./worker";

/** Full colour of the mosaic at this weight, which few of a trained network's go beyond. */
const FULL = 1;

const [petals, depth, turn] = CONDITION;
const link = openLink({
  seed,
  size: word("small", "large"),
  steps: integer(1000, 1, 100_000),
  petals: number(5, petals.from, petals.to),
  depth: number(0.475, depth.from, depth.to),
  turn: number(0, turn.from, turn.to),
});
mountFrame("family.html", link.complaints);
mountSource("src/hyper/flat.ts", source);

let shown: Frame | null = null;
let painted: Painted | null = null;

const loss = createCurves(element("loss"), {
  curves: [{ name: "loss", label: "mean squared error", colour: "--orange" }],
  log: true,
  range: [0.002, 2],
});

const condition = (): Float32Array<ArrayBuffer> => Float32Array.from(conditionOf(sliders.flower));

function draw(): void {
  if (!shown) return;
  const { tensors } = shown;
  const family = gridConditions(GRID, sliders.flower.turn);
  paint({ tensors, mine: condition(), family });
}

/** Weights as a row of squares for each unit, and its bias as the last of them. */
function withBias(weight: Float32Array, bias: Float32Array): Float32Array {
  const inputs = weight.length / bias.length;
  return Float32Array.from({ length: weight.length + bias.length }, (_, k) => {
    const [unit, input] = [Math.floor(k / (inputs + 1)), k % (inputs + 1)];
    return (input < inputs ? weight[unit * inputs + input] : bias[unit]) as number;
  });
}

/** x, y and bias of the first layer's units lie in columns, so that it stands on the second's rows. */
function drawWeights({ first, second, last }: Picture): void {
  const width = first.bias.length;
  const rows = withBias(first.weight, first.bias);
  const lying = Float32Array.from({ length: 3 * (width + 1) }, (_, k) => {
    const [row, unit] = [Math.floor(k / (width + 1)), k % (width + 1)];
    return unit < width ? (rows[3 * unit + row] as number) : 0;
  });
  const layers = [
    ["first", lying, 3],
    ["second", withBias(second.weight, second.bias), width],
    ["last", withBias(last.weight, last.bias), 1],
  ] as const;
  for (const [name, matrix, down] of layers) {
    const canvas = element<HTMLCanvasElement>(`weights-${name}`);
    drawMatrix(canvas, matrix, { rows: down, columns: width + 1, full: FULL, cell: 8 });
  }
}

const paint = createPainter(
  () => {
    const { connection, ready } = run;
    return connection && ready ? (wish) => connection.ask("draw", wish) : null;
  },
  (next) => {
    painted = next;
    present();
  },
);

function present(): void {
  if (!painted) return;
  const { wish, by, milliseconds, mine, side, family, tile } = painted;
  const [x = 0, y = 0] = wish.mine;
  const { flower } = sliders;
  const canvases = ["family", "mine", "truth"].map((id) => element<HTMLCanvasElement>(id));
  const [grid, own, truth] = canvases as [HTMLCanvasElement, HTMLCanvasElement, HTMLCanvasElement];
  drawGrid(grid, { pixels: family, side: tile, across: GRID, ring: [x, y] });
  drawGrid(own, { pixels: mine, side, across: 1 });
  const wanted = flowerPicture(flower, pixels(side));
  drawGrid(truth, { pixels: wanted, side, across: 1 });
  grid.dataset.by = by;
  drawWeights(generate(wish.tensors, wish.mine));
  const error =
    wanted.reduce((sum, want, k) => sum + (want - (mine[k] ?? 0)) ** 2, 0) / mine.length;
  show("own", error.toFixed(4));
  const named = `A flower of ${flower.petals.toFixed(1)} petals`;
  own.setAttribute("aria-label", `${named}, as its network draws it: error ${error.toFixed(3)}`);
  truth.setAttribute("aria-label", `${named}, as the formula draws it`);
  const time = `${milliseconds < 10 ? milliseconds.toFixed(1) : whole(milliseconds)} ms`;
  show("drawn", by === "gpu" ? `Drawn through WebGPU in ${time}.` : "Drawn without a GPU.");
}

const sliders = createSliders(
  { petals: link.values.petals, depth: link.values.depth, turn: link.values.turn },
  draw,
  keep,
);

/** The address says where the sliders rest. */
function keep(): void {
  for (const { name } of CONDITION) link.set(name, Number(sliders.flower[name].toFixed(3)));
}

/** The grid is a plane of petals and depth: a press, or a drag over it, goes there. */
const plane = element<HTMLCanvasElement>("family");
const choose = (event: PointerEvent): void => {
  if (event.buttons !== 1) return;
  const { left, top, width, height } = plane.getBoundingClientRect();
  const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
  const value = ({ from, to }: typeof petals | typeof depth, share: number): number =>
    from + ((to - from) * (placeAt(share, GRID) + 1)) / 2;
  sliders.set({ petals: value(petals, x), depth: value(depth, y) });
};
plane.onpointerdown = (event) => {
  // A drag may leave the grid.
  plane.setPointerCapture(event.pointerId);
  choose(event);
};
plane.onpointermove = choose;
plane.onlostpointercapture = keep;
onTheme(present);

function numbers(step: number, values: Readonly<Record<string, number>>): void {
  show("at-step", whole(step));
  show("error", (values.loss ?? 0).toFixed(4));
}

const scrub = createScrub((frame, live) => {
  shown = frame;
  const point = run.film.valuesAt(frame.step);
  loss.cursor(live ? null : frame.step);
  if (point) numbers(frame.step, point.values);
  draw();
});

function showFilm(film: Film, isStored: boolean): void {
  const steps = Number(film.about.steps ?? film.end) || link.values.steps;
  loss.set(film.points, steps);
  scrub.show(film, isStored);
}

function settings(): FamilySettings {
  const { seed: chosen, size, steps } = link.values;
  return withPeriod({ seed: chosen, size, steps });
}

const run = createRun<FamilySettings, FamilyHandlers>(
  {
    worker: () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }),
    settings,
    onReady: ({ about }) => {
      facts(about.size as SizeName);
      show("changed", "");
    },
    onStep: ({ step, values }, perSecond) => {
      loss.set(run.film.points, run.ready?.steps ?? 1);
      show("speed", whole(perSecond));
      if (scrub.follows) numbers(step, values);
    },
    onFrame: () => scrub.grown(),
    onDone: ({ error = 0, samples = 0 }) =>
      `Mean squared error ${error.toFixed(4)} on ${whole(samples)} flowers that no step has seen.`,
    onState: (state) => {
      if (state === "starting") scrub.hold();
      else scrub.release();
      enable(element("save"), ["training", "paused", "over"].includes(state));
    },
    onFilm: showFilm,
  },
  storedFilm("family"),
);

/** What the texts say of a size. */
function facts(size: SizeName): void {
  const sizes = SIZES[size];
  const [made, learned] = [countWeights(sizes), countParameters(sizes)];
  show("batch", whole(sizes.batch));
  show("points", whole(sizes.points));
  show("made", whole(made));
  show("all", whole(GRID * GRID * made));
  show("learned", whole(learned));
  element("share").style.setProperty("--share", `${learned / (GRID * GRID * made)}`);
}
facts(link.values.size as SizeName);

mountSettings(link, ["size", "steps", "seed"], () => {
  facts(link.values.size as SizeName);
  if (run.state !== "film") show("changed", "Reset, then Train takes the new settings.");
});

const save = async (): Promise<Uint8Array<ArrayBuffer>> => {
  if (!run.connection) throw new Error("nothing was trained yet; press Train");
  return run.connection.ask("save", null as never);
};
element("save").onclick = async () => {
  try {
    download("family.safetensors", await save());
  } catch (error) {
    problem(`The checkpoint was not saved: ${(error as Error).message}.`);
  }
};
element<HTMLInputElement>("files").onchange = async (event) => {
  const input = event.target as HTMLInputElement;
  const file = input.files?.[0];
  if (file) await run.resume(new Uint8Array(await file.arrayBuffer()), file.name);
  input.value = "";
};
/** The run at hand as a program, or the next. */
const text = (): string => {
  const { ready } = run;
  const { size, steps, seed: own } = { ...link.values, ...ready?.about };
  return program({ seed: own, steps: ready?.steps ?? steps, size: size as SizeName });
};
mountTake({
  code: text,
  commands: [{ text: command }],
  link: () => link.address,
  files: [
    {
      label: `Download ${FILE}`,
      name: () => FILE,
      bytes: async () => new TextEncoder().encode(text()),
    },
    { label: "Download safetensors", name: () => "family.safetensors", bytes: save },
  ],
});
