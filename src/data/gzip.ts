import { DataFileError } from "./errors";

/** Deflate cannot shrink data further than this, so a file that declares more is lying. */
export const DEFLATE_LIMIT = 1032;
/** A slice of this many bytes expands to at most 16 MiB before its output is looked at. */
const SLICE_BYTES = 16384;

/** Whether bytes begin as gzip does: 1f 8b. */
export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/**
 * The bytes of a file, unpacked where it is gzip, in pieces; stopping early stops unpacking.
 * @throws What DecompressionStream throws for a damaged or truncated stream; see `damagedGzip`.
 */
export async function* unpacked(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (!isGzip(bytes)) {
    yield bytes;
    return;
  }
  let at = 0;
  const packed = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      controller.enqueue(bytes.slice(at, at + SLICE_BYTES));
      at += SLICE_BYTES;
      if (at >= bytes.length) controller.close();
    },
  });
  const reader = packed.pipeThrough(new DecompressionStream("gzip")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The most that a file may have, unpacked, in bytes: guards memory against crafted files. */
const MOST_BYTES = 2 ** 30;

/**
 * The bytes of a whole file, unpacked where it is gzip (told by its first bytes).
 * @param file The name for messages.
 * @param most How many bytes it may have, unpacked; default 1 GiB.
 * @throws DataFileError for a damaged or truncated gzip stream, and more than `most` bytes.
 */
export async function unpackWhole(
  bytes: Uint8Array,
  file: string,
  most = MOST_BYTES,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of unpacked(bytes)) {
      pieces.push(piece);
      length += piece.length;
      if (length > most) {
        const found = `it ${isGzip(bytes) ? "unpacks to" : "has"} more than ${most} bytes`;
        throw new DataFileError(file, found, `at most ${most}`, "give a part of it");
      }
    }
  } catch (error) {
    throw error instanceof DataFileError ? error : damagedGzip(file, error);
  }
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The error for a gzip stream that does not unpack. */
export function damagedGzip(file: string, cause: unknown): DataFileError {
  const found = "its gzip stream is damaged or truncated";
  return new DataFileError(file, found, "a whole gzip file", "fetch the file again", { cause });
}
