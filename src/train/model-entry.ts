import type { Json, JsonObject } from "./events";

/** What a model's name stands for. */
export interface ModelEntry<M> {
  /** Every option with its default. */
  readonly defaults: JsonObject;
  /** Builds it from all options, checked. */
  readonly build: (options: JsonObject) => M;
}

/** What each option may be, by its name. */
export type AllowedOptions = Readonly<Record<string, (x: Json) => boolean>>;

/** Whether an option is a size that a model may have: a whole number from 1 to `most`. */
export function isCount(x: Json, most = 4096): x is number {
  return Number.isInteger(x) && Number(x) >= 1 && Number(x) <= most;
}
