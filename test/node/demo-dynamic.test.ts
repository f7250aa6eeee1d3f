/** The page Dynamic: what it says before training, and, built as it is published, in the browser. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  hyperLstmParameters,
  lstmParameters,
  lstmUnits,
  SIZES,
  type SizeName,
} from "../../demo/dynamic/sizes";
import { checkText, promptFor } from "../../demo/dynamic/text";
import { embeddedText } from "../../src/data/embedded-text";
import { countParameters } from "../../src/nn/slabs";
import { checkpointModel, readCheckpoint } from "../../src/train/checkpoint";
import { buildModel, modelSpec } from "../../src/train/models";
import { bitsPerSymbol } from "../../src/train/sequence-programs";
import { curve, leftBehind, openSite, type Site, settled, steps, text, until } from "./demo-site";
import { runCommand, runProgram, takenTexts } from "./taken";
import { openTerminal } from "./terminal";

describe("before anything is trained", () => {
  test("both models have the parameters that the page says", () => {
    for (const size of Object.keys(SIZES) as SizeName[]) {
      for (const norm of [false, true]) {
        const symbols = 68;
        const { hidden, hyper, nz } = SIZES[size];
        const both = { symbols, outputs: symbols };
        const prefix = norm ? "ln-" : "";
        const made = (name: "hyperlstm" | "lstm", options: Record<string, number>): number =>
          countParameters(
            buildModel(modelSpec(`${prefix}${name}`, { ...both, ...options })).params,
          );
        const hyperCount = made("hyperlstm", { hidden, hyper, nz });
        expect(hyperLstmParameters(symbols, size, norm)).toBe(hyperCount);
        expect(lstmUnits(symbols, size, norm, "units")).toBe(hidden);
        const units = lstmUnits(symbols, size, norm, "parameters");
        expect(lstmParameters(symbols, units, norm)).toBe(made("lstm", { hidden: units }));
        for (const other of [units - 1, units + 1]) {
          const away = Math.abs(lstmParameters(symbols, other, norm) - hyperCount);
          expect(away).toBeGreaterThanOrEqual(
            Math.abs(lstmParameters(symbols, units, norm) - hyperCount),
          );
        }
      }
    }
  });

  test("texts that cannot be learned are told why", () => {
    expect(checkText("short").fault).toBe("The text has 5 characters; give 2,000 at least.");
    const many = Array.from({ length: 2000 }, (_, k) => String.fromCodePoint(0x4e00 + k)).join("");
    expect(checkText(many).fault).toMatch(/^The text has 2,000 different .* with 1,024 at most\.$/);
    expect(checkText(`${"ab".repeat(1000)}\ud83d`).fault).toMatch(/half of a character/);
    expect(checkText("x".repeat(2_000_001)).fault).toMatch(/give 2,000,000 at most/);
    const smile = checkText("\u{1f642}b".repeat(1000));
    expect([smile.characters, smile.symbols.size, smile.fault]).toEqual([2000, 2, ""]);
    expect(promptFor("The ", "Eine Zeile\nnoch eine", checkText("Eine Zeile"))).toBe("Eine Zeile");
    expect(promptFor("Zei", "Eine Zeile", checkText("Eine Zeile"))).toBe("Zei");
  });
});

const mean = (some: readonly number[]): number => some.reduce((a, b) => a + b, 0) / some.length;
const characters = (page: Page, id: string): Promise<string> =>
  page.$eval(`#${id}`, (found) => found.textContent ?? "");
const disabled = (page: Page, id: string): Promise<boolean> =>
  page.$eval(`#${id}`, (button) => button.getAttribute("aria-disabled") === "true");
/** Presses "Write more" or "Write anew" and waits until both have written. */
async function write(page: Page, id: "more" | "anew"): Promise<void> {
  // In one go: both may have written before a second question comes.
  const pressed = await page.$eval(`#${id}`, (button) => {
    (button as HTMLButtonElement).click();
    return button.getAttribute("aria-disabled");
  });
  expect(pressed).toBe("true");
  await page.waitForFunction(
    (name) => document.getElementById(name)?.getAttribute("aria-disabled") === "false",
    { timeout: 100_000, polling: 50 },
    id,
  );
  expect(await text(page, "desk-note")).toBe("");
}
/** Sets an input as a visitor would. */
const set = (page: Page, id: string, value: string): Promise<void> =>
  page.$eval(
    `#${id}`,
    (input, given) => {
      (input as HTMLInputElement).value = given;
      input.dispatchEvent(new Event("input"));
      input.dispatchEvent(new Event("change"));
    },
    value,
  );

