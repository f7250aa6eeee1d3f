import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { type DownloadOptions, download } from "../../src/data/download";
import { DataFileError } from "../../src/data/errors";
import { cacheFolder } from "../../src/data/folders";
import { digitsSplit } from "../../src/data/images";
import { fetchMnist, type MnistFiles, mnistDownloads, readMnist } from "../../src/data/mnist";
import { loadMnist } from "../../src/data/mnist-folder";

function idx(magic: number, sizes: number[], value: (i: number) => number): Uint8Array {
  const length = sizes.reduce((n, d) => n * d, 1);
  const bytes = new Uint8Array(4 + 4 * sizes.length + length);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [magic, ...sizes].entries()) view.setUint32(4 * i, word);
  for (let i = 0; i < length; i++) bytes[4 + 4 * sizes.length + i] = value(i);
  return bytes;
}

const files: MnistFiles = {
  "train-images-idx3-ubyte": idx(2051, [24, 28, 28], (i) => i % 256),
  "train-labels-idx1-ubyte": idx(2049, [24], (i) => i % 10),
  "t10k-images-idx3-ubyte": idx(2051, [6, 28, 28], (i) => i % 251),
  "t10k-labels-idx1-ubyte": idx(2049, [6], (i) => 9 - i),
};
const names = Object.keys(files) as (keyof MnistFiles)[];

const root = await mkdtemp(join(tmpdir(), "hyperloom-mnist-"));
afterAll(() => rm(root, { recursive: true }));
let folders = 0;

/** A new folder with some files, gzip or not. */
async function folder(holds: Partial<MnistFiles>, gzip: boolean, inside = ""): Promise<string> {
  const path = join(root, `folder${folders++}`);
  await mkdir(join(path, inside), { recursive: true });
  for (const [name, bytes] of Object.entries(holds)) {
    const contents = gzip ? gzipSync(bytes) : bytes;
    await writeFile(join(path, inside, gzip ? `${name}.gz` : name), contents);
  }
  return path;
}

const noDownload = () => Promise.reject(new Error("no network"));
const emptyCache = async () => ({ XDG_CACHE_HOME: await folder({}, false) });

test("MNIST is read from a folder, its mnist folder and HYPERLOOM_DATA, gzip or plain", async () => {
  const env = await emptyCache();
  for (const gzip of [true, false]) {
    for (const inside of ["", "mnist"]) {
      const path = await folder(files, gzip, inside);
      for (const options of [{ folder: path, env }, { env: { ...env, HYPERLOOM_DATA: path } }]) {
        const found = await loadMnist({ ...options, download: noDownload });
        expect([found.train.count, found.validation.count, found.test.count]).toEqual([22, 2, 6]);
        expect(found.source).toBe(`MNIST from ${join(path, inside)}`);
        expect(found.note).toBeUndefined();
        expect([...found.validation.labels]).toEqual([2, 3]);
        expect(found.test.images[783]).toBe(783 % 251);
      }
    }
  }
});

test("a folder that was asked for is never replaced by something else", async () => {
  const env = await emptyCache();
  const { "t10k-labels-idx1-ubyte": labels, ...three } = files;
  const wrong = idx(2049, [24], (i) => (i === 7 ? 10 : 0));
  const cases: [string, RegExp][] = [
    [join(root, "nowhere"), /has any of the four MNIST files/],
    [await folder({}, false), /has any of the four MNIST files/],
    [await folder(three, true), /t10k-labels-idx1-ubyte: it is missing/],
    [
      await folder({ ...files, "train-labels-idx1-ubyte": wrong }, false),
      /label 7 is 10, expected 0 to 9/,
    ],
    [
      await folder({ ...files, "t10k-labels-idx1-ubyte": labels.slice(0, -1) }, true),
      /t10k-labels-idx1-ubyte\.gz: it is truncated/,
    ],
    [
      await folder({ ...files, "t10k-labels-idx1-ubyte": idx(2049, [5], () => 1) }, true),
      /it has 5 labels, expected 6/,
    ],
    [
      await folder({ ...files, "t10k-images-idx3-ubyte": idx(2051, [6, 32, 32], () => 1) }, true),
      /its images are 32 x 32, expected 28 x 28/,
    ],
  ];
  for (const [path, reason] of cases) {
    const error = await loadMnist({ folder: path, env, download: noDownload }).catch((e) => e);
    expect(error).toBeInstanceOf(DataFileError);
    expect(error.message).toMatch(reason);
    expect(error.message).toContain(path);
  }
  const some = { ...env, HYPERLOOM_DATA: await folder(three, true) };
  await expect(loadMnist({ env: some, download: noDownload })).rejects.toThrow("it is missing");
});

