/** The page Spectrum, built as it is published, in the browser; and its counts and kernels. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { program } from "../../demo/spectrum/code";
import { Film } from "../../demo/shell/film";
import { runningMean } from "../../demo/shell/mean";
import { Means } from "../../demo/spectrum/means";
import { spectrumNetwork } from "../../demo/spectrum/network";
import { kernelParameters, layersOf, likeness, STOPS } from "../../demo/spectrum/stops";
import * as hyperloom from "../../src/index";
import type { Module } from "../../src/nn/module";
import { countParameters, slabsOf } from "../../src/nn/slabs";
import {
  curve,
  leftBehind,
  openSite,
  picture,
  type Site,
  settled,
  steps,
  text,
  until,
} from "./demo-site";
import { runProgram, takenTexts } from "./taken";

/** Initial values of a network's parameters by their paths, as a snapshot has them. */
function initial(stop: (typeof STOPS)[number], layers: number): Record<string, Float32Array> {
  const { variable } = slabsOf(spectrumNetwork(stop, layers)).parameters;
  const slab = variable.initial(7) as Float32Array;
  const parts = variable.entries.map(({ name, shape, offset }) => {
    const length = shape.reduce((n, d) => n * d, 1);
    return [name, slab.slice(offset, offset + length)] as const;
  });
  return Object.fromEntries(parts);
}

describe("the places of the spectrum", () => {
  test("cost what their networks have, and ever less at twelve layers", () => {
    // Biases, stem and dense layer are the same everywhere.
    const rest = 12 * 16 + (16 * 9 + 16) + (10 * 144 + 10);
    const counts = STOPS.map((stop) => countParameters(spectrumNetwork(stop, 12).params) - rest);
    expect(counts).toEqual(STOPS.map((stop) => kernelParameters(stop, 12)));
    expect(counts).toEqual([27_648, 19_856, 6992, 3776, 3240, 2972, 2304]);
  });

  test("show the kernels that equations 1 and 2 make", () => {
    const tensors = initial("2", 3);
    const [W_i, B_i, W_out, B_out, z] = ["W_i", "B_i", "W_out", "B_out", "z"].map(
      (name) => tensors[`generator.${name}`] as Float32Array,
    ) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
    for (const values of [B_i, B_out]) for (const k of values.keys()) values[k] = Math.sin(k);
    const layers = layersOf("2", 3, tensors);
    // Input channel i, row r, output channel o, column c of layer j.
    for (const [j, i, r, o, c] of [
      [0, 0, 0, 0, 0],
      [1, 5, 2, 11, 1],
      [2, 15, 1, 15, 2],
    ] as const) {
      let expected = B_out[(r * 16 + o) * 3 + c] as number;
      for (let k = 0; k < 16; k++) {
        const a =
          (W_i[(i * 16 + k) * 2] as number) * (z[2 * j] as number) +
          (W_i[(i * 16 + k) * 2 + 1] as number) * (z[2 * j + 1] as number) +
          (B_i[i * 16 + k] as number);
        expected += a * (W_out[((r * 16 + o) * 3 + c) * 16 + k] as number);
      }
      expect(layers[j]?.matrix[(i * 3 + r) * 48 + o * 3 + c]).toBeCloseTo(expected, 4);
    }
  });

  test("are alike where they share, and not where they do not", () => {
    const at = (stop: (typeof STOPS)[number]) => likeness(layersOf(stop, 12, initial(stop, 12)));
    expect(at("shared")).toBeCloseTo(1, 6);
    // 2,304 independent numbers: cosines of 0 ± 1/48.
    expect(Math.abs(at("direct"))).toBeLessThan(0.02);
    const one = layersOf("1", 12, initial("1", 12));
    // With one number of length 1 and no biases yet, kernels differ in their sign alone.
    for (const { matrix } of one) {
      expect(Math.abs(likeness([one[0], { matrix, z: null }] as never))).toBeCloseTo(1, 5);
    }
  });
});

