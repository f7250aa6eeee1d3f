import type { AdapterDescription } from "../gpu/adapter";
import type { Variant } from "../gpu/dispatch";
import { VariantError } from "../gpu/errors";
import { checkVariants } from "./variants";

/** What `format` says in a file of variants. */
export const VARIANT_FORMAT = "hyperloom variants 1";

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === "object" && x !== null && !Array.isArray(x);

/**
 * The variants in a file that `hyperloom bench --tune` wrote, for `requestDevice({ variants })`.
 * Every name and value is checked here, so that nothing is left to fail on the GPU. They apply to
 * adapters of the class of the one that they were tuned on; a device on any other warns.
 * @param text JSON: an object with `format`, `rows`, and `adapter` as `Device.adapter` describes it.
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
  const { format, rows, adapter } = isRecord(file) ? file : {};
  const whole = format === VARIANT_FORMAT && Array.isArray(rows) && isRecord(adapter);
  if (!whole || typeof adapter.software !== "boolean") {
    throw new VariantError(
      `${from} is no table of variants: its format is ${JSON.stringify(format)}, must be ` +
        `"${VARIANT_FORMAT}" with rows and adapter; see bench --tune FILE`,
    );
  }
  const tunedOn = adapter as unknown as AdapterDescription;
  const own = tunedOn.software ? "software" : "gpu";
  return rows.map((row: unknown, i) => {
    const where = `${from}: row ${i + 1}`;
    if (!isRecord(row) || !isRecord(row.overrides ?? {})) {
      throw new VariantError(`${where} or its overrides is no object`);
    }
    // Whether it is one is looked at next.
    const variant = { adapter: own, ...row, tunedOn } as unknown as Variant;
    try {
      checkVariants([variant]);
    } catch (error) {
      const { message } = error as Error;
      throw new VariantError(message.replace("hyperloom: variants:", `${where}:`));
    }
    return variant;
  });
}
