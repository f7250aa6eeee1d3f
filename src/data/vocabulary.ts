import { DataFileError } from "./errors";

/** Symbols of a text by their numbers in a vocabulary, in the smallest type that holds them. */
export type Tokens = Uint8Array | Uint16Array | Uint32Array;

/** Symbols that are bytes: `symbols` ascending, 0 to 255; symbol i has the number i. */
export interface ByteVocabulary {
  readonly kind: "bytes";
  readonly symbols: readonly number[];
  /** Number of symbols, V. */
  readonly size: number;
}

/** Symbols that are Unicode code points: `symbols` ascending; symbol i has the number i. */
export interface CharacterVocabulary {
  readonly kind: "characters";
  readonly symbols: readonly string[];
  /** Number of symbols, V. */
  readonly size: number;
}

/** The symbols that a language model reads and writes. */
export type Vocabulary = ByteVocabulary | CharacterVocabulary;

/** A vocabulary as a checkpoint keeps it: characters as one string. */
export type VocabularyJson =
  | { readonly kind: "bytes"; readonly symbols: readonly number[] }
  | { readonly kind: "characters"; readonly symbols: string };

const codePoint = (character: string): number => character.codePointAt(0) as number;
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** The distinct bytes of some data in ascending order; without data all 256. */
export function byteVocabulary(data?: Uint8Array): ByteVocabulary {
  const seen = new Uint8Array(256);
  if (data) for (let i = 0; i < data.length; i++) seen[data[i] as number] = 1;
  const symbols: number[] = [];
  for (let byte = 0; byte < 256; byte++) if (!data || seen[byte]) symbols.push(byte);
  return { kind: "bytes", symbols, size: symbols.length };
}

/**
 * The distinct code points of a text in ascending order.
 * @throws RangeError for half of a surrogate pair, which no file can hold.
 */
export function characterVocabulary(text: string): CharacterVocabulary {
  const symbols = [...new Set(text)].sort((a, b) => codePoint(a) - codePoint(b));
  const half = symbols.find((symbol) => codePoint(symbol) >= 0xd800 && codePoint(symbol) < 0xe000);
  if (half !== undefined) {
    throw new RangeError(
      `hyperloom: the text has U+${hex(codePoint(half), 4)}, half of a surrogate pair, at ` +
        `${text.indexOf(half)}; give well-formed text`,
    );
  }
  return { kind: "characters", symbols, size: symbols.length };
}

/** What a checkpoint keeps of a vocabulary; `vocabularyFromJson` gives it back. */
export function vocabularyToJson(vocabulary: Vocabulary): VocabularyJson {
  return vocabulary.kind === "bytes"
    ? { kind: "bytes", symbols: vocabulary.symbols }
    : { kind: "characters", symbols: vocabulary.symbols.join("") };
}

/**
 * The vocabulary that a checkpoint keeps.
 * @throws RangeError unless its symbols are distinct, ascending and of its kind.
 */
export function vocabularyFromJson(json: unknown): Vocabulary {
  const { kind, symbols } = (json ?? {}) as Partial<VocabularyJson>;
  let good = false;
  let values: readonly number[] = [];
  if (kind === "bytes" && Array.isArray(symbols)) {
    values = symbols as readonly number[];
    good = values.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255);
  } else if (kind === "characters" && typeof symbols === "string") {
    values = [...symbols].map(codePoint);
    good = values.every((point) => point < 0xd800 || point >= 0xe000);
  }
  good &&=
    values.length > 0 && values.every((value, i) => i === 0 || value > Number(values[i - 1]));
  if (!good) {
    throw new RangeError(
      "hyperloom: a vocabulary needs the kind bytes with ascending bytes, or characters with a " +
        `string of ascending code points, got ${JSON.stringify(json)?.slice(0, 60)}; ` +
        "give what vocabularyToJson returns",
    );
  }
  return kind === "bytes"
    ? { kind, symbols: [...values], size: values.length }
    : {
        kind: "characters",
        symbols: values.map((point) => String.fromCodePoint(point)),
        size: values.length,
      };
}

function tokenArray(size: number, length: number): Tokens {
  if (size <= 256) return new Uint8Array(length);
  return size <= 65536 ? new Uint16Array(length) : new Uint32Array(length);
}

