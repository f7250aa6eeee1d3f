import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { DataFileError } from "../../src/data/errors";
import { ptbNames, ptbSplit, readPtb, readText, textSplit } from "../../src/data/text";
import {
  byteVocabulary,
  characterVocabulary,
  decodeBytes,
  decodeText,
  encodeText,
  type Vocabulary,
  vocabularyFromJson,
  vocabularyToJson,
} from "../../src/data/vocabulary";

const utf8 = (text: string) => new TextEncoder().encode(text);
const bytes = (...values: number[]) => Uint8Array.from(values);

test("a byte vocabulary has the distinct bytes of its data, ascending, or all 256", () => {
  const vocabulary = byteVocabulary(utf8("banana\n"));
  expect(vocabulary).toEqual({ kind: "bytes", symbols: [10, 97, 98, 110], size: 4 });
  expect([...encodeText(vocabulary, "nab\n")]).toEqual([3, 1, 2, 0]);
  expect([...encodeText(vocabulary, utf8("nab\n"))]).toEqual([3, 1, 2, 0]);
  expect(decodeText(vocabulary, [3, 1, 2, 0])).toBe("nab\n");
  const all = byteVocabulary();
  expect(all.size).toBe(256);
  expect(all.symbols).toEqual(Array.from({ length: 256 }, (_, i) => i));
  const any = bytes(255, 0, 128, 195);
  expect(encodeText(all, any)).toEqual(any);
  expect(decodeBytes(all, encodeText(all, any))).toEqual(any);
  expect(decodeText(all, utf8("é"))).toBe("é");
  expect(decodeText(all, [195])).toBe("\ufffd");
});

test("a character vocabulary has the distinct code points, ascending", () => {
  const text = "\ufeffzoë 😀 zoo\n🀄\uffff";
  const vocabulary = characterVocabulary(text);
  // By code point: U+FFFF comes before U+1F004, which UTF-16 order would turn round.
  expect(vocabulary.symbols).toEqual(["\n", " ", "o", "z", "ë", "\ufeff", "\uffff", "🀄", "😀"]);
  const tokens = encodeText(vocabulary, text);
  expect([...tokens]).toEqual([5, 3, 2, 4, 1, 8, 1, 3, 2, 2, 0, 7, 6]);
  expect(tokens).toBeInstanceOf(Uint8Array);
  expect(decodeText(vocabulary, tokens)).toBe(text);
  expect(decodeBytes(vocabulary, tokens)).toEqual(utf8(text));
  expect(encodeText(vocabulary, utf8(text))).toEqual(tokens);
  expect(() => characterVocabulary("ab\ud83dc")).toThrow("U+d83d, half of a surrogate pair, at 2");
});

test("tokens take the smallest type that holds the vocabulary", () => {
  const many = (n: number) =>
    characterVocabulary(
      Array.from({ length: n }, (_, i) => String.fromCodePoint(i + (i < 0xd800 ? 0 : 2048))).join(
        "",
      ),
    );
  for (const [size, type] of [
    [256, Uint8Array],
    [257, Uint16Array],
    [65536, Uint16Array],
    [65537, Uint32Array],
  ] as const) {
    const vocabulary = many(size);
    expect(vocabulary.size).toBe(size);
    const last = vocabulary.symbols[size - 1] as string;
    const tokens = encodeText(vocabulary, last);
    expect(tokens).toBeInstanceOf(type);
    expect([...tokens]).toEqual([size - 1]);
  }
});

