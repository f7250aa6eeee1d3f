import {
  blockUntilReady,
  defaultDevice,
  init,
  type JaxArray,
  jit,
  lax,
  nn,
  numpy as np,
  type Tree,
  tree,
  valueAndGrad,
  vjp,
} from "@jax-js/jax";
import {
  type KernelCase,
  type Library,
  noise,
  type Parameters,
  permuted,
  SIZES,
  type StepCase,
  symbols,
  TILES,
} from "./cases";

const array = (data: Float32Array, shape: readonly number[]): JaxArray =>
  np.array(data, { shape: [...shape] });
const integers = (data: Uint32Array): JaxArray =>
  np.array(Int32Array.from(data), { dtype: np.int32 });

const conv = (x: JaxArray, kernel: JaxArray): JaxArray =>
  lax.convGeneralDilated(x, kernel, [1, 1], "SAME");

/** What to compile, and the arrays that it takes. */
function kernelOf({ op, inputs }: KernelCase): {
  f: (...args: JaxArray[]) => JaxArray;
  args: JaxArray[];
} {
  const [a, b] = inputs.map((shape, i) => array(noise(i + 1, shape), shape)) as [
    JaxArray,
    JaxArray,
  ];
  const f = (g: (a: JaxArray, b: JaxArray) => JaxArray) => g as (...args: JaxArray[]) => JaxArray;
  if (op === "matmul") return { f: f(np.matmul), args: [a, b] };
  if (op === "conv2d") return { f: f(conv), args: [a, b] };
  if (op === "contraction") {
    const { outputs, f: size } = TILES;
    const bias = array(noise(3, [outputs * size * size]), [outputs * size * size]);
    const linear = (x: JaxArray, w: JaxArray, c: JaxArray) => np.matmul(x, w.transpose()).add(c);
    return { f: linear as (...args: JaxArray[]) => JaxArray, args: [a, b, bias] };
  }
  // Linear in the differentiated argument: its value there is not needed, and jit drops it.
  if (op === "conv2d-dx") {
    const dx = (dy: JaxArray, kernel: JaxArray): JaxArray => {
      const [y, back] = vjp((x) => conv(x as JaxArray, kernel), [np.zeros([...inputs[0]])]);
      y.dispose();
      return back(dy)[0] as JaxArray;
    };
    return { f: f(dx), args: [a, b] };
  }
  const dk = (x: JaxArray, dy: JaxArray): JaxArray => {
    const [y, back] = vjp((k) => conv(x, k as JaxArray), [np.zeros([64, 64, 3, 3])]);
    y.dispose();
    return back(dy)[0] as JaxArray;
  };
  return { f: f(dk), args: [a, b] };
}

/** −mean log softmax(logits)[label] of logits [N, V] and labels i32 [N]. */
function crossEntropy(logits: JaxArray, labels: JaxArray, classes: number): JaxArray {
  const picked = nn.logSoftmax(logits, -1).mul(nn.oneHot(labels, classes));
  return np.mean(np.sum(picked, -1)).neg();
}

/** A parameter that is used once, taken over from the tree. */
const one = (p: Tree, name: string): JaxArray => p[name] as JaxArray;

function hyperCnnLoss(p: Tree, x: JaxArray, labels: JaxArray): JaxArray {
  const [f, C, d] = [7, 16, 4];
  const z = one(p, "generator.z").reshape([d, 1]);
  const a = np
    .matmul(one(p, "generator.W_i").reshape([C * d, d]), z)
    .reshape([C, d])
    .add(one(p, "generator.B_i"));
  const W_out = one(p, "generator.W_out").reshape([f * C * f, d]);
  const generated = np
    .matmul(a, W_out.transpose())
    .reshape([C, f, C, f])
    .add(one(p, "generator.B_out").reshape([f, C, f]))
    .transpose([2, 0, 1, 3]);
  const layer = (y: JaxArray, kernel: JaxArray, bias: JaxArray): JaxArray => {
    const [N = 0, , H = 0, W = 0] = y.shape;
    const windows = conv(y, kernel).reshape([N, C, H / 2, 2, W / 2, 2]);
    return nn.relu(np.max(windows, [3, 5]).add(bias.reshape([C, 1, 1])));
  };
  const first = layer(x, one(p, "conv1.kernel"), one(p, "conv1.bias"));
  const second = layer(first, generated, one(p, "conv2.bias"));
  const features = second.reshape([SIZES.batch, C * 7 * 7]);
  const logits = np.matmul(features, one(p, "fc.weight").transpose()).add(one(p, "fc.bias"));
  return crossEntropy(logits, labels, 10);
}

