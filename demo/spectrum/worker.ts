/** Trains the deep network at one place of the spectrum; the page draws what it tells. */
import {
  adam,
  batchSource,
  compile,
  countParameters,
  crossEntropy,
  type Device,
  digitsSplit,
  evaluateImages,
  evaluation,
  evaluationBatch,
  exponentialRate,
  type ImageSet,
  readCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
  slabsOf,
  trainStep,
  Variables,
} from "hyperloom";
import { type CommonSettings, type Session, trainer } from "../shell/trainer";
import { spectrumNetwork } from "./network";
import { KERNEL, kernelParameters, type Stop } from "./stops";

/** What the page asks for. */
export interface SpectrumSettings extends CommonSettings {
  readonly stop: Stop;
  readonly layers: number;
  readonly seed: number;
  readonly batch: number;
  readonly steps: number;
  /** Digits to draw for training and for the test. */
  readonly train: number;
  readonly test: number;
}

/** The settings that a run goes on with, as its snapshots have them. */
type Kept = Omit<SpectrumSettings, "period">;

// Every place of the spectrum sees the same digits, drawn once.
const drawn = new Map<string, ImageSet>();

function digits(part: "train" | "test", count: number): ImageSet {
  const name = `${part} ${count}`;
  const found = drawn.get(name) ?? digitsSplit({ train: 1, validation: 1, test: 1, [part]: count })[part];
  drawn.set(name, found);
  return found;
}

async function open(
  device: Device,
  asked: SpectrumSettings,
  from: Uint8Array<ArrayBuffer> | null,
  name: string,
): Promise<Session> {
  const checkpoint = from && readCheckpoint(from, name);
  const { period: _, ...fresh } = asked;
  const settings = checkpoint ? (checkpoint.settings as unknown as Kept) : fresh;
  const { stop, layers, seed, batch, steps } = settings;
  const net = spectrumNetwork(stop, layers);
  const variables = new Variables(device, seed);
  const optimizer = adam({ lr: exponentialRate(4e-3, 0.996, 5e-4) });
  const program = trainStep(net, crossEntropy, optimizer, { batch });
  const compiling = compile(device, program, { variables });
  // Drawn while the adapter compiles.
  const data = digits("train", settings.train);
  const step = await compiling;
  if (checkpoint) restoreCheckpoint(checkpoint, variables, [...(program.updates?.keys() ?? [])]);
  const source = batchSource(data, { batch, seed, shuffle: true, reuse: true });
  const { variable } = slabsOf(net).parameters;
  // What the page needs to show all layers' kernels.
  const shown = variable.entries.filter(({ name: path }) =>
    /^generator\.|^layers\..*\.kernel$/.test(path),
  );

  return {
    steps,
    step: variables.step,
    batch,
    learned: kernelParameters(stop, layers),
    made: layers * KERNEL,
    about: { stop, layers, seed, batch, parameters: countParameters(net.params) },
    async train() {
      const { images: x, labels, weight, size } = source.at(variables.step);
      const { loss, correct } = await step.run({ x, labels, weight });
      return { loss: loss?.[0] ?? Number.NaN, accuracy: (correct?.[0] ?? Number.NaN) / size };
    },
    async frame() {
      const [slab] = await variables.read([variable]);
      const tensors = shown.map(({ name: path, shape, offset }) => {
        const length = shape.reduce((n, d) => n * d, 1);
        return [path, (slab as Float32Array).slice(offset, offset + length)] as const;
      });
      return Object.fromEntries(tensors);
    },
    snapshot: () =>
      saveCheckpoint(variables, {
        model: { name: net.name, options: { stop, layers } },
        settings: { ...settings },
        optimizer: optimizer.settings,
        data: { name: data.source, samples: data.count },
      }),
    async finish(progress) {
      const say = "Testing on unseen digits";
      progress(say, 0);
      const test = digits("test", settings.test);
      const size = Math.min(evaluationBatch[device.target.adapter], test.count);
      const tester = await compile(device, evaluation(net, crossEntropy, { batch: size }), {
        variables,
      });
      try {
        const onProgress = (done: number, total: number): void => progress(say, done / total);
        const tested = await evaluateImages(tester, test, { onProgress });
        return { error: tested?.error ?? Number.NaN, samples: test.count };
      } finally {
        tester.dispose();
      }
    },
    dispose() {
      step.dispose();
      variables.dispose();
    },
  };
}

const { handlers, serve } = trainer(open);

/** What the page can ask. */
export type SpectrumHandlers = typeof handlers;

serve();
