import { describe, expect, test } from "vitest";
import { textSplit } from "../../src/data/text";
import { buildModel, modelSpec } from "../../src/train/models";
import { compile } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import { slabsOf } from "../../src/nn/slabs";
import { CheckpointError, readCheckpoint } from "../../src/train/checkpoint";
import type { JsonObject, RunEvent } from "../../src/train/events";
import { gradientNorms } from "../../src/train/gradient-norms";
import { NonFiniteLossError, type TrainOptions, train } from "../../src/train/loop";
import { loadModel } from "../../src/train/load-model";
import { loadSampler } from "../../src/train/sampler";
import { type SequenceData, textData } from "../../src/train/sequence-data";
import { sequenceModelNames } from "../../src/train/sequence-models";
import { carriedStates, sequenceEvaluation } from "../../src/train/sequence-programs";
import { evaluateSequences, sequenceTask } from "../../src/train/sequence-task";
import type { SequenceSettings } from "../../src/train/settings";
import { expectClose, testDevice } from "./check-case";

const SYMBOLS = "abcd ";
// The same 13 symbols again and again: a few that were seen tell the next.
const pattern = "abcd dbca ab ";
const bytes = new TextEncoder().encode(pattern.repeat(40));
const data = textData(textSplit(bytes, { file: "pattern" }));

const toy: SequenceSettings = {
  task: "text",
  preset: "toy",
  model: modelSpec("hyperlstm", {
    symbols: SYMBOLS.length,
    outputs: SYMBOLS.length,
    hidden: 12,
    hyper: 5,
    nz: 2,
    keepRecurrent: 0.9,
  }),
  seed: 3,
  batch: 4,
  steps: 20,
  optimizer: "adam",
  lr: 0.02,
  rate: { kind: "constant" },
  clip: 1,
  seq: 7,
  chunk: 7,
  validation: 9,
  delay: 0,
};

interface Ran {
  readonly events: readonly RunEvent[];
  /** Snapshots in order. */
  readonly snapshots: readonly Uint8Array[];
  readonly last: Uint8Array;
  readonly error?: unknown;
}

async function run(
  settings: SequenceSettings = toy,
  options: Partial<TrainOptions> & { readonly text?: SequenceData } = {},
): Promise<Ran> {
  const { text = data, ...rest } = options;
  const events: RunEvent[] = [];
  const snapshots: Uint8Array[] = [];
  let error: unknown;
  await train({
    device: await testDevice(),
    task: sequenceTask(settings, text),
    onEvent: (event) => void events.push(event),
    onSnapshot: (kind, bytes) => {
      if (kind === "last") snapshots.push(bytes);
    },
    ...rest,
  }).catch((thrown: unknown) => {
    error = thrown;
  });
  const last = snapshots.at(-1) ?? new Uint8Array();
  return { events, snapshots, last, ...(error !== undefined && { error }) };
}

const state = (bytes: Uint8Array) => {
  const { tensors, step } = readCheckpoint(bytes, "snapshot");
  return { step, tensors: Object.fromEntries(tensors) };
};
const losses = ({ events }: Ran) =>
  events.flatMap((e) => (e.event === "step" ? [[e.step, e.loss]] : []));

