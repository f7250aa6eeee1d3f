/** Takes what the worker writes, character by character, into the two texts of the page. */
import type { Connection } from "../shell/channel";
import { calm } from "../shell/frame";
import type { Streamed, Who } from "./desk";
import type { SampleView } from "./sample-view";
import type { DynamicHandlers } from "./worker";

/** What is being written, and what was written last. */
export interface Stream {
  /** Listens to a worker, once to each. */
  hear(connection: Connection<DynamicHandlers>): void;
  /** Puts into the texts what was written last, and what now comes. */
  resume(): void;
  /** The rest of what `resume` waits for; then the texts are whole. */
  end(): Promise<void>;
  /** The film has the texts; what is still under way is left to it. */
  stop(): void;
}

/** Where it streams to. */
export interface StreamUse {
  readonly views: Readonly<Record<Who, SampleView>>;
  /** A symbol by its number. */
  readonly characterOf: (symbol: number) => string;
  /** Whether the end of the run is looked at, where new text belongs. */
  readonly follows: () => boolean;
}

/** Joins the worker's texts and the page's. */
export function createStream({ views, characterOf, follows }: StreamUse): Stream {
  const whos = ["hyper", "lstm"] as const;
  const empty = (): { characters: string[]; changes: number[] } => ({
    characters: [],
    changes: [],
  });
  const written: Record<Who, ReturnType<typeof empty>> = { hyper: empty(), lstm: empty() };
  let heard: unknown = null;
  let live = false;
  let ended: () => void = () => {};
  let ending: Promise<void> = Promise.resolve();

  const take = (told: Streamed): void => {
    live &&= follows();
    if (told.kind === "begin") {
      for (const who of whos) written[who] = empty();
      // What was asked for comes as it is written, whatever motion is wanted.
      live = follows() && (live || !calm());
      if (live) for (const who of whos) views[who].begin();
    } else if (told.kind === "end") {
      if (live) for (const who of whos) views[who].settle();
      live = false;
      ended();
    } else {
      const { who, symbol, changes } = told;
      const character = characterOf(symbol);
      written[who].characters.push(character);
      written[who].changes.push(...(changes ?? []));
      if (live) views[who].add(character, changes);
    }
  };

  return {
    hear(connection) {
      if (connection === heard) return;
      heard = connection;
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }: MessageEvent<Streamed>) => take(data);
      // A worker that ends before it has listened writes nothing.
      connection.ask("listen", port2, [port2]).catch(() => undefined);
    },
    resume() {
      live = true;
      for (const who of whos) {
        const { characters, changes } = written[who];
        views[who].show(characters, who === "hyper" ? Float32Array.from(changes) : null);
      }
      ending = new Promise((resolve) => {
        ended = resolve;
      });
    },
    end: () => ending,
    stop() {
      live = false;
    },
  };
}
