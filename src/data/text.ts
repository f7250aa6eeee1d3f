import { DataFileError } from "./errors";
import { unpackWhole } from "./gzip";
import {
  byteVocabulary,
  characterVocabulary,
  decodeUtf8,
  encodeText,
  type Tokens,
  type Vocabulary,
} from "./vocabulary";

/** A text as training, validation and test tokens, all of one vocabulary. */
export interface TextSplit {
  readonly train: Tokens;
  readonly validation: Tokens;
  /** Where the text has no third part, the very array that `validation` is. */
  readonly test: Tokens;
  readonly vocabulary: Vocabulary;
  /** Where the text comes from, for people and events: `PTB from /data/ptb`. */
  readonly source: string;
}

/** Per cent of a text for training, validation and test; without a third, see `TextSplit`. */
export type Shares = "90/10" | "90/5/5";

/**
 * The bytes of a text file, plain or gzip (told by its first bytes).
 * @param file The name for messages.
 * @param most How many bytes it may have, unpacked; default 1 GiB.
 * @throws DataFileError for an empty file, a damaged or truncated gzip stream, a zip archive, and
 *   more than `most` bytes.
 */
export async function readText(
  bytes: Uint8Array,
  file: string,
  most?: number,
): Promise<Uint8Array> {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4) {
    throw new DataFileError(file, "it is a zip archive", "text, plain or gzip", "unpack it first");
  }
  const text = await unpackWhole(bytes, file, most);
  if (text.length === 0) {
    throw new DataFileError(file, "it is empty", "text", "give another file");
  }
  return text;
}

/**
 * The symbols of a Penn Treebank character file (Mikolov's preprocessing), plain or gzip: symbol i
 * is byte 2i, every odd byte is a space. `_` stands for the space between words, LF for the end of
 * a sentence.
 * @param file The name for messages.
 * @throws DataFileError as `readText`, and naming the first byte that breaks the format.
 */
export async function readPtb(bytes: Uint8Array, file: string): Promise<Uint8Array> {
  const text = await readText(bytes, file);
  const format = "a space after each symbol, `_` between words";
  const fix = "give the character file of that name (ptb.char.*), not the one of words";
  const symbols = new Uint8Array(Math.ceil(text.length / 2));
  for (let i = 0; i < text.length; i++) {
    const byte = text[i] as number;
    if ((byte === 0x20) !== (i % 2 === 1)) {
      const shown = byte === 0x20 ? "a space" : `0x${byte.toString(16).padStart(2, "0")}`;
      throw new DataFileError(file, `byte ${i} is ${shown}`, format, fix);
    }
    if (i % 2 === 0) symbols[i / 2] = byte;
  }
  if (text.length % 2 === 1) {
    throw new DataFileError(file, `it ends after ${text.length} bytes, in a symbol`, format, fix);
  }
  return symbols;
}

/** At least one prediction must be possible in each part. */
function expectLength(file: string, part: string, tokens: Tokens, whole: number): void {
  if (tokens.length >= 2) return;
  throw new DataFileError(
    file,
    `it is too short: of its ${whole} symbols the ${part} set has ${tokens.length}`,
    "at least 2",
    "give a longer text",
  );
}

/**
 * A text cut into training, validation and test set by symbols, each end rounded down: the first
 * 90 % and the rest ("90/10": the test set is the validation set), or 90, 5 and 5 %, as is usual
 * for enwik8. The vocabulary is that of the whole text.
 * @param bytes The text, unpacked (`readText`).
 * @param options `file`: the name for messages; `vocabulary`: bytes by default; `shares`: "90/10"
 *   by default; `source`: by default the file.
 * @throws DataFileError for a text too short, or characters wanted of what is not UTF-8.
 */
export function textSplit(
  bytes: Uint8Array,
  options: {
    readonly file: string;
    readonly vocabulary?: Vocabulary["kind"];
    readonly shares?: Shares;
    readonly source?: string;
  },
): TextSplit {
  const { file, shares = "90/10", source = file } = options;
  let tokens: Tokens;
  let vocabulary: Vocabulary;
  if (options.vocabulary === "characters") {
    const text = decodeUtf8(bytes, file);
    vocabulary = characterVocabulary(text);
    tokens = encodeText(vocabulary, text, file);
  } else {
    vocabulary = byteVocabulary(bytes);
    tokens = encodeText(vocabulary, bytes, file);
  }
  const n = tokens.length;
  const second = Math.floor((n * 90) / 100);
  const third = shares === "90/10" ? n : Math.floor((n * 95) / 100);
  const train = tokens.subarray(0, second);
  const validation = tokens.subarray(second, third);
  const test = shares === "90/10" ? validation : tokens.subarray(third);
  expectLength(file, "training", train, n);
  expectLength(file, "validation", validation, n);
  expectLength(file, "test", test, n);
  return { train, validation, test, vocabulary, source };
}

/** The names of the three Penn Treebank character files, without `.gz`. */
export const ptbNames = ["ptb.char.train.txt", "ptb.char.valid.txt", "ptb.char.test.txt"] as const;

/** The contents of the three files, gzip or plain. */
export type PtbFiles = Readonly<Record<(typeof ptbNames)[number], Uint8Array>>;

/**
 * The three Penn Treebank character files as a split; the vocabulary (50 symbols in the original)
 * is that of the training set.
 * @param source What the split calls its source.
 * @param path How messages call a file; default its name.
 * @throws DataFileError as `readPtb`, and for a symbol that the training set lacks.
 */
export async function ptbSplit(
  files: PtbFiles,
  source = "PTB",
  path: (name: string) => string = (name) => name,
): Promise<TextSplit> {
  const [train, validation, test] = await Promise.all(
    ptbNames.map(async (name) => readPtb(files[name], path(name))),
  );
  const vocabulary = byteVocabulary(train);
  const tokens = (bytes: Uint8Array | undefined, name: string, part: string): Tokens => {
    const encoded = encodeText(vocabulary, bytes as Uint8Array, path(name));
    expectLength(path(name), part, encoded, encoded.length);
    return encoded;
  };
  return {
    train: tokens(train, ptbNames[0], "training"),
    validation: tokens(validation, ptbNames[1], "validation"),
    test: tokens(test, ptbNames[2], "test"),
    vocabulary,
    source,
  };
}
