/**
 * `npm run bench:demo [-- PAGE …]`: how long each page takes from Train to the first step's loss, and the
 * main thread's longest task in the steps after it, each in a browser of its own that has compiled nothing.
 */
import { cpus } from "node:os";
import { openSite } from "./drive.mjs";

const PAGES = ["index", "spectrum", "dynamic", "family"];
/** Browsers a page, and steps of training in each. */
const [SAMPLES, STEPS] = [3, 15];

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !PAGES.includes(name));
if (unknown.length > 0) {
  console.error(`no page ${unknown.join(", ")} trains; those are ${PAGES.join(", ")}`);
  process.exit(2);
}
const site = await openSite();

/** @param {string} name @returns {Promise<{ firstStep: number, longestTask: number }>} milliseconds */
async function sample(name) {
  const browser = await site.launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${site.address}${name}.html`, { waitUntil: "networkidle0" });
    await page.click("#train");
    await page.waitForFunction(
      (steps) => window.hyperloomDemo.step >= steps,
      { timeout: 0 },
      STEPS,
    );
    return await page.evaluate(() => {
      const { firstStep, longestTask } = window.hyperloomDemo;
      return { firstStep, longestTask };
    });
  } finally {
    await browser.close();
  }
}

/** The middle one of some numbers, and the least and the most. @param {readonly number[]} numbers */
function spread(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b).map(Math.round);
  return `${sorted[sorted.length >> 1]} (${sorted[0]}–${sorted.at(-1)})`;
}

try {
  console.log(`${await site.browser.version()}, ${cpus().length} × ${cpus()[0]?.model}\n`);
  console.log(`| page | first step, ms | longest task in ${STEPS} steps, ms |`);
  console.log("| --- | --: | --: |");
  for (const name of PAGES.filter((page) => asked.length === 0 || asked.includes(page))) {
    const samples = [];
    for (let k = 0; k < SAMPLES; k++) samples.push(await sample(name));
    const first = spread(samples.map(({ firstStep }) => firstStep));
    console.log(`| ${name} | ${first} | ${spread(samples.map((s) => s.longestTask))} |`);
  }
} finally {
  await site.close();
}
