import type { Normalization } from "../data/normalization";
import type { Tensor } from "../graph/node";
import { ShapeError } from "../graph/shape";
import { recompute } from "../graph/recomputed";
import { leaves, type Tree } from "../graph/tree";
import { conv2d } from "../ops/conv2d";
import { add, mul, relu, sub } from "../ops/elementwise";
import { pad, slice } from "../ops/layout";
import { globalAveragePool } from "../ops/pool";
import { constant } from "../ops/sources";
import { reshape } from "../ops/views";
import { batchNorm } from "./batch-norm";
import { convParams } from "./cnn";
import { affine, dense } from "./dense";
import { glorotUniform } from "./init";
import { l2Penalty } from "./losses";
import type { Context, Module, ParamSpec, StateSpec, Values } from "./module";
import { isTensor } from "./sequence";

/** Channels into and out of a block of two convolutions, and the stride of the first. */
export interface ResidualBlock {
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
}

/** What a residual network of two-convolution blocks is made of. */
export interface ResidualOptions {
  /** Of one image: [C, H, W]. */
  readonly input: readonly [number, number, number];
  /** The convolution in front of the blocks; null: the image goes into the first block. */
  readonly stem: {
    readonly outputs: number;
    readonly bias: boolean;
    /** Batch norm and ReLU behind it. */
    readonly norm: boolean;
  } | null;
  readonly groups: readonly (readonly ResidualBlock[])[];
  /**
   * "pre": batch norm and ReLU in front of each convolution, and once more in front of the pooling
   * (He et al. 2016b, Zagoruyko and Komodakis 2016); "post": behind it, the last ReLU behind the sum.
   */
  readonly activation: "pre" | "post";
  /** Whether the blocks' convolutions have biases. */
  readonly bias: boolean;
  /**
   * Where a block changes size: "pad", every stride-th pixel with zeros for the channels that are new
   * (no parameters; option A of He et al. 2016a), or a 1×1 convolution, with a bias or without.
   */
  readonly shortcut: "pad" | "conv" | "conv-bias";
  readonly classes: number;
  /** Size f of the blocks' and the stem's kernels; default 3. */
  readonly kernelSize?: number;
  /**
   * λ of the penalty λ Σ K² over the kernels of all convolutions, generated ones too; one that
   * several layers share counts once. Default 0.
   */
  readonly l2?: number;
  /** Taken off each channel of the images, and divided by; null (default): neither. */
  readonly normalize?: Normalization | null;
}

/** A residual network: x [N, C, H, W] to logits [N, classes]; running statistics are its state. */
export type ResidualNetwork = Module<Tree<ParamSpec>, Tree<StateSpec>>;

type Specs<T> = Readonly<Record<string, Tree<T>>>;
type Tensors = Readonly<Record<string, Tree<Tensor>>>;

/** A part of the network: its specs, and what it makes of x and its own parameters and state. */
interface Part {
  readonly params: Specs<ParamSpec>;
  readonly state: Specs<StateSpec>;
  readonly apply: (context: Context, p: Tensors, s: Tensors, x: Tensor) => [Tensor, Tensors];
}

/** A convolution's parameters: kernel [C_out, C_in, f, f], He's start, and bias [C_out] on request. */
function convSpecs(inputs: number, outputs: number, f: number, bias: boolean): Specs<ParamSpec> {
  const both = convParams(inputs, outputs, f);
  return bias ? both : { kernel: both.kernel };
}

function convolve(x: Tensor, { kernel, bias }: Tensors, stride: number): Tensor {
  const y = conv2d(x, kernel as Tensor, { stride, padding: "symmetric" });
  return bias ? add(y, reshape(bias as Tensor, [-1, 1, 1])) : y;
}

/** Every `stride`-th pixel, with zeros for channels beyond x's. */
function padShortcut(x: Tensor, { outputs, stride }: ResidualBlock): Tensor {
  const [, C = 0] = x.shape;
  const kept =
    stride === 1 ? x : slice(x, [0, 0, 0, 0], x.shape as number[], [1, 1, stride, stride]);
  return outputs === C ? kept : pad(kept, [0, 0, 0, 0], [0, outputs - C, 0, 0]);
}

