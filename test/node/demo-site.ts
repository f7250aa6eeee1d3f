/** The built demo on a static server, and pages of it in headless Chrome; for demo-*.test.ts. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { build } from "vite";
import { chromeFlags, ensureBrowser } from "../../src/cli/browser";
import { testAdapter } from "../test-adapter";

const configFile = fileURLToPath(new URL("../../demo/vite.config.ts", import.meta.url));
const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".film": "application/octet-stream",
  ".jsonl": "application/jsonl",
  ".txt": "text/plain; charset=utf-8",
};

/** Notes what must be destroyed and is not yet: devices, and what was made on them. */
const counting = `if (navigator.gpu && !self.gpuObjects) {
  const objects = (self.gpuObjects = new Set());
  for (const kind of ["Buffer", "Texture", "QuerySet", "Device"]) {
    const { prototype } = self["GPU" + kind];
    const { destroy } = prototype;
    prototype.destroy = function () {
      destroy.call(this);
      objects.delete(this);
    };
    if (kind === "Device") continue;
    const name = "create" + kind;
    const create = GPUDevice.prototype[name];
    GPUDevice.prototype[name] = function (wish) {
      const made = create.call(this, wish);
      objects.add(made);
      return made;
    };
  }
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (wish) {
    const device = await requestDevice.call(this, wish);
    objects.add(device);
    device.lost.then(() => objects.delete(device));
    return device;
  };
}`;

/** Put before every script of the site, in pages and in their workers. */
const stubs = {
  whole: "",
  "no-webgpu": "Object.defineProperty(navigator, 'gpu', { value: undefined });",
  "no-adapter": "if (navigator.gpu) GPU.prototype.requestAdapter = async () => null;",
  // Every device is lost by itself, after 40 submits.
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

/** What is done to the browser before a page is opened. */
export type Stub = keyof typeof stubs;

/** A page of the site, and what it complained of or asked elsewhere. */
export interface Opened {
  readonly page: Page;
  readonly faults: string[];
}

/** A server with the built demo under any of some paths, and a browser. */
export interface Site {
  /** The folder that is served; the demo is in `demo/`. */
  readonly folder: string;
  /** Opens `demo/index.html#…` or another file, in `browser` or the site's own. */
  open(path: string, stub?: Stub, browser?: Browser): Promise<Opened>;
  /** Another browser, with or without WebGPU; the caller closes it. */
  launch(webgpu: boolean): Promise<Browser>;
  close(): Promise<void>;
}

async function launch(webgpu: boolean): Promise<Browser> {
  const flags = chromeFlags(testAdapter);
  return puppeteer.launch({
    executablePath: ensureBrowser(),
    args: [
      ...(webgpu ? flags : flags.filter((flag) => !/webgpu|Vulkan/.test(flag))),
      // No other host has an address, so that a request for one cannot go unseen.
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
    protocolTimeout: 0,
  });
}

/** Builds the demo, serves it and starts a browser. @param more Writes further files into the folder. */
export async function openSite(more?: (folder: string) => Promise<void>): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "hyperloom-demo-"));
  await build({ configFile, logLevel: "error", build: { outDir: join(folder, "demo") } });
  await more?.(folder);
  const server = createServer((request, response) => {
    const [, stub, path] = /^\/some\/([a-z-]+)\/([^?]*)/.exec(request.url ?? "") ?? [];
    const file = path?.replace(/\/$/, "/index.html") ?? "none";
    try {
      const bytes = readFileSync(join(folder, file));
      const before = extname(file) === ".js" ? counting + stubs[stub as Stub] : "";
      response.writeHead(200, { "content-type": types[extname(file)] });
      response.end(before ? before + bytes.toString() : bytes);
    } catch {
      // Browsers ask for an icon that the README's pages do not name.
      response.writeHead(request.url === "/favicon.ico" ? 204 : 404).end();
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const own = await launch(true);
  return {
    folder,
    launch,
    async open(path, stub = "whole", browser = own) {
      const page = await browser.newPage();
      await page.setViewport({ width: 1280, height: 900 });
      const faults: string[] = [];
      page.on("console", (message) => {
        if (["error", "warn"].includes(message.type())) faults.push(message.text());
      });
      page.on("pageerror", (error) => faults.push(String(error)));
      page.on("request", (request) => {
        const url = request.url();
        if (!url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url)) faults.push(url);
      });
      page.on("response", (response) => {
        if (!response.ok()) faults.push(`${response.status()} ${response.url()}`);
      });
      await page.goto(`${origin}/some/${stub}/${path}`);
      return { page, faults };
    },
    async close() {
      await own.close();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What an element says. */
export const text = (page: Page, id: string): Promise<string> =>
  page.$eval(`#${id}`, (found) => found.textContent?.trim() ?? "");

/** Waits until an element says what it should, or until the page or its browser complains. */
export async function settled(
  { page, faults }: Opened,
  id: string,
  pattern: RegExp,
): Promise<void> {
  for (const end = performance.now() + 90_000; performance.now() < end; ) {
    if (pattern.test(await text(page, id))) return;
    const problem = id === "log" ? "" : await text(page, "problem");
    if (faults.length > 0 || (id !== "problem" && problem !== "")) {
      throw new Error([`${id}: ${await text(page, id)}`, problem, ...faults].join("\n"));
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  throw new Error(`${id} says "${await text(page, id)}" after 90 s, must match ${pattern}`);
}

/** Waits until the page's run is in a state; throws where it is "failed" in its place. */
export async function until({ page, faults }: Opened, state: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => [wanted, "failed"].includes(document.body.dataset.state ?? ""),
    { timeout: 90_000, polling: 50 },
    state,
  );
  const found = await page.$eval("body", (body) => body.dataset.state);
  if (found !== state) {
    throw new Error([`the run has ${found}`, await text(page, "problem"), ...faults].join("\n"));
  }
}

/** Waits until the run has taken so many steps. */
export async function steps({ page }: Opened, count: number): Promise<void> {
  const options = { timeout: 90_000, polling: 50 };
  await page.waitForFunction((least) => window.hyperloomDemo.step >= least, options, count);
}

/** What must be destroyed and is not yet of the workers' devices: the kind and label of each. */
export async function gpuObjects(page: Page): Promise<string[]> {
  const found = page.workers().map((worker) =>
    worker.evaluate(() => {
      const { gpuObjects: all } = self as unknown as { readonly gpuObjects: Set<GPUObjectBase> };
      return [...all].map((object) => `${object.constructor.name} ${object.label}`);
    }),
  );
  return (await Promise.all(found)).flat();
}

/** Has the page dispose of its device; what its workers have left, of something. */
export async function leftBehind(page: Page): Promise<string[]> {
  const before = await gpuObjects(page);
  if (before.length === 0) throw new Error("the page's workers have nothing to dispose of");
  await page.evaluate(() => window.hyperloomDemo.dispose());
  return gpuObjects(page);
}

/** A canvas as it is drawn. */
export const picture = (page: Page, id: string): Promise<string> =>
  page.$eval(`#${id}`, (canvas) => (canvas as HTMLCanvasElement).toDataURL());

/** The values of a name of all points of the film at hand, through its file: thinned, rounded. */
export async function curve(page: Page, name: string): Promise<number[]> {
  const base64 = await page.evaluate(async () => {
    const bytes = await window.hyperloomDemo.film();
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  });
  const { readFilm } = await import("../../demo/shell/film");
  const film = await readFilm(Uint8Array.from(Buffer.from(base64, "base64")));
  return film.points.map(({ values }) => values[name] ?? Number.NaN);
}