describe("a run on a text", () => {
  test("is validated every so many steps and at its end, and tested by that", async () => {
    const { events, error } = await run();
    expect(error).toBeUndefined();
    const evaluations = events.filter((e) => e.event === "eval");
    const predictions = data.counts.validation - 1;
    expect(evaluations.map(({ split, step, samples }) => [split, step, samples])).toEqual([
      ["validation", 9, predictions],
      ["validation", 18, predictions],
      ["validation", 20, predictions],
    ]);
    const done = events.at(-1);
    expect(done?.event === "done" && done.metrics.bits_per_character).toBe(
      evaluations.at(-1)?.bits_per_character,
    );
  });

  test("goes on from any step bit for bit, carried states, dropout and position included", async () => {
    const whole = await run(toy, { snapshots: { steps: 1, seconds: 1000 } });
    // The text ends in between: 116 predictions a stream, 17 windows.
    for (const k of [1, 8, 16, 17, 19]) {
      const resume = readCheckpoint(whole.snapshots[k - 1] as Uint8Array, "snapshot");
      expect(resume.step).toBe(k);
      const rest = await run(toy, { resume });
      expect(rest.error).toBeUndefined();
      expect(losses(rest)).toEqual(losses(whole).slice(k));
      expect(state(rest.last)).toEqual(state(whole.last));
    }
  });

  test("in chunks of time does the same within rounding", async () => {
    const whole = await run({ ...toy, steps: 4 });
    const chunked = await run({ ...toy, steps: 4, chunk: 3 });
    expect(chunked.error).toBeUndefined();
    for (const [k, [, loss]] of losses(whole).entries()) {
      expect(losses(chunked)[k]?.[1]).toBeCloseTo(loss as number, 5);
    }
  });

  test("stops at a loss that is no number", async () => {
    const { error, events } = await run({ ...toy, lr: 1e30, clip: 0 });
    expect(error).toBeInstanceOf(NonFiniteLossError);
    expect(events.at(-1)).toMatchObject({ event: "stopped" });
  });

  test("refuses a checkpoint of another text", async () => {
    const { last } = await run({ ...toy, steps: 1 });
    const resume = readCheckpoint(last, "snapshot");
    const changed = new TextEncoder().encode(pattern.repeat(40).replace("a", "b"));
    const text = textData(textSplit(changed, { file: "other" }));
    const { error } = await run(toy, { resume, text });
    expect(error).toBeInstanceOf(CheckpointError);
  });

  test("learns a pattern, and writes it", async () => {
    const device = await testDevice();
    const { last, events } = await run({ ...toy, steps: 200, validation: 1000 });
    const done = events.at(-1);
    expect(done?.event === "done" ? done.metrics.bits_per_character : 9).toBeLessThan(0.2);
    await expect(loadModel(device, last)).rejects.toThrow(/model of sequences/);
    const { buffers } = device.counts;
    const sampler = await loadSampler(device, last, { trace: true });
    expect(sampler.executable.stats.submits).toBe(1);
    const prompt = sampler.encode(pattern);
    for (let again = 0; again < 2; again++) {
      let text = "";
      const created = sampler.executable.stats.createdSinceCompile;
      const wanted = { prompt, length: 26, temperature: 0 };
      for await (const { symbol, changes } of sampler.sample(wanted)) {
        text += String.fromCharCode(sampler.vocabulary.symbols[symbol] as number);
        expect(changes.map(({ path, h, x, b }) => [path, h.length, x.length, b.length])).toEqual([
          ["d", 4, 4, 4],
        ]);
      }
      expect(text.slice(prompt.length - 1)).toBe(pattern.repeat(2));
      expect(sampler.executable.stats.createdSinceCompile).toBe(created);
    }
    sampler.dispose();
    expect(device.counts.buffers).toBe(buffers);
  });
});

