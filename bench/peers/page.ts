import type { AdapterDescription } from "../../src/gpu/device";
import { cases } from "./cases";
import { hyperloom, initialParameters, wake } from "./hyperloom";
import { jax } from "./jax";
import { measureCase, type Row } from "./measure-case";
import { tensorflow } from "./tensorflow";

/** What a page is asked to do. */
export interface PeerJob {
  readonly name: string;
  readonly adapter: "auto" | "gpu" | "software";
  readonly repeat: number;
}

/** What a page answers. */
export interface PeerAnswer {
  readonly adapter: AdapterDescription;
  readonly rows: readonly Row[];
}

declare global {
  interface Window {
    /** Progress, from the page to the terminal. */
    peersSay: (text: string) => Promise<void>;
    /** Measures one case. @throws RangeError for a name that is none. */
    peersRun: (job: PeerJob) => Promise<PeerAnswer>;
  }
}

window.peersRun = async ({ name, adapter, repeat }) => {
  const made = cases.find((c) => c.name === name);
  if (!made) throw new RangeError(`hyperloom: there is no case ${name}`);
  const own = hyperloom(adapter);
  const initial = made.kind === "step" ? initialParameters(made) : {};
  const say = (text: string): void => void window.peersSay(text);
  await wake(adapter);
  const rows = await measureCase(made, [own, jax, tensorflow], initial, repeat, say);
  return { adapter: own.device().adapter, rows };
};