/** The LSTM's update from its pre-activations, gates in the order i, f, g, o. */
function lstmUpdate(pre: JaxArray, c: JaxArray): { h: JaxArray; c: JaxArray } {
  const [i, f, g, o] = np.split(pre, 4, 1) as [JaxArray, JaxArray, JaxArray, JaxArray];
  const next = nn
    .sigmoid(f.add(1))
    .mul(c)
    .add(nn.sigmoid(i).mul(np.tanh(g)));
  return { h: nn.sigmoid(o).mul(np.tanh(next.ref)), c: next };
}

function hyperLstmLoss(p: Tree, x: JaxArray, labels: JaxArray): JaxArray {
  const { batch: B, length: T, symbols: V, units: H, hyperUnits, nz } = SIZES;
  // What depends on x alone is looked up for all steps at once.
  const xg = np.split(np.take(one(p, "cell.W_x"), x.ref, 0), T, 0);
  const hyperRows = np.take(one(p, "cell.hyper.W_xx"), x, 0).add(one(p, "cell.hyper.b"));
  const xh = np.split(hyperRows, T, 0);
  const b_z = np.concatenate([one(p, "cell.b_z").reshape([8 * nz]), np.zeros([4 * nz])]);
  const [W_h, W_xh, W_hh] = ["cell.W_h", "cell.hyper.W_xh", "cell.hyper.W_hh"].map((name) =>
    one(p, name),
  ) as [JaxArray, JaxArray, JaxArray];
  const [W_z, b_0] = [one(p, "cell.W_z"), one(p, "cell.b_0")];
  const D = one(p, "cell.D").reshape([12, nz, H]);
  let [main, hyper] = [
    { h: np.zeros([B, H]), c: np.zeros([B, H]) },
    { h: np.zeros([B, hyperUnits]), c: np.zeros([B, hyperUnits]) },
  ];
  const outputs: JaxArray[] = [];
  for (let t = 0; t < T; t++) {
    const hyperPre = np
      .matmul(main.h.ref, W_xh.ref)
      .add(np.matmul(hyper.h, W_hh.ref))
      .add(xh[t] as JaxArray);
    hyper = lstmUpdate(hyperPre, hyper.c);
    const z = np.matmul(hyper.h.ref, W_z.ref).add(b_z.ref).reshape([B, 12, nz]);
    const d = np
      .matmul(z.transpose([1, 0, 2]), D.ref)
      .reshape([3, 4, B, H])
      .transpose([0, 2, 1, 3])
      .reshape([3, B, 4 * H]);
    const [dh, dx, db] = [d.ref.slice(0), d.ref.slice(1), d.slice(2)];
    const pre = dh
      .mul(np.matmul(main.h, W_h.ref))
      .add(dx.mul(xg[t] as JaxArray))
      .add(db)
      .add(b_0.ref);
    main = lstmUpdate(pre, main.c);
    outputs.push(main.h.ref);
  }
  tree.dispose([main, hyper, W_h, W_xh, W_hh, W_z, b_z, b_0, D]);
  const hs = np.concatenate(outputs, 0);
  return crossEntropy(np.matmul(hs, one(p, "W_s")).add(one(p, "b_s")), labels, V);
}

const [LR, BETA1, BETA2, EPS] = [1e-3, 0.9, 0.999, 1e-8];

