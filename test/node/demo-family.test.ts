/** The page Family under demo/, built as it is published, in the browser; and what it is made of. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ElementHandle, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  conditionOf,
  type Flower,
  flowerAt,
  flowerOf,
  flowerPicture,
  pixels,
} from "../../demo/family/flowers";
import {
  COARSE,
  countParameters,
  countWeights,
  generate,
  GRID,
  paint,
  SIZES,
} from "../../demo/family/network";
import { batchAt, gridConditions, testConditions } from "../../demo/family/samples";
import { readCheckpoint } from "../../src/train/checkpoint";
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

const { small } = SIZES;
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "hyperloom-family-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const mean = (some: readonly number[]): number => some.reduce((a, b) => a + b, 0) / some.length;

/** The tensors of a checkpoint by name, as a snapshot has them. */
function tensorsOf(bytes: Uint8Array): Record<string, Float32Array> {
  const { tensors } = readCheckpoint(bytes, "family.safetensors");
  const all = [...tensors].map(([name, { data }]) => [name, data as Float32Array] as const);
  return Object.fromEntries(all);
}

/** Mean squared error of the network that a generator makes of a flower, without a GPU. */
function errorOf(tensors: Record<string, Float32Array>, flower: Flower, side: number): number {
  const points = pixels(side);
  const drawn = paint(generate(tensors, Float32Array.from(conditionOf(flower))), points);
  const wanted = flowerPicture(flower, points);
  return mean(Array.from(drawn, (y, k) => (y - (wanted[k] as number)) ** 2));
}

describe("the family", () => {
  test("a condition is the flower's numbers between their bounds", () => {
    expect(conditionOf({ petals: 3, depth: 0.1, turn: -45 })).toEqual([-1, -1, -1]);
    expect(conditionOf({ petals: 6, depth: 0.6, turn: 0 })).toEqual([0.5, 1, 0]);
    const flower = flowerOf([0.25, -0.5, 0.1]);
    for (const [k, value] of [0.25, -0.5, 0.1].entries()) {
      expect(conditionOf(flower)[k]).toBeCloseTo(value, 12);
    }
  });

  test("a flower has its petals, turned clockwise, and an eye", () => {
    const flower = { petals: 4, depth: 0.5, turn: 0 };
    expect(flowerAt(flower, 0, 0.7)).toBeGreaterThan(0.5);
    expect(flowerAt(flower, 0.5, 0.5)).toBeLessThan(-0.9);
    expect(flowerAt(flower, 0, 0)).toBeLessThan(-0.5);
    const turned = { ...flower, turn: 30 };
    const [s, c] = [Math.sin(Math.PI / 6), Math.cos(Math.PI / 6)];
    expect(flowerAt(turned, 0.7 * s, 0.7 * c)).toBeCloseTo(flowerAt(flower, 0, 0.7), 10);
    // Between two whole numbers the outline is between both.
    const radii = [4, 4.5, 5].map((petals) => flowerAt({ ...flower, petals }, 0.3, 0.3));
    expect(radii[1]).toBeGreaterThan(Math.min(radii[0] as number, radii[2] as number));
    expect(radii[1]).toBeLessThan(Math.max(radii[0] as number, radii[2] as number));
    // The top row first, from the left.
    expect([...pixels(2)]).toEqual([-0.5, 0.5, 0.5, 0.5, -0.5, -0.5, 0.5, -0.5]);
  });

  test("a step's batch follows from seed and step, and holds the flowers at its points", () => {
    const { x, target } = batchAt(small, 1, 7);
    expect(batchAt(small, 1, 7)).toEqual({ x, target });
    expect(batchAt(small, 1, 8).x).not.toEqual(x);
    expect(batchAt(small, 2, 7).x).not.toEqual(x);
    const length = 3 + 2 * small.points;
    expect([x.length, target.length]).toEqual([small.batch * length, small.batch * small.points]);
    const [b, p] = [5, 9];
    const row = x.subarray(b * length);
    const at = flowerAt(flowerOf(row), row[3 + 2 * p] as number, row[4 + 2 * p] as number);
    expect(target[b * small.points + p]).toBeCloseTo(at, 6);
    expect(Math.abs(mean([...x]))).toBeLessThan(0.03);
    expect(mean(Array.from(x, (value) => value * value))).toBeCloseTo(1 / 3, 1);
    expect(testConditions(4, 1)).not.toEqual(testConditions(4, 2));
    const grid = gridConditions(GRID, 45);
    expect([...grid.subarray(0, 3), ...grid.subarray(-3)]).toEqual([-1, -1, 1, 1, 1, 1]);
  });
});

