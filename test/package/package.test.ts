/**
 * The package as npm packs it, installed without network in an empty folder, in the places where it
 * is meant to work.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatMessage } from "publint/utils";
import { publint } from "publint";
import type { Browser } from "puppeteer-core";
import { build, preview } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drivers, install, launch, lend, pack, type Packed, root, run } from "./installed";

const MOST_BYTES = 3e6;

/** What a site or script says at its end. */
interface Said {
  readonly losses?: readonly number[];
  readonly symbols?: readonly number[];
  readonly shaders?: number;
  readonly refused?: readonly string[];
  readonly one?: boolean;
  readonly error?: string;
}

let folder: string;
let packed: Packed;
let browser: Browser;
let inNode: Said;

/** Opens a page of the folder, or of what Vite built of it, and waits for its last word. */
async function open(path: string, outDir = "."): Promise<Said> {
  // Serves files as they are.
  const server = await preview({ root: folder, build: { outDir }, logLevel: "error" });
  const page = await browser.newPage();
  try {
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("response", (response) => {
      if (response.status() >= 400 && !response.url().endsWith("/favicon.ico")) {
        faults.push(`${response.status()} ${response.url()}`);
      }
    });
    await page.goto(`${server.resolvedUrls?.local[0]}${path}`, { timeout: 0 });
    for (;;) {
      const text = await page.$eval("#log", (log) => log.textContent ?? "");
      if (text !== "") return JSON.parse(text) as Said;
      if (faults.length > 0) throw new Error(`${path}: ${faults.join("\n")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    await page.close();
    await server.close();
  }
}

/** Every shader that is shipped passed the runtime's compiler. */
function expectShaders({ shaders, refused = [] }: Said): void {
  const files = readdirSync(join(root, "shaders")).filter((name) => name.endsWith(".wgsl"));
  const twins = files.filter((name) =>
    readFileSync(join(root, "shaders", name), "utf8").includes("// subgroups: enable subgroups;"),
  );
  expect(shaders).toBe(files.length + twins.length);
  // A runtime without subgroups refuses the twins, and those alone.
  const others = refused.filter((line) => !/^\w+_subgroups: /.test(line));
  expect(others).toEqual([]);
  expect([0, twins.length]).toContain(refused.length);
}

/** The 40 losses fell to a third, as in Node up to what adapters round differently. */
function expectTrained({ losses = [], error }: Said): void {
  expect(error).toBeUndefined();
  expect(losses).toHaveLength(40);
  expect(losses[39]).toBeLessThan((losses[0] ?? 0) / 3);
  for (const [t, loss] of (inNode.losses ?? []).entries()) {
    expect(Math.abs((losses[t] ?? Number.NaN) / loss - 1), `step ${t}`).toBeLessThan(1e-3);
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hyperloom-package-"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module", "private": true }');
  packed = pack(folder);
  install(folder, packed);
  cpSync(join(root, "test/package/sites"), folder, { recursive: true });
  browser = await launch();
  lend(folder, "webgpu");
  const said = run(folder, "node", ["script.js", "checkpoint.safetensors"], drivers());
  inNode = JSON.parse(said) as Said;
});

afterAll(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

describe("the packed package", () => {
  test("is one package of 3 MB at most, without a fault that publint finds", async () => {
    expect(packed.unpackedSize).toBeLessThanOrEqual(MOST_BYTES);
    const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as {
      readonly packages: object;
    };
    expect(Object.keys(lock.packages)).toEqual(["", "node_modules/hyperloom"]);
    const pkgDir = join(folder, "node_modules/hyperloom");
    const { messages } = await publint({ pkgDir, pack: false, strict: true });
    const pkg = JSON.parse(readFileSync(join(pkgDir, "package.json"), "utf8"));
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  test("trains and writes in Node", () => {
    expectTrained(inNode);
    expectShaders(inNode);
    expect(inNode.symbols).toHaveLength(11);
    expect(inNode.one).toBe(true);
  });

  test("trains in Deno", () => {
    const env = {
      // On Linux wgpu would fall back to OpenGL, which has not even the default limits.
      ...(process.platform === "linux" ? { DENO_WEBGPU_BACKEND: "vulkan" } : {}),
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
    };
    const args = ["run", "-A", "--no-lock", "script.js", "deno.safetensors"];
    const said = JSON.parse(run(folder, "deno", args, env)) as Said;
    expectTrained(said);
    expectShaders(said);
  });

  test("trains in a page without a bundler", async () => {
    expectTrained(await open("page.html"));
  });

  test("trains in a worker without a bundler", async () => {
    expectTrained(await open("worker.html"));
  });

  test("writes in a page that Vite built, as it does in Node", async () => {
    const outDir = join(folder, "built");
    // As it is weighed: gradients are left out.
    const define = { __HYPERLOOM_INFERENCE__: "true" };
    await build({ root: folder, configFile: false, logLevel: "error", define, build: { outDir } });
    cpSync(join(folder, "checkpoint.safetensors"), join(outDir, "checkpoint.safetensors"));
    const { error, symbols } = await open("index.html", "built");
    expect(error).toBeUndefined();
    expect(symbols).toEqual(inNode.symbols);
  });
});

describe("its types under strict, libraries checked", () => {
  /** The compiler's complaints about the site's file of types. */
  function complaints(options: object): string[] {
    const strict = { strict: true, noEmit: true, skipLibCheck: false, target: "es2022" };
    const compilerOptions = { ...strict, module: "nodenext", types: [], ...options };
    const config = JSON.stringify({ compilerOptions, files: ["types.ts"] });
    writeFileSync(join(folder, "tsconfig.json"), config);
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", "."], {
      cwd: folder,
      encoding: "utf8",
    });
    return stdout.split("\n").filter((line) => /^\S.*error TS/.test(line));
  }

  test("with TypeScript's own DOM library", () => {
    expect(complaints({})).toEqual([]);
  });

  test("with its library for workers, as a bundler resolves", () => {
    const bundler = { module: "esnext", moduleResolution: "bundler" };
    expect(complaints({ ...bundler, lib: ["ES2022", "WebWorker"] })).toEqual([]);
  });

  test("with @webgpu/types", () => {
    lend(folder, "@webgpu/types");
    // TypeScript 6 has WebGPU in its DOM library, with which @webgpu/types is at odds by itself.
    const ours = complaints({ types: ["@webgpu/types"] }).filter((line) =>
      /^(?:types\.ts|node_modules\/hyperloom)/.test(line),
    );
    expect(ours).toEqual([]);
    expect(complaints({ types: ["@webgpu/types"], skipLibCheck: true })).toEqual([]);
  });
});