/** A block of two convolutions, as `options` say. */
function residualBlock(block: ResidualBlock, options: ResidualOptions): Part {
  const { inputs, outputs, stride } = block;
  const { activation, bias, shortcut, kernelSize: f = 3 } = options;
  const pre = activation === "pre";
  const changes = stride !== 1 || inputs !== outputs;
  const norms = {
    norm1: batchNorm(pre ? inputs : outputs, { relu: true }),
    norm2: batchNorm(outputs, { relu: pre }),
  };
  const { norm1, norm2 } = norms;
  const conv1 = convSpecs(inputs, outputs, f, bias);
  const conv2 = convSpecs(outputs, outputs, f, bias);
  const projection: Specs<ParamSpec> =
    changes && shortcut !== "pad"
      ? { shortcut: convSpecs(inputs, outputs, 1, shortcut === "conv-bias") }
      : {};
  // A convolution sees what the block's first one sees, activated or not.
  const shorten = (p: Tensors, x: Tensor, seen: Tensor): Tensor => {
    if (!changes) return x;
    if (shortcut === "pad") return padShortcut(x, block);
    return convolve(seen, p.shortcut as Tensors, stride);
  };
  return {
    params: pre
      ? { norm1: norm1.params, conv1, norm2: norm2.params, conv2, ...projection }
      : { conv1, norm1: norm1.params, conv2, norm2: norm2.params, ...projection },
    state: { norm1: norm1.state, norm2: norm2.state },
    apply: (context, p, s, x) => {
      const state: Record<string, Tree<Tensor>> = {};
      const norm = (name: keyof typeof norms, y: Tensor): Tensor => {
        const own = p[name] as Values<typeof norm1.params>;
        const applied = norms[name].apply(context, own, s[name] as Values<typeof norm1.state>, y);
        state[name] = applied.state;
        return applied.outputs;
      };
      const conv = (name: string, y: Tensor, step: number): Tensor =>
        convolve(y, p[name] as Tensors, step);
      if (pre) {
        const a = norm("norm1", x);
        const y = norm("norm2", conv("conv1", a, stride));
        return [add(conv("conv2", y, 1), shorten(p, x, a)), state];
      }
      const y = norm("norm1", conv("conv1", x, stride));
      return [relu(add(norm("norm2", conv("conv2", y, 1)), shorten(p, x, x))), state];
    },
  };
}

/** The convolution in front, alone or with batch norm and ReLU. */
function stemPart({ input, stem, kernelSize: f = 3 }: ResidualOptions): Part | null {
  if (!stem) return null;
  const norm = batchNorm(stem.outputs, { relu: true });
  return {
    params: {
      ...convSpecs(input[0], stem.outputs, f, stem.bias),
      ...(stem.norm && { norm: norm.params }),
    },
    state: stem.norm ? { norm: norm.state } : {},
    apply: (context, p, s, x) => {
      const y = convolve(x, p, 1);
      if (!stem.norm) return [y, {}];
      const own = p.norm as Values<typeof norm.params>;
      const applied = norm.apply(context, own, s.norm as Values<typeof norm.state>, y);
      return [applied.outputs, { norm: applied.state }];
    },
  };
}

/** Batch norm and ReLU in front of the pooling, for networks that activate first. */
function headPart(channels: number): Part {
  const norm = batchNorm(channels, { relu: true });
  return {
    params: norm.params,
    state: norm.state,
    apply: (context, p, s, x) => {
      const own = p as Values<typeof norm.params>;
      const applied = norm.apply(context, own, s as Values<typeof norm.state>, x);
      return [applied.outputs, applied.state];
    },
  };
}

/** (x - mean) / std, channel by channel. @throws ShapeError unless there is one of each a channel. */
function normalized(x: Tensor, { mean, std }: Normalization): Tensor {
  const [, C = 0] = x.shape;
  if (mean.length !== C || std.length !== C) {
    throw new ShapeError(
      `hyperloom: residualNetwork: ${mean.length} means and ${std.length} standard deviations for ` +
        `${C} channels; give one of each a channel`,
    );
  }
  const channel = (values: readonly number[]): Tensor =>
    constant(Float32Array.from(values), [C, 1, 1]);
  return mul(sub(x, channel(mean)), channel(std.map((s) => 1 / s)));
}

