import { hostOf } from "./host";

// Dawn in Node asks the GPU for its answers once in every turn of the event loop, and turns without
// a rest as long as an answer is due. A software adapter computes on the same cores: on two of them
// the asking took half of the time of every step. So while one is waited for, each turn sleeps.

/** Milliseconds: little beside a step in software, much beside a turn, which takes microseconds. */
const NAP = 1;

const { setImmediate } = globalThis as { setImmediate?: (turn: () => void) => void };
const turns = hostOf().name === "Node" ? setImmediate : undefined;

const nap = turns ? new Int32Array(new SharedArrayBuffer(4)) : null;
let waiting = 0;
/** Whether a turn is due already: each answer that begins between two of them must not add another. */
let dozing = false;

function turn(): void {
  dozing = waiting > 0;
  if (!dozing || !turns || !nap) return;
  Atomics.wait(nap, 0, 0, NAP);
  turns(turn);
}

/**
 * Lets the event loop of Node sleep for most of each turn until `work` is settled; elsewhere it does
 * nothing. For work of a software adapter, which needs the cores.
 */
export function dozeUntil(work: Promise<unknown>): void {
  if (!turns) return;
  const over = (): void => {
    waiting--;
  };
  waiting++;
  work.then(over, over);
  if (dozing) return;
  dozing = true;
  turns(turn);
}
