/**
 * `npm run demo:shots [-- PAGE …]`: pictures of every page in both themes and two widths, of the
 * stored film's end and after some steps of training, as PNG in demo/shots/.
 */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openSite, until } from "./drive.mjs";

/** Steps of training that a page is shown after, by its name; 0: none. @type {Record<string, number>} */
const PAGES = { index: 40, spectrum: 30, dynamic: 40, family: 60, bench: 0 };

const folder = fileURLToPath(new URL("shots/", import.meta.url));
mkdirSync(folder, { recursive: true });
const asked = process.argv.slice(2);
const site = await openSite();

/** @param {import("puppeteer-core").Page} page @param {string} name */
async function shoot(page, name) {
  for (const theme of /** @type {const} */ (["light", "dark"])) {
    await page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: theme },
      { name: "prefers-reduced-motion", value: "reduce" },
    ]);
    for (const width of [390, 1280]) {
      await page.setViewport({ width, height: 900, deviceScaleFactor: width < 600 ? 2 : 1 });
      // A frame for what follows sizes and colours.
      await new Promise((resolve) => {
        setTimeout(resolve, 300);
      });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) console.error(`${name}: ${wide} px wide on a screen of ${width}`);
      await page.screenshot({ path: `${folder}${name}-${theme}-${width}.png`, fullPage: true });
    }
  }
  console.log(`${folder}${name}-{light,dark}-{390,1280}.png`);
}

try {
  for (const [name, steps] of Object.entries(PAGES)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const page = await site.browser.newPage();
    page.on("console", (message) => console.error(`${name}: ${message.text()}`));
    page.on("pageerror", (error) => console.error(`${name}: ${error}`));
    await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
    await page.goto(`${site.address}${name}.html`, { waitUntil: "networkidle0" });
    await shoot(page, name);
    if (steps > 0) {
      await page.click("#train");
      await page.waitForFunction(
        (most) => window.hyperloomDemo.step >= most,
        { timeout: 0 },
        steps,
      );
      await page.click("#train");
      await until(page, ["paused"]);
      await shoot(page, `${name}-trained`);
    }
    await page.close();
  }
} finally {
  await site.close();
}
