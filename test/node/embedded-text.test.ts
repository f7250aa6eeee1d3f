import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { embeddedText, embeddedTextSplit } from "../../src/data/embedded-text";
import { decodeText } from "../../src/data/vocabulary";

const text = embeddedText({ length: 400_000, seed: 0 });

/** Bits per character of a model that knows the last `order` characters and this text's counts. */
function entropy(order: number): number {
  const contexts = new Map<string, Map<string, number>>();
  for (let i = order; i < text.length; i++) {
    const context = text.slice(i - order, i);
    const next = text[i] as string;
    let counts = contexts.get(context);
    if (!counts) {
      counts = new Map();
      contexts.set(context, counts);
    }
    counts.set(next, (counts.get(next) ?? 0) + 1);
  }
  let bits = 0;
  for (const counts of contexts.values()) {
    let n = 0;
    for (const count of counts.values()) n += count;
    for (const count of counts.values()) bits -= count * Math.log2(count / n);
  }
  return bits / (text.length - order);
}

test("the embedded text never changes", () => {
  // Equal on every engine: a change of these changes the data set.
  expect(text.length).toBe(400_760);
  const hash = createHash("sha256").update(text).digest("hex");
  expect(hash).toBe("5a847a76b72a2aca44fb4cf18309517124d0303d994a5acd01bf567419a8ba87");
  expect([...new Set(text)].sort().join("")).toBe(
    "\n !\"'(),.0123456789:;?ABCDEFGHIJKLMNORSTUWabcdefghijklmnopqrstuvwxyz",
  );
});

test("a longer text begins like a shorter one; another seed is another text", () => {
  const short = embeddedText({ length: 5000, seed: 0 });
  expect(short.length).toBeGreaterThanOrEqual(5000);
  expect(short.length).toBeLessThan(10_000);
  expect(text.startsWith(short)).toBe(true);
  expect(embeddedText({ length: 5000, seed: 1 }).slice(0, 200)).not.toBe(text.slice(0, 200));
  expect(() => embeddedText({ length: 0, seed: 0 })).toThrow("a text of 0 characters");
});

test("it has structure to learn: the more context, the fewer bits", () => {
  expect(entropy(0)).toBeGreaterThan(3.8);
  expect(entropy(1)).toBeGreaterThan(2.5);
  expect(entropy(3)).toBeLessThan(1.5);
  expect(entropy(6)).toBeLessThan(0.8);
});

test("its rules hold everywhere: brackets, quotes, articles, capitals, agreement, refrains", () => {
  expect(text).not.toMatch(/[{}^*|]|undefined|\ba [aeiou]|\ban [^aeiou]/);
  expect(text).not.toMatch(/[.!?] [a-z]|^[a-z]/m);
  for (const line of text.split("\n")) {
    expect((line.match(/"/g) ?? []).length % 2).toBe(0);
    expect(line.replace(/[^()]/g, "")).toMatch(/^(\(\))*$/);
  }
  // Verbs of verses agree with their subjects.
  const verses = [...text.matchAll(/^ {4}The (\w+) (\w+) .*[,;.]$/gm)];
  expect(verses.length).toBeGreaterThan(2000);
  for (const [line, noun, verb] of verses) {
    expect(noun?.endsWith("s"), line).toBe(!verb?.endsWith("s"));
  }
  const chapters = text.trimEnd().split("\n\n\n");
  expect(chapters.length).toBeGreaterThan(200);
  for (const [i, chapter] of chapters.entries()) {
    const [, number, hero, object] = /^(\d+)\. The (\w+) and the (\w+)$/m.exec(chapter) ?? [];
    expect(Number(number)).toBe(i + 1);
    expect(chapter).toContain(`the ${hero?.toLowerCase()} `);
    expect(chapter).toMatch(new RegExp(`\\b${object}\\b`, "i"));
    const refrains = [...chapter.matchAll(/[,;]\n.*\.\n {4}(.*,)\n {4}(.*\.)$/gm)];
    expect(new Set(refrains.map(([, first, second]) => `${first} ${second}`)).size).toBe(1);
  }
});

test("its split is 90, 5 and 5 % of one vocabulary, and decodes to the text", () => {
  const { train, validation, test: last, vocabulary, source } = embeddedTextSplit();
  expect(source).toBe("generated tales");
  const parts = [train, validation, last].map((tokens) => decodeText(vocabulary, tokens));
  expect(parts.join("")).toBe(text);
  expect(parts.map((part) => part.length)).toEqual([
    Math.floor(text.length * 0.9),
    Math.floor(text.length * 0.95) - Math.floor(text.length * 0.9),
    text.length - Math.floor(text.length * 0.95),
  ]);
});
