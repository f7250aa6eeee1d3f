/**
 * `npm run bench:peers`: hyperloom beside TensorFlow.js and jax-js on WebGPU in one headless Chrome.
 * The peers are installed on demand into this folder and stay out of the project. Plain JavaScript,
 * because Node 20 runs it as it is; Vite loads the rest.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { platform } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import puppeteer from "puppeteer-core";
import { createServer } from "vite";
import { wgsl } from "../../shaders/plugin.mjs";

/** @typedef {import("./page").PeerAnswer} PeerAnswer */
/** @typedef {import("./page").PeerJob} PeerJob */
/** @typedef {import("../../src/cli/browser").AdapterChoice} AdapterChoice */
/** @typedef {{ filter?: RegExp, repeat: number, adapter: AdapterChoice, json?: string }} Options */

const folder = fileURLToPath(new URL(".", import.meta.url));
const root = join(folder, "../..");

/** @param {string} path @returns {{ version: string, dependencies: Record<string, string> }} */
const packageFile = (path) => JSON.parse(readFileSync(join(path, "package.json"), "utf8"));

/** Installs the peers unless they lie there in the versions asked for. */
function install() {
  const wanted = Object.entries(packageFile(folder).dependencies);
  const there = wanted.every(([name, version]) => {
    const path = join(folder, "node_modules", name);
    return existsSync(path) && packageFile(path).version === version;
  });
  if (there) return wanted;
  const args = ["install", "--prefix", folder, "--no-package-lock", "--no-audit", "--no-fund"];
  console.error(`hyperloom: installing the peers: ${wanted.map((w) => w.join("@")).join(", ")}`);
  const { status } = spawnSync("npm", args, {
    cwd: folder,
    shell: platform() === "win32",
    stdio: ["ignore", process.stderr, "inherit"],
  });
  if (status !== 0) throw new Error("hyperloom: npm could not install the peers; see above");
  return wanted;
}

/** @param {string} text */
function positiveInteger(text) {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Give a whole number of at least 1.");
}

/** @param {string} text */
function pattern(text) {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(/** @type {Error} */ (error).message);
  }
}

/** A server of the page and of the modules that this script itself loads. */
function serve() {
  return createServer({
    root: folder,
    configFile: false,
    logLevel: "error",
    plugins: [wgsl()],
    server: { host: "127.0.0.1", port: 0, hmr: false, watch: null, fs: { allow: [root] } },
    // Named, since a package found only while the page loads would load it anew.
    optimizeDeps: {
      include: [
        "@jax-js/jax",
        "@tensorflow/tfjs-core",
        "@tensorflow/tfjs-core/dist/register_all_gradients",
        "@tensorflow/tfjs-backend-webgpu",
      ],
    },
  });
}

/**
 * One case in a Chrome of its own, so that no first step finds what another case has compiled.
 * @param {{ executablePath: string, args: string[], url: string }} browser @param {PeerJob} job
 */
async function runCase({ executablePath, args, url }, job) {
  // A software adapter may keep the page busy for minutes.
  const chrome = await puppeteer.launch({ executablePath, args, protocolTimeout: 0 });
  try {
    const page = await chrome.newPage();
    /** @type {Promise<never>} */
    const crashed = new Promise((_, reject) => {
      page.on("error", (error) => reject(new Error(`hyperloom: the page crashed: ${error}`)));
    });
    crashed.catch(() => undefined);
    await page.exposeFunction("peersSay", (/** @type {string} */ text) =>
      console.error(`${job.name} · ${text}`),
    );
    await page.goto(url, { timeout: 0 });
    await page.waitForFunction(() => "peersRun" in window, { timeout: 0 });
    const answer = page.evaluate((work) => window.peersRun(work), job);
    const version = (await chrome.version()).replace(/^.*\//, "");
    return { version, .../** @type {PeerAnswer} */ (await Promise.race([answer, crashed])) };
  } finally {
    await chrome.close();
  }
}

/** @param {Options} options */
async function main({ filter = /(?:)/, repeat, adapter, json }) {
  const wanted = install();
  const server = await serve();
  try {
    const { cases } = /** @type {typeof import("./cases")} */ (
      await server.ssrLoadModule("/cases.ts")
    );
    const { advantage, markdown } = /** @type {typeof import("./report")} */ (
      await server.ssrLoadModule("/report.ts")
    );
    const { chromeFlags, ensureBrowser } = /** @type {typeof import("../../src/cli/browser")} */ (
      await server.ssrLoadModule(join(root, "src/cli/browser.ts"))
    );
    const { reportOrigin } = /** @type {typeof import("../../src/cli/report-origin")} */ (
      await server.ssrLoadModule(join(root, "src/cli/report-origin.ts"))
    );
    const chosen = cases.filter(({ name }) => filter.test(name));
    if (chosen.length === 0) {
      const names = cases.map(({ name }) => name).join("; ");
      throw new RangeError(
        `hyperloom: --filter ${filter.source} matches no case; there are ${names}`,
      );
    }
    await server.listen();
    const url = server.resolvedUrls?.local[0] ?? "";
    const browser = { executablePath: ensureBrowser(), args: chromeFlags(adapter), url };
    const results = [];
    for (const made of chosen) {
      const answer = await runCase(browser, { name: made.name, adapter, repeat });
      results.push({ made, answer });
    }
    const last = results.at(-1)?.answer;
    if (!last) return;
    /** @type {import("./report").PeersReport} */
    const report = {
      event: "done",
      ...reportOrigin("npm run bench:peers --"),
      adapter: last.adapter,
      versions: {
        hyperloom: packageFile(root).version,
        ...Object.fromEntries(wanted),
        Chrome: last.version,
      },
      cases: results.map(({ made, answer: { rows } }) => ({
        ...made,
        rows,
        times: advantage(rows, (row) => row.median),
        firstTimes: advantage(rows, (row) => row.first),
      })),
    };
    console.log(markdown(report));
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(report)}\n`, { flag: "a" });
    // A peer that fails is a result; hyperloom failing is not.
    if (report.cases.some(({ rows }) => rows[0]?.error !== undefined)) process.exitCode = 1;
  } finally {
    await server.close();
  }
}

const program = new Command("bench:peers")
  .description("hyperloom, jax-js and TensorFlow.js on WebGPU in one headless Chrome, in turn")
  .option("--filter <regexp>", "only cases whose name matches", pattern)
  .option("--repeat <n>", "samples of each library at each case", positiveInteger, 5)
  .addOption(
    new Option("--adapter <class>", "auto takes a real GPU where there is one")
      .choices(["auto", "gpu", "software"])
      .default("auto"),
  )
  .option("--json <file>", "add the report there, one line of JSON")
  .exitOverride()
  .action(main);
await program.parseAsync().catch((/** @type {Error} */ error) => {
  // Commander has said already what it finds wrong; help is no fault.
  const flags = error instanceof CommanderError;
  if (!flags) console.error(error.message);
  if (flags && error.exitCode === 0) return;
  process.exitCode = flags || error instanceof RangeError ? 2 : 1;
});
