/** Trains the hyper-CNN on digits; the page draws what it tells. */
import {
  type Checkpoint,
  CheckpointError,
  compile,
  countParameters,
  crossEntropy,
  type Device,
  evaluation,
  type HyperCnnOptions,
  hyperCnn,
  modelSpec,
  readCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
  slabsOf,
  trainStep,
  Variables,
} from "hyperloom";
import {
  batchSource,
  digitsSplit,
  type ImageSplit,
  type MnistFiles,
  mnistSplit,
  readMnist,
} from "hyperloom/data";
import {
  checkpointSettings,
  evaluateImages,
  evaluationBatch,
  type ImageSettings,
  imageSettings,
  optimizerOf,
} from "hyperloom/train";
import { readTensors } from "../shell/tensors";
import { type CommonSettings, type Session, trainer } from "../shell/trainer";
import { MADE } from "./network";

/** What the page asks for. */
export interface StaticSettings extends CommonSettings {
  readonly seed: number;
  readonly nz: number;
  readonly batch: number;
  readonly steps: number;
  /** Digits to draw for training and for the test. */
  readonly train: number;
  readonly test: number;
  /** MNIST's four files in place of drawn digits. */
  readonly files: MnistFiles | null;
}

/** All settings of a fresh run, those of `npm start` but for what the page asks: the terminal can go on with it. */
function freshSettings(asked: StaticSettings, { target }: Device): ImageSettings {
  const { seed, nz, batch, steps } = asked;
  const flags = { seed, nz, batch, steps };
  // Of the data only the sizes count here.
  const { train } = digitsSplit({ train: 1, validation: 1, test: 1 });
  const chosen = { task: "mnist", model: "hyper-cnn", preset: "quick", flags } as const;
  return imageSettings(chosen, target.adapter, train);
}

/** Whether the page can show a model: the paper's sizes, any N_z up to 16. */
function fits(model: ReturnType<typeof modelSpec>): boolean {
  const { nz = 0, d = nz } = model.options as { nz?: number; d?: number | null };
  const paper = modelSpec("hyper-cnn", { nz, d: nz }).options;
  const sizes = ["input", "channels", "kernelSize", "classes"] as const;
  const same = sizes.every((k) => JSON.stringify(model.options[k]) === JSON.stringify(paper[k]));
  return model.name === "hyper-cnn" && same && nz <= 16 && (d ?? nz) === nz;
}

/** The settings of a checkpoint's run; one that is over goes on for as many steps as the page asks. */
function settingsOf(checkpoint: Checkpoint, asked: StaticSettings): ImageSettings {
  const settings = checkpointSettings(checkpoint);
  if (settings.task !== "mnist" || !fits(settings.model)) {
    throw new CheckpointError(
      checkpoint.file,
      `it is of the model ${checkpoint.model.name}, this page trains hyper-cnn on 28 × 28 digits with N_z up to 16`,
    );
  }
  const steps = settings.steps > checkpoint.step ? settings.steps : checkpoint.step + asked.steps;
  return { ...settings, steps };
}

/** Refuses to go on with other data. */
function checkData({ data, file }: Checkpoint, here: Awaited<ReturnType<typeof identity>>): void {
  if (data.sha256 === undefined || data.sha256 === here.sha256) return;
  const was = `${data.name} (${data.samples} digits)`;
  const is = `${here.name} (${here.samples} digits)`;
  throw new CheckpointError(
    file,
    `it was trained on ${was}, here are ${is}; give it after its own data`,
  );
}

/** What identifies training data, as in the terminal: their number and SHA-256 over labels and images. */
async function identity({ labels, images, count, source }: ImageSplit["train"]) {
  const all = new Uint8Array(labels.length + images.length);
  all.set(labels);
  all.set(images, labels.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { name: source, samples: count, sha256 };
}

async function open(
  device: Device,
  asked: StaticSettings,
  from: Uint8Array<ArrayBuffer> | null,
  name: string,
): Promise<Session> {
  const checkpoint = from && readCheckpoint(from, name);
  const settings = checkpoint ? settingsOf(checkpoint, asked) : freshSettings(asked, device);
  const { batch, seed, steps } = settings;
  const nz = settings.model.options.nz as number;
  const net = hyperCnn({ ...(settings.model.options as HyperCnnOptions), nz });
  const variables = new Variables(device, seed);
  const program = trainStep(net, crossEntropy, optimizerOf(settings), { batch });
  if (checkpoint) restoreCheckpoint(checkpoint, variables, [...(program.updates?.keys() ?? [])]);
  const compiling = compile(device, program, { variables });
  // Where the data are refused, it ends with the device.
  compiling.catch(() => undefined);
  // Drawn while the adapter compiles.
  const data = asked.files
    ? mnistSplit(await readMnist(asked.files))
    : digitsSplit({ train: asked.train, validation: 1, test: 1 });
  const step = await compiling;
  const trainedOn = await (checkpoint && identity(data.train));
  if (checkpoint && trainedOn) checkData(checkpoint, trainedOn);
  const source = batchSource(data.train, { batch, seed, shuffle: true, reuse: true });

  return {
    steps,
    step: variables.step,
    batch,
    learned: countParameters(net.generator.params),
    made: MADE,
    about: { nz, seed, batch, source: data.train.source, train: data.train.count },
    async train() {
      const { images: x, labels, weight, size } = source.at(variables.step);
      const { loss, correct } = await step.run({ x, labels, weight });
      return { loss: loss?.[0] ?? Number.NaN, accuracy: (correct?.[0] ?? Number.NaN) / size };
    },
    frame: () => readTensors(variables, slabsOf(net).parameters),
    async snapshot() {
      const { model, ...rest } = settings;
      const optimizer = optimizerOf(settings).settings;
      return saveCheckpoint(variables, {
        model,
        settings: rest as never,
        optimizer,
        data: trainedOn ?? (await identity(data.train)),
      });
    },
    async finish(progress, signal) {
      const say = "Testing on unseen digits";
      progress(say, 0);
      const test = asked.files
        ? data.test
        : digitsSplit({ train: 1, validation: 1, test: asked.test }).test;
      const size = Math.min(evaluationBatch[device.target.adapter], test.count);
      const testing = evaluation(net, crossEntropy, { batch: size });
      const tester = await compile(device, testing, { variables, signal });
      try {
        const onProgress = (done: number, total: number): void => progress(say, done / total);
        const tested = await evaluateImages(tester, test, { onProgress, signal });
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

const own = {
  /** Reads MNIST's files without using them: how many images they have. */
  check: async (files: MnistFiles): Promise<{ train: number; test: number }> => {
    const { train, test } = await readMnist(files);
    return { train: train.count, test: test.count };
  },
};

/** What the page can ask. */
export type StaticHandlers = typeof handlers & typeof own;

serve(own);
