import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createServer, preview } from "vite";
import { drivers, install, launch, lend, pack, type Packed, root, run } from "./installed";

// The README's "Getting started", as a new user would take it: an empty folder, the packed package,
// and the text's own files and commands. What else it installs comes from this checkout.

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
let packed: Packed;
let browser: Browser;

/** A folder of its own for one way: what its section installs, and the files that it writes. */
function start(way: string): { readonly own: string; readonly text: string } {
  const text = section(way);
  const own = join(folder, way);
  mkdirSync(own);
  const [, others] = /npm install hyperloom([ \w]*)/.exec(text) ?? [];
  if (others === undefined) throw new Error(`README.md installs no hyperloom in: ${text}`);
  install(own, packed);
  expect(existsSync(join(own, "node_modules/hyperloom/dist/index.js"))).toBe(true);
  for (const name of others.match(/\w+/g) ?? []) lend(own, name);
  writeFileSync(join(own, "train.mjs"), block(shared, "js"));
  if (text.includes("```html")) writeFileSync(join(own, "index.html"), block(text, "html"));
  return { own, text };
}

/** Runs a command that a section gives, and returns what it says. */
function follow(own: string, text: string, command: string, env?: NodeJS.ProcessEnv): string {
  expect(text.split(/[\n`]/)).toContain(command);
  const [program = "", ...args] = command.split(" ");
  return run(own, program, args, env);
}

/** Looks at what a run said: the loss falls as far as the text says. */
function expectTrained(said: string): void {
  const losses = [...said.matchAll(/step (\d+): loss ([\d.]+)/g)];
  expect(
    losses.map(([, step]) => step),
    said,
  ).toEqual(["0", "100", "200", "300"]);
  const [first, , , last] = losses.map(([, , loss]) => Number(loss).toFixed(2));
  // Adapters round differently, and the steps go on from there.
  const [, from, ...to] = /falls from ([\d.]+) to ([\d.]+) or ([\d.]+),/.exec(shared) ?? [];
  expect(first, said).toBe(from);
  expect(to, said).toContain(last);
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

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hyperloom-start-"));
  packed = pack(folder);
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
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
    const { own } = start("a page");
    // Serves files as they are.
    const server = await preview({ root: own, build: { outDir: "." }, logLevel: "error" });
    try {
      expectTrained(await consoleOf(server.resolvedUrls?.local[0] as string));
    } finally {
      await server.close();
    }
  });

  test("with Vite, served and built", async () => {
    const { own, text } = start("Vite");
    const server = await createServer({ root: own, logLevel: "error" });
    try {
      await server.listen();
      expectTrained(await consoleOf(server.resolvedUrls?.local[0] as string));
    } finally {
      await server.close();
    }
    follow(own, text, "npx vite build");
    const built = await preview({ root: own, logLevel: "error" });
    try {
      expectTrained(await consoleOf(built.resolvedUrls?.local[0] as string));
    } finally {
      await built.close();
    }
  });

  test("in Node, which ends by itself", () => {
    const { own, text } = start("Node");
    expectTrained(follow(own, text, "node train.mjs", drivers()));
  });

  test("in Deno", () => {
    const { own, text } = start("Deno");
    expectTrained(follow(own, text, "deno run -A train.mjs"));
  });
});
