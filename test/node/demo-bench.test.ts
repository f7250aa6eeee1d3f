/** The page Bench: its sets of kernels, its reports, and the built page in headless Chrome. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ElementHandle, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { selection } from "../../bench/job";
import { defaultCases } from "../../bench/kernels";
import { rates } from "../../bench/rates";
import { type BenchReport, markdown, parseReport } from "../../bench/report";
import { patternOf, SET_NAMES, underHeadings } from "../../demo/bench/kernels";
import { summary, versionsIn } from "../../demo/bench/origin";
import { SHIPPED } from "../../demo/bench/results";
import { gpuObjects, type Opened, openSite, type Site, type Stub, until } from "./demo-site";

const stored = (name: string): string =>
  readFileSync(new URL(`../../demo/films/bench-${name}.jsonl`, import.meta.url), "utf8");

/** Names of a set, chosen from all that the bench has. */
const namesOf = (set: (typeof SET_NAMES)[number]): string[] => {
  const pattern = new RegExp(patternOf(set));
  return defaultCases().flatMap(({ name }) => (pattern.test(name) ? name : []));
};

describe("the sets of kernels", () => {
  const all = namesOf("all");

  test("a short list, and five that make up all but the pairs of the Wide ResNet", () => {
    expect(namesOf("short")).toHaveLength(17);
    const parts = SET_NAMES.filter((set) => set !== "short" && set !== "all").map(namesOf);
    expect(parts.flat().sort()).toEqual([...all].sort());
    const left = defaultCases().filter(({ name }) => !all.includes(name));
    expect(left.every(({ name }) => name.includes("wrn"))).toBe(true);
  });

  test("every kernel stands under one heading", () => {
    const found = underHeadings(all).flatMap(({ names }) => names);
    expect(found.sort()).toEqual([...all].sort());
    expect(underHeadings(["adam n1", "conv2d-dx N1"]).map(({ heading }) => heading)).toEqual([
      "Convolutions",
      "Passes over data",
    ]);
  });

  test.each(SET_NAMES)("bench --filter takes the pattern of %s, and no step matches it", (set) => {
    const { kernels, steps } = selection({ filter: patternOf(set), repeat: 1 });
    expect(kernels.map(({ name }) => name)).toEqual(namesOf(set));
    expect(steps).toEqual([]);
  });

  test.each(Object.keys(SHIPPED))("the stored results of %s have all of them", (name) => {
    const report = parseReport(stored(name), name);
    expect(report.adapter.software).toBe(true);
    expect(report.kernels.map((row) => row.name).sort()).toEqual([...all].sort());
    expect(report.kernels.filter((row) => !((row.percent ?? 0) > 0))).toEqual([]);
  });
});

describe("a rate", () => {
  const roof = { fma: 100, storage: 10, dispatch: 50 };

  test("is measured against the roof that allows it the least", () => {
    // 2 ms of multiply-adds, 1 ms of bytes, 0.05 ms of its dispatch.
    const flops = rates({ flops: 2e8, bytes: 1e7 }, 1, 8, roof);
    expect(flops).toMatchObject({ bound: "fma", gflops: 25, gbs: 1.25 });
    expect(flops.percent).toBeCloseTo(25, 10);
    const bytes = rates({ flops: 0, bytes: 4e7 }, 1, 5, roof);
    expect(bytes).toEqual({ bound: "storage", gbs: 8, percent: 80 });
    const launch = rates({ flops: 100, bytes: 100 }, 4, 0.4, roof);
    expect([launch.bound, launch.percent]).toEqual(["dispatch", 50]);
  });

  test("of a run is summed up by the roof and the middle kernel", () => {
    const at = { median: 1, min: 1, max: 1, samples: 1 };
    const roofRows = [
      { name: "fma, 8 vec4", value: 30, unit: "GFLOP/s" as const, ...at },
      { name: "storage copy, vec4", value: 8, unit: "GB/s" as const, ...at },
      { name: "storage write, vec4", value: 9, unit: "GB/s" as const, ...at },
    ];
    const kernels = [70, 10, 40].map((percent) => ({ name: `k${percent}`, percent, ...at }));
    const measured = { clock: "wall" as const, roof: roofRows, kernels, ratios: [] };
    expect(summary(measured, "Measured", 61.4)).toBe(
      "Measured 3 kernels in 61 s by wall: the roof is 30.0 GFLOP/s and 8.00 GB/s, and half of " +
        "the kernels reach 40.0 % of theirs or more.",
    );
  });
});

