import type { Device } from "../src/gpu/device";
import type { Profile } from "../src/gpu/record";
import { key, uniform } from "../src/graph/random";
import { crossEntropy } from "../src/nn/losses";
import { adam } from "../src/optim/optimizer";
import { compile, type Executable, type ExecutableStats } from "../src/schedule/executable";
import { prediction, trainStep } from "../src/train/programs";
import { buildModel, type ModelName, modelSpec } from "../src/train/tasks";
import { spread, type Timed } from "./measure";

/** A model's training step or inference at a batch size. */
export interface StepCase {
  readonly name: string;
  readonly model: ModelName;
  readonly batch: number;
  readonly train: boolean;
}

/** The part of a step that one kernel takes. */
export interface KernelShare {
  readonly kernel: string;
  readonly milliseconds: number;
  /** Of the sum over all kernels. */
  readonly share: number;
  readonly dispatches: number;
}

/** A step that is compiled and has run once. */
export interface TimedStep extends Timed {
  readonly case: StepCase;
  /** Milliseconds from nothing to the first result: graph, compilation, run. */
  readonly first: { readonly build: number; readonly compile: number; readonly run: number };
  readonly stats: () => ExecutableStats;
  readonly shares: () => Promise<KernelShare[]>;
}

/** The models of the library, training and inference, at batch 32 and 128. */
export function stepCases(): StepCase[] {
  const models: ModelName[] = ["hyper-cnn", "cnn"];
  return models.flatMap((model) =>
    [true, false].flatMap((train) =>
      [32, 128].map((batch) => {
        const name = `${model} ${train ? "training step" : "inference"} B${batch}`;
        return { name, model, batch, train };
      }),
    ),
  );
}

/** Builds, compiles and runs a step for the first time, on noise for images. */
export async function prepareStep(device: Device, step: StepCase): Promise<TimedStep> {
  const { batch, train } = step;
  const images = { x: Float32Array.from(uniform(key(1), batch * 784)) };
  const inputs = {
    ...images,
    ...(train && {
      labels: Uint32Array.from({ length: batch }, (_, i) => i % 10),
      weight: new Float32Array(batch).fill(1),
    }),
  };
  const began = performance.now();
  const model = buildModel(modelSpec(step.model));
  const program = train
    ? trainStep(model, crossEntropy, adam(), { batch })
    : prediction(model, { batch });
  const built = performance.now();
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