test("a symbol that a vocabulary lacks is named, with its position", () => {
  const cases: [Vocabulary, string, string][] = [
    [byteVocabulary(utf8("abc")), "abxc", 'byte 2 is 0x78 ("x"), expected one of the 3 bytes'],
    [byteVocabulary(utf8("abc")), "é", "byte 0 is 0xc3, expected one of the 3 bytes"],
    [characterVocabulary("abé😀"), "a😀bö", 'character 3 is U+00f6 ("ö"), expected one of the 4'],
    [characterVocabulary("ab"), "a\n", "character 1 is U+000a, expected one of the 2 characters"],
  ];
  for (const [vocabulary, text, message] of cases) {
    expect(() => encodeText(vocabulary, text, "the prompt")).toThrow(DataFileError);
    expect(() => encodeText(vocabulary, text, "the prompt")).toThrow(`the prompt: ${message}`);
  }
  expect(() => decodeText(characterVocabulary("ab"), [0, 2])).toThrow(
    "token 1 is 2; the vocabulary has 2 symbols, give 0 to 1",
  );
  expect(() => decodeBytes(byteVocabulary(utf8("ab")), [-1])).toThrow("token 0 is -1");
});

test("a vocabulary survives JSON, and what is none is refused", () => {
  for (const vocabulary of [
    byteVocabulary(utf8("once\n")),
    byteVocabulary(),
    characterVocabulary('quote " back \\ null \0 😀\ufeff'),
  ]) {
    const json = JSON.stringify(vocabularyToJson(vocabulary));
    expect(vocabularyFromJson(JSON.parse(json))).toEqual(vocabulary);
  }
  for (const bad of [
    null,
    {},
    { kind: "bytes", symbols: [] },
    { kind: "bytes", symbols: "ab" },
    { kind: "bytes", symbols: [2, 1] },
    { kind: "bytes", symbols: [1, 1] },
    { kind: "bytes", symbols: [1, 256] },
    { kind: "bytes", symbols: [0.5] },
    { kind: "characters", symbols: [97] },
    { kind: "characters", symbols: "ba" },
    { kind: "characters", symbols: "\ud83d" },
    { kind: "words", symbols: "ab" },
  ]) {
    expect(() => vocabularyFromJson(bad)).toThrow("ascending");
  }
});

test("a text is read plain or gzip", async () => {
  // Long enough to come out of gzip in several pieces.
  const text = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i) % 251);
  for (const file of [text, gzipSync(text)]) {
    expect(Buffer.compare(await readText(file, "a", text.length), text)).toBe(0);
  }
  await expect(readText(text, "a", 99)).rejects.toThrow("a: it has more than 99 bytes");
  const packed = readText(gzipSync(text), "a", 199_999);
  await expect(packed).rejects.toThrow("a: it unpacks to more than 199999 bytes");
});

test("a damaged or empty file is one clear error", async () => {
  const packed = gzipSync(utf8("some text that is not very long, but long enough"));
  const flipped = Uint8Array.from(packed);
  flipped[20] = (flipped[20] ?? 0) ^ 255;
  const cases: [Uint8Array, string][] = [
    [bytes(), "f: it is empty"],
    [gzipSync(bytes()), "f: it is empty"],
    [packed.subarray(0, packed.length - 9), "f: its gzip stream is damaged or truncated"],
    [packed.subarray(0, 2), "f: its gzip stream is damaged or truncated"],
    [flipped, "f: its gzip stream is damaged or truncated"],
    [bytes(0x50, 0x4b, 3, 4, 20), "f: it is a zip archive, expected text, plain or gzip; unpack"],
  ];
  for (const [file, message] of cases) {
    const error = await readText(file, "f").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataFileError);
    expect(String(error)).toContain(message);
  }
});

test("a text is cut at 90 %, or at 90 and 95 %, by its symbols", () => {
  const text = utf8("0123456789abcdefghijklmnopqrstuvwxyzé-!?");
  expect(text.length).toBe(41);
  const two = textSplit(text, { file: "f" });
  expect([two.train.length, two.validation.length]).toEqual([36, 5]);
  expect(two.test).toBe(two.validation);
  expect(two.source).toBe("f");
  expect(decodeText(two.vocabulary, two.validation)).toBe("é-!?");
  const three = textSplit(text, { file: "f", shares: "90/5/5", source: "s" });
  expect([three.train.length, three.validation.length, three.test.length]).toEqual([36, 2, 3]);
  expect(three.source).toBe("s");
  const whole = [three.train, three.validation, three.test].flatMap((part) => [
    ...decodeBytes(three.vocabulary, part),
  ]);
  expect(whole).toEqual([...text]);
  const characters = textSplit(text, { file: "f", vocabulary: "characters" });
  expect([characters.train.length, characters.validation.length]).toEqual([36, 4]);
  expect(characters.vocabulary).toEqual(characterVocabulary(new TextDecoder().decode(text)));
});

