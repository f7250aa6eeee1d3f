import type { Device } from "../src/gpu/device";
import type { Profile } from "../src/gpu/record";
import { key, uniform } from "../src/graph/random";
import { size } from "../src/graph/shape";
import { crossEntropy } from "../src/nn/losses";
import { adam } from "../src/optim/optimizer";
import { hyperLstm } from "../src/hyper/hyper-lstm";
import type { Cell } from "../src/nn/cell";
import { languageModel } from "../src/nn/language-model";
import { lstm } from "../src/nn/recurrent";
import type { HostArray } from "../src/ops/sources";
import {
  compile,
  type Executable,
  type ExecutableStats,
  planProgram,
  type Program,
} from "../src/schedule/executable";
import { kernelsOf } from "../src/schedule/kernels";
import { prediction, trainStep } from "../src/train/programs";
import { sequenceEvaluation, sequenceStep } from "../src/train/sequence-programs";
import type { AnyModel } from "../src/train/image-models";
import { buildModel, modelSpec, namedModel } from "../src/train/models";
import { spread, type Timed } from "./measure";

/** A model's training step or inference at some sizes. */
export interface StepCase {
  readonly name: string;
  /** Samples of one step: images, or sequences times time steps. */
  readonly samples: number;
  /** Too slow for a software adapter: it runs only where the filter has this text. */
  readonly heavy?: string;
  readonly build: () => {
    readonly program: Program;
    readonly inputs: Readonly<Record<string, HostArray>>;
  };
}

/** The part of a step that one kernel takes. */
export interface KernelShare {
  readonly kernel: string;
  readonly milliseconds: number;
  /** Of the sum over all kernels. */
  readonly share: number;
  readonly dispatches: number;
}

/** What it takes to compile one kernel by itself. */
export interface PipelineTime {
  readonly kernel: string;
  readonly overrides: Readonly<Record<string, number>>;
  readonly milliseconds: number;
}

/** A step that is compiled and has run once. */
export interface TimedStep extends Timed {
  readonly case: StepCase;
  /** Milliseconds from nothing to the first result: graph, compilation, run. */
  readonly first: { readonly build: number; readonly compile: number; readonly run: number };
  /** Of its different kernels, longest first, where that was asked for. */
  readonly pipelines?: readonly PipelineTime[];
  readonly stats: () => ExecutableStats;
  readonly shares: () => Promise<KernelShare[]>;
}

const both = [true, false] as const;
const what = (train: boolean): string => (train ? "training step" : "inference");

/** An image model on noise. */
function imageCase(label: string, train: boolean, batch: number): StepCase {
  const labels = Uint32Array.from({ length: batch }, (_, i) => i % 10);
  return {
    name: `${label} ${what(train)} B${batch}`,
    samples: batch,
    build: () => {
      const { name, options } = namedModel(label);
      const made = buildModel(modelSpec(name, options)) as AnyModel;
      const x = Float32Array.from(uniform(key(1), batch * size(made.input ?? [])));
      const program = train
        ? trainStep(made, crossEntropy, adam(), { batch })
        : prediction(made, { batch });
      const targets = { labels, weight: new Float32Array(batch).fill(1) };
      return { program, inputs: { x, ...(train && targets) } };
    },
  };
}

/** A character model at the sizes at which peers were measured, on noise. */
function sequenceCase(name: string, cell: () => Cell, train: boolean): StepCase {
  const [T, B] = [32, 32];
  const symbols = (seed: number): Uint32Array =>
    Uint32Array.from(uniform(key(seed), T * B), (u) => Math.floor(u * SYMBOLS));
  return {
    name: `${name} ${what(train)} B${B} T${T}`,
    samples: T * B,
    build: () => {
      const model = languageModel(cell(), SYMBOLS);
      const sizes = { batch: B, length: T };
      const program = train
        ? sequenceStep(model, adam({ clip: { norm: 1 } }), sizes)
        : sequenceEvaluation(model, sizes);
      const weight = new Float32Array(T * B).fill(1);
      const keep = new Float32Array([1]);
      return { program, inputs: { x: symbols(1), labels: symbols(2), weight, keep } };
    },
  };
}

const SYMBOLS = 50;

/**
 * The models of the library, training and inference: image models at batch 32 and 128 (the larger
 * Wide ResNets at 128 only, and only where the filter names them), character
 * models of 256 units, 64 in the hyper cell, N_z = 16, with 32 sequences of 32 steps.
 */
