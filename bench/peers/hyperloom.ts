import { type Device, requestDevice } from "../../src/gpu/device";
import { apply1, type Tensor } from "../../src/graph/node";
import { size } from "../../src/graph/shape";
import { hyperCnn } from "../../src/hyper/hyper-cnn";
import { hyperLstm } from "../../src/hyper/hyper-lstm";
import { languageModel } from "../../src/nn/language-model";
import { crossEntropy } from "../../src/nn/losses";
import { slabsOf } from "../../src/nn/slabs";
import { conv2d, conv2dInputGradientOp, conv2dKernelGradientOp } from "../../src/ops/conv2d";
import { add } from "../../src/ops/elementwise";
import { contraction } from "../../src/ops/generate";
import { slice } from "../../src/ops/layout";
import { matmul } from "../../src/ops/matmul";
import { constant, type HostArray } from "../../src/ops/sources";
import { reshape } from "../../src/ops/views";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { Variables } from "../../src/schedule/variables";
import { evaluation, trainStep } from "../../src/train/programs";
import { sequenceEvaluation, sequenceStep } from "../../src/train/sequence-programs";
import {
  type KernelCase,
  type Library,
  noise,
  type Parameter,
  type Parameters,
  SIZES,
  type StepCase,
  symbols,
  TILES,
} from "./cases";

const SEED = 1;
const padding = { top: 1, bottom: 1, left: 1, right: 1 };
const stride = [1, 1] as const;

function graph({ op, inputs }: KernelCase): Tensor {
  const [a, b] = inputs.map((shape, i) => constant(noise(i + 1, shape), shape)) as [Tensor, Tensor];
  if (op === "matmul") return matmul(a, b);
  if (op === "conv2d") return conv2d(a, b, { stride, padding });
  if (op === "conv2d-dx") {
    return apply1(conv2dInputGradientOp, { stride, padding, image: [32, 32] as const }, a, b);
  }
  if (op === "conv2d-dk") {
    return apply1(conv2dKernelGradientOp, { stride, padding, kernel: [64, 64, 3, 3] }, a, b);
  }
  const { tiles, slices, outputs, f, d } = TILES;
  const bias = constant(noise(3, [f, outputs * f]), [f, outputs * f]);
  const rows = reshape(a, [tiles, slices, d]);
  const layers = [{ tilesIn: tiles, tilesOut: 1 }];
  return contraction(rows, reshape(b, [f, outputs * f, d]), bias, layers);
}

function hyperLstmModel() {
  const { symbols: V, units, hyperUnits, nz } = SIZES;
  return languageModel(hyperLstm({ inputs: V, units, hyperUnits, nz, layerNorm: false }), V);
}

/** The program of a step and what goes into every run of it. */
function stepOf({ model, train }: StepCase) {
  const { batch: B, length: T, symbols: V } = SIZES;
  if (model === "hyper-cnn") {
    const made = hyperCnn();
    const program = train
      ? trainStep(made, crossEntropy, adam(), { batch: B })
      : evaluation(made, crossEntropy, { batch: B });
    const inputs: Record<string, HostArray> = {
      x: noise(1, [B, 1, 28, 28]),
      labels: symbols(2, B, 10),
      weight: new Float32Array(B).fill(1),
    };
    return { program, parameters: slabsOf(made).parameters, inputs, total: 1 };
  }
  const made = hyperLstmModel();
  const program = train
    ? sequenceStep(made, adam(), { batch: B, length: T })
    : sequenceEvaluation(made, { batch: B, length: T });
  const inputs: Record<string, HostArray> = {
    x: symbols(1, T * B, V),
    labels: symbols(2, T * B, V),
    weight: new Float32Array(T * B).fill(1),
    // The states of the run before do not count: every step begins with zeros, as the peers' do.
    keep: new Float32Array([0]),
  };
  // An evaluation sums over the window.
  return { program, parameters: slabsOf(made).parameters, inputs, total: train ? 1 : T * B };
}

// An untrained language model's loss is log V whatever its cell computes. Inference, of which no
// later loss tells, has output weights so many times as large, for logits of about 1.
const TRAINED = 200;

/** The parameters from which every library starts. */
export function initialParameters({ model, train }: StepCase): Parameters {
  const { variable } = slabsOf(model === "hyper-cnn" ? hyperCnn() : hyperLstmModel()).parameters;
  const values = variable.initial(SEED) as Float32Array;
  return Object.fromEntries(
    variable.entries.map(({ name, shape, offset }) => {
      const data = values.slice(offset, offset + size(shape));
      const enlarged = !train && name === "W_s";
      return [name, { shape, data: enlarged ? data.map((w) => TRAINED * w) : data }];
    }),
  );
}

/** Runs one small shader on a device of its own: no library's first step shall start the GPU process. */
export async function wake(adapter: "auto" | "gpu" | "software"): Promise<void> {
  const device = await requestDevice({ adapter });
  const ones = constant(new Float32Array(4).fill(1), [4]);
  const step = await compile(device, { inputs: {}, outputs: { y: add(ones, ones) } });
  await step.run();
  step.dispose();
}

/** hyperloom, by its public calls, from its source. */
export function hyperloom(adapter: "auto" | "gpu" | "software"): Library & {
  readonly device: () => Device;
} {
  let device: Device;
  return {
    name: "hyperloom",
    device: () => device,
    start: async () => {
      device = await requestDevice({ adapter });
    },
    kernel: async (kernel) => {
      const y = graph(kernel);
      const flat = reshape(y, [size(y.shape)]);
      // One number of the result comes back, as it does from the peers.
      const step = await compile(device, { inputs: {}, outputs: { first: slice(flat, [0], [1]) } });
      return {
        run: async (times) => {
          await Promise.all(Array.from({ length: times }, () => step.run()));
        },
        result: async () => {
          const whole = await compile(device, { inputs: {}, outputs: { y: flat } });
          const { y: values } = await whole.run();
          whole.dispose();
          return (values as Float32Array).slice(0, size(kernel.output));
        },
      };
    },
    step: async (step, initial) => {
      const { program, parameters, inputs, total } = stepOf(step);
      const { variable, layout } = parameters;
      const values = new Float32Array(layout.total);
      for (const { name, offset } of variable.entries) {
        values.set((initial[name] as Parameter).data, offset);
      }
      const variables = new Variables(device, SEED);
      variables.write(variable, values);
      const executable = await compile(device, program, { variables });
      return async () => {
        const { loss } = await executable.run(inputs);
        return (loss?.[0] as number) / total;
      };
    },
  };
}
