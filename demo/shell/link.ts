/** Settings in the address, so that a link is the experiment: `#seed=1&nz=4`. */

/** One setting: a whole number within bounds, or one of some words. */
export type Setting =
  | { readonly kind: "integer"; readonly value: number; readonly from: number; readonly to: number }
  | { readonly kind: "number"; readonly value: number; readonly from: number; readonly to: number }
  | { readonly kind: "word"; readonly value: string; readonly words: readonly string[] };

/** Settings by their names in the address. */
export type Settings = Readonly<Record<string, Setting>>;

/** The values that settings have. */
export type SettingValues<S extends Settings> = {
  -readonly [K in keyof S]: S[K] extends { readonly kind: "word" } ? string : number;
};

/** A whole number from `from` to `to`, `value` by default. */
export const integer = (value: number, from: number, to: number) =>
  ({ kind: "integer", value, from, to }) as const;
/** A number from `from` to `to`, `value` by default. */
export const number = (value: number, from: number, to: number) =>
  ({ kind: "number", value, from, to }) as const;
/** One of some words, the first by default. */
export const word = (...words: readonly [string, ...string[]]) =>
  ({ kind: "word", value: words[0], words }) as const;

/** The seed that every page has. */
export const seed = integer(1, 0, 2 ** 32 - 1);

/** The page's settings, read from the address and written there. */
export interface Link<S extends Settings> {
  readonly values: Readonly<SettingValues<S>>;
  /** What was wrong in the address, one sentence each. */
  readonly complaints: readonly string[];
  /** Sets a value; the address follows without a reload. Defaults are left out of it. */
  set<K extends keyof S & string>(name: K, value: SettingValues<S>[K]): void;
  /** The whole address. */
  readonly address: string;
}

/** A value that is allowed, or what is wrong with it. */
function read(name: string, text: string, setting: Setting): number | string | Error {
  if (setting.kind === "word") {
    if (setting.words.includes(text)) return text;
    return new Error(`${name} is ${text}, must be one of ${setting.words.join(", ")}`);
  }
  const { kind, from, to } = setting;
  const value = Number(text);
  const good = text.trim() !== "" && value >= from && value <= to;
  if (good && (kind === "number" || Number.isInteger(value))) return value;
  return new Error(`${name} is ${text || "empty"}, must be ${kind} from ${from} to ${to}`);
}

/**
 * Reads the settings of a page; unknown keys are left alone, bad values fall to the default.
 * @param settings What the page knows, by the names in the address.
 */
export function openLink<S extends Settings>(settings: S): Link<S> {
  const values: Record<string, number | string> = {};
  const complaints: string[] = [];
  const found = new URLSearchParams(location.hash.slice(1));
  for (const [name, setting] of Object.entries(settings)) {
    const text = found.get(name);
    const value = text === null ? setting.value : read(name, text, setting);
    if (value instanceof Error) {
      complaints.push(`In the link, ${value.message}; ${setting.value} is taken.`);
    }
    values[name] = value instanceof Error ? setting.value : value;
  }
  return {
    values: values as SettingValues<S>,
    complaints,
    set(name, value) {
      values[name] = value;
      const parts = new URLSearchParams(location.hash.slice(1));
      if (value === settings[name]?.value) parts.delete(name);
      else parts.set(name, `${value}`);
      const hash = parts.toString();
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    },
    get address() {
      return location.href;
    },
  };
}
