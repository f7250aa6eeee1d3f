import type { Tensor } from "../../graph/node";
import { edit, leaves, type Tree } from "../../graph/tree";
import { hyper } from "../../hyper/hyper";
import { g1910Generator } from "../../hyper/layouts";
import { staticGenerator } from "../../hyper/static";
import { crossEntropy } from "../../nn/losses";
import { type Module, type Stateless, specs, type StateSpec, type Values } from "../../nn/module";
import { type ResidualBlock, type ResidualOptions, residualNetwork } from "../../nn/residual";
import { isTensor } from "../../nn/sequence";
import { add, fill } from "../../ops/elementwise";
import { concat } from "../../ops/layout";
import { constant } from "../../ops/sources";
import { type GoldenCase, setting } from "./case";
import { type CaseGraph, type Given, graphKind } from "./graph";
import { G1910, PAPER, parameters } from "./static";

/** What one of these files calls things. */
interface Names {
  /** Block k's prefix, such as `b0`. */
  readonly block: (k: number) => string;
  /** Parameters in front of and behind the blocks, by path in the network. */
  readonly outer: Readonly<Record<string, string>>;
  /** A block's shortcut kernel and bias. */
  readonly shortcut: readonly [kernel: string, bias: string | null];
}

/** The tree of norms, shortcuts and outer parameters that are stored in a file; the rest is generated. */
function directParameters(
  c: GoldenCase,
  given: Given,
  blocks: readonly ResidualBlock[],
  { block, outer, shortcut: [kernel, bias] }: Names,
): Tree<Tensor> {
  const found = new Map<string, Tensor>();
  const put = (path: string, name: string): void => {
    if (c.tensors.has(name)) found.set(path, given(name));
  };
  for (const k of blocks.keys()) {
    const [at, from] = [`group1.block${k + 1}`, `param.${block(k)}`];
    for (const n of [1, 2]) {
      put(`${at}.norm${n}.scale`, `${from}.bn${n}.weight`);
      put(`${at}.norm${n}.shift`, `${from}.bn${n}.bias`);
    }
    put(`${at}.shortcut.kernel`, `${from}.${kernel}`);
    if (bias) put(`${at}.shortcut.bias`, `${from}.${bias}`);
  }
  for (const [path, name] of Object.entries(outer)) put(path, `param.${name}`);
  return edit({} as Tree<Tensor>, found);
}

/** The network with generated kernels, applied in training mode to the case's images. */
function generatedNetwork<G>(
  c: GoldenCase,
  given: Given,
  options: Omit<ResidualOptions, "groups" | "input" | "classes"> & {
    readonly blocks: readonly ResidualBlock[];
    readonly classes: number;
  },
  generator: Module<G, Stateless, readonly [], readonly Tensor[]>,
  generatorValues: Values<G>,
  names: Names,
  l2 = 0,
): CaseGraph {
  const x = given("in.x");
  const [batch = 1, ...input] = x.shape;
  const { blocks } = options;
  const target = residualNetwork("residual", {
    ...options,
    groups: [blocks],
    input: input as [number, number, number],
  });
  const paths = blocks.flatMap((_, k) =>
    [1, 2].map((conv) => `group1.block${k + 1}.conv${conv}.kernel`),
  );
  const net = hyper(target, { generator, paths, l2 });
  const direct = directParameters(c, given, blocks, names) as Record<string, Tree<Tensor>>;
  const params = { ...direct, generator: generatorValues } as unknown as Values<typeof net.params>;
  const values: Record<string, Tensor> = {};
  const applied = net.apply(
    {
      train: true,
      key: null,
      probe: (path, value) => {
        const [, block] = path.split("block");
        values[`mid.block${Number(block) - 1}`] = value;
      },
    },
    params,
    freshState(net.state),
    x,
  );
  for (const [path, value] of statistics(applied.state as Tree<Tensor>, names)) {
    values[`out.${path}`] = value;
  }
  const weight = constant(new Float32Array(batch).fill(1), [batch]);
  const { loss } = crossEntropy.apply(applied.outputs, { labels: given("const.labels"), weight });
  values["out.logits"] = applied.outputs;
  values["out.cross_entropy"] = loss;
  if (!applied.penalty) return { values, loss };
  values["out.l2"] = applied.penalty;
  return { values, loss: add(loss, applied.penalty) };
}

/** Running statistics as PyTorch starts them: means 0, variances 1. */
function freshState(state: Tree<StateSpec>): Values<Tree<StateSpec>> {
  const found = specs(state).map(
    ({ path, value }) => [path, fill(path.endsWith("variance") ? 1 : 0, value.shape)] as const,
  );
  return edit({} as Tree<Tensor>, new Map(found)) as Values<Tree<StateSpec>>;
}

/** Running statistics under the names that a file has for them. */
function statistics(state: Tree<Tensor>, { block, outer }: Names): [string, Tensor][] {
  const norms = Object.entries(outer).flatMap(([path, name]) =>
    path.endsWith("norm.scale") ? [[path.slice(0, -6), name.replace(/\.weight$/, "")]] : [],
  );
  return leaves(state, isTensor).map(({ path, value }) => {
    const [, k = "", n = "", what = ""] = /^group1\.block(\d+)\.norm(\d)\.(\w+)$/.exec(path) ?? [];
    const own = norms.find(([at]) => path.startsWith(`${at}.`));
    const from = own ? own[1] : `${block(Number(k) - 1)}.bn${n}`;
    const which = own ? path.slice((own[0] as string).length + 1) : what;
    return [`${from}.running_${which === "mean" ? "mean" : "var"}`, value];
  });
}