describe("the curves", () => {
  const loss = (step: number): number => Math.sin(step) + 2;
  /** Takes steps of a run, and counts how often its values are read. */
  let reads = 0;
  const go = (film: Film, to: number): Film => {
    for (let step = (film.points.at(-1)?.step ?? 0) + 1; step <= to; step++) {
      const values = {
        get loss() {
          reads++;
          return loss(step);
        },
      };
      film.point({ step, values });
    }
    return film;
  };
  const wanted = (steps: number): number[] =>
    runningMean(
      Array.from({ length: steps }, (_, k) => loss(k + 1)),
      20,
    );

  test("have each run's mean at each step, also after one went back or is another", () => {
    const means = new Means("loss");
    const [one, shared] = [go(new Film(), 30), go(new Film(), 10)];
    const films = new Map([["1", one] as const, ["shared", shared] as const]);
    const check = (steps: number): void => {
      const points = means.of(films, 250);
      expect(points.map(({ step }) => step)).toEqual(wanted(steps).map((_, k) => k + 1));
      for (const [stop, { points: own }] of films) {
        const found = points.flatMap(({ values }) => values[stop] ?? []);
        expect(found).toHaveLength(own.length);
        for (const [k, mean] of wanted(own.length).entries())
          expect(found[k]).toBeCloseTo(mean, 10);
      }
    };
    check(30);
    go(shared, 45);
    check(45);
    shared.point({ step: 12, values: { loss: loss(12) } });
    check(30);
    films.set("1", go(new Film(), 5));
    check(12);
    films.delete("shared");
    check(5);
  });

  test("of long runs have a thousand points at most, and read no value a third time", () => {
    const means = new Means("loss");
    const film = new Film();
    const films = new Map([["4", film] as const]);
    reads = 0;
    for (let step = 500; step < 20_000; step += 500) {
      go(film, step);
      means.of(films, 20_000);
    }
    const points = means.of(films, 20_000);
    expect(points.length).toBeLessThanOrEqual(1000);
    expect(points.length).toBeGreaterThan(900);
    expect(reads).toBeLessThanOrEqual(2 * film.points.length);
    expect(points.at(-1)?.values["4"]).toBeCloseTo(wanted(19_500).at(-1) as number, 8);
  });
});

test("the program to take along builds the page's network", async () => {
  for (const stop of STOPS) {
    const text = program({ stop, layers: 3, seed: 1, batch: 2, steps: 1, train: 20 });
    // As far as the network: what follows needs a device.
    const [imports = "", names = ""] = /^import \{(.*?)\} from "hyperloom";\n/s.exec(text) ?? [];
    const wanted = names.split(",").map((name) => name.trim());
    expect(wanted.filter((name) => name !== "" && !(name in hyperloom))).toEqual([]);
    const body = text
      .slice(imports.length, text.indexOf("const variables"))
      .replace(/^import.*$/m, "");
    const { net } = new Function(`{ ${names} }`, `${body}; return { net };`)(hyperloom);
    const entries = (model: Module) => slabsOf(model).parameters.variable.entries;
    expect(entries(net)).toEqual(entries(spectrumNetwork(stop, 3)));
  }
});

