/** The page under demo/, built as it is published, in the browser; and the README's examples. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wgsl } from "../../shaders/plugin.mjs";
import { type AdapterChoice, chromeFlags, ensureBrowser } from "../../src/cli/browser";

const root = fileURLToPath(new URL("../..", import.meta.url));
const adapter = (process.env.HYPERLOOM_ADAPTER ?? "auto") as AdapterChoice;
const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
};

/** Put before every script of the site, in the page and in its worker. */
const broken = {
  whole: "",
  "no-webgpu": "Object.defineProperty(navigator, 'gpu', { value: undefined });",
  "no-adapter": "if (navigator.gpu) GPU.prototype.requestAdapter = async () => null;",
  lost: `if (navigator.gpu) {
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (wish) {
      const device = await requestDevice.call(this, wish);
      const { submit } = GPUQueue.prototype;
      let left = 40;
      GPUQueue.prototype.submit = function (buffers) {
        submit.call(this, buffers);
        if (--left === 0) device.destroy();
      };
      return device;
    };
  }`,
} as const;

const readme = readFileSync(join(root, "README.md"), "utf8");
let folder: string;
let server: Server;
let browser: Browser;
let origin: string;

/** The first block of the README in a language that has some text in it. */
function block(language: string, having: string): string {
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const found = blocks.find(([, kind, text]) => kind === language && text?.includes(having))?.[2];
  if (!found) throw new Error(`README.md has no ${language} block with ${having}`);
  return found;
}

