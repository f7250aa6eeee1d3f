import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateDigits } from "../../src/data/digits";
import { type Checkpoint, readCheckpoint } from "../../src/train/checkpoint";
import type { DoneEvent, RunEvent } from "../../src/train/events";

/** The built command. */
export const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

/** What a command printed and how it ended. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of its own in which commands run, without network or data sets of the machine's. */
export interface Terminal {
  readonly box: string;
  readonly environment: NodeJS.ProcessEnv;
  hyperloom(...args: readonly string[]): Ran;
  /** The checkpoint of the run in a folder of the box. */
  checkpointOf(folder: string): Checkpoint;
  close(): void;
}

/** A terminal in a new folder whose name begins so. */
export function openTerminal(name: string): Terminal {
  const box = mkdtempSync(join(tmpdir(), `hyperloom-${name}-`));
  const environment = {
    ...process.env,
    HYPERLOOM_OFFLINE: "1",
    HYPERLOOM_DATA: "",
    XDG_CACHE_HOME: join(box, "cache"),
  };
  return {
    box,
    environment,
    hyperloom(...args) {
      const options = { cwd: box, encoding: "utf8", env: environment } as const;
      const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], options);
      return { status, stdout, stderr };
    },
    checkpointOf: (folder) =>
      readCheckpoint(readFileSync(join(box, folder, "checkpoint.safetensors")), folder),
    close: () => rmSync(box, { recursive: true, force: true }),
  };
}

/** The events of a `--json -` run: nothing else may be on stdout. */
export function eventsOf(stdout: string): RunEvent[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as RunEvent);
}

/** The last of them, which must be `done`. */
export function doneOf(events: readonly RunEvent[]): DoneEvent {
  const done = events.at(-1);
  if (done?.event !== "done") throw new Error(`the last event is ${JSON.stringify(done)}`);
  return done;
}

/** An IDX file: type u8, sizes, bytes. */
function idx(sizes: readonly number[], bytes: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * sizes.length));
  header.setUint32(0, 0x0800 + sizes.length);
  for (const [k, n] of sizes.entries()) header.setUint32(4 + 4 * k, n);
  return Buffer.concat([new Uint8Array(header.buffer), bytes]);
}

/** A folder with a data set of MNIST's form, small enough for a software adapter. */
export function writeDigits(folder: string, tests = 40): string {
  mkdirSync(folder);
  for (const [name, count, from] of [
    ["train", 120, 0],
    ["t10k", tests, 1000],
  ] as const) {
    const { images, labels } = generateDigits({ count, seed: 0, from });
    writeFileSync(join(folder, `${name}-images-idx3-ubyte`), idx([count, 28, 28], images));
    writeFileSync(join(folder, `${name}-labels-idx1-ubyte`), idx([count], labels));
  }
  return folder;
}