test("a text too short or not UTF-8 is refused by name", () => {
  expect(() => textSplit(utf8("0123456789"), { file: "f" })).toThrow(
    "f: it is too short: of its 10 symbols the validation set has 1, expected at least 2",
  );
  expect(() => textSplit(utf8("01234567890123456789"), { file: "f", shares: "90/5/5" })).toThrow(
    "of its 20 symbols the validation set has 1",
  );
  expect(textSplit(utf8("01234567890"), { file: "f" }).validation.length).toBe(2);
  const latin = bytes(...utf8("plain é and a caf"), 0xe9, ...utf8(" in Latin-1"));
  expect(() => textSplit(latin, { file: "f", vocabulary: "characters" })).toThrow(
    "f: byte 18 (0xe9) is not UTF-8",
  );
  const cut = utf8("twenty letters, then é").subarray(0, -1);
  expect(() => textSplit(cut, { file: "f", vocabulary: "characters" })).toThrow("byte 21 (0xc3)");
  expect(textSplit(latin, { file: "f" }).train.length).toBe(27);
});

const spaced = (symbols: string) => utf8([...symbols].map((symbol) => `${symbol} `).join(""));

test("symbol i of a PTB character file is byte 2i; other bytes break the format", async () => {
  const symbols = "the_<unk>_of_N\nyes\n";
  for (const file of [spaced(symbols), gzipSync(spaced(symbols))]) {
    expect(new TextDecoder().decode(await readPtb(file, "p"))).toBe(symbols);
  }
  const cases: [string, string][] = [
    ["a b cd ", "p: byte 5 is 0x64, expected a space after each symbol"],
    ["a   b ", "p: byte 2 is a space"],
    ["a b c", "p: it ends after 5 bytes, in a symbol"],
    [" the cat sat \n", "p: byte 0 is a space"],
    ["a b \r\n", "p: byte 5 is 0x0a"],
    ["", "p: it is empty"],
  ];
  for (const [text, message] of cases) {
    const error = await readPtb(utf8(text), "p").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataFileError);
    expect(String(error)).toContain(message);
  }
});

test("the PTB split has the vocabulary of its training set", async () => {
  const files = (train: string, valid: string, last: string) =>
    Object.fromEntries(
      ptbNames.map((name, i) => [name, spaced([train, valid, last][i] ?? "")]),
    ) as Parameters<typeof ptbSplit>[0];
  const split = await ptbSplit(files("no_yes\nb\n", "bye\n", "so\n"));
  expect(split.source).toBe("PTB");
  expect(split.vocabulary.size).toBe(8);
  expect(decodeText(split.vocabulary, split.train)).toBe("no_yes\nb\n");
  expect(decodeText(split.vocabulary, split.validation)).toBe("bye\n");
  expect(decodeText(split.vocabulary, split.test)).toBe("so\n");
  const named = (name: string) => `/x/${name}`;
  await expect(ptbSplit(files("no\n", "on\n", "noz\n"), "s", named)).rejects.toThrow(
    '/x/ptb.char.test.txt: byte 2 is 0x7a ("z"), expected one of the 3 bytes',
  );
  await expect(ptbSplit(files("no\n", "n", "no\n"), "s", named)).rejects.toThrow(
    "/x/ptb.char.valid.txt: it is too short: of its 1 symbols the validation set has 1",
  );
});
