/**
 * `npm run demo:films [-- PAGE …]`: trains each page in headless Chrome and keeps what it recorded as
 * the film that the page shows before anything is trained.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openSite, until } from "./drive.mjs";

/** The runs, as the pages' addresses, by the names of their films. @type {Record<string, string>} */
const RUNS = {
  static: "index.html#steps=500",
  ...Object.fromEntries(
    ["direct", "64", "16", "4", "2", "1", "shared"].map((stop) => [
      `spectrum-${stop}`,
      `spectrum.html#stop=${stop}`,
    ]),
  ),
  family: "family.html",
  dynamic: "dynamic.html#steps=200",
};

/** KB of 1,024 bytes that a film may have. */
const MOST = 60;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !RUNS[name]);
if (unknown.length > 0) {
  console.error(`no film ${unknown.join(", ")}; there are ${Object.keys(RUNS).join(", ")}`);
  process.exit(2);
}
const site = await openSite();
try {
  for (const [name, path] of Object.entries(RUNS)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const page = await site.browser.newPage();
    await page.goto(site.address + path);
    await page.click("#train");
    await until(page, ["over", "failed"]);
    const problem = await page.$eval("#problem", (found) => found.textContent);
    if (problem) throw new Error(`${name}: ${problem}`);
    const base64 = await page.evaluate(async () => {
      const bytes = await window.hyperloomDemo.film();
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    });
    const bytes = Buffer.from(base64, "base64");
    const size = bytes.length / 1024;
    if (size > MOST) throw new Error(`${name}.film has ${size.toFixed(1)} KB, may have ${MOST}`);
    writeFileSync(fileURLToPath(new URL(`films/${name}.film`, import.meta.url)), bytes);
    const status = await page.$eval("#status", (found) => found.textContent);
    console.log(`${name}.film: ${size.toFixed(1)} KB. ${status}`);
    await page.close();
  }
} finally {
  await site.close();
}
