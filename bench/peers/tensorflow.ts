import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import {
  type KernelCase,
  type Library,
  noise,
  type Parameter,
  type Parameters,
  permuted,
  SIZES,
  type StepCase,
  symbols,
  TILES,
} from "./cases";

// TensorFlow.js has channels last: images [N, H, W, C], kernels [f, f, I, O].
const CHANNELS_LAST = [0, 2, 3, 1];
const CHANNELS_FIRST = [0, 3, 1, 2];
const KERNEL = [2, 3, 1, 0];
const KERNEL_BACK = [3, 2, 0, 1];

const upload = ({ data, shape }: Parameter): Tensor => tf.tensor(data, [...shape]);
const integers = (data: Uint32Array): Tensor => tf.tensor1d(Int32Array.from(data), "int32");

/** A kernel on what it takes, and the order of axes from its result to the case's. */
function kernelOf({ op, inputs }: KernelCase): {
  run: () => Tensor;
  shape: readonly number[];
  axes: readonly number[];
} {
  const [first, second] = inputs.map((shape, i) => ({ shape, data: noise(i + 1, shape) })) as [
    Parameter,
    Parameter,
  ];
  if (op === "matmul") {
    const [a, b] = [upload(first), upload(second)];
    return { run: () => tf.matMul(a, b), shape: [1024, 1024], axes: [0, 1] };
  }
  if (op === "contraction") {
    const { tiles, slices, outputs, f } = TILES;
    const [a, b] = [upload(first), upload(second)];
    const bias = tf.tensor(noise(3, [outputs * f * f]), [outputs * f * f]);
    const run = () => tf.fused.matMul({ a, b, transposeB: true, bias });
    return { run, shape: [tiles * slices, f, outputs, f], axes: [2, 0, 1, 3] };
  }
  const attrs = { strides: 1, pad: "same", dataFormat: "NHWC", dimRoundingMode: undefined };
  const image = [16, 32, 32, 64];
  const a = upload(permuted(first, CHANNELS_LAST));
  if (op === "conv2d-dk") {
    const dy = upload(permuted(second, CHANNELS_LAST));
    const filterShape = [3, 3, 64, 64];
    const run = () =>
      tf.engine().runKernel(tf.Conv2DBackpropFilter, { x: a, dy }, { ...attrs, filterShape });
    return { run, shape: filterShape, axes: KERNEL_BACK };
  }
  const filter = upload(permuted(second, KERNEL));
  const run =
    op === "conv2d"
      ? () => tf.conv2d(a, filter, 1, "same")
      : () =>
          tf
            .engine()
            .runKernel(tf.Conv2DBackpropInput, { dy: a, filter }, { ...attrs, inputShape: image });
  return { run, shape: image, axes: CHANNELS_FIRST };
}

type Variables = Readonly<Record<string, Variable>>;

const one = (p: Variables, name: string): Variable => p[name] as Variable;

function hyperCnnLoss(p: Variables, x: Tensor, labels: Tensor): Tensor {
  const [f, C, d] = [7, 16, 4];
  const z = tf.reshape(one(p, "generator.z"), [d, 1]);
  const W_i = tf.reshape(one(p, "generator.W_i"), [C * d, d]);
  const a = tf.add(tf.reshape(tf.matMul(W_i, z), [C, d]), one(p, "generator.B_i"));
  const generated = tf.fused.matMul({
    a,
    b: tf.reshape(one(p, "generator.W_out"), [f * C * f, d]),
    transposeB: true,
    bias: tf.reshape(one(p, "generator.B_out"), [f * C * f]),
  });
  const kernel = tf.transpose(tf.reshape(generated, [C, f, C, f]), [1, 3, 0, 2]);
  // Bias and ReLU after the pooling give the same at a quarter of the work.
  const layer = (y: Tensor, k: Tensor, bias: Tensor): Tensor =>
    tf.relu(tf.add(tf.maxPool(tf.conv2d(y, k, 1, "same"), 2, 2, "valid"), bias));
  const first = layer(x, one(p, "conv1.kernel"), one(p, "conv1.bias"));
  const second = layer(first, kernel, one(p, "conv2.bias"));
  const logits = tf.fused.matMul({
    a: tf.reshape(second, [SIZES.batch, 7 * 7 * C]),
    b: one(p, "fc.weight"),
    transposeB: true,
    bias: one(p, "fc.bias"),
  });
  return tf.losses.softmaxCrossEntropy(tf.oneHot(labels, 10), logits);
}

interface LstmState {
  readonly h: Tensor;
  readonly c: Tensor;
}

/** The LSTM's update from its pre-activations, gates in the order i, f, g, o. */
function lstmUpdate(pre: Tensor, c: Tensor, one: Tensor): LstmState {
  const [i, f, g, o] = tf.split(pre, 4, 1) as [Tensor, Tensor, Tensor, Tensor];
  const kept = tf.mul(tf.sigmoid(tf.add(f, one)), c);
  const next = tf.add(kept, tf.mul(tf.sigmoid(i), tf.tanh(g)));
  return { h: tf.mul(tf.sigmoid(o), tf.tanh(next)), c: next };
}

