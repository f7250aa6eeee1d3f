/** What can be learned: the text of the box, checked. */

/** Characters that a text has at least and at most, and different ones at most. */
export const LEAST = 2000;
export const MOST = 2_000_000;
export const MOST_SYMBOLS = 1024;

/** A text that was looked at. */
export interface CheckedText {
  readonly characters: number;
  /** Its different characters, by code point. */
  readonly symbols: ReadonlySet<string>;
  /** Why it cannot be learned, with the way on; "" where it can. */
  readonly fault: string;
}

const whole = (value: number): string => value.toLocaleString("en");

/** Counts a text's characters (code points) and says what is wrong with it. */
export function checkText(text: string): CheckedText {
  let characters = 0;
  const symbols = new Set<string>();
  for (const character of text) {
    characters++;
    symbols.add(character);
  }
  const half = [...symbols].some((character) => /^[\ud800-\udfff]$/.test(character));
  let fault = "";
  if (characters < LEAST) {
    fault = `The text has ${whole(characters)} characters; give ${whole(LEAST)} at least.`;
  } else if (characters > MOST) {
    fault = `The text has ${whole(characters)} characters; give ${whole(MOST)} at most.`;
  } else if (symbols.size > MOST_SYMBOLS) {
    const many = `${whole(symbols.size)} different characters`;
    fault = `The text has ${many}; give one with ${whole(MOST_SYMBOLS)} at most.`;
  } else if (half) {
    fault = "The text has half of a character (a lone surrogate); paste it once more.";
  }
  return { characters, symbols, fault };
}

/** The prompt where the text has all of it, else the text's own beginning. */
export function promptFor(prompt: string, text: string, { symbols }: CheckedText): string {
  const known = [...prompt].every((character) => symbols.has(character));
  if (known) return prompt;
  const line = text.trimStart().split("\n", 1)[0] ?? "";
  return [...line].slice(0, 12).join("");
}
