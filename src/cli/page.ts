/** The page's side of the runtime chrome: runs one job and speaks to the server it came from. */

import type { Variant } from "../gpu/dispatch";
import type { AdapterChoice } from "./browser";
import type { JobContext, JobEvent } from "./job";
import { type JobName, type JobSpec, startJob } from "./jobs";

/** A job as the page gets it. */
export interface PageJob {
  readonly name: JobName;
  readonly spec: JobSpec<JobName>;
  readonly adapter: AdapterChoice;
  readonly variants: readonly Variant[];
  readonly versions: Readonly<Record<string, string>>;
}

/** What came of it; errors cross by name and message. */
export type PageAnswer =
  | { readonly result: unknown }
  | { readonly error: string; readonly message: string };

declare global {
  interface Window {
    hyperloomRun(job: PageJob): Promise<PageAnswer>;
    hyperloomAbort(): void;
    hyperloomEvents(events: readonly JobEvent[]): Promise<void>;
  }
}

// Steps may take less time than a message: events are sent together.
const FLUSH_MS = 100;

const abort = new AbortController();
let waiting: JobEvent[] = [];
let sent: Promise<void> = Promise.resolve();

function flush(): void {
  const events = waiting;
  waiting = [];
  if (events.length > 0) sent = sent.then(() => window.hyperloomEvents(events));
}

const emit: JobContext["emit"] = (event) => {
  if (waiting.push(event) === 1) setTimeout(flush, FLUSH_MS);
};

async function answered(response: Response): Promise<Response> {
  if (response.ok) return response;
  throw new Error(
    `hyperloom: ${(await response.text()) || `the terminal answers ${response.status}`}`,
  );
}

window.hyperloomAbort = () => abort.abort();

window.hyperloomRun = async ({ name, spec, adapter, variants, versions }) => {
  const context: JobContext = {
    gpu: navigator.gpu,
    adapter,
    variants,
    versions,
    signal: abort.signal,
    emit,
    read: async (file) =>
      new Uint8Array(await (await answered(await fetch(`read/${file}`))).arrayBuffer()),
    write: async (file, bytes) => {
      // What was said before these bytes is known before they are.
      flush();
      await sent;
      await answered(await fetch(`write/${file}`, { method: "POST", body: bytes }));
    },
  };
  try {
    return { result: await startJob(name, spec, context) };
  } catch (error) {
    const { name: kind, message } = error as Error;
    return { error: kind, message };
  } finally {
    flush();
    await sent;
  }
};
