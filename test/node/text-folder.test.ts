import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { DataFileError } from "../../src/data/errors";
import { ptbNames } from "../../src/data/text";
import { type LoadedText, type LoadTextOptions, loadText } from "../../src/data/text-folder";
import { decodeText } from "../../src/data/vocabulary";

const root = await mkdtemp(join(tmpdir(), "hyperloom-text-"));
afterAll(() => rm(root, { recursive: true }));
let folders = 0;

const utf8 = (text: string) => new TextEncoder().encode(text);
const spaced = (symbols: string) => utf8([...symbols].map((symbol) => `${symbol} `).join(""));

/** A new folder with some files; each name may have folders in it. */
async function folder(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const path = join(root, `folder${folders++}`);
  await mkdir(path);
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(join(path, name, ".."), { recursive: true });
    await writeFile(join(path, name), bytes);
  }
  return path;
}

const load = (options: LoadTextOptions) => loadText({ env: {}, ...options });
const parts = ({ train, validation, test: last, vocabulary }: LoadedText) =>
  [train, validation, last].map((tokens) => decodeText(vocabulary, tokens));

/** Expects a DataFileError that names the path and says why. */
async function refuses(options: LoadTextOptions, path: string, reason: string): Promise<void> {
  const error = await load(options).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(DataFileError);
  expect(String(error)).toContain(`${path}: ${reason}`);
}

const text = "Forty symbols are enough for three parts";

test("a text is a file, plain or gzip; without a path it is the embedded one", async () => {
  const path = await folder({ "a.txt": utf8(text), "b.gz": gzipSync(utf8(text)) });
  for (const name of ["a.txt", "b.gz"]) {
    const found = await load({ task: "text", path: join(path, name) });
    expect(parts(found)).toEqual([text.slice(0, 36), "arts", "arts"]);
    expect(found.test).toBe(found.validation);
    expect(found.source).toBe(`text from ${join(path, name)}`);
    expect(found.note).toBeUndefined();
    expect(found.vocabulary.kind).toBe("bytes");
  }
  // HYPERLOOM_DATA is a folder of data sets, none of which is meant by `text`.
  const embedded = await load({ task: "text", env: { HYPERLOOM_DATA: path } });
  expect(embedded.source).toBe("generated tales");
  expect(embedded.note).toContain("embedded generated tales");
  expect(parts(embedded)[0]).toMatch(/^1\. The /);
});

test("a text that was asked for is never replaced by something else", async () => {
  const path = await folder({
    "empty.txt": utf8(""),
    "short.txt": utf8("0123456789"),
    "cut.gz": gzipSync(utf8(text)).subarray(0, 30),
  });
  const file = (name: string): LoadTextOptions => ({ task: "text", path: join(path, name) });
  await refuses(file("none.txt"), join(path, "none.txt"), "there is no such file");
  await refuses({ task: "text", path }, path, "it is a folder, expected a text file");
  await refuses(file("empty.txt"), join(path, "empty.txt"), "it is empty");
  await refuses(file("short.txt"), join(path, "short.txt"), "it is too short: of its 10 symbols");
  await refuses(file("cut.gz"), join(path, "cut.gz"), "its gzip stream is damaged or truncated");
});

test("PTB is read from a folder, its ptb folder and HYPERLOOM_DATA, gzip or plain", async () => {
  const symbols = ["no_<unk>_so\n", "us\n", "on_us\n"];
  for (const gzip of [true, false]) {
    for (const inside of ["", "ptb/"]) {
      const path = await folder(
        Object.fromEntries(
          ptbNames.map((name, i) => {
            const bytes = spaced(symbols[i] ?? "");
            return [inside + name + (gzip ? ".gz" : ""), gzip ? gzipSync(bytes) : bytes];
          }),
        ),
      );
      for (const where of [{ path }, { env: { HYPERLOOM_DATA: path } }]) {
        const found = await load({ task: "ptb", ...where });
        expect(parts(found)).toEqual(symbols);
        expect(found.source).toBe(`PTB from ${join(path, inside).replace(/[\\/]$/, "")}`);
        expect(found.note).toBeUndefined();
      }
    }
  }
});

test("a folder without three good PTB files is refused by name", async () => {
  const train = spaced("abc\n");
  await refuses({ task: "ptb" }, "ptb", "no path is given, and it cannot be downloaded");
  const none = join(root, "nowhere");
  await refuses({ task: "ptb", path: none }, none, "there is nothing of that name");
  const other = await folder({ "ptb.train.txt": utf8("words") });
  await refuses({ task: "ptb", path: other }, other, "neither it nor its folder ptb has any");
  const file = join(other, "ptb.train.txt");
  await refuses({ task: "ptb", path: file }, file, "there is a file of that name");
  const one = await folder({ [ptbNames[0]]: train });
  await refuses({ task: "ptb", path: one }, join(one, ptbNames[1]), "it is missing");
  const words = await folder({
    [ptbNames[0]]: train,
    [ptbNames[1]]: train,
    [ptbNames[2]]: utf8(" no it was n't \n"),
  });
  await refuses({ task: "ptb", path: words }, join(words, ptbNames[2]), "byte 0 is a space");
});

test("enwik8 is a file, or the longest part of it in a folder; a part says so", async () => {
  const part = (n: number) => utf8(text.repeat(20).slice(0, n));
  const sets: [Record<string, Uint8Array>, string, number][] = [
    [
      { "enwik8.first99.gz": gzipSync(part(99)), "enwik8.first200": part(200) },
      "enwik8.first200",
      200,
    ],
    [{ "enwik8.first99.gz": gzipSync(part(99)), enwik8: part(50) }, "enwik8", 50],
    [{ "enwik8/enwik8.gz": gzipSync(part(60)) }, "enwik8/enwik8.gz", 60],
  ];
  for (const [files, name, n] of sets) {
    const path = await folder(files);
    const file = join(path, name);
    for (const where of [{ path }, { path: file }, { env: { HYPERLOOM_DATA: path } }]) {
      const found = await load({ task: "enwik8", ...where });
      expect(parts(found).join("")).toBe(new TextDecoder().decode(part(n)));
      expect(found.train.length).toBe(Math.floor(n * 0.9));
      expect(found.source).toBe(`enwik8 from ${file}`);
      expect(found.note).toContain(`${file} has ${n} bytes where enwik8 has 100000000`);
    }
  }
  const empty = await folder({ "enwik8.zip": utf8("PK\u0003\u0004....") });
  await refuses({ task: "enwik8", path: empty }, empty, "it has no part of enwik8");
  const zip = join(empty, "enwik8.zip");
  await refuses({ task: "enwik8", path: zip }, zip, "it is a zip archive");
  const none = join(root, "nowhere");
  await refuses({ task: "enwik8", path: none }, none, "there is nothing of that name");
  await refuses({ task: "enwik8" }, "enwik8", "no path is given");
});