describe("the page Dynamic", () => {
  let site: Site;
  const terminal = openTerminal("dynamic");
  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(async () => {
    await site?.close();
    terminal.close();
  });

  test("trains both models, streams what they write, and leaves nothing on the GPU", async () => {
    const opened = await site.open("demo/dynamic.html#steps=40&seed=1");
    const { page, faults } = opened;
    await settled(opened, "shown", /A stored run, step \d+/);
    await settled(opened, "text-facts", /^100,613 characters, 68 of them different\.$/);
    expect(await text(page, "hyper-size")).toBe("51,876 parameters, 64 units");
    expect(await text(page, "lstm-size")).toBe("52,208 parameters, 79 units");
    expect(await disabled(page, "more")).toBe(true);
    await page.click("#train");
    await steps(opened, 2);
    // A sample is overwritten from its beginning, character by character.
    await page.waitForFunction(
      () => {
        const old = document.querySelectorAll("#hyper-text .old").length;
        return old > 0 && old < 240;
      },
      { timeout: 100_000, polling: "raf" },
    );
    await steps(opened, 25);
    await page.$eval("#unplug", (button) => (button as HTMLButtonElement).click());
    await settled(
      opened,
      "status",
      /^The device was lost at step \d+; a new one goes on from step/,
    );
    await steps(opened, 30);
    await page.click("#train");
    await until(opened, "paused");
    const [hyper, lstm] = [
      await characters(page, "hyper-text"),
      await characters(page, "lstm-text"),
    ];
    expect([hyper.length, lstm.length]).toEqual([240, 240]);
    expect([hyper.slice(0, 4), lstm.slice(0, 4)]).toEqual(["The ", "The "]);
    expect(hyper).not.toBe(lstm);

    // Numbers of the character under the pointer, and of its neighbour by the keyboard.
    await page.hover("#hyper-text b:nth-child(20)");
    const caption = (): Promise<string> =>
      page.$eval("#picked caption", (found) => found.textContent ?? "");
    expect(await caption()).toMatch(/, character 20: ‖Δd‖ = \d+\.\d{3}$/);
    const numbers = await page.$$eval("#picked td", (cells) =>
      cells.map(({ textContent }) => Number(textContent)),
    );
    expect(numbers).toHaveLength(12);
    const [, norm] = /= ([\d.]+)$/.exec(await caption()) ?? [];
    expect(Math.hypot(...numbers)).toBeCloseTo(Number(norm), 2);
    await page.focus("#hyper-text");
    await page.keyboard.press("ArrowRight");
    expect(await caption()).toMatch(/, character 21: /);
    const spoken = await page.$eval("#hyper-text", (found) => found.getAttribute("aria-valuetext"));
    expect(spoken).toMatch(/: change [\d.]+; input [\d.]+, forget [\d.]+, candidate .*, output /);
    const tints = (): Promise<string> =>
      page.$$eval("#hyper-text b", (cells) => cells.map((cell) => cell.style.cssText).join());
    const all = await tints();
    expect(new Set(all.split(",")).size).toBeGreaterThan(100);
    await page.select("#tint", "0");
    expect(await tints()).not.toBe(all);

    await write(page, "more");
    expect(await characters(page, "hyper-text")).toHaveLength(480);
    expect((await characters(page, "hyper-text")).slice(0, 240)).toBe(hyper);
    // Without temperature chance has no part in it; with it another text comes each time.
    await set(page, "temperature", "0");
    const samples: string[] = [];
    for (const temperature of ["0", "0", "1.5"]) {
      await set(page, "temperature", temperature);
      await write(page, "anew");
      samples.push(await characters(page, "hyper-text"));
    }
    expect(samples[1]).toBe(samples[0]);
    expect(samples[2]).not.toBe(samples[0]);
    await set(page, "prompt", "Thé");
    await settled(opened, "desk-note", /^“é” of the prompt is not in the text\.$/);
    await set(page, "prompt", "A ");
    await settled(opened, "desk-note", /^$/);

    await page.click("#train");
    await until(opened, "over");
    expect(await text(page, "status")).toMatch(
      /^On 10,061 held-out characters: HyperLSTM \d\.\d{3} bits per character, LSTM \d\.\d{3} after 40 steps\.$/,
    );
    for (const name of ["hyper", "lstm"]) {
      const bits = await curve(page, name);
      expect(bits).toHaveLength(40);
      expect(mean(bits.slice(-5))).toBeLessThan(mean(bits.slice(0, 5)) - 1);
    }
    const held = (await curve(page, "heldHyper")).filter(Number.isFinite);
    expect(held.at(-1)).toBeLessThan(held[0] as number);
    expect(await characters(page, "hyper-text")).toMatch(/^A /);
    expect(page.workers()).toHaveLength(1);
    const { longestTask, firstStep } = await page.evaluate(() => window.hyperloomDemo);
    console.log(
      `first step ${(firstStep / 1000).toFixed(2)} s after Train, ` +
        `longest task of the page ${longestTask.toFixed(0)} ms`,
    );
    expect(await leftBehind(page)).toEqual([]);

    // The command and the program are this run; their first steps do not know of the last.
    writeFileSync(join(terminal.box, "text.txt"), embeddedText({ length: 100_000, seed: 0 }));
    const [command = "", , program = ""] = await takenTexts(page);
    expect([command, program].map((each) => /--steps 40 |t < 40;/.test(each))).toEqual([
      true,
      true,
    ]);
    const { losses } = runCommand(terminal, command.replace("--steps 40 ", "--steps 3 "));
    const bits = losses.map((loss) => bitsPerSymbol(loss).toFixed(3));
    const own = (await curve(page, "hyper")).slice(0, 3);
    expect(own.map((each) => each.toFixed(3))).toEqual(bits);
    const printed = await runProgram(terminal.box, program.replace("t < 40;", "t < 3;"));
    expect(printed.match(/(?<=: )[\d.]+(?= bits)/g)).toEqual(bits);
    expect(printed).toMatch(/\nA .{100}/s);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("learns a pasted text, which stays out of the link, for equal seconds", async () => {
    const opened = await site.open("demo/dynamic.html#steps=8&race=seconds&norm=on");
    const { page, faults } = opened;
    // The text is a slider from the moment that it has a value.
    await page.evaluateOnNewDocument(() => {
      Reflect.set(window, "valueless", 0);
      new MutationObserver(() => {
        const found = document.querySelectorAll("[role=slider]:not([aria-valuenow])").length;
        Reflect.set(window, "valueless", Reflect.get(window, "valueless") + found);
      }).observe(document, { subtree: true, attributes: true, childList: true });
    });
    await page.reload();
    await page.waitForSelector("#hyper-text[role=slider][aria-valuenow]");
    expect(await page.evaluate(() => Reflect.get(window, "valueless"))).toBe(0);
    await settled(opened, "text-facts", /^100,613/);
    const tales = await page.$eval("#text", (area) => (area as HTMLTextAreaElement).value);
    expect(tales).toBe(embeddedText({ length: 100_000, seed: 0 }));
    await set(page, "text", "zu kurz");
    expect(await text(page, "text-facts")).toBe("The text has 7 characters; give 2,000 at least.");
    await page.click("#train");
    await settled(opened, "problem", /^Training cannot start: The text has 7 characters/);
    await set(page, "text", "Grüße aus dem Möwenweg. ".repeat(120));
    expect(await page.$eval("#prompt", (input) => (input as HTMLInputElement).value)).toBe(
      "Grüße aus de",
    );
    await page.click("#train");
    await until(opened, "over");
    expect(await page.evaluate(() => location.hash)).toBe("#steps=8&race=seconds&norm=on");
    expect((await characters(page, "hyper-text")).slice(0, 12)).toBe("Grüße aus de");
    // A step of the LSTM takes a fraction of the other's.
    expect((await curve(page, "lstmSteps")).at(-1)).toBeGreaterThan(8);
    const bytes = await page.evaluate(
      () =>
        new Promise<number[]>((resolve) => {
          const { createObjectURL } = URL;
          URL.createObjectURL = (blob) => {
            void (blob as Blob).arrayBuffer().then((all) => resolve([...new Uint8Array(all)]));
            return createObjectURL(blob);
          };
          const buttons = [...document.querySelectorAll<HTMLButtonElement>("#take .row button")];
          buttons.find(({ textContent }) => textContent?.includes("hyperlstm"))?.click();
        }),
    );
    const checkpoint = readCheckpoint(Uint8Array.from(bytes), "saved");
    const { step, data, settings } = checkpoint;
    expect([step, settings.steps, data.name]).toEqual([8, 8, "a pasted text"]);
    expect(data.vocabulary).toMatchObject({ kind: "characters" });
    expect(checkpointModel(checkpoint).spec.name).toBe("ln-hyperlstm");

    // What is set for the next run is nothing to the texts of this one.
    await set(page, "set-norm", "off");
    await set(page, "set-steps", "9");
    const [command, further, program] = await takenTexts(page);
    expect(command).toMatch(/^npx .* --steps 8 .* --model ln-hyperlstm .*$/);
    expect(further).toMatch(/^npx .* --steps 8 .* --model ln-lstm .*\nnpx hyperloom sample hyper /);
    expect(program).toContain("layerNorm: true");
    expect(await text(page, "take")).toContain("there the symbols are the text’s bytes");
    expect(faults).toEqual([]);
    await page.close();
  });
});