describe("the page", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(() => site?.close());

  const pictures = (page: Page): Promise<string[]> =>
    Promise.all(["family", "mine", "truth", "weights-second"].map((id) => picture(page, id)));

  /** Waits until the pictures of the numbers that the sliders say are drawn. */
  async function moved(page: Page, id: string, key: "Home" | "End"): Promise<void> {
    const before = await picture(page, "mine");
    await page.focus(`#set-${id}`);
    await page.keyboard.press(key);
    for (const end = performance.now() + 20_000; performance.now() < end; ) {
      if ((await picture(page, "mine")) !== before) return;
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
    throw new Error(`the picture did not follow ${id} in 20 s`);
  }

  /** What a click on “Save the checkpoint” downloads. */
  async function saved(page: Page): Promise<string> {
    const path = join(scratch, "saved", "family.safetensors");
    rmSync(path, { force: true });
    const session = await page.createCDPSession();
    const downloadPath = join(scratch, "saved");
    await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath });
    await page.$eval("#save", (button) => (button as HTMLButtonElement).click());
    for (const end = performance.now() + 20_000; performance.now() < end && !existsSync(path); ) {
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    return path;
  }

  test("shows its stored run without WebGPU: the sliders make other networks draw", async () => {
    const opened = await site.open("demo/family.html", "no-webgpu");
    const { page, faults } = opened;
    await settled(opened, "drawn", /^Drawn without a GPU\.$/);
    await page.$eval("#at", (slider) => {
      (slider as HTMLInputElement).value = (slider as HTMLInputElement).max;
      slider.dispatchEvent(new Event("input"));
    });
    await settled(opened, "own", /^0\.0\d+$/);
    const before = await pictures(page);
    await moved(page, "turn", "End");
    const after = await pictures(page);
    for (const [k, one] of after.entries()) expect(one).not.toBe(before[k]);
    await settled(opened, "own", /^0\.0\d+$/);
    expect(await page.evaluate(() => location.hash)).toBe("#turn=45");
    // A drag that leaves the grid stays at its edge.
    await page.$eval("#family", (grid) => grid.scrollIntoView({ block: "center" }));
    const box = await (await page.$("#family"))?.boundingBox();
    if (!box) throw new Error("the grid is not in the page");
    await page.mouse.move(box.x + box.width / 2, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width + 60, box.y + 20, { steps: 5 });
    await page.mouse.up();
    expect(await page.evaluate(() => location.hash)).toBe("#turn=45&petals=7&depth=0.1");
    await page.click("#train");
    await settled(opened, "problem", /cannot train here: Chrome \d+.* has no WebGPU here/);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("trains in its worker, draws by the GPU what the weights say, leaves nothing there", async () => {
    const opened = await site.open("demo/family.html#steps=60&petals=4&depth=0.3");
    const { page, faults } = opened;
    const counts = [countWeights(small), countParameters(small)].map((n) => n.toLocaleString("en"));
    await page.click("#train");
    await steps(opened, 45);
    await page.click("#train");
    await until(opened, "paused");
    expect([await text(page, "made"), await text(page, "learned")]).toEqual(counts);
    await settled(opened, "drawn", /^Drawn through WebGPU in [\d.,]+ ms\.$/);
    const losses = await curve(page, "loss");
    expect(mean(losses.slice(-5))).toBeLessThan(0.4 * mean(losses.slice(0, 3)));

    const path = await saved(page);
    const bytes = new Uint8Array(readFileSync(path));
    const tensors = tensorsOf(bytes);
    const software = /software/.test(await text(page, "adapter"));
    const side = software ? COARSE.side : small.side;
    const error = async (): Promise<number> => Number(await text(page, "own"));
    expect(await error()).toBeCloseTo(
      errorOf(tensors, { petals: 4, depth: 0.3, turn: 0 }, side),
      3,
    );
    const before = await pictures(page);
    await moved(page, "petals", "End");
    const after = await pictures(page);
    for (const [k, one] of after.entries()) expect(one).not.toBe(before[k]);
    expect(await error()).toBeCloseTo(
      errorOf(tensors, { petals: 7, depth: 0.3, turn: 0 }, side),
      3,
    );
    // The film of this run, at its first snapshot.
    const end = await error();
    await page.$eval("#at", (slider) => {
      (slider as HTMLInputElement).value = "0";
      slider.dispatchEvent(new Event("input"));
    });
    await page.waitForFunction(
      (last) => Number(document.querySelector("#own")?.textContent) > last,
      { timeout: 20_000, polling: 50 },
      end,
    );

    await page.click("#train");
    await until(opened, "over");
    expect(await text(page, "status")).toMatch(/^Mean squared error 0\.\d{4} on 25 flowers/);
    const whole = await curve(page, "loss");
    const input = (await page.$("#files")) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(path);
    await settled(opened, "status", /^Opened at step \d+ of 60\.$/);
    const { step } = readCheckpoint(bytes, path);
    expect(await text(page, "status")).toBe(`Opened at step ${step} of 60.`);
    await page.click("#step");
    await settled(opened, "status", new RegExp(`^Step ${step + 1}\\.$`));
    // The run went through the same step before.
    expect((await curve(page, "loss")).at(-1)).toBe(whole[step]);

    // The program is this run: the same losses, and what it saves the page opens as its own.
    const printed = await runProgram(scratch, (await takenTexts(page)).at(-1) ?? "");
    expect(printed.match(/(?<=error ).+/g)?.map(Number)).toEqual(whole);
    const made = join(scratch, "family.safetensors");
    const { model, settings, optimizer, seed } = readCheckpoint(bytes, path);
    expect(readCheckpoint(new Uint8Array(readFileSync(made)), made)).toMatchObject({
      model,
      settings,
      optimizer,
      seed,
      step: 60,
    });
    await input.uploadFile(made);
    await settled(opened, "status", /^Opened at step 60 of \d+\.$/);

    expect(page.workers()).toHaveLength(1);
    expect(await leftBehind(page)).toEqual([]);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("goes on by itself after its device was lost", async () => {
    const opened = await site.open("demo/family.html#steps=1000", "lost");
    await opened.page.click("#train");
    await settled(opened, "status", /^The device was lost at step \d+; a new one goes on/);
    await opened.page.close();
  });
});
