import type { AdapterChoice } from "../src/cli/browser.ts";

/** The adapter that the tests are to run on, by the environment. */
export const testAdapter = (process.env.HYPERLOOM_ADAPTER ?? "auto") as AdapterChoice;
