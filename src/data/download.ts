import { DataFileError } from "./errors";

/** A file that is known by its size and its SHA-256 (64 hex digits, lower case). */
export interface KnownFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** How to download; all optional. */
export interface DownloadOptions {
  /** In place of the global fetch. */
  readonly fetch?: typeof globalThis.fetch;
  readonly signal?: AbortSignal;
  /** Called as bytes arrive, with what has arrived of all files and their sum. */
  readonly onProgress?: (received: number, total: number) => void;
}

/** SHA-256 of some bytes as 64 hex digits. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads one URL into exactly `file.bytes` bytes and compares the checksum. */
async function fetchChecked(
  file: KnownFile,
  url: string,
  options: DownloadOptions,
  arrived: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const get = options.fetch ?? globalThis.fetch;
  const response = await get(url, options.signal ? { signal: options.signal } : {});
  const size = `${file.bytes} bytes`;
  const fix = "try another mirror, or put the file in a folder yourself";
  if (!response.ok || response.body === null) {
    throw new DataFileError(url, `the server answers ${response.status}`, "200", fix);
  }
  const bytes = new Uint8Array(file.bytes);
  const reader = response.body.getReader();
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > bytes.length) {
        throw new DataFileError(url, `it is longer than ${size}`, size, fix);
      }
      bytes.set(value, at);
      at += value.length;
      arrived(at);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  if (at < bytes.length) throw new DataFileError(url, `it ends after ${at} bytes`, size, fix);
  const found = await sha256(bytes);
  if (found !== file.sha256) {
    throw new DataFileError(url, `its SHA-256 is ${found}`, file.sha256, fix);
  }
  return bytes;
}

/** What went wrong with a URL, on one line and naming it; fetch hides its reason in `cause`. */
function failure(error: unknown, url: string): Error {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  const text =
    error instanceof DataFileError ? message.replace("hyperloom: ", "") : `${url}: ${message}`;
  return new Error(text + why, { cause: error });
}

/**
 * Downloads files one after another from the first mirror (a URL ending in /) that gives the right
 * bytes, checked by size and SHA-256.
 * @returns name -> bytes.
 * @throws DataFileError when no mirror gives a file; its `cause` is an AggregateError of all
 *   attempts. The signal's reason when aborted.
 */
export async function download(
  files: readonly KnownFile[],
  mirrors: readonly string[],
  options: DownloadOptions = {},
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const got = new Map<string, Uint8Array<ArrayBuffer>>();
  let before = 0;
  for (const file of files) {
    const failures: Error[] = [];
    for (const mirror of mirrors) {
      const url = mirror + file.name;
      try {
        const arrived = (bytes: number) => options.onProgress?.(before + bytes, total);
        got.set(file.name, await fetchChecked(file, url, options, arrived));
        break;
      } catch (error) {
        options.signal?.throwIfAborted();
        failures.push(failure(error, url));
      }
    }
    if (!got.has(file.name)) {
      throw new DataFileError(
        file.name,
        `no mirror gives it (${failures.map(({ message }) => message).join(" | ")})`,
        `its ${file.bytes} bytes from one of ${mirrors.length} mirrors`,
        "check the network, or put the file in a folder yourself",
        { cause: new AggregateError(failures) },
      );
    }
    before += file.bytes;
  }
  return got;
}
