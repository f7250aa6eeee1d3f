import type { Variant } from "../gpu/dispatch";
import { VariantError } from "../gpu/errors";
import { checkVariants } from "./variants";

/** What `format` says in a file of variants. */
export const VARIANT_FORMAT = "hyperloom variants 1";

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === "object" && x !== null && !Array.isArray(x);

const isNumber = (x: unknown): x is number => typeof x === "number";
const isValue = (x: unknown): x is number | number[] =>
  isNumber(x) || (Array.isArray(x) && x.every(isNumber));

function rowOf(row: unknown, where: string): Variant {
  if (!isRecord(row)) throw new VariantError(`${where} is no object`);
  const text = (name: string): string => {
    const value = row[name];
    if (typeof value === "string") return value;
    throw new VariantError(`${where}: ${name} is ${JSON.stringify(value)}, must be a text`);
  };
  const { overrides = {} } = row;
  if (!isRecord(overrides)) throw new VariantError(`${where}: overrides is no object`);
  const values = Object.entries(overrides).map(([name, value]) => {
    if (isValue(value)) return [name, value] as const;
    const found = JSON.stringify(value);
    throw new VariantError(`${where}: override ${name} is ${found}, must be a number or several`);
  });
  return {
    op: text("op"),
    kernel: text("kernel"),
    overrides: Object.fromEntries(values),
    ...("shape" in row && { shape: text("shape") }),
    // Whether there is such a class is looked at with the other names.
    ...("adapter" in row && { adapter: text("adapter") as Variant["adapter"] }),
  };
}

/**
 * The variants in a file that `hyperloom bench --tune` wrote, for `requestDevice({ variants })`.
 * Every name and value is checked here, so that nothing is left to fail on the GPU.
 * @param text JSON: an object with `format` and `rows`.
 * @param from What messages call the file.
 * @throws VariantError naming the file, the row and what is wrong with it.
 */
export function parseVariants(text: string, from = "variants"): Variant[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (error) {
    throw new VariantError(`${from} is no JSON (${(error as Error).message})`);
  }
  if (!isRecord(file) || file.format !== VARIANT_FORMAT || !Array.isArray(file.rows)) {
    throw new VariantError(
      `${from} is no table of variants (format "${VARIANT_FORMAT}"); make one with bench --tune FILE`,
    );
  }
  return file.rows.map((given, i) => {
    const where = `${from}: row ${i + 1}`;
    const row = rowOf(given, where);
    try {
      checkVariants([row]);
    } catch (error) {
      const { message } = error as Error;
      throw new VariantError(`${where}: ${message.replace("hyperloom: variants: ", "")}`);
    }
    return row;
  });
}
