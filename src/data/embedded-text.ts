import { fold, type Key, key, WordStream } from "../graph/random";
import { type TextSplit, textSplit } from "./text";

/**
 * Little tales, made from a grammar: the text that needs no file.
 *
 * A chapter has a hero, friends, a thing, a place and a refrain of its own, which come back in its
 * title, sentences, verses and last line. So there is something to learn at every distance: how
 * words are spelt (some ten characters), that subject and verb agree, also across a clause, and
 * `a` or `an`; that quotes and brackets close, an answer fits its question and two lines rhyme (up
 * to a hundred); what the chapter is about, its refrain and its number (a thousand and more). Only
 * integers of this library's random numbers decide, so the text is equal everywhere.
 */

/** Words with a second form (plural; of verbs, third person): the first with an s unless given. */
const WORDS: Readonly<Record<string, string>> = {
  creature:
    "heron otter fox:foxes goose:geese mouse:mice owl badger raven hedgehog cat donkey toad eel " +
    "miller weaver tinker baker sailor shepherd cobbler jackdaw child:children elder drummer",
  verser: "heron otter badger raven donkey miller weaver tinker baker sailor shepherd cobbler",
  thing:
    "lantern kettle ladder basket candle mirror anchor feather button drum knife:knives " +
    "loaf:loaves brush:brushes umbrella apron acorn egg bell wheel boat ribbon hat",
  handle:
    "mend carry:carries hide polish:polishes borrow paint count lose find sell guard want " +
    "bring fetch:fetches bury:buries forget praise",
  stay: "sleep wait sing dance listen rest hum whistle linger argue laugh",
  verse: "sing wait run walk sleep hum dream leap laugh rest",
};

