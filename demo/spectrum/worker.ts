/** Trains the deep network at one place of the spectrum; the page draws what it tells. */
import {
  adam,
  compile,
  crossEntropy,
  type Device,
  evaluation,
  exponentialRate,
  readCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
  slabsOf,
  trainStep,
  Variables,
} from "hyperloom";
import { batchSource, digitsSplit, type ImageSet } from "hyperloom/data";
import { readTensors } from "../shell/tensors";
import { type CommonSettings, type Session, trainer } from "../shell/trainer";
import { spectrumNetwork } from "./network";
import { CLIP, KERNEL, kernelParameters, RATE, type Stop } from "./stops";

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

/** What the page needs to show all layers' kernels. */
const SHOWN = /^generator\.|^layers\..*\.kernel$/;

// Every place of the spectrum sees the same digits, drawn once.
const drawn = new Map<string, ImageSet>();

function digits(part: "train" | "test", count: number): ImageSet {
  const name = `${part} ${count}`;
  const found =
    drawn.get(name) ?? digitsSplit({ train: 1, validation: 1, test: 1, [part]: count })[part];
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
  const lr = exponentialRate(RATE.from, RATE.decay, RATE.floor);
  const optimizer = adam({ lr, clip: { norm: CLIP } });
  const program = trainStep(net, crossEntropy, optimizer, { batch });
  if (checkpoint) restoreCheckpoint(checkpoint, variables, [...(program.updates?.keys() ?? [])]);
  const compiling = compile(device, program, { variables });
  // Drawn while the adapter compiles.
  const data = digits("train", settings.train);
  const step = await compiling;
  const source = batchSource(data, { batch, seed, shuffle: true, reuse: true });

  return {
    steps,
    step: variables.step,
    batch,
    learned: kernelParameters(stop, layers),
    made: layers * KERNEL,
    about: { stop, layers, seed, batch, train: settings.train },
    async train() {
      const { images: x, labels, weight, size } = source.at(variables.step);
      const { loss, correct } = await step.run({ x, labels, weight });
      return { loss: loss?.[0] ?? Number.NaN, accuracy: (correct?.[0] ?? Number.NaN) / size };
    },
    frame: () => readTensors(variables, slabsOf(net).parameters, SHOWN),
    snapshot: () =>
      saveCheckpoint(variables, {
        model: { name: net.name, options: { stop, layers } },
        settings: { ...settings },
        optimizer: optimizer.settings,
        data: { name: data.source, samples: data.count },
      }),
    async finish(progress, signal) {
      const say = "Testing on unseen digits";
      progress(say, 0);
      const test = digits("test", settings.test);
      const size = Math.min(device.adapter.software ? 100 : 1000, test.count);
      const testing = evaluation(net, crossEntropy, { batch: size });
      const tester = await compile(device, testing, { variables, signal });
      const parts = batchSource(test, { batch: size, seed: 0, shuffle: false });
      let right = 0;
      try {
        for (let k = 0; k < parts.perEpoch && !signal.aborted; k++) {
          const { images: x, labels, weight } = parts.at(k);
          const { correct } = await tester.run({ x, labels, weight });
          right += correct?.[0] ?? Number.NaN;
          progress(say, (k + 1) / parts.perEpoch);
        }
      } finally {
        tester.dispose();
      }
      return { error: 1 - right / test.count, samples: test.count };
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
