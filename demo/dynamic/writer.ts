/** Lets a model write, one character after another, and says what each changed in its weights. */
import {
  compile,
  type Device,
  type LanguageModel,
  samplingProgram,
  slabsOf,
  Variables,
} from "hyperloom";
import { GATES, KINDS } from "./sizes";

/** Told of every character read, be it of the prompt or drawn before. */
export type OnSymbol = (symbol: number, changes: Float32Array | null) => void;

/** A model that writes. */
export interface Writer {
  /**
   * Begins a sample from zero state.
   * @param from Where the parameters are taken from, as they are now.
   * @param luck Another number draws other characters.
   */
  begin(from: Variables, prompt: readonly number[], luck: number): Promise<void>;
  /** Goes on by `count` characters; `temperature` is asked at each. */
  write(count: number, temperature: () => number, onSymbol: OnSymbol): Promise<void>;
  dispose(): void;
}

/** Characters under way: enough to keep the queue busy. */
const IN_FLIGHT = 3;

/** Numbers of a character's changes: ‖d_t − d_{t−1}‖ by kind and gate. */
export const CHANGES = KINDS * GATES;

/** @param trace Whether the changes of generated weights are told. @param seed Decides what is drawn. */
export async function createWriter(
  device: Device,
  model: LanguageModel,
  trace: boolean,
  seed: number,
): Promise<Writer> {
  // A store of its own: training goes on beside it, and both count their own steps.
  const variables = new Variables(device, seed);
  const { program } = samplingProgram(model, trace);
  const step = await compile(device, program, { variables });
  const kept = [...(program.updates?.keys() ?? [])];
  const { variable } = slabsOf(model).parameters;
  const symbols = model.outputs;
  let prompt: readonly number[] = [];
  let read = 0;
  let next = 0;

  const one = async (t: number, temperature: number) => {
    const given = prompt[t];
    const outputs = await step.run({
      given: Uint32Array.of(given ?? 0),
      hold: Uint32Array.of(given === undefined ? 1 : 0),
      temperature: Float32Array.of(temperature),
    });
    const drawn = outputs.symbol?.[0] ?? symbols;
    if (drawn >= symbols) {
      throw new RangeError("the model's outputs are no numbers; nothing can be drawn");
    }
    const changes = outputs["change 0"];
    return { drawn, changes: changes ? Float32Array.from(changes) : null };
  };

  return {
    async begin(from, given, luck) {
      const [parameters] = await from.read([variable]);
      variables.write(variable, parameters as Float32Array);
      for (const state of kept) variables.write(state, state.initial(seed));
      variables.step = luck;
      [prompt, read] = [given, 0];
    },
    async write(count, temperature, onSymbol) {
      const flight: ReturnType<typeof one>[] = [];
      const end = read + count;
      for (let t = read; t < end || flight.length > 0; ) {
        while (t < end && flight.length < IN_FLIGHT) {
          const result = one(t++, temperature());
          // A failure is thrown when its turn comes.
          result.catch(() => undefined);
          flight.push(result);
        }
        const { drawn, changes } = await (flight.shift() as (typeof flight)[number]);
        // Before the first character there were no weights to change.
        onSymbol(prompt[read] ?? next, read === 0 ? (changes?.fill(0) ?? null) : changes);
        next = drawn;
        read++;
      }
    },
    dispose() {
      step.dispose();
      variables.dispose();
    },
  };
}