test("a download is kept in the cache, whole, and a damaged cache is replaced", async () => {
  const env = await emptyCache();
  let downloads = 0;
  const packed = Object.fromEntries(names.map((name) => [name, gzipSync(files[name])]));
  const get = async () => {
    downloads++;
    return packed as unknown as MnistFiles;
  };
  const first = await loadMnist({ env, download: get });
  expect(first.source).toBe(`MNIST downloaded to ${cacheFolder(env, "mnist")}`);
  expect((await readdir(cacheFolder(env, "mnist"))).sort()).toEqual(
    names.map((n) => `${n}.gz`).sort(),
  );
  const again = await loadMnist({ env: { ...env, HYPERLOOM_OFFLINE: "1" }, download: noDownload });
  expect(again.train).toEqual({ ...first.train, source: again.source });
  const path = join(cacheFolder(env, "mnist"), "train-images-idx3-ubyte.gz");
  const bytes = await readFile(path);
  bytes[40] = (bytes[40] ?? 0) ^ 255;
  await writeFile(path, bytes);
  expect((await loadMnist({ env, download: get })).train.images).toEqual(first.train.images);
  expect(downloads).toBe(2);
  // A cache that cannot be written (its parent is a file) costs nothing but the next download.
  const blocked = { XDG_CACHE_HOME: path };
  const kept = await loadMnist({ env: blocked, download: get });
  expect(kept.source).toBe("MNIST downloaded");
  expect(kept.note).toContain("could not be kept");
});

test("the embedded digits can be asked for, whatever else is there", async () => {
  const env = { ...(await emptyCache()), HYPERLOOM_DATA: await folder(files, false) };
  const found = await loadMnist({ folder: "digits", env, download: noDownload });
  expect([found.source, found.note]).toEqual(["generated digits", undefined]);
  expect(Buffer.compare(found.train.images, digitsSplit().train.images)).toBe(0);
});

test("without a download the embedded digits stand in, and say why", async () => {
  const env = await emptyCache();
  const failed = await loadMnist({ env, download: noDownload });
  expect(failed.source).toBe("generated digits");
  expect(failed.note).toContain("could not be downloaded (no network)");
  expect([failed.train.count, failed.validation.count, failed.test.count]).toEqual([
    10000, 1000, 2000,
  ]);
  const refused = await loadMnist({
    env,
    download: (options) =>
      fetchMnist({ ...options, fetch: async () => new Response("", { status: 503 }) }),
  });
  expect(refused.note).toMatch(
    /^MNIST could not be downloaded \(https:\S+: the server answers 503/,
  );
  const hung = (options: DownloadOptions) =>
    new Promise<MnistFiles>(() => options.onProgress?.(1, 100));
  const stalled = await loadMnist({ env, download: hung, stallMs: 50 });
  expect(stalled.note).toContain("no data for 0.05 s");
  let asked = false;
  const offline = await loadMnist({
    env: { ...env, HYPERLOOM_OFFLINE: "1" },
    download: () => {
      asked = true;
      return noDownload();
    },
  });
  expect(asked).toBe(false);
  expect(offline.note).toContain("HYPERLOOM_OFFLINE");
  expect(await readdir(env.XDG_CACHE_HOME)).toEqual([]);
});

test("downloads are checked by size and checksum, mirror by mirror", async () => {
  const bytes = new TextEncoder().encode("seven digits");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const known = [{ name: "a", bytes: bytes.length, sha256 }];
  const served = new Map<string, () => Response>([
    ["x://short/a", () => new Response("seven digit")],
    ["x://long/a", () => new Response("seven digits, and more")],
    ["x://wrong/a", () => new Response("Seven digits")],
    ["x://gone/a", () => new Response("", { status: 404 })],
    ["x://good/a", () => new Response("seven digits")],
  ]);
  const get = async (url: unknown) => {
    const found = served.get(String(url));
    if (found) return found();
    throw new TypeError("fetch failed", { cause: new Error("no such host") });
  };
  const all = ["down", "short", "long", "wrong", "gone"].map((host) => `x://${host}/`);
  const progress: number[][] = [];
  const onProgress = (received: number, total: number) => progress.push([received, total]);
  const got = await download(known, [...all, "x://good/"], { fetch: get, onProgress });
  expect(got.get("a")).toEqual(bytes);
  expect(progress.at(-1)).toEqual([12, 12]);
  const error = await download(known, all, { fetch: get }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(DataFileError);
  for (const reason of [
    "x://down/a: fetch failed (no such host)",
    "x://short/a: it ends after 11 bytes, expected 12 bytes",
    "x://long/a: it is longer than 12 bytes",
    "x://wrong/a: its SHA-256 is ",
    "x://gone/a: the server answers 404",
  ]) {
    expect(String(error)).toContain(reason);
  }
  const abort = AbortSignal.abort(new Error("stop"));
  await expect(download(known, all, { fetch: get, signal: abort })).rejects.toThrow("stop");
});

test("fetchMnist asks each mirror for the four files by name and refuses other bytes", async () => {
  expect(mnistDownloads.map((file) => file.name)).toEqual(names.map((name) => `${name}.gz`));
  const asked: string[] = [];
  const get = async (url: unknown) => {
    asked.push(String(url));
    return new Response(new Uint8Array(9912422));
  };
  await expect(fetchMnist({ fetch: get })).rejects.toThrow("its SHA-256 is");
  expect(asked).toEqual([
    "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
    "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz",
  ]);
});

test("readMnist names the set and its files as it is told", async () => {
  const { train } = await readMnist(files, "a page", (name) => `/files/${name}`);
  expect([train.source, train.height, train.width, train.classes]).toEqual(["a page", 28, 28, 10]);
  const swapped = { ...files, "train-labels-idx1-ubyte": files["train-images-idx3-ubyte"] };
  await expect(readMnist(swapped, "", (name) => `/files/${name}`)).rejects.toThrow(
    "/files/train-labels-idx1-ubyte: its magic number is 2051",
  );
});
