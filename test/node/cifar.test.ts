import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { readCifar, readCifarRecords } from "../../src/data/cifar";
import { loadCifar } from "../../src/data/cifar-folder";
import { DataFileError } from "../../src/data/errors";
import { cacheFolder } from "../../src/data/folders";

/** Pixel `i` of image `image`, told apart as far as a byte can. */
const pixel = (image: number, i: number) => (image * 7 + i) % 251;

/** Records of images `from` on; of CIFAR-100 where `coarse` is given, a label byte before the label. */
function records(count: number, from: number, label = (i: number) => i % 10, coarse?: number) {
  const before = coarse === undefined ? 1 : 2;
  const bytes = new Uint8Array(count * (before + 3072));
  for (let i = 0; i < count; i++) {
    const at = i * (before + 3072);
    if (coarse !== undefined) bytes[at] = coarse;
    bytes[at + before - 1] = label(from + i);
    for (let p = 0; p < 3072; p++) bytes[at + before + p] = pixel(from + i, p);
  }
  return bytes;
}

const batches = Object.fromEntries(
  [1, 2, 3, 4, 5].map((n) => [`data_batch_${n}.bin`, records(8, 8 * (n - 1))]),
);
const testBatch = { "test_batch.bin": records(6, 100) };
const fine = (i: number) => 99 - i;
const hundred = {
  "train.bin": records(20, 0, fine, 3),
  "test.bin": records(5, 20, fine, 4),
};

const root = await mkdtemp(join(tmpdir(), "hyperloom-cifar-"));
afterAll(() => rm(root, { recursive: true }));
let folders = 0;

/** A new folder with some files, gzip or not, in a folder inside it. */
async function folder(holds: Record<string, Uint8Array>, gzip = false, inside = "") {
  const path = join(root, `folder${folders++}`);
  await mkdir(join(path, inside), { recursive: true });
  for (const [name, bytes] of Object.entries(holds)) {
    await writeFile(join(path, inside, gzip ? `${name}.gz` : name), gzip ? gzipSync(bytes) : bytes);
  }
  return path;
}

const nowhere = { XDG_CACHE_HOME: join(root, "nowhere") };
const whatIsFound = (path: string) =>
  `CIFAR-10 from ${path} (40 training images of 50,000, 6 test images of 10,000)`;

test("CIFAR-10 is read from a folder, those below it, and HYPERLOOM_DATA, gzip or plain", async () => {
  const insides = ["", "cifar10", "cifar-10-batches-bin", join("cifar10", "cifar-10-batches-bin")];
  for (const gzip of [true, false]) {
    for (const inside of insides) {
      const path = await folder({ ...batches, ...testBatch }, gzip, inside);
      const env = { ...nowhere, HYPERLOOM_DATA: path };
      for (const options of [{ folder: path, env: nowhere }, { env }]) {
        const found = await loadCifar(options);
        const { train, validation, test } = found;
        expect([train.count, validation.count, test.count]).toEqual([36, 4, 6]);
        expect([train.channels, train.height, train.width, train.classes]).toEqual([3, 32, 32, 10]);
        expect(found.source).toBe(whatIsFound(join(path, inside)));
        expect([train.source, test.source]).toEqual([found.source, found.source]);
        expect(found.note).toMatch(/^Only a part of CIFAR-10 is there/);
        // In the order of the files' numbers, planes as they are, the last tenth for validation.
        expect([...train.labels]).toEqual(Array.from({ length: 36 }, (_, i) => i % 10));
        expect([...validation.labels]).toEqual([6, 7, 8, 9]);
        for (const image of [0, 8, 35]) {
          const expected = Uint8Array.from({ length: 3072 }, (_, p) => pixel(image, p));
          expect(train.images.subarray(image * 3072, (image + 1) * 3072)).toEqual(expected);
        }
        expect(test.images[5 * 3072 + 2048]).toBe(pixel(105, 2048));
      }
    }
  }
});

test("some of the training files and a part of the test images do; the whole goes before parts", async () => {
  const some = { "data_batch_4.bin": records(10, 0), "data_batch_2.bin": records(10, 50) };
  const path = await folder({ ...some, "test_batch.first3.bin": records(3, 7) }, true);
  const found = await loadCifar({ folder: path, env: nowhere });
  expect(found.source).toContain("(20 training images of 50,000, 3 test images of 10,000)");
  expect(found.train.images[0]).toBe(pixel(50, 0));
  expect([...found.test.labels]).toEqual([7, 8, 9]);

  // A file that is there twice is read once.
  await writeFile(join(path, "data_batch_2.bin"), records(10, 50));
  expect((await loadCifar({ folder: path, env: nowhere })).train).toEqual(found.train);
  await writeFile(join(path, "test_batch.other.bin"), records(2, 0));
  await expect(loadCifar({ folder: path, env: nowhere })).rejects.toThrow(
    "it has 2 parts of the test images, test_batch.first3.bin, test_batch.other.bin, expected 1",
  );
  await writeFile(join(path, "test_batch.bin"), records(4, 0));
  expect((await loadCifar({ folder: path, env: nowhere })).test.count).toBe(4);
});

