/**
 * `npm test`: the tests of test/gpu in Chrome, in Node and in Deno, some of them in Deno on Mesa's
 * lavapipe too, and all the others in Node, three at a time, since each keeps four fifths of a core busy;
 * arguments go to every Vitest. It compares the lists of names and ends with one line a run. Plain
 * JavaScript, because Node 20 runs it as it is; Vite loads the rest.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";
import { wgsl } from "../shaders/plugin.mjs";
import { differences, summarise } from "./summary.mjs";

/**
 * @typedef {import("./summary.mjs").Report} Report
 * @typedef {object} Job
 * @property {string} name what its lines begin with
 * @property {readonly string[]} projects of vitest.config.ts
 * @property {readonly string[]} command that runs Vitest
 * @property {NodeJS.ProcessEnv} [env]
 * @property {boolean} [partial] whether it leaves the long files out
 * @property {string | null} missing why it cannot run
 */

const root = fileURLToPath(new URL("..", import.meta.url));
const results = join(root, "test/.results");
const vitest = join(root, "node_modules/vitest/vitest.mjs");
const own = process.argv.slice(2);
const adapter = process.env.HYPERLOOM_ADAPTER ?? "auto";
// Vite's loader, for the parts of the terminal that know browsers and adapters.
const { module } = await runnerImport(join(root, "test/runtimes.ts"), {
  root,
  configFile: false,
  logLevel: "error",
  plugins: [wgsl()],
});
const { withoutChrome, withoutNode, drivers, installDrivers } =
  /** @type {typeof import("./runtimes")} */ (module);

const deno = join(root, "node_modules/deno/bin.cjs");
const denoRun = [process.execPath, deno, "run", "-A", "--no-lock"];
const lavapipe = { VK_LOADER_DRIVERS_SELECT: "*lvp*" };

/** What Deno runs with where the Vulkan loader is told of some drivers. @param {NodeJS.ProcessEnv} of */
const denoEnv = (of) => ({
  XDG_RUNTIME_DIR: tmpdir(),
  ...process.env,
  // On Linux wgpu would fall back to OpenGL, which has not even the default limits.
  ...(process.platform === "linux" ? { DENO_WEBGPU_BACKEND: "vulkan" } : {}),
  ...of,
  DENO_NO_UPDATE_CHECK: "1",
});

/** Why Deno finds no adapter with these drivers; null where it does. @param {NodeJS.ProcessEnv} of */
function withoutDeno(of) {
  if (!existsSync(deno)) return "the package deno is not installed";
  const [node = "", ...args] = [...denoRun, "--no-config", "test/node/naga.ts"];
  const { status, stderr } = spawnSync(node, args, { cwd: root, env: denoEnv(of) });
  return status === 0 ? null : String(stderr).trim().split("\n")[0] || "it does not start";
}

/** The runs in Deno: on the drivers that Node prefers too, and on lavapipe. @returns {Job[]} */
function denoJobs() {
  const job = { projects: ["gpu-deno"], command: denoRun };
  const found = drivers.find((of) => withoutDeno(of) === null);
  if (found) {
    const main = { ...job, name: "Deno", env: denoEnv(found), missing: null };
    if (adapter !== "auto" || process.platform !== "linux") return [main];
    if (withoutDeno(lavapipe) !== null && !installDrivers()) return [main];
    const env = { ...denoEnv(lavapipe), HYPERLOOM_TESTS: "short" };
    return [main, { ...job, name: "lavapipe", partial: true, env, missing: withoutDeno(lavapipe) }];
  }
  if (adapter !== "gpu") installDrivers();
  return [{ ...job, name: "Deno", env: denoEnv(lavapipe), missing: withoutDeno(lavapipe) }];
}

/** Runs a job, its lines under its name, and reads its report. @param {Job} job @returns {Promise<Report>} */
async function run({ name, projects, command: [program = "", ...args], env, partial }) {
  const file = join(results, `${name}.json`);
  const options = ["run", "--config", "test/vitest.config.ts", "--passWithNoTests"];
  const reports = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const chosen = projects.map((project) => `--project=${project}`);
  const child = spawn(program, [...args, vitest, ...options, ...chosen, ...reports, ...own], {
    cwd: root,
    env: env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (line) => {
      if (line.trim()) console.log(`${name.padEnd(8)}| ${line}`);
    });
  }
  const status = await new Promise((resolve) => {
    child.on("close", resolve);
    child.on("error", () => resolve(1));
  });
  const { testResults = [] } = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  return {
    name,
    partial,
    status: Number(status ?? 1),
    tests: testResults.flatMap(
      (/** @type {{ name: string, assertionResults: Report["tests"] }} */ f) =>
        f.assertionResults.map((test) => ({ ...test, file: relative(root, f.name) })),
    ),
  };
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });
const node = [process.execPath];
/** @type {Job[]} */
const jobs = [
  { name: "Chrome", projects: ["gpu"], command: node, missing: withoutChrome },
  ...denoJobs(),
  { name: "Node", projects: ["gpu-node"], command: node, missing: withoutNode },
  { name: "others", projects: ["node", "package"], command: node, missing: null },
];

/** @param {Job} job */
const first = ({ name }) => Number(name === "others");
/** @type {Report[]} */
const reports = [];
// The others first: they take longest, and most of all when they run at last alone.
const due = jobs.filter((job) => !job.missing).sort((a, b) => first(b) - first(a));
const lane = async () => {
  for (let job = due.shift(); job; job = due.shift()) reports.push(await run(job));
};
await Promise.all(Array.from({ length: availableParallelism() > 1 ? 3 : 1 }, lane));

// Chrome is never left out, and where everything must be there nothing is.
const must = (/** @type {Job} */ { name }) => name === "Chrome" || !!process.env.CI;
let [passed, failed] = [0, 0];
console.log();
// In the order of the jobs: Chrome's list is the one that others are held against.
const place = (/** @type {Report} */ { name }) => jobs.findIndex((job) => job.name === name);
reports.sort((a, b) => place(a) - place(b));
for (const line of differences(reports)) {
  console.log(line);
  failed++;
}
for (const job of jobs) {
  if (job.missing) {
    console.log(`gpu tests, ${job.name}: not run, ${job.missing}`);
    if (must(job)) failed++;
  }
  for (const report of reports.filter(({ name }) => name === job.name)) {
    for (const part of summarise(report, process.argv.length <= 2)) {
      console.log(part.line);
      passed += part.passed;
      failed += part.failed;
    }
  }
}
writeFileSync(join(results, "summary.json"), JSON.stringify({ passed, failed }));
process.exitCode = failed === 0 ? 0 : 1;