/** The case's blocks, each a record with `c_in` and `c_out`. */
function blocksOf(
  { hyper: { blocks } }: GoldenCase,
  strideOf: (block: Readonly<Record<string, unknown>>) => number,
): ResidualBlock[] {
  if (!Array.isArray(blocks)) throw new Error("hyper.blocks is missing");
  return blocks.map((block: Record<string, unknown>) => ({
    inputs: Number(block.c_in),
    outputs: Number(block.c_out),
    stride: strideOf(block),
  }));
}

/** Embeddings stored block by block, `in.z.K.0` and `in.z.K.1`, one after another. */
const embeddings = (given: Given, blocks: readonly ResidualBlock[]): Tensor =>
  concat(
    blocks.flatMap((_, k) => [given(`in.z.${k}.0`), given(`in.z.${k}.1`)]),
    0,
  );

const classesOf = (given: Given, name: string): number => given(name).shape[0] ?? 1;

/** `network.preact_wrn`: pre-activation blocks, the paper's generator, L2 on what it makes. */
export const networkPreactWrn = graphKind((c, given) => {
  const blocks = blocksOf(c, ({ stride }) => Number(stride));
  const base = setting(c, "base");
  const kernelSize = setting(c, "f");
  const generator = staticGenerator({
    kernels: blocks.flatMap(({ inputs, outputs }) => [
      { inputs, outputs },
      { inputs: outputs, outputs },
    ]),
    block: { inputs: base, outputs: base },
    kernelSize,
    nz: setting(c, "N_z"),
    d: setting(c, "d"),
  });
  const values = { z: embeddings(given, blocks), ...parameters(given, PAPER) };
  const options = {
    blocks,
    kernelSize,
    stem: { outputs: blocks[0]?.inputs ?? base, bias: false, norm: false },
    activation: "pre",
    bias: false,
    shortcut: "conv",
    classes: setting(c, "classes"),
  } as const;
  const names: Names = {
    block: (k) => `b${k}`,
    shortcut: ["short", null],
    outer: {
      "stem.kernel": "conv1.kernel",
      "norm.scale": "bn_out.weight",
      "norm.shift": "bn_out.bias",
      "fc.weight": "fc.weight",
      "fc.bias": "fc.bias",
    },
  };
  return generatedNetwork(c, given, options, generator, values, names, setting(c, "l2_lambda") / 2);
});

/** Blocks of g1910/HyperNetworks with its generator, behind a stem or without one. */
function g1910Network(
  c: GoldenCase,
  given: Given,
  blocks: readonly ResidualBlock[],
  z: Tensor,
  names: Names,
): CaseGraph {
  const base = setting(c, "base");
  const kernelSize = setting(c, "f");
  const generator = g1910Generator({
    kernels: blocks.flatMap(({ inputs, outputs }) => [
      [outputs / base, inputs / base],
      [outputs / base, outputs / base],
    ]),
    outputs: base,
    inputs: base,
    kernelSize,
    nz: setting(c, "N_z"),
  });
  const values = { z, ...parameters(given, G1910, "param.hope.") };
  const stem = "stem.kernel" in names.outer;
  const options = {
    blocks,
    kernelSize,
    stem: stem ? { outputs: blocks[0]?.inputs ?? base, bias: true, norm: true } : null,
    activation: "post",
    bias: false,
    shortcut: "conv-bias",
    classes: classesOf(given, "param.final.weight"),
  } as const;
  return generatedNetwork(c, given, options, generator, values, names);
}

const g1910Names = (
  block: Names["block"],
  outer: Readonly<Record<string, string>> = {},
): Names => ({
  block,
  shortcut: ["reslayer.weight", "reslayer.bias"],
  outer: { ...outer, "fc.weight": "final.weight", "fc.bias": "final.bias" },
});

/** `network.g1910_blocks`: post-activation blocks on an image of many channels. */
export const networkG1910Blocks = graphKind((c, given) => {
  const blocks = blocksOf(c, ({ downsample }) => (downsample ? 2 : 1));
  const names = g1910Names((k) => `res.${k}`);
  return g1910Network(c, given, blocks, embeddings(given, blocks), names);
});

/** `network.g1910_wrn40`: the whole network, 18 blocks behind a stem. */
export const networkG1910Wrn40 = graphKind((c, given) => {
  const { channels } = c.hyper;
  if (!Array.isArray(channels)) throw new Error("hyper.channels is missing");
  const blocks = (channels as [number, number][]).map(([inputs, outputs]) => ({
    inputs,
    outputs,
    stride: inputs === outputs ? 1 : 2,
  }));
  const names = g1910Names((k) => `res_net.${k}`, {
    "stem.kernel": "conv1.weight",
    "stem.bias": "conv1.bias",
    "stem.norm.scale": "bn1.weight",
    "stem.norm.shift": "bn1.bias",
  });
  return g1910Network(c, given, blocks, given("in.z"), names);
});