describe("carried states", () => {
  const sizes = { symbols: 5, outputs: 5, hidden: 6, layers: 2 };

  for (const name of sequenceModelNames) {
    test(`of ${name}: two half-length calls are one full-length call`, async () => {
      const device = await testDevice();
      const more: JsonObject = name.includes("hyper") ? { hyper: 3, nz: 2 } : {};
      const model = buildModel(modelSpec(name, { ...sizes, ...more }));
      const [batch, length] = [3, 8];
      const x = Uint32Array.from({ length: length * batch }, (_, i) => (i * 7 + (i >> 2)) % 5);
      const labels = Uint32Array.from(x, (_, i) => (x[i + batch] ?? 1) % 5);
      const weight = new Float32Array(x.length).fill(1);
      const passes = async (parts: number) => {
        const variables = new Variables(device, 4);
        const program = sequenceEvaluation(model, { batch, length: length / parts });
        const executable = await compile(device, program, { variables });
        const size = x.length / parts;
        const states = carriedStates(model, batch, "evaluated");
        let loss = 0;
        // What was there before the first window counts for nothing.
        await executable.run({
          ...{ x: x.slice(0, size), labels: labels.slice(0, size), weight: weight.slice(0, size) },
          keep: Float32Array.of(1),
        });
        for (let k = 0; k < parts; k++) {
          const part = <A extends Uint32Array | Float32Array>(a: A): A =>
            a.slice(k * size, (k + 1) * size) as A;
          const inputs = { x: part(x), labels: part(labels), weight: part(weight) };
          const keep = Float32Array.of(k === 0 ? 0 : 1);
          loss += (await executable.run({ ...inputs, keep })).loss?.[0] ?? Number.NaN;
        }
        const left = await variables.read(states);
        executable.dispose();
        variables.dispose();
        return { loss, states: left.flatMap((a) => [...a]) };
      };
      const [once, twice] = [await passes(1), await passes(2)];
      // Sums of 24 losses; states after the same operations in another kernel or none.
      expectClose([twice.loss], [once.loss], 1e-6, "loss");
      expectClose(twice.states, once.states, 1e-6, "states");
    });
  }

  test("a whole text has one figure, whatever the windows", async () => {
    const device = await testDevice();
    const model = buildModel(toy.model);
    const found: number[] = [];
    for (const length of [3, 7, 100]) {
      const program = sequenceEvaluation(model, { batch: 4, length });
      const executable = await compile(device, program, { seed: 1 });
      const source = data.whole("validation", { batch: 4, length });
      const evaluated = await evaluateSequences(executable, source, () => ({}));
      expect(evaluated?.samples).toBe(data.counts.validation - 1);
      found.push(evaluated?.loss ?? Number.NaN);
      executable.dispose();
    }
    for (const loss of found) expect(loss).toBeCloseTo(found[0] as number, 5);
  });
});

test("norms of gradients over time are those of differences", async () => {
  const device = await testDevice();
  const [V, H, T, B] = [4, 3, 5, 2];
  const model = buildModel(modelSpec("rnn", { symbols: V, outputs: V, hidden: H }));
  const x = Uint32Array.of(0, 1, 2, 3, 1, 1, 3, 0, 2, 2);
  const labels = Uint32Array.of(2, 0);
  const variables = new Variables(device, 9);
  const program = gradientNorms(model, { batch: B, length: T });
  const executable = await compile(device, program, { variables });
  const { norms = new Float32Array() } = await executable.run({ x, labels });
  const { variable } = slabsOf(model).parameters;
  const [slab = new Float32Array()] = await variables.read([variable]);
  executable.dispose();
  variables.dispose();
  const at = (name: string, row: number, column: number, width: number): number => {
    const { offset = 0 } = variable.entries.find((entry) => entry.name === name) ?? {};
    return slab[offset + row * width + column] as number;
  };
  const units = Array.from({ length: H }, (_, j) => j);
  // The loss of sequence b, with `by` added to unit `unit` of h after step `when`.
  const loss = (b: number, when: number, unit: number, by: number): number => {
    let h = units.map(() => 0);
    for (let t = 0; t < T; t++) {
      const before = h;
      h = units.map((j) => {
        const recurrent = units.reduce(
          (s, i) => s + (before[i] as number) * at("cell.W_h", i, j, H),
          0,
        );
        const input = at("cell.W_x", x[t * B + b] as number, j, H) + at("cell.b", 0, j, H);
        return Math.tanh(recurrent + input) + (t === when && j === unit ? by : 0);
      });
    }
    const logits = Array.from(
      { length: V },
      (_, v) =>
        units.reduce((s, j) => s + (h[j] as number) * at("W_s", j, v, V), 0) + at("b_s", 0, v, V),
    );
    const whole = Math.log(logits.reduce((s, v) => s + Math.exp(v), 0));
    return whole - (logits[labels[b] as number] as number);
  };
  const step = 1e-5;
  const expected = Array.from({ length: T }, (_, t) => {
    const each = [0, 1].map((b) =>
      Math.hypot(...units.map((j) => (loss(b, t, j, step) - loss(b, t, j, -step)) / (2 * step))),
    );
    return ((each[0] as number) + (each[1] as number)) / B;
  });
  // Ten products and tanh in f32, differences good to 1e-9.
  expectClose(norms, expected, 1e-5, "norms");
});