function hyperLstmLoss(p: Variables, x: Tensor, labels: Tensor): Tensor {
  const { batch: B, length: T, symbols: V, units: H, hyperUnits, nz } = SIZES;
  // What depends on x alone is looked up for all steps at once.
  const perStep = (rows: Tensor, width: number): Tensor[] =>
    tf.unstack(tf.reshape(rows, [T, B, width]), 0);
  const xg = perStep(tf.gather(one(p, "cell.W_x"), x), 4 * H);
  const hyperRows = tf.add(tf.gather(one(p, "cell.hyper.W_xx"), x), one(p, "cell.hyper.b"));
  const xh = perStep(hyperRows, 4 * hyperUnits);
  const b_z = tf.concat([tf.reshape(one(p, "cell.b_z"), [8 * nz]), tf.zeros([4 * nz])]);
  const D = tf.reshape(one(p, "cell.D"), [12, nz, H]);
  const forget = tf.tensor(Float32Array.of(1), [1]);
  let main: LstmState = { h: tf.zeros([B, H]), c: tf.zeros([B, H]) };
  let hyper: LstmState = { h: tf.zeros([B, hyperUnits]), c: tf.zeros([B, hyperUnits]) };
  const outputs: Tensor[] = [];
  for (let t = 0; t < T; t++) {
    const recurrent = tf.add(
      tf.matMul(main.h, one(p, "cell.hyper.W_xh")),
      tf.matMul(hyper.h, one(p, "cell.hyper.W_hh")),
    );
    hyper = lstmUpdate(tf.add(recurrent, xh[t] as Tensor), hyper.c, forget);
    const b = one(p, "cell.W_z");
    const embedded = tf.fused.matMul({ a: hyper.h, b, transposeB: false, bias: b_z });
    const z = tf.transpose(tf.reshape(embedded, [B, 12, nz]), [1, 0, 2]);
    const scales = tf.transpose(tf.reshape(tf.matMul(z, D), [3, 4, B, H]), [0, 2, 1, 3]);
    const [dh, dx, db] = tf.unstack(tf.reshape(scales, [3, B, 4 * H]), 0) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const scaled = tf.add(
      tf.mul(dh, tf.matMul(main.h, one(p, "cell.W_h"))),
      tf.mul(dx, xg[t] as Tensor),
    );
    main = lstmUpdate(tf.add(tf.add(scaled, db), one(p, "cell.b_0")), main.c, forget);
    outputs.push(main.h);
  }
  const logits = tf.fused.matMul({
    a: tf.concat(outputs, 0),
    b: one(p, "W_s"),
    transposeB: false,
    bias: one(p, "b_s"),
  });
  return tf.losses.softmaxCrossEntropy(tf.oneHot(labels, V), logits);
}

/** A parameter as TensorFlow.js computes with it: channels last, W_z for one product. */
function native(name: string, parameter: Parameter): Parameter {
  if (name === "conv1.kernel") return permuted(parameter, KERNEL);
  if (name === "fc.weight") {
    const { data } = permuted({ ...parameter, shape: [10, 16, 7, 7] }, CHANNELS_LAST);
    return { data, shape: parameter.shape };
  }
  if (name !== "cell.W_z") return parameter;
  const { data, shape } = permuted(parameter, [2, 0, 1, 3]);
  return { data, shape: [shape[0] as number, data.length / (shape[0] as number)] };
}

function variables(initial: Parameters): Variables {
  const made = Object.entries(initial).map(([name, parameter]) => {
    const value = upload(native(name, parameter));
    const variable = tf.variable(value);
    value.dispose();
    return [name, variable] as const;
  });
  return Object.fromEntries(made);
}

function dataOf({ model }: StepCase): () => [Tensor, Tensor] {
  const { batch: B, length: T, symbols: V } = SIZES;
  if (model === "hyper-cnn") {
    // One channel: the orders of axes do not differ.
    const [x, labels] = [noise(1, [B, 1, 28, 28]), symbols(2, B, 10)];
    return () => [tf.tensor(x, [B, 28, 28, 1]), integers(labels)];
  }
  const [x, labels] = [symbols(1, T * B, V), symbols(2, T * B, V)];
  return () => [integers(x), integers(labels)];
}

/** TensorFlow.js on WebGPU: eager, tidied up after every step. */
export const tensorflow: Library = {
  name: "TensorFlow.js",
  start: async () => {
    if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js finds no WebGPU");
    await tf.ready();
  },
  kernel: async (kernel) => {
    const { run, shape, axes } = kernelOf(kernel);
    return {
      run: async (times) => {
        const first = tf.tidy(() => {
          let y = run();
          for (let i = 1; i < times; i++) {
            y.dispose();
            y = run();
          }
          return tf.slice(tf.reshape(y, [-1]), [0], [1]);
        });
        await first.data();
        first.dispose();
      },
      result: async () => {
        const y = run();
        const data = await y.data();
        y.dispose();
        return permuted({ shape, data }, axes).data;
      },
    };
  },
  step: async (step, initial) => {
    const batch = dataOf(step);
    const loss = step.model === "hyper-cnn" ? hyperCnnLoss : hyperLstmLoss;
    const p = variables(initial);
    const optimizer = tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
    return async () => {
      const value = tf.tidy(() => {
        const [x, labels] = batch();
        const forward = () => loss(p, x, labels);
        return step.train ? optimizer.minimize(forward, true) : forward();
      });
      const [mean] = await value.data();
      value.dispose();
      if (step.train) await settle(p);
      return mean as number;
    };
  },
};

/** Waits for the update, which the loss does not wait for, by a number of one parameter. */
async function settle(p: Variables): Promise<void> {
  const last = Object.values(p).at(-1) as Variable;
  const first = tf.tidy(() => tf.slice(tf.reshape(last, [-1]), [0], [1]));
  await first.data();
  first.dispose();
}
