/**
 * The safetensors format: 8 bytes, the header's length n as a little-endian u64; n bytes of JSON,
 * `{"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ..,
 * "__metadata__": {"key": "value"}}`; then the tensors' bytes, little-endian and row-major, at
 * offsets counted from the end of the header.
 *
 * The header is read by a parser of its own for just this grammar: JSON.parse would take the last
 * of two equal keys in silence, let `__proto__` through, round integers and spend seconds on a few
 * megabytes of brackets.
 */

/** A tensor with its element type, shape ([] is a scalar) and values, row-major. */
export type SafeTensor = { readonly shape: readonly number[] } & (
  | { readonly dtype: "f32"; readonly data: Float32Array }
  | { readonly dtype: "i32"; readonly data: Int32Array }
  | { readonly dtype: "u32"; readonly data: Uint32Array }
  | { readonly dtype: "u8"; readonly data: Uint8Array }
);

/** A tensor to be written, under a name of at most 512 UTF-8 bytes. */
export type NamedSafeTensor = SafeTensor & { readonly name: string };

/** What a file holds. */
export interface SafeTensors {
  /** In the order of the header. */
  readonly tensors: Map<string, SafeTensor>;
  readonly metadata: Map<string, string>;
}

/** A file that breaks the format or a limit, or tensors that cannot be written. */
export class SafetensorsError extends Error {
  override readonly name = "SafetensorsError";

  /** @param file The name of the file. @param reason What disagrees and, where known, the fix. */
  constructor(
    readonly file: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`hyperloom: ${file}: ${reason}`, options);
  }
}

/** Limits a header is held to before anything is allocated by its word. */
export const safetensorsLimits = {
  headerBytes: 4 * 1024 * 1024,
  tensors: 16384,
  rank: 8,
  nameBytes: 512,
} as const;

const DTYPES = ["f32", "i32", "u32", "u8"] as const;
type DType = (typeof DTYPES)[number];

const bytesPerElement = (dtype: DType) => (dtype === "u8" ? 1 : 4);
const utf8Length = (text: string) => new TextEncoder().encode(text).length;
const METADATA = "__metadata__";
/** A name as it stands in messages: quoted, control characters escaped, cut at 80. */
const quote = (name: string) => JSON.stringify(name.slice(0, 80));

/** Elements of a shape, or undefined where they exceed `limit`; no product passes 2^106. */
function elements(shape: readonly number[], limit: number): number | undefined {
  if (shape.includes(0)) return 0;
  let n = 1;
  for (const d of shape) {
    n *= d;
    if (n > limit) return undefined;
  }
  return n;
}

/** The grammar of a header: objects of known depth, strings, arrays of non-negative integers. */
class HeaderReader {
  #at = 0;

  constructor(
    readonly text: string,
    readonly file: string,
  ) {}

  fail(reason: string): never {
    throw new SafetensorsError(this.file, `its header is bad: ${reason}`);
  }

