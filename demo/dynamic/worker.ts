/** Trains a HyperLSTM and an LSTM on one text in turn, and lets both write; the page draws. */
import type { Device } from "hyperloom";
import { textSplit } from "hyperloom/data";
import { type SequenceData, textData } from "hyperloom/train";
import { type CommonSettings, type Session, trainer } from "../shell/trainer";
import { Desk, type Streamed, type Who, type Wish } from "./desk";
import { createRacer } from "./racer";
import { GATES, KINDS, lstmUnits, SIZES, type SizeName } from "./sizes";
import { joined, parted } from "./snapshot";

/** What the page asks for. */
export interface DynamicSettings extends CommonSettings, Wish {
  readonly seed: number;
  readonly steps: number;
  readonly size: SizeName;
  /** Layer norm in both cells. */
  readonly norm: boolean;
  /** Whether the LSTM has as many "parameters" or as many "units". */
  readonly equal: string;
  /** Whether both take as many "steps" or as many "seconds". */
  readonly race: string;
  readonly text: string;
  /** What messages and checkpoints call the text. */
  readonly source: string;
}

/** Steps between two tests on held-out text, and windows of each such test at most. */
const TEST_EVERY = 20;
const TEST_WINDOWS = 8;

/** Characters of a prompt that are read. */
const LONGEST_PROMPT = 200;

/** The symbols of a prompt; without any, the text's first one. */
function encode(data: SequenceData, prompt: string): number[] {
  const symbols = (data.vocabulary?.symbols ?? []) as readonly string[];
  const numbers = [...prompt].map((character) => symbols.indexOf(character));
  const unknown = numbers.indexOf(-1);
  if (unknown >= 0) {
    throw new Error(`“${[...prompt][unknown]}” of the prompt is not in the text`);
  }
  return numbers.length > 0 ? numbers.slice(0, LONGEST_PROMPT) : [0];
}

/** A run that the page can ask for more than any trainer. */
interface DynamicSession extends Session {
  wish(wish: Wish): void;
  /** Goes on with the sample; `anew`: begins another. */
  write(anew: boolean): Promise<void>;
}

/** What the present run was started with: the page's text may be another by the time of a snapshot. */
let begun: DynamicSettings | null = null;

async function open(
  device: Device,
  asked: DynamicSettings,
  from: Uint8Array<ArrayBuffer> | null,
): Promise<DynamicSession> {
  const settings = (from && begun) ?? asked;
  const { seed, steps, size, norm, equal, race, text, source } = settings;
  const split = textSplit(new TextEncoder().encode(text), {
    file: "the text",
    vocabulary: "characters",
    source,
  });
  const data = textData(split);
  const symbols = split.vocabulary.size;
  const { hidden, hyper: hyperUnits, nz, batch, seq } = SIZES[size];
  const common = { seed, batch, seq, steps };
  const units = lstmUnits(symbols, size, norm, equal);
  const [hyperFrom, lstmFrom] = from ? parted(from) : [null, null];
  const prefix = norm ? "ln-" : "";
  const hyperOptions = {
    ...common,
    name: `${prefix}hyperlstm` as const,
    sizes: { hidden, hyper: hyperUnits, nz },
  };
  const lstmOptions = { ...common, name: `${prefix}lstm` as const, sizes: { hidden: units } };
  const [hyper, lstm] = await Promise.all([
    createRacer(device, hyperOptions, data, hyperFrom),
    createRacer(device, lstmOptions, data, lstmFrom),
  ]);
  const racers = { hyper, lstm };
  const desk = new Desk(device, racers, (prompt) => encode(data, prompt), tell, settings);
  begun = settings;
  let held: { readonly heldHyper: number; readonly heldLstm: number } | null = null;
  let last = 0;

  /** As many steps for the LSTM as fit into the time that the HyperLSTM took. */
  const catchUp = async (): Promise<number> => {
    let [sum, taken] = [0, 0];
    // At least one at first, so that there is something to show.
    while (lstm.variables.step === 0 || lstm.spent < hyper.spent) {
      sum += await lstm.train();
      taken++;
    }
    // A step that took longer than two of the other's is paid back.
    return taken > 0 ? sum / taken : last;
  };

  return {
    steps,
    step: hyper.variables.step,
    batch: batch * seq,
    learned: hyper.parameters,
    made: KINDS * GATES * hidden,
    about: {
      seed,
      size,
      norm: norm ? "on" : "off",
      batch,
      seq,
      source,
      symbols: (split.vocabulary.symbols as readonly string[]).join(""),
      train: split.train.length,
      held: split.test.length,
      hyper: hyper.parameters,
      lstm: lstm.parameters,
      hidden,
      units,
    },
    async train() {
      const own = await hyper.train();
      last = race === "steps" ? await lstm.train() : await catchUp();
      const taken = hyper.variables.step;
      if (taken === 1) {
        // In the background, so that the first step and the first sample do not wait for all.
        for (const prepared of [desk.prepare(), hyper.prepare(), lstm.prepare()]) {
          prepared.catch(() => undefined);
        }
      }
      if (taken % TEST_EVERY === 0) {
        const most = TEST_WINDOWS;
        held = { heldHyper: await hyper.test({ most }), heldLstm: await lstm.test({ most }) };
      }
      return { hyper: own, lstm: last, lstmSteps: lstm.variables.step, ...held };
    },
    // Before the first step nothing is written: it would wait for what writes to be compiled.
    frame: async () => (hyper.variables.step === 0 ? desk.blank() : desk.sample()),
    async snapshot() {
      return joined(await hyper.save(), await lstm.save());
    },
    async finish(progress, signal) {
      const test = (who: Who, share: number): Promise<number> =>
        racers[who].test({
          signal,
          onProgress: (done, total) =>
            progress("Testing on held-out text", share + done / total / 2),
        });
      const values = { hyper: await test("hyper", 0), lstm: await test("lstm", 0.5) };
      return { ...values, characters: split.test.length - 1, lstmSteps: lstm.variables.step };
    },
    settled: () => desk.settled(),
    dispose() {
      desk.dispose();
      hyper.dispose();
      lstm.dispose();
    },
    wish(wish) {
      desk.wish = wish;
    },
    write: (anew) => desk.more(anew),
  };
}

let port: MessagePort | null = null;
const tell = (streamed: Streamed): void => port?.postMessage(streamed);

const { handlers, current, serve } = trainer(open);
const session = (): DynamicSession => current() as DynamicSession;

const own = {
  /** Where characters go as they are written. */
  listen: (given: MessagePort): void => {
    port = given;
  },
  /** Other wishes for what is written from now on; the temperature at once. */
  wish: (wish: Wish): void => session().wish(wish),
  /** More of both samples, or others; it streams. */
  write: ({ anew }: { readonly anew: boolean }): Promise<void> => session().write(anew),
};

/** What the page can ask. */
export type DynamicHandlers = typeof handlers & typeof own;

serve(own);
