/** The hypernetwork: a generator that makes every sample a network of its own. */
import {
  add,
  constant,
  dense,
  flatGenerator,
  hyper,
  matmul,
  type Model,
  module,
  mul,
  reshape,
  sin,
  slice,
  tanh,
  type Tensor,
} from "hyperloom";
import { FREQUENCY, type Sizes } from "./network";

/** Three numbers say what a network is to draw. */
const NUMBERS = 3;

type Layer = { readonly weight: Tensor; readonly bias: Tensor };

/** x Wᵀ + b of points [B, P, in], or [P, in] the same for all, with a layer [B, out, in] a sample. */
function layer(x: Tensor, { weight, bias }: Layer): Tensor {
  const [batch = 1, outputs = 1] = bias.shape;
  return add(matmul(x, weight, { transposeB: true }), reshape(bias, [batch, 1, outputs]));
}

/** The small network (x, y) → intensity: points [B, P, 2] to pixels [B, P], −1 to 1. */
function picture(width: number) {
  const params = {
    first: dense(2, width).params,
    second: dense(width, width).params,
    last: dense(width, 1).params,
  };
  return module("picture", params, (_, p, points: Tensor) => {
    const one = sin(mul(layer(points, p.first as Layer), FREQUENCY));
    const two = sin(layer(one, p.second as Layer));
    const y = tanh(layer(two, p.last as Layer));
    return reshape(y, y.shape.slice(0, 2));
  });
}

function family({ width, hidden }: Sizes) {
  const target = picture(width);
  const generator = flatGenerator(target.params, { nz: NUMBERS, hidden, conditions: 1 });
  return { target, generator, net: hyper(target, { generator, conditions: 1 }) };
}

/**
 * For training: a row of `x` is a condition and then its points, (3 + 2P) numbers; out come P pixels.
 * Every row has a network of its own.
 */
export function trainable(sizes: Sizes) {
  const { net } = family(sizes);
  const length = NUMBERS + 2 * sizes.points;
  const model: Model<typeof net.params, typeof net.state> = {
    ...net,
    input: [length],
    apply: (context, params, state, x) => {
      const rows = x.shape[0] ?? 1;
      const condition = slice(x, [0, 0], [rows, NUMBERS]);
      const points = reshape(slice(x, [0, NUMBERS], [rows, length]), [rows, sizes.points, 2]);
      return net.apply(context, params, state, condition, points);
    },
  };
  return model;
}

/** For drawing: a row of `x` is a condition alone, and all networks draw the same points [P, 2]. */
export function drawable(sizes: Sizes, points: Float32Array) {
  const { net } = family(sizes);
  const model: Model<typeof net.params, typeof net.state> = {
    ...net,
    input: [NUMBERS],
    apply: (context, params, state, x) =>
      net.apply(context, params, state, x, constant(points, [points.length / 2, 2])),
  };
  return model;
}