/** What a placeholder may become: alternatives between bars. */
const RULES: Readonly<Record<string, string>> = {
  nature: "old|little|quiet|clever|hungry|honest|idle|ugly|patient|proud|sleepy|lazy|young",
  look: "crooked|silver|yellow|empty|heavy|broken|orange|wooden|painted|iron|curious|lost",
  number: "two|three|four|five|six|seven|nine|ten|eleven|twelve",
  prep: "under|behind|beside|near|above|beyond|inside|in front of",
  place: "bridge|mill|orchard|harbour|chimney|market|stable|well|garden|tower|oven|inn",
  month: "January|March|April|June|August|October|November",
  day: "Monday|Tuesday|Thursday|Friday|Sunday",
  when:
    "every morning|at noon|after supper|before the first frost|on {day}|in {month}|" +
    "when it rains|at midnight",
  how: "slowly|gladly|in secret|without a word|with great care|again and again",
  where: "{prep} the {place}|{prep} the {spot}|{prep} the {place}|beside {hero}",
  name: "{hero}|{hero}|the {nature} {creature}|the {creature} {prep} the {place}",
  names:
    "the {friend}|the {nature} {friend}|the {number} {creature+}|" +
    "the {creature+} {prep} the {place}",
  it: "the {object}|the {object}|{hero}'s {thing}|a* {look} {thing}|the {look} {thing}|a* {thing}",
  them: "the {thing+}|{number} {look} {thing+}|all the {thing+}|{number} {thing+}",
  what: "{it}|{it}|{them}",
  aside:
    "so they say|as everybody knows|and who would not|not for the first time|" +
    "it was {month} then|{number} times, at least",
  because:
    "nobody knows why|that is the custom here|the {place} is far away|{he} never asks|" +
    "the {object} is not for sale",
  sentence:
    "{name} {handle+} {what} {when}.|{names} {handle} {what} {when}.|" +
    "{when}, {name} {handle+} {what}, and {names} {stay} {where}.|" +
    "when {names} {handle} {what}, {name} {stay+} {where}.|" +
    "{names} that live {where} {handle} {what} {how}.|" +
    "{name}, like all the {friend}, {handle+} {what} {how}.|" +
    "{hero} {handle+} {his} {object} {how}: {because}.|" +
    "{name} {handle+} three things: {it}, {it} and {it}.|" +
    "there is a* {look} {thing} {where}, and there are {number} {thing+} {where}.|" +
    "{name} ({aside}) {handle+} {what}.|{names} ({aside}) {handle} {what}; {name} only {stay+}.|" +
    "a* {nature} {creature} is better than {number} {look} {thing+}.|" +
    "{he} {stay+} {where}, but {because}.",
  talk:
    '"^where is {his} {object}?" {ask+} {name}. "^it is {where}," {say+} {hero}.|' +
    '"^where are the {thing+}?" {ask} {names}. "^they are {where}," {say+} {name}.|' +
    '"^who {handle+} the {object}?" {ask+} {name}. "^we do," {say} {names}, "and {because}!"|' +
    '"^is it {day} already?" {ask} {names}. "^no," {say+} {hero}, "it is still {day}."|' +
    '"^what does {hero} want?" {ask+} {name}. "^{he} wants {it}," {say} {names}.|' +
    '"^come, let us {stay} {where}!" {say+} {name}, and {names} {stay} {where} {when}.',
  ask: "ask|ask|ask|whisper",
  say: "say|say|say|answer",
  paragraph:
    "^{sentence} ^{sentence} ^{sentence}|^{sentence} {talk} ^{sentence}|" +
    "{talk} {talk} ^{sentence}|" +
    "^{sentence} ^{sentence} {talk} ^{sentence}|^{sentence} ^{sentence}",
  title: "^the ^{lead} and the ^{object}",
  opening:
    "^this is the tale of {hero} and the {object}. " +
    "^{he} lives {prep} the {spot}, and {names} live {where}.|" +
    "^{hero} has a* {look} {object}. ^{he} keeps it {prep} the {spot}, where {names} {stay}.",
  closing:
    "^so ends the tale of {hero} and the {object}.|^and that is all that {hero} told the {friend}.",
  refrain:
    "turn, wheel, turn, and let the water run,/there is no rest until the work is done.|" +
    "row, row along, the tide will not delay,/and what is lost comes home another day.|" +
    "ring, bell, ring out, and call the cattle in,/" +
    "the nights are long, the blankets all too thin.|" +
    "hush, hush, my dear, the fire is burning low,/and no one asks us when we come or go.",
};

/** Ends of verses that rhyme within a line of this list. */
const RHYMES: readonly string[] = [
  "beside the sea|beneath the tree|for you and me|all wild and free|from two to three",
  "all through the night|by candlelight|till morning light|far out of sight|as well they might",
  "at break of day|and far away|till end of May|across the bay|along the way",
  "without a sound|upon the ground|and round and round|all homeward bound",
  "in falling snow|with lamps turned low|where rushes grow|both soft and slow",
  "across the plain|in summer rain|and back again|along the lane|with might and main",
  "behind the mill|below the hill|and never still|with right good will",
];

const words = new Map(
  Object.entries(WORDS).map(([name, list]) => [
    name,
    list.split(" ").map((word) => {
      const [first = "", second = `${first}s`] = word.split(":");
      return [first, second] as const;
    }),
  ]),
);
const rules = new Map(Object.entries(RULES).map(([name, text]) => [name, text.split("|")]));
const rhymes = RHYMES.map((line) => line.split("|"));

/** What a chapter keeps to: placeholders with one value. */
type Bound = Readonly<Record<string, string>>;

function pick<T>(list: readonly T[], random: WordStream): T {
  return list[random.below(list.length)] as T;
}

/** Replaces every `{name}`, and `{name+}` by a second form, until none is left. */
function expand(text: string, bound: Bound, random: WordStream): string {
  return text.replace(/\{(\w+)(\+?)\}/g, (_, name: string, plus: string) => {
    const value = bound[name];
    if (value !== undefined) return value;
    const forms = words.get(name);
    if (forms) return pick(forms, random)[plus ? 1 : 0];
    const chosen = pick(rules.get(name) as readonly string[], random);
    return expand(chosen, bound, random) + (plus ? "s" : "");
  });
}