test.each([
  ["Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/156.0.1.2 Safari/537.36", "chrome", "156.0.1.2"],
  ["Mozilla/5.0 AppleWebKit/537 Chrome/156.0 Safari/537 Edg/156.3", "edge", "156.3"],
  ["Mozilla/5.0 (Macintosh; rv:150.0) Gecko/20100101 Firefox/150.0", "firefox", "150.0"],
  ["Mozilla/5.0 (Macintosh) AppleWebKit/605 Version/26.1 Safari/605", "safari", "26.1"],
])("the browser in %s", (agent, runtime, version) => {
  expect(versionsIn(agent)).toMatchObject({ runtime, [runtime]: version });
});

describe("the built page", () => {
  let site: Site;
  const folder = mkdtempSync(join(tmpdir(), "hyperloom-bench-page-"));
  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(async () => {
    await site?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The page with settings, its stored results in place. */
  async function open(hash: string, stub?: Stub): Promise<Opened> {
    const opened = await site.open(`demo/bench.html#${hash}`, stub);
    await opened.page.waitForFunction(() => document.querySelector("#origin")?.textContent !== "");
    return opened;
  }

  const text = (page: Page, query: string): Promise<string> =>
    page.$eval(query, (found) => found.textContent?.trim() ?? "");
  const names = (page: Page): Promise<string[]> =>
    page.$$eval('tr[data-kind="kernel"]', (rows) => rows.map((row) => row.dataset.name ?? ""));
  const report = async (page: Page): Promise<BenchReport> =>
    JSON.parse(
      await page.evaluate(async () => new TextDecoder().decode(await window.hyperloomDemo.film())),
    );

  test("tells the story without WebGPU: stored results, other sets, other adapters, files", async () => {
    const { page, faults } = await open("repeat=0");
    expect(await text(page, "#complaints")).toContain("repeat is 0, must be integer from 1 to 100");
    expect((await names(page)).sort()).toEqual(namesOf("short").sort());
    const cell = 'tr[data-name="add n65536"] td.beside.rate';
    expect(await text(page, cell)).toMatch(/^[\d.]+ GB\/s$/);
    expect(await text(page, "#origin")).toMatch(/swiftshader, chrome \d+.*, \d+ × /);
    await page.select("#kernels", "generation");
    expect((await names(page)).sort()).toEqual(namesOf("generation").sort());
    expect(page.url()).toContain("kernels=generation");
    await page.select("#beside", "none");
    await page.waitForFunction(() => document.querySelector<HTMLElement>("#table")?.hidden);
    expect(page.url()).toContain("beside=none");

    const input = (await page.$("#file")) as ElementHandle<HTMLInputElement>;
    const bad = join(folder, "bad.json");
    writeFileSync(bad, '{"event":"start"}\n');
    await input.uploadFile(bad);
    await page.waitForFunction(() => document.querySelector("#problem")?.textContent !== "");
    expect(await text(page, "#problem")).toMatch(/^bad\.json is no report of bench; write one/);
    const mine = {
      ...parseReport(stored("swiftshader"), ""),
      kernels: [
        {
          name: "contraction mine",
          percent: 12.3,
          bound: "fma",
          gflops: 4,
          gbs: 1,
          median: 2,
          min: 1,
          max: 3,
          samples: 4,
        },
      ],
    };
    const good = join(folder, "mine.json");
    writeFileSync(good, JSON.stringify(mine));
    await input.uploadFile(good);
    await page.waitForFunction(() => document.querySelector("#problem")?.textContent === "");
    expect(await names(page)).toEqual(["contraction mine"]);
    const row = await text(page, 'tr[data-name="contraction mine"]');
    expect(row).toContain("12.3 % of multiply-add4.00 GFLOP/s2.00 ms 1.00–3.00");
    expect(page.workers()).toHaveLength(0);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("measures in a worker, frees all, and ends as a report of the bench", async () => {
    const opened = await open("kernels=generation&repeat=2");
    const { page, faults } = opened;
    await page.focus("#train");
    await page.keyboard.press("Enter");
    await until(opened, "over");
    expect(await text(page, "#problem")).toBe("");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("train");
    expect(page.workers()).toHaveLength(1);
    const made = await report(page);
    expect(made.kernels.map(({ name }) => name)).toEqual(namesOf("generation"));
    expect(new Set(made.kernels.map(({ samples }) => samples))).toEqual(new Set([2]));
    expect(made.roof.every(({ value, median }) => value > 0 && median > 0)).toBe(true);
    expect(made.command).toMatch(/^hyperloom bench --filter '.*contraction.*' --repeat 2 /);
    expect(parseReport(JSON.stringify(made), "")).toEqual(made);
    expect(markdown(made)).toContain("| contraction tiles12 in64 out64 f3 d64 ");
    for (const { name, percent = 0 } of made.kernels) {
      const query = `tr[data-name="${name}"] td.own`;
      const width = await page.$eval(`${query} .fill`, (bar) => (bar as HTMLElement).style.width);
      expect(Number.parseFloat(width)).toBeCloseTo(Math.min(100, percent), 3);
      expect(await text(page, `${query}.rate`)).toMatch(/^[\d.]+ G(FLOP|B)\/s$/);
      expect(await text(page, `tr[data-name="${name}"] .faster`)).toMatch(/^[\d.]+ ×$/);
    }
    expect(await text(page, "#status")).toMatch(
      /^Measured \d+ kernels in \d+ s by (timestamp|wall)/,
    );
    expect(await gpuObjects(page)).toEqual([]);

    // A device that is lost in the next run: what the page says, and the run after it.
    const [worker] = page.workers();
    await worker?.evaluate(() => {
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function (wish) {
        GPUAdapter.prototype.requestDevice = requestDevice;
        const device = await requestDevice.call(this, wish);
        setTimeout(() => device.destroy(), 300);
        return device;
      };
    });
    await page.click("#train");
    await until(opened, "failed");
    expect(await text(page, "#problem")).toMatch(/lost.* “Run again” starts on a new device\.$/);
    await page.click("#train");
    await until(opened, "training");
    expect(await text(page, "#problem")).toBe("");
    expect(faults).toEqual([]);
    await page.close();
  });

  test("stops at the press of the button and keeps what was measured", async () => {
    const opened = await open("kernels=generation&repeat=100");
    const { page, faults } = opened;
    await page.click("#train");
    // Limits come first, then kernels as they are checked; the rounds refine them.
    await page.waitForFunction(() => window.hyperloomDemo.step >= 11, { polling: 50 });
    expect(await text(page, 'tr[data-name="fma, 2 vec4"] td.own.rate')).toMatch(/GFLOP/);
    await until(opened, "training");
    expect(await gpuObjects(page)).not.toEqual([]);
    await page.click("#train");
    await until(opened, "over");
    expect(await text(page, "#status")).toMatch(/^Stopped after [1-4] kernels/);
    const { kernels } = await report(page);
    expect(kernels.length).toBeGreaterThan(0);
    expect(Math.max(...kernels.map(({ samples = 0 }) => samples))).toBeLessThan(100);
    expect(await gpuObjects(page)).toEqual([]);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("says why it cannot measure, and the stored results stay", async () => {
    const opened = await open("", "no-webgpu");
    const { page, faults } = opened;
    await page.click("#train");
    await until(opened, "failed");
    expect(await text(page, "#problem")).toMatch(/^Chrome \d+.* has no WebGPU here; \w/);
    expect(await text(page, "#status")).toBe("The stored results stay.");
    expect(await names(page)).toHaveLength(17);
    expect(await text(page, "#train")).toBe("Run again");
    expect(faults).toEqual([]);
    await page.close();
  });
});