export function stepCases(): StepCase[] {
  const images = ["hyper-cnn", "cnn", "hyper-wrn-40-1"].flatMap((model) =>
    both.flatMap((train) => [32, 128].map((batch) => imageCase(model, train, batch))),
  );
  const sizes = { inputs: SYMBOLS, units: 256 };
  const hyper = { ...sizes, hyperUnits: 64, nz: 16 };
  const cells: Readonly<Record<string, () => Cell>> = {
    lstm: () => lstm(sizes),
    "ln-lstm": () => lstm({ ...sizes, layerNorm: true }),
    hyperlstm: () => hyperLstm({ ...hyper, layerNorm: false }),
    "ln-hyperlstm": () => hyperLstm({ ...hyper, layerNorm: true }),
  };
  const sequences = Object.entries(cells).flatMap(([name, cell]) =>
    both.map((train) => sequenceCase(name, cell, train)),
  );
  const heavy = ["wrn-40-1", "hyper-wrn-40-2"].flatMap((model) =>
    both.map((train) => ({ ...imageCase(model, train, 128), heavy: model })),
  );
  return [...images, ...sequences, ...heavy];
}

/** Compiles the different kernels of a program one after another. */
async function compiledAlone(device: Device, program: Program): Promise<PipelineTime[]> {
  const times = new Map<string, PipelineTime>();
  for (const [kernel, overrides] of kernelsOf(
    planProgram(program, device.target).planned.dispatches,
  )) {
    const key = `${JSON.stringify(overrides)}${kernel.code}`;
    if (times.has(key)) continue;
    const began = performance.now();
    await device.pipelines.get(kernel, overrides);
    times.set(key, { kernel: kernel.name, overrides, milliseconds: performance.now() - began });
  }
  return [...times.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}

/**
 * Builds, compiles and runs a step for the first time, on noise.
 * @param alone Whether its kernels are compiled one after another, each timed.
 */
export async function prepareStep(
  device: Device,
  step: StepCase,
  alone: boolean,
): Promise<TimedStep> {
  const began = performance.now();
  const { program, inputs } = step.build();
  const built = performance.now();
  const pipelines = alone ? await compiledAlone(device, program) : undefined;
  const executable = await compile(device, program, { seed: 1 });
  const compiled = performance.now();
  const run = async (): Promise<void> => {
    const { loss, y } = await executable.run(inputs);
    const wrong = (loss ?? y)?.find((value) => !Number.isFinite(value));
    if (wrong !== undefined) throw new Error(`hyperloom: ${step.name} yields ${wrong}`);
  };
  await run();
  const ran = performance.now();
  return {
    name: step.name,
    case: step,
    first: { build: built - began, compile: compiled - built, run: ran - compiled },
    ...(pipelines && { pipelines }),
    sample: async () => {
      const start = performance.now();
      await run();
      return performance.now() - start;
    },
    stats: () => executable.stats,
    shares: () => shares(executable, inputs),
  };
}

const PROFILES = 3;

/** Time by kernel, the median of a few profiles for each dispatch; longest first. */
async function shares(
  executable: Executable,
  inputs: Parameters<Executable["profile"]>[0],
): Promise<KernelShare[]> {
  const profiles: Profile[][] = [];
  for (let i = 0; i < PROFILES; i++) profiles.push(await executable.profile(inputs));
  const byKernel = new Map<string, { milliseconds: number; dispatches: number }>();
  for (const [i, { label, kernel }] of (profiles[0] ?? []).entries()) {
    const { median } = spread(profiles.map((p) => p[i]?.milliseconds ?? 0));
    // A label ends with what was fused into the kernel, as the kernel's name does.
    const op = label.split("+")[0] ?? label;
    const name = kernel.startsWith(op) ? kernel : `${op}: ${kernel}`;
    const { milliseconds = 0, dispatches = 0 } = byKernel.get(name) ?? {};
    byKernel.set(name, { milliseconds: milliseconds + median, dispatches: dispatches + 1 });
  }
  const total = [...byKernel.values()].reduce((sum, k) => sum + k.milliseconds, 0);
  return [...byKernel]
    .map(([kernel, k]) => ({ kernel, ...k, share: k.milliseconds / total }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}
