import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer, { type Browser } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build, createServer, preview } from "vite";
import {
  type AdapterChoice,
  chromeFlags,
  ensureBrowser,
  softwareVulkanIcd,
} from "../../src/cli/browser";

// The README's "Getting started", as a new user would take it: an empty folder, the built package in
// its node_modules, and the text's own files and commands.

const root = fileURLToPath(new URL("../..", import.meta.url));
const adapter = (process.env.HYPERLOOM_ADAPTER ?? "auto") as AdapterChoice;
const readme = readFileSync(join(root, "README.md"), "utf8");
const [, ...parts] = readme.split(/^#{2,3} Getting started/m);
const [shared = "", ...sections] = parts.map((part) => part.split(/^## /m)[0] as string);

/** The block of a section in a language. */
function block(section: string, language: string): string {
  const text = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(section)?.[1];
  if (text === undefined) throw new Error(`README.md has no ${language} block in: ${section}`);
  return text;
}

/** The section on a runtime. */
function section(runtime: string): string {
  const found = sections.find((text) => text.startsWith(`: ${runtime}`));
  if (!found) throw new Error(`README.md has no section "Getting started: ${runtime}"`);
  return found;
}

let folder: string;
let browser: Browser;

/** A folder for one way, with the shared module and some packages. */
function start(way: string, packages: readonly string[]): string {
  const own = join(folder, way);
  mkdirSync(join(own, "node_modules"), { recursive: true });
  symlinkSync(root, join(own, "node_modules/hyperloom"));
  for (const name of packages) {
    symlinkSync(join(root, "node_modules", name), join(own, "node_modules", name));
  }
  // As npm install leaves it.
  writeFileSync(join(own, "package.json"), '{ "dependencies": { "hyperloom": "^0.1.0" } }');
  writeFileSync(join(own, "train.mjs"), block(shared, "js"));
  return own;
}

/** Looks at what a run said: the loss of step 300 is a tenth of that of step 0 or less. */
function expectTrained(said: string): void {
  const losses = [...said.matchAll(/step (\d+): loss ([\d.]+)/g)];
  expect(
    losses.map(([, step]) => step),
    said,
  ).toEqual(["0", "100", "200", "300"]);
  const [first, , , last] = losses.map(([, , loss]) => Number(loss));
  expect(last, said).toBeLessThan((first as number) / 10);
}

/** Opens an address, and returns what the console has said when the last step is through. */
async function consoleOf(address: string): Promise<string> {
  const page = await browser.newPage();
  const said: string[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      page.on("console", (message) => {
        said.push(message.text());
        if (message.text().startsWith("step 300")) resolve();
        // Browsers ask for an icon, whatever the page.
        const icon = message.location().url?.endsWith("/favicon.ico");
        if (message.type() === "error" && !icon) reject(new Error(said.join("\n")));
      });
      page.on("pageerror", (error) => reject(error));
      page.goto(address, { timeout: 0 }).catch(reject);
    });
    return said.join("\n");
  } finally {
    await page.close();
  }
}

/** The software adapter beside Chrome, where the machine has no driver and the text says to name it. */
function vulkan(): Record<string, string> {
  const icd = process.env.VK_ICD_FILENAMES ?? softwareVulkanIcd(ensureBrowser());
  return icd && adapter !== "gpu" ? { VK_ICD_FILENAMES: icd } : {};
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hyperloom-start-"));
  browser = await puppeteer.launch({
    executablePath: ensureBrowser(),
    args: chromeFlags(adapter),
    protocolTimeout: 0,
  });
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("getting started", () => {
  test("takes 30 lines at most, in four places", () => {
    const lines = block(shared, "js").trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(30);
    expect(sections.map((text) => text.split("\n")[0])).toEqual([
      ": a page without a bundler",
      ": Vite",
      ": Node",
      ": Deno",
    ]);
  });

  test("in a page without a bundler, from a static file server", async () => {
    const own = start("page", []);
    writeFileSync(join(own, "index.html"), block(section("a page"), "html"));
    // Serves files as they are.
    const server = await preview({ root: own, build: { outDir: "." }, logLevel: "error" });
    try {
      expectTrained(await consoleOf(server.resolvedUrls?.local[0] as string));
    } finally {
      await server.close();
    }
  });

  test("with Vite, served and built", async () => {
    const own = start("vite", []);
    writeFileSync(join(own, "index.html"), block(section("Vite"), "html"));
    const server = await createServer({ root: own, logLevel: "error" });
    try {
      await server.listen();
      expectTrained(await consoleOf(server.resolvedUrls?.local[0] as string));
    } finally {
      await server.close();
    }
    await build({ root: own, logLevel: "error" });
    const built = await preview({ root: own, logLevel: "error" });
    try {
      expectTrained(await consoleOf(built.resolvedUrls?.local[0] as string));
    } finally {
      await built.close();
    }
  });

  test("in Node, which ends by itself", () => {
    const own = start("node", ["webgpu"]);
    expect(block(section("Node"), "sh")).toContain("\nnode train.mjs\n");
    const env = { ...process.env, XDG_RUNTIME_DIR: tmpdir(), ...vulkan() };
    const run = spawnSync(process.execPath, ["train.mjs"], { cwd: own, env, encoding: "utf8" });
    expect(run.status, run.stderr).toBe(0);
    expectTrained(run.stdout);
  });

  test("in Deno", () => {
    const own = start("deno", []);
    expect(block(section("Deno"), "sh")).toContain("\ndeno run -A train.mjs\n");
    const env = { ...process.env, XDG_RUNTIME_DIR: tmpdir() };
    const deno = join(root, "node_modules/.bin/deno");
    const run = spawnSync(deno, ["run", "-A", "train.mjs"], { cwd: own, env, encoding: "utf8" });
    expect(run.status, run.stderr).toBe(0);
    expectTrained(run.stdout);
  });
});