/** Adam over a tree: new parameters and moments, `rate` and `root` being the bias corrections. */
function adam(p: Tree, g: Tree, m: Tree, v: Tree, rate: JaxArray, root: JaxArray) {
  const next: Record<"p" | "m" | "v", Tree> = { p: {}, m: {}, v: {} };
  for (const name of Object.keys(p)) {
    const slope = one(g, name);
    const first = one(m, name)
      .mul(BETA1)
      .add(slope.ref.mul(1 - BETA1));
    const second = one(v, name)
      .mul(BETA2)
      .add(np.square(slope).mul(1 - BETA2));
    const scale = np.sqrt(second.ref).mul(root.ref).add(EPS);
    next.p[name] = one(p, name).sub(rate.ref.mul(first.ref).div(scale));
    next.m[name] = first;
    next.v[name] = second;
  }
  tree.dispose([rate, root]);
  return next;
}

/** Parameters as jax-js computes with them: W_z for one product, [Ĥ, 3·G·N_z]. */
function upload(initial: Parameters): Tree {
  const made = Object.entries(initial).map(([name, parameter]): [string, JaxArray] => {
    if (name !== "cell.W_z") return [name, array(parameter.data, parameter.shape)];
    const { data, shape } = permuted(parameter, [2, 0, 1, 3]);
    return [name, array(data, [shape[0] as number, data.length / (shape[0] as number)])];
  });
  return Object.fromEntries(made);
}

function dataOf({ model }: StepCase): () => [JaxArray, JaxArray] {
  const { batch: B, length: T, symbols: V } = SIZES;
  if (model === "hyper-cnn") {
    const [x, labels] = [noise(1, [B, 1, 28, 28]), symbols(2, B, 10)];
    return () => [array(x, [B, 1, 28, 28]), integers(labels)];
  }
  const [x, labels] = [symbols(1, T * B, V), symbols(2, T * B, V)];
  return () => [integers(x), integers(labels)];
}

/** jax-js on WebGPU: one jit for a whole training step, gradient and Adam included. */
export const jax: Library = {
  name: "jax-js",
  start: async () => {
    const found = await init("webgpu");
    if (!found.includes("webgpu")) throw new Error("jax-js finds no WebGPU");
    defaultDevice("webgpu");
  },
  kernel: async (kernel) => {
    const { f, args } = kernelOf(kernel);
    const compiled = jit(f);
    return {
      run: async (times) => {
        const made = Array.from({ length: times }, () => compiled(...args.map((x) => x.ref)));
        await blockUntilReady(made);
        tree.dispose(made);
      },
      result: async () => {
        const values = await compiled(...args.map((x) => x.ref)).data();
        if (kernel.op !== "contraction") return values;
        const { tiles, slices, outputs, f: size } = TILES;
        return permuted(
          { shape: [tiles * slices, size, outputs, size], data: values },
          [2, 0, 1, 3],
        ).data;
      },
    };
  },
  step: async (step, initial) => {
    const batch = dataOf(step);
    const loss = step.model === "hyper-cnn" ? hyperCnnLoss : hyperLstmLoss;
    let p = upload(initial);
    if (!step.train) {
      const forward = jit(loss);
      return async () => (await forward(tree.ref(p), ...batch()).data())[0] as number;
    }
    const zeros = (): Tree =>
      Object.fromEntries(Object.entries(p).map(([name, x]) => [name, np.zeros(x.shape)]));
    let [m, v] = [zeros(), zeros()];
    const differentiated = valueAndGrad(loss);
    const update = jit(
      (p: Tree, m: Tree, v: Tree, rate: JaxArray, root: JaxArray, x: JaxArray, y: JaxArray) => {
        const [value, g] = differentiated(tree.ref(p), x, y);
        return { value, ...adam(p, g, m, v, rate, root) };
      },
    );
    let t = 0;
    return async () => {
      t++;
      const rate = array(Float32Array.of(LR / (1 - BETA1 ** t)), [1]);
      const root = array(Float32Array.of(1 / Math.sqrt(1 - BETA2 ** t)), [1]);
      const next = update(p, m, v, rate, root, ...batch());
      ({ p, m, v } = next);
      const value = (await next.value.data())[0] as number;
      // The loss needs none of the update: without this the steps would pile up.
      await blockUntilReady(p);
      return value;
    };
  },
};
