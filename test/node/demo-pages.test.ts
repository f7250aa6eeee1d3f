/** What holds for every page of the demo: its place and size, no WebGPU, and the visitor who leaves. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gpuObjects, openSite, type Site, settled, steps, until } from "./demo-site";

const PAGES = ["index", "spectrum", "dynamic", "family", "bench"] as const;
let site: Site;

beforeAll(async () => {
  site = await openSite();
});
afterAll(() => site?.close());

describe.each(PAGES)("the page %s", (name) => {
  test("has its place, and fits a phone", async () => {
    const { page, faults } = await site.open(`demo/${name}.html`);
    await page.setViewport({ width: 390, height: 800 });
    expect(await page.$eval("[aria-current=page]", (a) => a.getAttribute("href"))).toBe(
      `./${name}.html`,
    );
    expect(await page.$$eval("math", (found) => found.length)).toBeGreaterThan(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("says that the browser has no WebGPU, and can be asked again", async () => {
    const opened = await site.open(`demo/${name}.html`, "no-webgpu");
    const { page, faults } = opened;
    // What it has stored, and the text that it would learn.
    await page.waitForNetworkIdle({ idleTime: 200 });
    for (let time = 0; time < 2; time++) {
      await page.click("#train");
      await until(opened, name === "bench" ? "failed" : "film");
      await settled(opened, "problem", /Chrome \d+.* has no WebGPU here; \w/);
    }
    expect(faults).toEqual([]);
    await page.close();
  });

  test("ends its worker when it is left, and trains again when it is come back to", async () => {
    const opened = await site.open(`demo/${name}.html`);
    const { page, faults } = opened;
    const browser = await page.browser().target().createCDPSession();
    /** The site's workers, also those of pages that are kept for going back. */
    const workers = async (): Promise<string[]> => {
      // The empty filter lets all kinds through.
      const { targetInfos } = await browser.send("Target.getTargets", { filter: [{}] });
      const origin = new URL(page.url()).origin;
      return targetInfos.flatMap(({ type, url }) =>
        type === "worker" && url.startsWith(origin) ? [url] : [],
      );
    };
    const trains = async (): Promise<void> => {
      await page.waitForNetworkIdle({ idleTime: 200 });
      await page.click("#train");
      await steps(opened, 2);
      await until(opened, "training");
      expect(await workers()).toHaveLength(1);
      expect(await gpuObjects(page)).not.toEqual([]);
    };
    await trains();
    const other = name === "bench" ? "./family.html" : "./bench.html";
    await Promise.all([page.waitForNavigation(), page.click(`nav a[href="${other}"]`)]);
    // It ends in its own time; one that is only kept with its page stays for minutes.
    await expect.poll(workers, { timeout: 10_000 }).toEqual([]);
    await page.goBack();
    const state = await page.$eval("body", (body) => body.dataset.state);
    expect(state).toBe(name === "bench" ? "over" : "film");
    if (name !== "bench") await settled(opened, "shown", /^A stored run/);
    expect(page.workers()).toEqual([]);
    await trains();
    expect(faults).toEqual([]);
    await browser.detach();
    await page.close();
  });
});