test("a folder that was asked for is never replaced by something else", async () => {
  const long = new Uint8Array(3073 * 6 + 1);
  const good = { ...batches, ...testBatch };
  const cases: [string, RegExp][] = [
    [join(root, "nowhere"), /neither it nor its folders cifar10 and cifar-10-batches-bin have any/],
    [await folder(hundred), /have any of CIFAR-10's binary files, expected data_batch_1\.bin to/],
    [await folder(batches), /test_batch\.bin: it is missing, expected it or its \.gz/],
    [await folder(testBatch, true), /data_batch_1\.bin: it is missing/],
    [
      await folder({ ...good, "data_batch_3.bin": records(4, 0, (i) => (i === 2 ? 10 : 0)) }, true),
      /data_batch_3\.bin\.gz: the label of record 2 is 10, expected 0 to 9/,
    ],
    [
      await folder({ ...good, "test_batch.bin": long }),
      /test_batch\.bin: it has 18439 bytes, expected a multiple of 3073, 1 label byte and 3072/,
    ],
    [await folder({ ...good, "data_batch_5.bin": new Uint8Array(0) }), /_5\.bin: it has 0 bytes/],
  ];
  const cut = await folder(batches);
  await writeFile(join(cut, "test_batch.bin.gz"), gzipSync(records(6, 0)).subarray(0, -30));
  cases.push([cut, /test_batch\.bin\.gz: its gzip stream is damaged or truncated/]);
  const unreadable = await folder(batches);
  await mkdir(join(unreadable, "test_batch.bin"));
  cases.push([unreadable, /test_batch\.bin: it cannot be read/]);
  for (const [path, reason] of cases) {
    const error = await loadCifar({ folder: path, env: nowhere }).catch((e) => e);
    expect(error).toBeInstanceOf(DataFileError);
    expect(error.message).toMatch(reason);
    expect(error.message).toContain(path);
    expect(error.message).toMatch(/; (give|put|fetch|look)/);
  }
  const env = { ...nowhere, HYPERLOOM_DATA: await folder(batches) };
  await expect(loadCifar({ env })).rejects.toThrow("test_batch.bin: it is missing");
});

test("CIFAR-100's fine labels are used", async () => {
  for (const pack of [gzipSync, (bytes: Uint8Array) => bytes]) {
    const train = new Map([["train.bin", pack(hundred["train.bin"])]]);
    const files = { train, test: new Map([["test.bin", pack(hundred["test.bin"])]]) };
    const found = await readCifar("cifar100", files, "a page");
    expect(found.train.source).toBe(
      "CIFAR-100 from a page (20 training images of 50,000, 5 test images of 10,000)",
    );
    expect([found.train.count, found.train.classes]).toEqual([20, 100]);
    expect([...found.test.labels]).toEqual([79, 78, 77, 76, 75]);
    expect(found.train.images[19 * 3072]).toBe(pixel(19, 0));
  }
  const wrong = new Map([["train.bin", records(3, 0, () => 100, 0)]]);
  await expect(readCifarRecords("cifar100", wrong)).rejects.toThrow(
    "train.bin: the label of record 0 is 100, expected 0 to 99",
  );
  const ten = new Map([["train.bin", records(3, 0)]]);
  await expect(readCifarRecords("cifar100", ten)).rejects.toThrow(
    "it has 9219 bytes, expected a multiple of 3074, 2 label bytes",
  );
});

test("the cache is looked at after HYPERLOOM_DATA; else generated shapes stand in and say why", async () => {
  const data = await folder({ other: new Uint8Array(1) });
  const env = { XDG_CACHE_HOME: await folder({}), HYPERLOOM_DATA: data };
  const cache = cacheFolder(env, "cifar10");
  const { source, note, train, validation, test: last } = await loadCifar({ env });
  expect(source).toBe("generated shapes");
  expect(note).toContain(`CIFAR-10 is not in HYPERLOOM_DATA (${data}) or in ${cache}; training on`);
  expect(note).toContain(
    "`curl -L https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz | tar xz`",
  );
  expect([train.count, validation.count, last.count]).toEqual([10000, 1000, 2000]);
  const inside = join(cache, "cifar-10-batches-bin");
  for (const [name, bytes] of Object.entries({ ...batches, ...testBatch })) {
    await mkdir(dirname(join(inside, name)), { recursive: true });
    await writeFile(join(inside, name), bytes);
  }
  expect((await loadCifar({ env })).source).toBe(whatIsFound(inside));
  await writeFile(join(inside, "test_batch.bin"), new Uint8Array(5));
  await expect(loadCifar({ env })).rejects.toThrow("test_batch.bin: it has 5 bytes");
});

test("sets of the full size say no more than where they are from", async () => {
  const train = new Map(
    [1, 2, 3, 4, 5].map((n) => [`data_batch_${n}.bin`, new Uint8Array(10000 * 3073)]),
  );
  const files = { train, test: new Map([["test_batch.bin", new Uint8Array(10000 * 3073)]]) };
  const sets = await readCifar("cifar10", files, "a page");
  expect([sets.train.count, sets.train.source]).toEqual([50000, "CIFAR-10 from a page"]);
  expect((await readCifar("cifar10", files)).test.source).toBe("CIFAR-10");
  await expect(readCifarRecords("cifar10", new Map())).rejects.toThrow("there are 0 files");
});