/** The kernels of all convolutions, each once: layers may share one, or use a part of it. */
function kernelsOf(params: Values<Tree<ParamSpec>>): Tensor[] {
  const named = leaves<Tensor>(params, isTensor).filter(({ path }) => /(^|\.)kernel$/.test(path));
  const kernels = new Set(named.map(({ value }) => value));
  return [...kernels].filter(({ node }) => !node.inputs.some((whole) => kernels.has(whole)));
}

function expectChannels(options: ResidualOptions): number {
  const { groups, input, stem } = options;
  let channels = stem?.outputs ?? input[0];
  for (const [g, blocks] of groups.entries()) {
    for (const [b, { inputs, outputs }] of blocks.entries()) {
      if (inputs !== channels) {
        throw new ShapeError(
          `hyperloom: residualNetwork: block ${b + 1} of group ${g + 1} takes ${inputs} channels, ` +
            `${channels} come; make them equal`,
        );
      }
      if (options.shortcut === "pad" && outputs < inputs) {
        throw new ShapeError(
          `hyperloom: residualNetwork: block ${b + 1} of group ${g + 1} goes from ${inputs} channels ` +
            `down to ${outputs}; a shortcut of zeros cannot, choose { shortcut: "conv" }`,
        );
      }
      channels = outputs;
    }
  }
  return channels;
}

/**
 * A residual network of blocks of two convolutions: stem, groups of blocks, global average pooling,
 * a dense layer. Its parameters stand under `stem`, `group1.block1.conv1`, …, `norm` and `fc`. With
 * `{ memory: "low" }` in the context, a block keeps its input alone for the backward pass.
 * @throws ShapeError where a block's channels are not what the one before it makes.
 */
export function residualNetwork(name: string, options: ResidualOptions): ResidualNetwork {
  const { groups, classes, input, activation, l2 = 0, normalize } = options;
  const channels = expectChannels(options);
  const stem = stemPart(options);
  const head = activation === "pre" ? headPart(channels) : null;
  const parts = groups.map((blocks) => blocks.map((block) => residualBlock(block, options)));
  const tree = <T>(of: (part: Part) => Specs<T>): Specs<T> => {
    const named = parts.map((blocks, g) => {
      const branches = blocks.map((part, b) => [`block${b + 1}`, of(part)] as const);
      return [`group${g + 1}`, Object.fromEntries(branches)] as const;
    });
    return {
      ...(stem && { stem: of(stem) }),
      ...Object.fromEntries(named),
      ...(head && { norm: of(head) }),
    };
  };
  const fc = dense(channels, classes, glorotUniform(channels, classes)).params;
  return {
    name,
    input,
    params: { ...tree((part) => part.params), fc },
    state: tree((part) => part.state),
    apply: (context, params, state, x) => {
      const [p, s] = [params as Tensors, state as Tensors];
      const next: Record<string, Tree<Tensor>> = {};
      let y = normalize ? normalized(x, normalize) : x;
      const through = (part: Part | null, branch: string): void => {
        if (!part) return;
        const made = part.apply(context, p[branch] as Tensors, (s[branch] ?? {}) as Tensors, y);
        [y, next[branch]] = made;
      };
      through(stem, "stem");
      for (const [g, blocks] of parts.entries()) {
        const group = `group${g + 1}`;
        const states: Record<string, Tree<Tensor>> = {};
        for (const [b, part] of blocks.entries()) {
          const block = `block${b + 1}`;
          const [own, at] = [(p[group] as Tensors)[block], (s[group] as Tensors)[block]];
          const [made, state] = part.apply(context, own as Tensors, at as Tensors, y);
          if (context.memory === "low") recompute(made, y);
          context.probe?.(`${group}.${block}`, made);
          states[block] = state;
          y = made;
        }
        next[group] = states;
      }
      through(head, "norm");
      const { weight, bias } = p.fc as { weight: Tensor; bias: Tensor };
      return {
        outputs: affine(globalAveragePool(y), weight, bias),
        state: next as Values<Tree<StateSpec>>,
        ...(l2 > 0 && { penalty: l2Penalty(kernelsOf(params), l2) }),
      };
    },
  };
}
