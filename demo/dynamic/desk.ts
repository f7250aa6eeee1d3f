/** Both models write from one prompt side by side, and what they write streams to the page. */
import type { Device } from "hyperloom";
import type { Racer } from "./racer";
import { CHANGES, createWriter, type Writer } from "./writer";

/** The two models. */
export type Who = "hyper" | "lstm";

/** What the models write. */
export interface Wish {
  /** Read before the first character is drawn; all of it must be in the text. */
  readonly prompt: string;
  readonly temperature: number;
}

/** What streams to the page while a model writes. */
export type Streamed =
  | { readonly kind: "begin" }
  /** What was asked for is written, or cannot be. */
  | { readonly kind: "end" }
  | {
      readonly kind: "symbol";
      readonly who: Who;
      readonly symbol: number;
      /** ‖d_t − d_{t−1}‖ [kind, gate], of a model that makes weights. */
      readonly changes: Float32Array | null;
    };

/** Characters of a sample that is written by itself; a film's frame is one. */
export const LENGTH = 240;

/** Both writers, whose samples are one after the other. */
export class Desk {
  #writers: Promise<Record<Who, Writer>> | null = null;
  readonly #made: Writer[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #luck = 0;
  #ended = false;

  /**
   * @param encode Symbols of a prompt, one at least. @throws Error where it has some of no text.
   * @param tell Told of every character.
   */
  constructor(
    private readonly device: Device,
    private readonly racers: Readonly<Record<Who, Racer>>,
    private readonly encode: (prompt: string) => number[],
    private readonly tell: (streamed: Streamed) => void,
    private wanted: Wish,
  ) {}

  set wish(wish: Wish) {
    this.encode(wish.prompt);
    this.wanted = wish;
  }

  /** Compiles in the background what the first sample needs. */
  prepare(): Promise<Record<Who, Writer>> {
    const { device, racers } = this;
    const of = async (who: Who): Promise<Writer> => {
      const { model, settings } = racers[who];
      const writer = await createWriter(device, model, who === "hyper", settings.seed);
      if (this.#ended) writer.dispose();
      this.#made.push(writer);
      return writer;
    };
    this.#writers ??= Promise.all([of("hyper"), of("lstm")]).then(([hyper, lstm]) => {
      return { hyper, lstm };
    });
    return this.#writers;
  }

  /** A sample of which nothing was written: symbols −1. */
  blank(): Record<"hyper" | "changes" | "lstm", Float32Array> {
    const none = (): Float32Array => new Float32Array(LENGTH).fill(-1);
    return { hyper: none(), changes: new Float32Array(LENGTH * CHANGES), lstm: none() };
  }

  /** A whole sample of each: symbols, and the changes [LENGTH, 3, 4]. */
  sample(): Promise<Record<"hyper" | "changes" | "lstm", Float32Array>> {
    return this.#inTurn(async () => {
      const hyper = new Float32Array(LENGTH);
      const changes = new Float32Array(LENGTH * CHANGES);
      const lstm = new Float32Array(LENGTH);
      const prompt = this.encode(this.wanted.prompt);
      this.tell({ kind: "begin" });
      await this.#begin(prompt, 0);
      const at = { hyper: 0, lstm: 0 };
      await this.#write((who, symbol, changed) => {
        const k = at[who]++;
        (who === "hyper" ? hyper : lstm)[k] = symbol;
        if (changed) changes.set(changed, k * CHANGES);
      });
      return { hyper, changes, lstm };
    });
  }

  /** Another sample, or more of the last one, that only streams. */
  more(anew: boolean): Promise<void> {
    return this.#inTurn(async () => {
      try {
        if (anew) {
          const prompt = this.encode(this.wanted.prompt);
          this.tell({ kind: "begin" });
          // Numbers of one sample do not come up in the next.
          this.#luck += 1_000_003;
          await this.#begin(prompt, this.#luck);
        }
        await this.#write(() => {});
      } finally {
        this.tell({ kind: "end" });
      }
    });
  }

  async #begin(prompt: readonly number[], luck: number): Promise<void> {
    const writers = await this.prepare();
    const { hyper, lstm } = this.racers;
    await writers.hyper.begin(hyper.variables, prompt, luck);
    await writers.lstm.begin(lstm.variables, prompt, luck);
  }

  async #write(
    onSymbol: (who: Who, symbol: number, changes: Float32Array | null) => void,
  ): Promise<void> {
    const writers = await this.prepare();
    const write = (who: Who): Promise<void> =>
      writers[who].write(
        LENGTH,
        () => this.wanted.temperature,
        (symbol, changes) => {
          onSymbol(who, symbol, changes);
          this.tell({ kind: "symbol", who, symbol, changes });
        },
      );
    await Promise.all([write("hyper"), write("lstm")]);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** After what is being compiled, whether or not it can be. */
  async settled(): Promise<void> {
    await this.#writers?.catch(() => undefined);
  }

  dispose(): void {
    this.#ended = true;
    for (const writer of this.#made) writer.dispose();
  }
}