  #space(): void {
    while (" \t\n\r".includes(this.text[this.#at] ?? "x")) this.#at++;
  }

  /** Takes `mark` if it comes next. */
  take(mark: string): boolean {
    this.#space();
    if (this.text[this.#at] !== mark) return false;
    this.#at++;
    return true;
  }

  need(mark: string): void {
    if (this.take(mark)) return;
    const found = this.#at < this.text.length ? JSON.stringify(this.text[this.#at]) : "its end";
    this.fail(`${found} at character ${this.#at}, expected ${JSON.stringify(mark)}`);
  }

  string(): string {
    this.need('"');
    const start = this.#at - 1;
    for (; this.#at < this.text.length; this.#at++) {
      const c = this.text.charCodeAt(this.#at);
      if (c === 0x5c) this.#at++;
      else if (c === 0x22) break;
    }
    const literal = this.text.slice(start, ++this.#at);
    try {
      return JSON.parse(literal) as string;
    } catch {
      return this.fail(`the string at character ${start} is not valid JSON`);
    }
  }

  /** A non-negative safe integer written in digits alone. */
  integer(what: string): number {
    this.#space();
    const start = this.#at;
    while (/[-+.\w]/.test(this.text[this.#at] ?? "")) this.#at++;
    const digits = this.text.slice(start, this.#at);
    const value = Number(digits);
    if (!/^(0|[1-9][0-9]{0,15})$/.test(digits) || !Number.isSafeInteger(value)) {
      this.fail(`${what} has ${JSON.stringify(digits.slice(0, 40))}, expected 0 to 2^53 - 1`);
    }
    return value;
  }

  integers(what: string, most: number): number[] {
    const values: number[] = [];
    this.need("[");
    if (this.take("]")) return values;
    do {
      if (values.length === most) this.fail(`${what} has more than ${most} numbers`);
      values.push(this.integer(what));
    } while (this.take(","));
    this.need("]");
    return values;
  }

  /** Reads an object, each key once; `value` must consume what follows the key. */
  object(what: string, value: (name: string) => void): void {
    const seen = new Set<string>();
    this.need("{");
    if (this.take("}")) return;
    do {
      const name = this.string();
      if (seen.has(name)) this.fail(`${what} has ${quote(name)} twice`);
      if (seen.size > safetensorsLimits.tensors) {
        this.fail(`${what} has more than ${safetensorsLimits.tensors} entries`);
      }
      seen.add(name);
      this.need(":");
      value(name);
    } while (this.take(","));
    this.need("}");
  }

  end(): void {
    this.#space();
    if (this.#at < this.text.length) this.fail(`text after its object, character ${this.#at}`);
  }
}

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

/** One tensor's entry: dtype, shape and range, which must agree and lie within the data. */
function readEntry(reader: HeaderReader, name: string, dataBytes: number): Entry {
  const what = `tensor ${quote(name)}`;
  let code: string | undefined;
  let shape: number[] | undefined;
  let range: number[] | undefined;
  if (utf8Length(name) > safetensorsLimits.nameBytes) {
    reader.fail(`${what}: a name of ${utf8Length(name)} bytes, at most 512 are read`);
  }
  reader.object(what, (field) => {
    if (field === "dtype") code = reader.string();
    else if (field === "shape")
      shape = reader.integers(`the shape of ${what}`, safetensorsLimits.rank);
    else if (field === "data_offsets") range = reader.integers(`data_offsets of ${what}`, 2);
    else reader.fail(`${what} has the unknown field ${quote(field)}`);
  });
  if (code === undefined || shape === undefined || range?.length !== 2) {
    return reader.fail(`${what} lacks dtype, shape or two data_offsets`);
  }
  const dtype = DTYPES.find((known) => known.toUpperCase() === code);
  if (dtype === undefined) {
    reader.fail(`${what} is ${code.slice(0, 20)}; F32, I32, U32 and U8 are read, convert it`);
  }
  const [begin, end] = range as [number, number];
  if (begin > end || end > dataBytes) {
    reader.fail(`${what} is at ${begin} to ${end} of ${dataBytes} data bytes`);
  }
  const count = elements(shape, dataBytes);
  if (count === undefined || count * bytesPerElement(dtype) !== end - begin) {
    reader.fail(
      `${what}: ${code} [${shape.join(", ")}] does not take the ${end - begin} bytes given`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function toTensor({ dtype, shape, begin, end }: Entry, data: Uint8Array): SafeTensor {
  // A copy: tensors in a file need not be aligned, and the file's bytes may be let go. Not by
  // slice(), which gives a view where the bytes are a Node Buffer.
  const { buffer } = new Uint8Array(data.subarray(begin, end));
  if (dtype === "f32") return { dtype, shape, data: new Float32Array(buffer) };
  if (dtype === "i32") return { dtype, shape, data: new Int32Array(buffer) };
  if (dtype === "u32") return { dtype, shape, data: new Uint32Array(buffer) };
  return { dtype, shape, data: new Uint8Array(buffer) };
}

/**
 * Reads a whole file of F32, I32, U32 and U8 tensors, copying the values.
 * @param file The name for messages.
 * @throws SafetensorsError for a file that is cut short, breaks the format or a limit, repeats a
 *   key, or whose tensors overlap or leave bytes out.
 */
export function readSafetensors(bytes: Uint8Array, file: string): SafeTensors {
  const fail = (reason: string): never => {
    throw new SafetensorsError(file, reason);
  };
  if (bytes.length < 8) fail(`it has ${bytes.length} bytes, a safetensors file at least 10`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const declared = view.getBigUint64(0, true);
  if (declared > BigInt(safetensorsLimits.headerBytes)) {
    fail(`it declares a header of ${declared} bytes, at most 4 MiB are read; is it safetensors?`);
  }
  const start = 8 + Number(declared);
  if (start > bytes.length) {
    fail(
      `it declares a header of ${declared} bytes but ends after ${bytes.length}; it is cut short`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(8, start),
    );
  } catch (error) {
    throw new SafetensorsError(file, "its header is not UTF-8", { cause: error });
  }

  const data = bytes.subarray(start);
  const reader = new HeaderReader(text, file);
  const metadata = new Map<string, string>();
  const entries: Entry[] = [];
  reader.object("it", (name) => {
    if (name !== METADATA) entries.push(readEntry(reader, name, data.length));
    else reader.object("its metadata", (field) => metadata.set(field, reader.string()));
  });
  reader.end();
  if (entries.length > safetensorsLimits.tensors) {
    reader.fail(`it has more than ${safetensorsLimits.tensors} tensors`);
  }

  let covered = 0;
  for (const entry of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== covered) {
      fail(
        `tensor ${quote(entry.name)} begins at byte ${entry.begin}, expected ${covered}: overlap or gap`,
      );
    }
    covered = entry.end;
  }
  if (covered !== data.length) {
    fail(`its tensors end at data byte ${covered}, the file at ${data.length}; is it cut short?`);
  }
  return {
    tensors: new Map(entries.map((entry) => [entry.name, toTensor(entry, data)])),
    metadata,
  };
}

/**
 * Writes tensors and metadata. Equal contents give equal bytes whatever their order: 4-byte types
 * come first, so that all are aligned, then names and keys ascend by UTF-16 code unit; the header
 * is padded with spaces to a multiple of 8.
 * @throws SafetensorsError for a repeated, reserved or too long name, a rank above 8, a length
 *   that is not the shape's, or a header above 4 MiB.
 */
export function writeSafetensors(
  tensors: Iterable<NamedSafeTensor>,
  metadata: Readonly<Record<string, string>> | ReadonlyMap<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const fail = (reason: string): never => {
    throw new SafetensorsError("safetensors to be written", reason);
  };
  const ascending = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = [...tensors].sort(
    (a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype) || ascending(a.name, b.name),
  );
  if (sorted.length > safetensorsLimits.tensors) {
    fail(`${sorted.length} tensors, at most ${safetensorsLimits.tensors} fit`);
  }
  const names = new Set([METADATA]);
  const fields: string[] = [];
  const pairs = [...(metadata instanceof Map ? metadata : Object.entries(metadata))];
  if (pairs.length > 0) {
    const text = pairs
      .sort(([a], [b]) => ascending(a, b))
      .map(([field, value]) => `${JSON.stringify(field)}:${JSON.stringify(value)}`);
    fields.push(`"${METADATA}":{${text.join(",")}}`);
  }
  let end = 0;
  for (const { name, dtype, shape, data } of sorted) {
    const what = `tensor ${quote(name)}`;
    if (names.has(name)) fail(`${what} is there twice or reserved; give each its own name`);
    if (utf8Length(name) > safetensorsLimits.nameBytes || shape.length > safetensorsLimits.rank) {
      fail(
        `${what} has rank ${shape.length}, ${utf8Length(name)} bytes of name; at most 8 and 512`,
      );
    }
    const whole = shape.every((d) => Number.isSafeInteger(d) && d >= 0);
    if (!whole || elements(shape, data.length) !== data.length) {
      fail(`${what} has shape [${shape.join(", ")}] and ${data.length} values; they must agree`);
    }
    if (data.BYTES_PER_ELEMENT !== bytesPerElement(dtype)) {
      fail(`${what} is ${dtype} but has values of ${data.BYTES_PER_ELEMENT} bytes`);
    }
    names.add(name);
    const begin = end;
    end += data.byteLength;
    fields.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype.toUpperCase()}","shape":[${shape.join(",")}],` +
        `"data_offsets":[${begin},${end}]}`,
    );
  }
  const json = `{${fields.join(",")}}`;
  const used = utf8Length(json);
  const header = new TextEncoder().encode(json + " ".repeat((8 - (used % 8)) % 8));
  if (header.length > safetensorsLimits.headerBytes) {
    fail(`its header takes ${header.length} bytes, at most 4 MiB are read; shorten the metadata`);
  }
  const bytes = new Uint8Array(8 + header.length + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  let at = 8 + header.length;
  for (const { data } of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}
