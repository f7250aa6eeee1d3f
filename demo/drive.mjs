/** The built site on a server of its own, and a headless Chrome to look at it. */
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { build, preview, runnerImport } from "vite";

const configFile = fileURLToPath(new URL("vite.config.ts", import.meta.url));
const browserFile = fileURLToPath(new URL("../src/cli/browser.ts", import.meta.url));

/**
 * Builds the site, serves it and starts Chrome; HYPERLOOM_ADAPTER=gpu|software chooses the adapter.
 * @param {{ webgpu?: boolean }} [options] `webgpu`: whether the browser has it; default true.
 */
export async function openSite({ webgpu = true } = {}) {
  const { module } = /** @type {{ module: typeof import("../src/cli/browser") }} */ (
    await runnerImport(browserFile)
  );
  const { chromeFlags, ensureBrowser } = module;
  const adapter = /** @type {import("../src/cli/browser").AdapterChoice} */ (
    process.env.HYPERLOOM_ADAPTER ?? "auto"
  );
  await build({ configFile, logLevel: "warn" });
  const server = await preview({ configFile, preview: { port: 0, host: "127.0.0.1" } });
  const [address = ""] = server.resolvedUrls?.local ?? [];
  const flags = chromeFlags(adapter);
  const launch = () =>
    puppeteer.launch({
      executablePath: ensureBrowser(),
      args: webgpu ? flags : flags.filter((flag) => !flag.includes("webgpu")),
      protocolTimeout: 0,
    });
  const browser = await launch();
  return {
    browser,
    /** A further browser, for whoever wants one that has compiled nothing yet; the caller closes it. */
    launch,
    address,
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

/**
 * Waits until the page's run is in one of these states.
 * @param {import("puppeteer-core").Page} page
 * @param {readonly string[]} states @param {number} [timeout] in ms
 */
export async function until(page, states, timeout = 0) {
  await page.waitForFunction(
    (wanted) => wanted.includes(document.body.dataset.state ?? ""),
    { timeout, polling: 200 },
    states,
  );
}
