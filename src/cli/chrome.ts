import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { version } from "../../package.json";
import { chromeFlags, ensureBrowser } from "./browser";
import { asUsage, UsageError } from "./errors";
import type { JobEvent } from "./job";
import type { JobName, JobResult, JobSpec } from "./jobs";
import type { PageAnswer, PageJob } from "./page";
import type { ResolvedRunOptions } from "./runtimes";

/**
 * Runs a job in a page of a headless Chrome. The page comes from a server on this machine's own
 * address that lives as long as the job; bytes go both ways by fetch, events by a function.
 * @throws UsageError where there is no Chrome or no puppeteer-core, with the line to type.
 */
export async function runInChrome<K extends JobName>(
  name: K,
  spec: JobSpec<K>,
  options: ResolvedRunOptions,
): Promise<JobResult<K>> {
  const puppeteer = await import("puppeteer-core").catch(() => {
    throw new UsageError(
      "the runtime chrome needs puppeteer-core; type: npm install puppeteer-core",
    );
  });
  const executablePath = asUsage(ensureBrowser);
  const { adapter, variants, signal, onEvent } = options;
  const server = await serve(options);
  const launched = puppeteer.launch({
    executablePath,
    args: chromeFlags(adapter),
    // A software adapter may keep the page busy for minutes.
    protocolTimeout: 0,
    // A signal asks the job to end; Chrome must live until it has.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const browser = await launched.catch((error: Error) => {
    server.close();
    const [reason] = error.message.split("\n");
    throw new UsageError(
      `${executablePath} does not start (${reason}); name another by CHROME_BIN`,
    );
  });
  try {
    const page = await browser.newPage();
    const failed = new Promise<never>((_, reject) => {
      page.on("error", (error) =>
        reject(new Error(`hyperloom: the page crashed: ${error.message}`)),
      );
      browser.on("disconnected", () => reject(new Error("hyperloom: Chrome ended unexpectedly")));
    });
    failed.catch(() => undefined);
    await page.exposeFunction("hyperloomEvents", (events: JobEvent[]) => events.forEach(onEvent));
    await page.goto(server.url, { timeout: 0 });
    const abort = (): void =>
      void page.evaluate(() => window.hyperloomAbort()).catch(() => undefined);
    signal.addEventListener("abort", abort);
    const job: PageJob = {
      name,
      spec,
      adapter,
      variants,
      versions: {
        hyperloom: version,
        runtime: "chrome",
        chrome: (await browser.version()).replace(/^.*\//, ""),
      },
    };
    const answer = page.evaluate((work) => window.hyperloomRun(work as PageJob), job as object);
    if (signal.aborted) abort();
    const result = (await Promise.race([answer, failed])) as PageAnswer;
    signal.removeEventListener("abort", abort);
    if ("result" in result) return result.result as JobResult<K>;
    throw Object.assign(new Error(result.message), { name: result.error });
  } finally {
    await browser.close().catch(() => undefined);
    server.close();
  }
}

const PAGE =
  '<!doctype html><meta charset="utf-8"><title>hyperloom</title><script type="module" src="page.js"></script>';

/** Scripts of the page's side of it: one that the build lays beside the terminal program, and its chunks. */
const SCRIPTS = /^(?:page|cli\/[\w-]+)\.js$/;

/** Where the scripts lie. */
function scriptFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  // This may have been bundled into a chunk in a folder of its own.
  for (const folder of [here, join(here, "..")]) {
    if (existsSync(join(folder, "page.js"))) return folder;
  }
  throw new Error("hyperloom: dist/page.js is missing; type: npm run build");
}

/** Serves the page, its scripts, what the job reads and takes what it writes, under a secret path. */
async function serve({
  files,
  onFile,
}: ResolvedRunOptions): Promise<{ url: string; close: () => void }> {
  const scripts = scriptFolder();
  const root = `/${randomUUID()}/`;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.startsWith(root) ? request.url.slice(root.length) : null;
    const [folder, name = ""] = (path ?? "nowhere").split("/");
    const send = (status: number, type: string, body: string | Uint8Array): void => {
      response.writeHead(status, { "content-type": type }).end(body);
    };
    if (path === "") return send(200, "text/html", PAGE);
    if (path !== null && SCRIPTS.test(path)) {
      return send(200, "text/javascript", await readFile(join(scripts, path)));
    }
    const file = files.get(name);
    if (folder === "read" && file) return send(200, "application/octet-stream", file);
    if (folder !== "write") return send(404, "text/plain", "not here");
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    await onFile(name, new Uint8Array(Buffer.concat(chunks)));
    send(200, "text/plain", "");
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((error: Error) => response.writeHead(500).end(error.message));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}${root}`, close };
}