describe("the page Spectrum", () => {
  let site: Site;
  const scratch = mkdtempSync(join(tmpdir(), "hyperloom-spectrum-"));

  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(async () => {
    await site?.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  const mean = (some: readonly number[]): number => some.reduce((a, b) => a + b, 0) / some.length;

  const small = "demo/spectrum.html#layers=3&batch=16&train=400&test=50";

  const mosaics = (page: Page): Promise<string[]> =>
    page.$$eval("#layers .kernel", (all) =>
      all.map((canvas) => (canvas as HTMLCanvasElement).toDataURL()),
    );

  /** The board's rows, their cells' texts joined. */
  const board = (page: Page): Promise<string[]> =>
    page.$$eval("#board tbody tr", (rows) =>
      rows.map((row) => [...row.children].map((cell) => cell.textContent).join("|")),
    );

  test("shows stored runs at every place of the slider", async () => {
    const opened = await site.open("demo/spectrum.html");
    const { page, faults } = opened;
    await settled(opened, "race", /direct.*shared/s);
    await page.click("#play");
    const four = await mosaics(page);
    expect(four).toHaveLength(12);
    expect(new Set(four).size).toBe(12);
    expect(await text(page, "shown")).toMatch(/^A stored run, step/);
    await page.focus("#stop");
    for (const [key, name] of [
      ["ArrowRight", "2"],
      ["ArrowRight", "1"],
      ["ArrowRight", "shared"],
    ] as const) {
      await page.keyboard.press(key);
      expect(await page.$eval(".stops .on", (found) => found.textContent)).toBe(name);
      expect(new URL(page.url()).hash).toBe(`#stop=${name}`);
    }
    await page.click("#play");
    const shared = await mosaics(page);
    expect(new Set(shared).size).toBe(1);
    expect(shared[0]).not.toBe(four[0]);
    expect(await text(page, "alike")).toBe("1.00");
    expect((await board(page)).every((row) => /\d %$/.test(row))).toBe(true);
    const colours = await page.$$eval("#board tbody th", (names) =>
      names.map((name) => getComputedStyle(name, "::before").backgroundColor),
    );
    expect(new Set(colours).size).toBe(7);
    // A row of the board by keyboard, whose button keeps the focus.
    await page.focus("#board tbody tr:nth-child(2) button");
    await page.keyboard.press("Enter");
    expect(new URL(page.url()).hash).toBe("#stop=64");
    const chosen = await page.$$eval('#board [aria-current="true"]', (found) =>
      found.map((each) => [each.textContent, each === document.activeElement]),
    );
    expect(chosen).toEqual([["Nz = 64", true]]);
    // The layer that is pointed at, and the one with the focus.
    await page.$eval(".stops span:nth-child(4)", (span) => (span as HTMLElement).click());
    await page.click("#play");
    await page.hover(".layer:nth-child(7)");
    expect(await text(page, "layer-name")).toBe("Layer 7");
    const seven = await picture(page, "large");
    await page.focus(".layer:nth-child(3)");
    expect(await text(page, "layer-name")).toBe("Layer 3");
    expect(await text(page, "layer-says")).toMatch(/^z = \((−?\d\.\d\d, ){3}−?\d\.\d\d\)$/);
    expect(await picture(page, "large")).not.toBe(seven);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("trains the chosen place in its worker, and leaves nothing on the GPU", async () => {
    const opened = await site.open(`${small}&steps=120&stop=16`);
    const { page, faults } = opened;
    await page.click("#train");
    await steps(opened, 2);
    await page.click("#train");
    await until(opened, "paused");
    const early = await mosaics(page);
    expect(early).toHaveLength(3);
    await page.click("#train");
    await until(opened, "over");
    expect(await text(page, "status")).toMatch(
      /^N_z = 16: test error \d+\.\d % on 50 unseen digits/,
    );
    const losses = await curve(page, "loss");
    expect(losses).toHaveLength(120);
    expect(mean(losses.slice(-15))).toBeLessThan(0.6 * mean(losses.slice(0, 15)));
    expect(await mosaics(page)).not.toEqual(early);
    const rows = await board(page);
    expect(rows.filter((row) => /\d %$/.test(row))).toEqual([rows[2]]);
    // Of losses above 1 both say as many digits.
    const printed = await runProgram(scratch, (await takenTexts(page)).at(-1) ?? "");
    const own = losses.slice(0, 10).map((loss) => loss.toFixed(3));
    expect(printed.match(/(?<=: loss )[\d.]+/g)?.slice(0, 10)).toEqual(own);
    const { firstStep, longestTask } = await page.evaluate(() => window.hyperloomDemo);
    console.log(`spectrum: first step ${firstStep.toFixed(0)} ms, longest task ${longestTask} ms`);
    expect(page.workers()).toHaveLength(1);
    expect(await leftBehind(page)).toEqual([]);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("Reset abandons the test at a run's end", async () => {
    const opened = await site.open(`${small.replace("test=50", "test=10000")}&steps=1`);
    const { page, faults } = opened;
    await page.click("#train");
    await until(opened, "testing");
    await page.evaluate(() => {
      const seen: (string | undefined)[] = [];
      Reflect.set(window, "seen", seen);
      new MutationObserver(() => seen.push(document.body.dataset.state)).observe(document.body, {
        attributeFilter: ["data-state"],
      });
    });
    await page.click("#reset");
    await until(opened, "film");
    expect(await page.evaluate(() => Reflect.get(window, "seen"))).toEqual(["film"]);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("goes through all places with equal steps, and draws them", async () => {
    const opened = await site.open(`${small}&steps=4&stop=shared`);
    const { page, faults } = opened;
    await page.click("#all");
    await settled(opened, "status", /^One shared kernel: test error/);
    const rows = await board(page);
    expect(rows.every((row) => /\d+\.\d %$/.test(row))).toBe(true);
    const said = await page.$eval("#race", (race) => race.getAttribute("aria-label") ?? "");
    expect(said.match(/[\d,]+ parameters: \d+\.\d %/g)).toHaveLength(7);
    // Each place keeps its own run.
    for (const stop of [1, 7]) {
      await page.$eval(`#board tbody tr:nth-child(${stop})`, (row) => (row as HTMLElement).click());
      expect(await text(page, "shown")).toBe("Step 4");
      expect(new Set(await mosaics(page)).size).toBe(stop === 1 ? 3 : 1);
    }
    expect(await leftBehind(page)).toEqual([]);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("Train is about the place that is looked at, also while another is paused", async () => {
    const opened = await site.open(`${small}&steps=1000&stop=1`);
    const { page, faults } = opened;
    await page.click("#step");
    await steps(opened, 1);
    await page.focus("#stop");
    await page.keyboard.press("End");
    await page.click("#step");
    await settled(opened, "layer-says", /all layers use these 2,304 numbers/);
    await settled(opened, "shown", /^Step 1$/);
    // What the first place recorded is kept.
    await page.focus("#stop");
    await page.keyboard.press("ArrowLeft");
    expect(await text(page, "shown")).toBe("Step 1");
    expect(await text(page, "layer-says")).toMatch(/^z = \(/);
    await page.click("#reset");
    await settled(opened, "shown", /^A stored run/);
    expect(faults).toEqual([]);
    await page.close();
  });
});
