/**
 * Trains the hyper-CNN on the generated digits, with the settings of `npm start`, and tells the page
 * about it. It is a worker, so the page answers at once whatever the GPU does.
 */
import { batchSource, digitsSplit } from "../src/data/index";
import {
  bake,
  compile,
  countParameters,
  crossEntropy,
  type Device,
  evaluation,
  hyperCnn,
  kernelMatrix,
  requestDevice,
  trainStep,
  Variables,
} from "../src/index";
import { evaluateImages, evaluationBatch, imageSettings, optimizerOf } from "../src/train/index";

/** What the page asks for: sizes (default: the preset's), and milliseconds between two pictures. */
export interface Settings {
  readonly steps?: number;
  readonly batch?: number;
  readonly seed?: number;
  /** Images to train on and to test with. */
  readonly train?: number;
  readonly test?: number;
  readonly period: number;
}

/** What the worker says; `kernels` before `ready`, and then from time to time. */
export type Message =
  | {
      readonly kind: "ready";
      readonly adapter: Device["adapter"];
      readonly steps: number;
      /** Weights of the generated kernel, and parameters that make them. */
      readonly made: number;
      readonly learned: number;
    }
  /** The paper's matrix K [N_in·f, N_out·f]. */
  | { readonly kind: "kernels"; readonly matrix: Float32Array }
  | {
      readonly kind: "step";
      readonly step: number;
      readonly loss: number;
      readonly accuracy: number;
      /** Images per second since the last picture; 0 at first. */
      readonly speed: number;
    }
  | { readonly kind: "testing"; readonly done: number; readonly total: number }
  | { readonly kind: "done"; readonly error: number; readonly samples: number }
  | { readonly kind: "failed"; readonly message: string };

const post = (message: Message): void => self.postMessage(message);

// Closed while the page wants a pause, as it does at first.
let open = (): void => {};
let gate: Promise<void>;
const close = (): void => {
  gate = new Promise((resolve) => {
    open = resolve;
  });
};
close();

async function run({ period, train, test, ...flags }: Settings): Promise<void> {
  const device = await requestDevice();
  const net = hyperCnn({ nz: 4 });
  const data = digitsSplit({ ...(train && { train }), ...(test && { test }), validation: 1 });
  const choice = { task: "mnist", model: "hyper-cnn", preset: "quick", flags } as const;
  const { adapter } = device.target;
  const settings = imageSettings(choice, adapter, data.train);
  const { steps, batch, seed } = settings;
  const variables = new Variables(device, seed);
  const program = trainStep(net, crossEntropy, optimizerOf(settings), { batch });
  const step = await compile(device, program, { variables });
  const picture = async (): Promise<number> => {
    const { data, shape } = (await bake(net, variables)).parameters.get("conv2.kernel") ?? {};
    if (data && shape) post({ kind: "kernels", matrix: kernelMatrix(data as Float32Array, shape) });
    return data?.length ?? 0;
  };
  const learned = countParameters(net.generator.params);
  post({ kind: "ready", adapter: device.adapter, steps, made: await picture(), learned });
  await gate;

  const source = batchSource(data.train, { batch, seed, shuffle: true });
  // Time in steps since the last picture, and the images of that time.
  let [busy, images, speed] = [0, 0, 0];
  for (let t = 0; t < steps; t++) {
    await gate;
    const began = performance.now();
    const { images: x, labels, weight, size } = source.at(t);
    const outputs = await step.run({ x, labels, weight });
    const [loss = Number.NaN] = outputs.loss ?? [];
    if (!Number.isFinite(loss)) throw new Error(`the loss of step ${t + 1} is ${loss}`);
    busy += performance.now() - began;
    images += size;
    const due = busy > period || t === steps - 1;
    if (due) speed = (1000 * images) / busy;
    post({ kind: "step", step: t + 1, loss, accuracy: (outputs.correct?.[0] ?? 0) / size, speed });
    if (!due) continue;
    [busy, images] = [0, 0];
    await picture();
  }
  const testing = evaluation(net, crossEntropy, { batch: evaluationBatch[adapter] });
  const tester = await compile(device, testing, { variables });
  const onProgress = (done: number, total: number): void => post({ kind: "testing", done, total });
  const tested = await evaluateImages(tester, data.test, { onProgress });
  if (tested) post({ kind: "done", error: tested.error, samples: tested.samples });
  device.dispose();
}

self.onmessage = ({ data }: MessageEvent<"train" | "pause" | Settings>): void => {
  if (data === "train") open();
  else if (data === "pause") close();
  else run(data).catch((error: Error) => post({ kind: "failed", message: error.message }));
};