/** Capitals after `^`; `a*` becomes a or an. */
function finish(text: string): string {
  return text
    .replace(/\ba\* (?=[aeiou])/g, "an ")
    .replace(/\ba\* /g, "a ")
    .replace(/\^([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Four verses in rhyming pairs and the refrain, which is always the same in a chapter. */
function stanza(bound: Bound, refrain: readonly string[], random: WordStream): string {
  const lines: string[] = [];
  for (let couplet = 0; couplet < 2; couplet++) {
    const ends = pick(rhymes, random);
    const first = random.below(ends.length);
    const second = (first + 1 + random.below(ends.length - 1)) % ends.length;
    for (const [end, stop] of [
      [ends[first], ","],
      [ends[second], couplet === 0 ? ";" : "."],
    ]) {
      const who = random.below(2) === 0 ? "the {verser} {verse+}" : "the {verser+} {verse}";
      lines.push(`${expand(who, bound, random)} ${end}${stop}`);
    }
  }
  return [...lines, ...refrain].map((line) => `    ${finish(`^${line}`)}\n`).join("");
}

/** One chapter; depends on nothing but the key and its number. */
function chapter(from: Key, number: number): string {
  const random = new WordStream(fold(from, number));
  const creatures = words.get("creature") as readonly (readonly [string, string])[];
  const hero = random.below(creatures.length);
  const friend = (hero + 1 + random.below(creatures.length - 1)) % creatures.length;
  const [he, his] = pick(["he his", "she her"], random).split(" ") as [string, string];
  const bound: Bound = {
    lead: creatures[hero]?.[0] as string,
    hero: `the ${creatures[hero]?.[0]}`,
    friend: creatures[friend]?.[1] as string,
    he,
    his,
    object: pick(words.get("thing") as readonly (readonly [string, string])[], random)[0],
    spot: pick(rules.get("place") as readonly string[], random),
  };
  const refrain = pick(rules.get("refrain") as readonly string[], random).split("/");
  const prose = (rule: string) => `${finish(expand(`{${rule}}`, bound, random))}\n`;
  const parts = [`${number}. ${prose("title")}`, prose("opening")];
  const stanzas = 1 + random.below(3);
  for (let s = 0; s < stanzas; s++) {
    for (let p = 1 + random.below(2); p > 0; p--) parts.push(prose("paragraph"));
    parts.push(stanza(bound, refrain, random));
  }
  parts.push(prose("closing"));
  return `${parts.join("\n")}\n\n`;
}

/**
 * Tales in English, ASCII: whole chapters, numbered from 1, until there are at least `length`
 * characters. The same seed gives the same text everywhere; a longer one begins like a shorter one.
 * @throws RangeError unless `length` is a positive integer.
 */
export function embeddedText(options: { readonly length: number; readonly seed: number }): string {
  const { length, seed } = options;
  if (!(Number.isSafeInteger(length) && length >= 1)) {
    throw new RangeError(`hyperloom: a text of ${length} characters; give a positive integer`);
  }
  const from = fold(key(seed), "text");
  const chapters: string[] = [];
  let written = 0;
  for (let number = 1; written < length; number++) {
    const text = chapter(from, number);
    chapters.push(text);
    written += text.length;
  }
  return chapters.join("");
}

/** The tales of seed 0, some 400,000 characters, cut into 90, 5 and 5 %. */
export function embeddedTextSplit(): TextSplit {
  const text = new TextEncoder().encode(embeddedText({ length: 400_000, seed: 0 }));
  return textSplit(text, {
    file: "the embedded text",
    shares: "90/5/5",
    source: "generated tales",
  });
}
