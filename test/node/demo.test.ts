/** The static page under demo/, built as it is published, in the browser. */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { ElementHandle, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateDigits } from "../../src/data/digits";
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
import { runCommand, runProgram, takenTexts } from "./taken";
import { openTerminal, type Terminal } from "./terminal";

let site: Site;
let terminal: Terminal;
let scratch: string;

beforeAll(async () => {
  terminal = openTerminal("static");
  scratch = mkdtempSync(join(tmpdir(), "hyperloom-files-"));
  site = await openSite();
});
afterAll(async () => {
  await site?.close();
  rmSync(scratch, { recursive: true, force: true });
  terminal.close();
});

const mean = (some: readonly number[]): number => some.reduce((a, b) => a + b, 0) / some.length;

/** Draws lines on the pad by the mouse, in shares of its side. */
async function drawOnPad(page: Page, lines: readonly (readonly (readonly number[])[])[]) {
  await page.$eval("#sheet", (sheet) => sheet.scrollIntoView({ block: "center" }));
  const box = await (await page.$("#sheet"))?.boundingBox();
  if (!box) throw new Error("the pad is not in the page");
  const at = ([x = 0, y = 0]: readonly number[]): [number, number] => [
    box.x + x * box.width,
    box.y + y * box.height,
  ];
  for (const [first = [], ...rest] of lines) {
    await page.mouse.move(...at(first));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...at(point), { steps: 6 });
    await page.mouse.up();
  }
}

/** A one and a seven, as people write them. */
const ONE = [
  [
    [0.52, 0.12],
    [0.5, 0.5],
    [0.48, 0.88],
  ],
];
const SEVEN = [
  [
    [0.2, 0.15],
    [0.5, 0.14],
    [0.8, 0.13],
    [0.6, 0.5],
    [0.45, 0.9],
  ],
];

/** Gives files to the page's file button. */
async function give(page: Page, ...paths: string[]): Promise<void> {
  const input = (await page.$("#files")) as ElementHandle<HTMLInputElement>;
  await input.uploadFile(...paths);
}

/** What a click on a button downloads. */
async function saved(page: Page): Promise<Uint8Array> {
  const path = join(scratch, "checkpoint.safetensors");
  rmSync(path, { force: true });
  const session = await page.createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: scratch });
  await page.$eval("#save", (button) => (button as HTMLButtonElement).click());
  for (const end = performance.now() + 20_000; performance.now() < end && !existsSync(path); ) {
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
  return new Uint8Array(readFileSync(path));
}

