import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { DataFileError } from "../../src/data/errors";
import { readIdxImages, readIdxLabels } from "../../src/data/idx";

/** An IDX file: magic number, sizes, then `values`. */
function idx(magic: number, sizes: number[], values: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * sizes.length + values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [magic, ...sizes].entries()) view.setUint32(4 * i, word);
  bytes.set(values, 4 + 4 * sizes.length);
  return bytes;
}

const pixels = Uint8Array.from({ length: 5 * 3 * 4 }, (_, i) => (i * 37) % 256);
const images = idx(2051, [5, 3, 4], pixels);
const labels = idx(2049, [8], [0, 9, 3, 1, 2, 9, 0, 4]);

test("images and labels are read, plain and gzip", async () => {
  for (const bytes of [images, gzipSync(images)]) {
    expect(await readIdxImages(bytes, "f")).toEqual({ count: 5, rows: 3, columns: 4, pixels });
  }
  for (const bytes of [labels, gzipSync(labels)]) {
    expect(await readIdxLabels(bytes, "f", 10)).toEqual(Uint8Array.of(0, 9, 3, 1, 2, 9, 0, 4));
  }
  // Much larger than a slice, and hard to compress: many pieces.
  const noise = Uint8Array.from({ length: 300 * 28 * 28 }, (_, i) => Math.imul(i, i * 7919) >>> 24);
  const { pixels: read } = await readIdxImages(gzipSync(idx(2051, [300, 28, 28], noise)), "f");
  expect(Buffer.compare(read, noise)).toBe(0);
});

test("each bad file gives a DataFileError that names the file and both sides", async () => {
  const packed = gzipSync(images);
  const bent = packed.slice();
  bent[packed.length - 6] = (bent[packed.length - 6] ?? 0) ^ 1; // in the checksum
  const asImages: [Uint8Array, RegExp][] = [
    [labels, /magic number is 2049 \(the other kind of file\), expected 2051/],
    [idx(0x0d03, [1, 1, 1], [1, 2, 3, 4]), /IDX type 0xd, expected 2051/],
    [new Uint8Array(100).fill(60), /magic number is 1010580540, expected 2051/],
    [new Uint8Array(0), /it has 0 bytes, expected an IDX header of 16/],
    [images.slice(0, 11), /it has 11 bytes, expected an IDX header of 16/],
    [images.slice(0, -1), /truncated: there are at most 59 bytes .* expected 60, 5 x 3 x 4/],
    [Uint8Array.of(...images, 0), /goes on after its last value, expected 60 bytes/],
    [idx(2051, [5, 0, 4], []), /declares sizes \[5, 0, 4\]/],
    [
      idx(2051, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], [1]),
      /truncated: there are at most 1 bytes/,
    ],
    [gzipSync(images.slice(0, -1)), /truncated: there are 59 bytes .* expected 60 bytes/],
    [gzipSync(Uint8Array.of(...images, 0)), /goes on after its last value/],
    [gzipSync(labels), /magic number is 2049/],
    [packed.slice(0, -9), /gzip stream is damaged or truncated/],
    [packed.slice(0, 12), /gzip stream is damaged or truncated/],
    [bent, /gzip stream is damaged or truncated/],
    [gzipSync(idx(2051, [60000, 280, 280], [1])), /truncated: there are at most \d+ bytes/],
  ];
  for (const [bytes, reason] of asImages) {
    const error = await readIdxImages(bytes, "some/file.gz").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataFileError);
    expect(String(error)).toMatch(reason);
    expect(String(error)).toMatch(
      /^DataFileError: hyperloom: some\/file\.gz: .+, expected .+; .+$/,
    );
  }
  await expect(readIdxLabels(labels, "l", 9)).rejects.toThrow("label 1 is 9, expected 0 to 8");
  await expect(readIdxLabels(images, "l", 9)).rejects.toThrow("magic number is 2051");
});

test("a gzip bomb is cut off at what its header declares", async () => {
  const bomb = gzipSync(new Uint8Array(256 * 1024 * 1024));
  const head = gzipSync(idx(2051, [1, 1, 1000], []));
  // Two gzip members are one stream: a header that declares 1,000 bytes, then 256 MiB of zeros.
  const before = process.memoryUsage().arrayBuffers;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }, 1);
  const started = performance.now();
  const bytes = Buffer.concat([head, bomb]);
  await expect(readIdxImages(bytes, "bomb")).rejects.toThrow("goes on after its last value");
  await expect(readIdxImages(bomb, "bomb")).rejects.toThrow("magic number is 0");
  clearInterval(watch);
  expect(performance.now() - started).toBeLessThan(1000);
  expect(peak - before).toBeLessThan(64 * 1024 * 1024);
});