/** The error for a symbol that a vocabulary lacks. */
function unknownSymbol(
  file: string,
  vocabulary: Vocabulary,
  position: number,
  value: number,
): DataFileError {
  const bytes = vocabulary.kind === "bytes";
  const printable = bytes ? value > 32 && value < 127 : value > 32;
  const shown = printable ? ` (${JSON.stringify(String.fromCodePoint(value))})` : "";
  return new DataFileError(
    file,
    (bytes ? `byte ${position} is 0x` : `character ${position} is U+`) +
      `${hex(value, bytes ? 2 : 4)}${shown}`,
    `one of the ${vocabulary.size} ${vocabulary.kind} of the vocabulary`,
    "leave it out, or train on text that has it",
  );
}

/**
 * UTF-8 as text, byte for byte: nothing is replaced, a byte-order mark stays.
 * @param file The name for messages.
 * @throws DataFileError naming the first byte that is no UTF-8.
 */
export function decodeUtf8(bytes: Uint8Array, file = "the text"): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    // What a lenient decoder replaces differs from the first bad byte on.
    const again = new TextEncoder().encode(
      new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
    );
    const at = bytes.findIndex((byte, i) => byte !== again[i]);
    throw new DataFileError(
      file,
      `byte ${at} (0x${hex(bytes[at] ?? 0, 2)}) is not UTF-8`,
      "UTF-8 text",
      "convert it, or use the byte vocabulary",
      { cause: error },
    );
  }
}

/**
 * A text's symbols by number: token i is the number of byte or code point i.
 * @param text A string or UTF-8; a byte vocabulary takes any bytes.
 * @param file The name for messages.
 * @throws DataFileError naming the first symbol that the vocabulary lacks, and its position.
 */
export function encodeText(
  vocabulary: Vocabulary,
  text: string | Uint8Array,
  file = "the text",
): Tokens {
  if (vocabulary.kind === "bytes") {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const numbers = new Int16Array(256).fill(-1);
    for (const [i, byte] of vocabulary.symbols.entries()) numbers[byte] = i;
    const tokens = new Uint8Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) {
      const number = numbers[bytes[i] as number] as number;
      if (number < 0) throw unknownSymbol(file, vocabulary, i, bytes[i] as number);
      tokens[i] = number;
    }
    return tokens;
  }
  const characters = typeof text === "string" ? text : decodeUtf8(text, file);
  const numbers = new Map(vocabulary.symbols.map((symbol, i) => [codePoint(symbol), i]));
  // As long as the code units; what surrogate pairs leave over at the end is cut off.
  const tokens = tokenArray(vocabulary.size, characters.length);
  let n = 0;
  for (let at = 0; at < characters.length; n++) {
    const point = characters.codePointAt(at) as number;
    const number = numbers.get(point);
    if (number === undefined) throw unknownSymbol(file, vocabulary, n, point);
    tokens[n] = number;
    at += point > 0xffff ? 2 : 1;
  }
  return n === tokens.length ? tokens : tokens.slice(0, n);
}

/** Calls `take` with each token, checked against the vocabulary. */
function eachToken(
  vocabulary: Vocabulary,
  tokens: ArrayLike<number>,
  take: (token: number, i: number) => void,
): void {
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as number;
    if (!(Number.isInteger(token) && token >= 0 && token < vocabulary.size)) {
      throw new RangeError(
        `hyperloom: token ${i} is ${token}; the vocabulary has ${vocabulary.size} symbols, ` +
          `give 0 to ${vocabulary.size - 1}`,
      );
    }
    take(token, i);
  }
}

/**
 * The bytes of a text: `encodeText` undone, characters as UTF-8.
 * @throws RangeError for a token that the vocabulary lacks.
 */
export function decodeBytes(vocabulary: Vocabulary, tokens: ArrayLike<number>): Uint8Array {
  if (vocabulary.kind === "characters") {
    return new TextEncoder().encode(decodeText(vocabulary, tokens));
  }
  const bytes = new Uint8Array(tokens.length);
  eachToken(vocabulary, tokens, (token, i) => {
    bytes[i] = vocabulary.symbols[token] as number;
  });
  return bytes;
}

/**
 * The text of some tokens; bytes that are no UTF-8 come out as U+FFFD. To decode bytes as they come
 * (a character may be spread over several), pass `decodeBytes` through a TextDecoder with `stream`.
 * @throws RangeError for a token that the vocabulary lacks.
 */
export function decodeText(vocabulary: Vocabulary, tokens: ArrayLike<number>): string {
  if (vocabulary.kind === "bytes") {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return decoder.decode(decodeBytes(vocabulary, tokens));
  }
  const characters: string[] = [];
  eachToken(vocabulary, tokens, (token) => characters.push(vocabulary.symbols[token] as string));
  return characters.join("");
}