/** IDX files of drawn digits under MNIST's names, some of them gzip. */
function mnistFiles(count: number): string[] {
  const { images, labels } = generateDigits({ count, seed: 4 });
  const file = (sizes: number[], values: Uint8Array): Buffer => {
    const header = Buffer.alloc(4 + 4 * sizes.length);
    header.writeUInt32BE(0x800 + sizes.length);
    for (const [k, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * k);
    return Buffer.concat([header, values]);
  };
  const [x, y] = [file([count, 28, 28], images), file([count], labels)];
  const all = {
    "train-images-idx3-ubyte.gz": gzipSync(x),
    "train-labels-idx1-ubyte": y,
    "t10k-images.idx3-ubyte": x,
    "t10k-labels-idx1-ubyte.gz": gzipSync(y),
  };
  return Object.entries(all).map(([name, bytes]) => {
    writeFileSync(join(scratch, name), bytes);
    return join(scratch, name);
  });
}

describe("the static page", () => {
  test("trains in its worker, reads a drawn digit, morphs, and leaves nothing on the GPU", async () => {
    const opened = await site.open("demo/#steps=80&test=100&seed=1");
    const { page, faults } = opened;
    await settled(opened, "shown", /A stored run, step \d+/);
    expect([await text(page, "made"), await text(page, "learned")]).toEqual(["12,544", "4,244"]);
    await page.focus("#train");
    await page.keyboard.press("Enter");
    await steps(opened, 3);
    expect(await text(page, "adapter")).toMatch(/^Adapter: \S/);
    const early = await picture(page, "kernels");
    await steps(opened, 60);
    await page.keyboard.press("Enter");
    await until(opened, "paused");
    expect(await picture(page, "kernels")).not.toBe(early);

    // The weight at the arrow keys' place, and at the pointer's.
    await page.focus("#mosaic");
    expect(await text(page, "weight")).toMatch(/^Input 1, output 1, row 1, column 1: −?\d\.\d{3}$/);
    await page.keyboard.press("ArrowRight");
    await page.keyboard.down("Shift");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.up("Shift");
    const weight = await text(page, "weight");
    expect(weight).toMatch(/^Input 2, output 1, row 1, column 2: −?\d\.\d{3}$/);
    expect(await text(page, "heard-weight")).toBe(weight);
    await page.keyboard.press("End");
    expect(await text(page, "weight")).toMatch(/^Input 2, output 16, row 1, column 7: /);
    const box = await (await page.$("#kernels"))?.boundingBox();
    // Squares of the picture, the gap after the first kernel counted.
    const at = (squares: number): number => ((box?.width ?? 0) * (squares + 0.5)) / 127;
    await page.mouse.move((box?.x ?? 0) + at(1), (box?.y ?? 0) + at(8));
    expect(await text(page, "weight")).toBe(weight);
    await page.mouse.move(0, 0);
    await page.focus("#train");
    expect(await text(page, "weight")).toBe("");

    // The pad answers by the newest snapshot.
    for (const [lines, label] of [
      [ONE, 1],
      [SEVEN, 7],
    ] as const) {
      await page.click("#samples button:last-child");
      expect(await text(page, "says")).toBe("");
      await drawOnPad(page, lines);
      expect(await text(page, "says")).toMatch(new RegExp(`^Reads ${label}, \\d+ %`));
    }

    // Sliders move the kernels and the answer; the way back brings both back.
    const learned = await picture(page, "kernels");
    const says = await text(page, "says");
    await page.focus("#sliders input");
    for (let k = 0; k < 40; k++) await page.keyboard.press("PageDown");
    expect(await picture(page, "kernels")).not.toBe(learned);
    await page.click("#back");
    expect(await picture(page, "kernels")).toBe(learned);
    expect(await text(page, "says")).toBe(says);

    // The film goes back, and with it kernels and answer; its end follows the run.
    await page.focus("#at");
    await page.keyboard.press("Home");
    expect(await text(page, "shown")).toBe("Step 0");
    expect(await picture(page, "kernels")).not.toBe(learned);
    expect(await text(page, "says")).not.toBe(says);
    await page.keyboard.press("End");
    expect(await picture(page, "kernels")).toBe(learned);

    await page.click("#train");
    await until(opened, "over");
    expect(await text(page, "status")).toMatch(/^Test error \d+\.\d\d % on 100 unseen digits/);
    const losses = await curve(page, "loss");
    expect(losses).toHaveLength(80);
    expect(mean(losses.slice(-10))).toBeLessThan(0.4 * mean(losses.slice(0, 10)));
    expect(page.workers()).toHaveLength(1);
    const { longestTask, firstStep } = await page.evaluate(() => window.hyperloomDemo);
    console.log(
      `first step ${(firstStep / 1000).toFixed(2)} s after Train, ` +
        `longest task of the page ${longestTask.toFixed(0)} ms`,
    );
    expect(await leftBehind(page)).toEqual([]);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("saves a checkpoint, goes on from it, and refuses what is none", async () => {
    const opened = await site.open("demo/#steps=6&batch=8&train=100&test=20&nz=3&seed=2");
    const { page, faults } = opened;
    expect(await text(page, "learned")).toBe("3,331");
    for (let k = 1; k <= 3; k++) {
      await page.click("#step");
      await settled(opened, "status", new RegExp(`^Step ${k}\\.`));
    }
    const bytes = await saved(page);
    const checkpoint = readCheckpoint(bytes, "saved");
    expect([checkpoint.seed, checkpoint.step, checkpoint.settings.steps]).toEqual([2, 3, 6]);
    const kept = await picture(page, "kernels");
    await page.click("#train");
    await until(opened, "over");
    const straight = await picture(page, "kernels");
    expect(straight).not.toBe(kept);

    writeFileSync(join(scratch, "broken.safetensors"), bytes.slice(0, 5000));
    await give(page, join(scratch, "broken.safetensors"));
    await settled(
      opened,
      "problem",
      /^broken\.safetensors: its header is bad: .*; is the file whole\?$/,
    );
    expect(await page.$eval("body", (body) => body.dataset.state)).toBe("over");
    writeFileSync(join(scratch, "notes.txt"), "no numbers");
    await give(page, join(scratch, "notes.txt"));
    await settled(opened, "problem", /^notes\.txt is no file for this page; it takes train-images/);

    // Opened again it goes on to the same kernels.
    await page.reload();
    await give(page, join(scratch, "checkpoint.safetensors"));
    await until(opened, "paused");
    expect(await text(page, "status")).toBe("Opened at step 3 of 6.");
    await page.click("#train");
    await until(opened, "over");
    expect(await picture(page, "kernels")).toBe(straight);

    // From a bias that is no number it ends, keeps its film, and starts over when asked.
    const view = new DataView(bytes.slice().buffer);
    const length = Number(view.getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    view.setFloat32(8 + length + header["fc.bias"].data_offsets[0], Number.NaN, true);
    writeFileSync(join(scratch, "wild.safetensors"), view);
    await give(page, join(scratch, "wild.safetensors"));
    await until(opened, "paused");
    await page.click("#train");
    await settled(opened, "problem", /^The run has ended: loss of step 4 is NaN\. Its film stays/);
    await page.focus("#at");
    await page.keyboard.press("End");
    expect(await text(page, "shown")).toBe("Step 3");
    expect(await picture(page, "kernels")).toBe(kept);
    await page.click("#train");
    await until(opened, "over");
    expect(await curve(page, "loss")).toHaveLength(6);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("trains on MNIST's files as its command and its program do, and says what is wrong with others", async () => {
    const opened = await site.open("demo/#steps=3&batch=8");
    const { page, faults } = opened;
    const [images = "", ...rest] = mnistFiles(60);
    await give(page, images);
    await settled(opened, "problem", /^Still missing of MNIST: train-labels-idx1-ubyte, t10k/);
    const labels = readFileSync(rest[0] as string);
    writeFileSync(rest[0] as string, labels.subarray(0, 40));
    await give(page, ...rest);
    await settled(opened, "problem", /^train-labels-idx1-ubyte: .*truncated/);
    writeFileSync(rest[0] as string, labels);
    await give(page, images, ...rest);
    await page.waitForFunction(() => document.getElementById("problem")?.textContent === "");
    expect(await text(page, "source-of-data")).toBe("MNIST, 60 digits to learn and 60 to test");
    await page.click("#train");
    await until(opened, "over");
    expect(await text(page, "status")).toMatch(/ on 60 unseen digits/);
    expect(await text(page, "source-of-data")).toMatch(/^MNIST/);

    const mnist = join(terminal.box, "mnist");
    mkdirSync(mnist);
    for (const path of [images, ...rest]) {
      copyFileSync(path, join(mnist, basename(path).replace(".idx", "-idx")));
    }
    const [command = "", program = ""] = await takenTexts(page);
    const { start, losses } = runCommand(terminal, command);
    const { model, settings, optimizer } = readCheckpoint(await saved(page), "saved");
    expect(start.settings).toEqual({ ...settings, model, optimizer });
    expect(await curve(page, "loss")).toEqual(losses.map((loss) => Number(loss.toPrecision(4))));
    const printed = await runProgram(terminal.box, program);
    expect(printed.match(/(?<=: loss )[\d.]+/g)).toEqual(losses.map((loss) => loss.toFixed(3)));
    expect(faults).toEqual([]);
    await page.close();
  });

  test("goes on by itself when the plug is pulled", async () => {
    const opened = await site.open("demo/#steps=1000&batch=8&train=100&test=20");
    const { page, faults } = opened;
    await page.click("#train");
    await steps(opened, 5);
    await page.$eval("#unplug", (button) => (button as HTMLButtonElement).click());
    await settled(
      opened,
      "status",
      /^The device was lost at step \d+; a new one goes on from step/,
    );
    const [, at = ""] = /step (\d+);/.exec(await text(page, "status")) ?? [];
    await steps(opened, Number(at) + 3);
    await page.click("#train");
    await until(opened, "paused");
    const losses = await curve(page, "loss");
    expect(losses.length).toBeGreaterThan(Number(at));
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("says that devices are lost one after another, and goes on when asked", async () => {
    const opened = await site.open("demo/#steps=1000&batch=2&train=20", "lost");
    const { page } = opened;
    await page.click("#train");
    await settled(
      opened,
      "problem",
      /device was lost, and so was the one after it\. “Train again”/,
    );
    expect(await text(page, "train")).toBe("Train again");
    await page.click("#train");
    await until(opened, "training");
    await page.close();
  });

  test("without WebGPU plays its stored run, answers by it, and says why it cannot train", async () => {
    const browser = await site.launch(false);
    const opened = await site.open("demo/", "whole", browser);
    const { page, faults } = opened;
    const frames = async (): Promise<boolean> => {
      const before = await picture(page, "kernels");
      await page.waitForFunction(
        (old) => (document.getElementById("kernels") as HTMLCanvasElement).toDataURL() !== old,
        { timeout: 10_000 },
        before,
      );
      return true;
    };
    expect(await frames()).toBe(true);
    await page.click("#train");
    await settled(
      opened,
      "problem",
      /^This page cannot train here: .*WebGPU.*; \w.*The stored run below goes on\.$/,
    );
    expect(await page.$eval("#problem", (found) => found.checkVisibility())).toBe(true);
    expect(await frames()).toBe(true);
    await page.focus("#at");
    await page.keyboard.press("End");
    await drawOnPad(page, SEVEN);
    expect(await text(page, "says")).toMatch(/^Reads 7/);
    expect(faults).toEqual([]);
    await browser.close();
  });

  test("says why there is no device", async () => {
    const opened = await site.open("demo/", "no-adapter");
    await opened.page.click("#train");
    const reason = /cannot train here: WebGPU found no adapter in Chrome \d+.*; \w/;
    await settled(opened, "problem", reason);
    expect(opened.faults).toEqual([]);
    await opened.page.close();
  });

  test("keeps settings in the link, and the theme", async () => {
    const opened = await site.open("demo/#nz=99&batch=64&mine=1");
    const { page } = opened;
    expect(await text(page, "complaints")).toMatch(/nz is 99, must be integer from 1 to 16/);
    await page.$eval("details", (details) => details.setAttribute("open", ""));
    await page.$eval("#set-nz", (input) => {
      (input as HTMLInputElement).value = "8";
      input.dispatchEvent(new Event("change"));
    });
    expect(await page.evaluate(() => location.hash)).toBe("#nz=8&batch=64&mine=1");
    expect(await text(page, "learned")).toBe("8,216");
    const [command] = await takenTexts(page);
    expect(command).toBe(
      "npx hyperloom train mnist --data digits --model hyper-cnn --nz 8 --batch 64 --steps 500 --seed 1",
    );
    await page.click("#theme");
    await page.click("#theme");
    await page.reload();
    expect(await page.evaluate(() => document.documentElement.style.colorScheme)).toBe("dark");
    expect(opened.faults).toEqual([]);
    await page.close();
  });
});