/** Files of the sites by folder: the built page, and the README's examples with the library. */
async function buildSites(): Promise<void> {
  const configFile = join(root, "demo/vite.config.ts");
  await build({ configFile, logLevel: "error", build: { outDir: join(folder, "demo") } });
  await build({
    root,
    configFile: false,
    logLevel: "error",
    plugins: [wgsl()],
    build: {
      outDir: join(folder, "readme/node_modules/hyperloom/dist"),
      lib: {
        entry: { index: "src/index.ts", data: "src/data/index.ts" },
        formats: ["es"],
        fileName: (_, name) => `${name}.js`,
      },
    },
  });
  // Smaller than in print, for software adapters.
  const page = block("html", "hyperCnn").replaceAll("batch: 32", "batch: 8").replace("100", "30");
  writeFileSync(join(folder, "readme/page.html"), page);
  const imports = '{ "imports": { "hyperloom": "./node_modules/hyperloom/dist/index.js" } }';
  const own = `<script type="importmap">${imports}</script><pre id="log"></pre>
    <script type="module">${block("js", "charbonnier").replaceAll("console.log(", "log.append(")}</script>`;
  writeFileSync(join(folder, "readme/own.html"), own);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hyperloom-demo-"));
  await buildSites();
  server = createServer((request, response) => {
    const [, stub, path] = /^\/some\/([a-z-]+)\/([^?]*)/.exec(request.url ?? "") ?? [];
    const file = path?.replace(/\/$/, "/index.html") ?? "none";
    try {
      const text = readFileSync(join(folder, file), "utf8");
      const before = extname(file) === ".js" ? broken[stub as keyof typeof broken] : "";
      response.writeHead(200, { "content-type": types[extname(file)] });
      response.end(before + text);
    } catch {
      // Browsers ask for an icon that the README's pages do not name.
      response.writeHead(request.url === "/favicon.ico" ? 204 : 404).end();
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await puppeteer.launch({
    executablePath: ensureBrowser(),
    // No other host has an address, so that a request for one cannot go unseen.
    args: [...chromeFlags(adapter), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    protocolTimeout: 0,
  });
});

afterAll(async () => {
  await browser?.close();
  server?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** A page of the site, and what it complained of or asked elsewhere. */
interface Opened {
  readonly page: Page;
  readonly faults: string[];
}

async function open(path: string): Promise<Opened> {
  const page = await browser.newPage();
  const faults: string[] = [];
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) faults.push(url);
  });
  page.on("response", (response) => {
    if (!response.ok()) faults.push(`${response.status()} ${response.url()}`);
  });
  await page.goto(`${origin}/some/${path}`);
  return { page, faults };
}

const text = (page: Page, id: string): Promise<string> =>
  page.$eval(`#${id}`, (found) => found.textContent?.trim() ?? "");
/** Waits until an element says what it should, or until the page or its browser complains. */
async function settled({ page, faults }: Opened, id: string, pattern: RegExp): Promise<void> {
  for (const end = performance.now() + 200_000; performance.now() < end; ) {
    if (pattern.test(await text(page, id))) return;
    const problem = id === "log" ? "" : await text(page, "problem");
    if (faults.length > 0 || (id !== "problem" && problem !== "")) {
      throw new Error([`${id}: ${await text(page, id)}`, problem, ...faults].join("\n"));
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
  throw new Error(`${id} says "${await text(page, id)}" after 200 s, must match ${pattern}`);
}

const picture = (page: Page): Promise<string> =>
  page.$eval("#kernels", (canvas) => (canvas as HTMLCanvasElement).toDataURL());

describe("the page", () => {
  test("trains: the loss falls, the kernels change, nothing is fetched from elsewhere", async () => {
    const opened = await open("whole/demo/#steps=30&batch=8&train=200&test=50&seed=1");
    const { page, faults } = opened;
    await settled(opened, "status", /Ready/);
    expect(await text(page, "adapter")).toMatch(/^Adapter: \S/);
    expect([await text(page, "made"), await text(page, "learned")]).toEqual(["12,544", "4,244"]);
    const before = await picture(page);
    await page.focus("#train");
    await page.keyboard.press("Enter");
    await settled(opened, "step", /^[2-9]\/30/);
    await page.keyboard.press("Enter");
    await settled(opened, "status", /Paused/);
    expect(await text(page, "train")).toBe("Train");
    await page.click("#train");
    await settled(opened, "status", /Test error \d+\.\d\d % on 50 unseen digits/);
    expect(await text(page, "step")).toBe("30/30");
    expect(await picture(page)).not.toBe(before);
    // Heights of the mean's points: greater is lower on the screen.
    const path = await page.$eval("#loss .mean", (curve) => curve.getAttribute("d") ?? "");
    const heights = [...path.matchAll(/ ([\d.]+)/g)].map(([, y]) => Number(y));
    expect(heights).toHaveLength(30);
    expect(heights.at(-1)).toBeGreaterThan((heights[0] as number) + 5);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("says why it cannot train", async () => {
    for (const [stub, reason] of [
      ["no-webgpu", /cannot train here: Chrome \d+.* has no WebGPU here; \w/],
      ["no-adapter", /cannot train here: WebGPU found no adapter in Chrome \d+.*; \w/],
    ] as const) {
      const opened = await open(`${stub}/demo/`);
      const { page, faults } = opened;
      await settled(opened, "problem", reason);
      expect(await page.$eval("#problem", (found) => found.checkVisibility())).toBe(true);
      expect(faults).toEqual([]);
      await page.close();
    }
  });

  test("says that the device was lost, and starts over", async () => {
    const opened = await open("lost/demo/#steps=1000&batch=2&train=20");
    const { page } = opened;
    await settled(opened, "status", /Ready/);
    await page.click("#train");
    await settled(opened, "problem", /Training stopped: the GPU device was lost/);
    expect(await text(page, "train")).toBe("Train again");
    await page.click("#train");
    await settled(opened, "status", /Training/);
    await page.close();
  });
});

describe("the README", () => {
  test("its page trains", async () => {
    const opened = await open("whole/readme/page.html");
    const { page, faults } = opened;
    await settled(opened, "log", /step 30: .* right/);
    const losses = [...(await text(page, "log")).matchAll(/loss ([\d.]+)/g)].map((m) =>
      Number(m[1]),
    );
    const mean = (some: number[]): number => some.reduce((a, b) => a + b) / some.length;
    expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)) - 0.1);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("its module and loss of one's own learn", async () => {
    const opened = await open("whole/readme/own.html");
    const { page, faults } = opened;
    await settled(opened, "log", /step 300: /);
    const losses = [...(await text(page, "log")).matchAll(/loss ([\d.]+)/g)].map((m) =>
      Number(m[1]),
    );
    expect(losses).toHaveLength(4);
    expect(losses[3]).toBeLessThan(0.2 * (losses[0] as number));
    expect(faults).toEqual([]);
    await page.close();
  });

  test("it lists every op", () => {
    const files = Object.values(
      import.meta.glob<Record<string, unknown>>("../../src/ops/*.ts", { eager: true }),
    );
    const ops = files.flatMap(Object.keys).filter((name) => name.endsWith("Op"));
    expect(ops.length).toBeGreaterThan(50);
    expect(ops.filter((name) => !readme.includes(`\`${name.slice(0, -2)}\``))).toEqual([]);
  });
});
