import type { JobContext, JobEvent } from "../src/cli/job";
import { withDevice } from "../src/cli/training-jobs";
import type { AdapterDescription, Device } from "../src/gpu/device";
import type { PreparedKernel } from "./checked-kernel";
import type { NamedCase } from "./kernel-case";
import { defaultCases, kernelCase, ladderCases } from "./kernels";
import type { Spread, Stopwatch } from "./measure";
import { type Measurement, measure, type Progress } from "./measurement";
import {
  type KernelShare,
  type PipelineTime,
  prepareStep,
  type StepCase,
  stepCases,
  type TimedStep,
} from "./steps";
import { checkShader, prepareUserShader, type ShaderSpec } from "./user-shader";

/** What to measure. */
export interface BenchSpec {
  /** Pattern of a regular expression that the names of kernels and steps must match. */
  readonly filter?: string;
  /** One kernel at one shape instead of the usual ones. */
  readonly kernel?: { readonly op: string; readonly shape: readonly number[] };
  /** The rungs of the ladder of matmul for n × n matrices. */
  readonly ladder?: number;
  /** A shader of the user's own. */
  readonly shader?: ShaderSpec;
  /** Whether the kernels of a step are compiled one after another, each timed. */
  readonly pipelines?: boolean;
  readonly repeat: number;
}

/** How far the bench is. */
export interface BenchProgress extends JobEvent {
  readonly event: "progress";
  readonly done: number;
  readonly total: number;
  readonly name: string;
}

/** A whole step; times in milliseconds. */
export interface StepRow extends Spread {
  readonly name: string;
  readonly stepsPerSecond: number;
  readonly samplesPerSecond: number;
  readonly first: TimedStep["first"];
  /** Whether the first step found kernels that a step before it in this run had compiled. */
  readonly warm: boolean;
  readonly dispatches: number;
  readonly submits: number;
  readonly bytesPlanned: number;
  readonly bytesPeak: number;
  readonly kernels: readonly KernelShare[];
  readonly pipelines?: readonly PipelineTime[];
}

/** All that was measured. */
export interface BenchResult extends Measurement {
  readonly adapter: AdapterDescription;
  readonly versions: Readonly<Record<string, string>>;
  readonly steps: readonly StepRow[];
}

/** What a spec asks for. @throws RangeError naming what is not there; ShaderError. */
export function selection({ filter = "", kernel, ladder, shader }: BenchSpec): {
  kernels: NamedCase[];
  steps: StepCase[];
} {
  if (shader) checkShader(shader);
  if (shader) return { kernels: [], steps: [] };
  if (ladder !== undefined) return { kernels: ladderCases(ladder), steps: [] };
  if (kernel) return { kernels: [kernelCase(kernel.op, kernel.shape)], steps: [] };
  const pattern = new RegExp(filter);
  const [all, steps] = [defaultCases(), stepCases()];
  const matching = {
    kernels: all.filter(({ name }) => pattern.test(name)),
    steps: steps.filter(
      ({ name, heavy }) => pattern.test(name) && (!heavy || filter.includes(heavy)),
    ),
  };
  if (matching.kernels.length + matching.steps.length === 0) {
    const ops = new Set(all.map(({ name }) => name.split(" ")[0]));
    const models = new Set(steps.map(({ name }) => name.replace(/ B\d+$/, "")));
    throw new RangeError(
      `hyperloom: bench --filter ${filter} matches no kernel and no step; there are ` +
        [...ops, ...models].join(", "),
    );
  }
  return matching;
}

/**
 * Measures the adapter's roof, kernels and steps, in turn in one run. Each kernel is checked before
 * it is timed.
 * @throws RangeError from `selection`; DeviceLostError, GpuError.
 */
export async function benchJob(spec: BenchSpec, context: JobContext): Promise<BenchResult> {
  const { kernels, steps } = selection(spec);
  return withDevice(context, (device) => measureAll(device, kernels, steps, spec, context));
}

const interrupted = (): Error => new Error("hyperloom: the bench was interrupted");

/** Steps live as long as the device, which is the job's own. */
async function measureAll(
  device: Device,
  kernels: readonly NamedCase[],
  stepCases: readonly StepCase[],
  { repeat, shader, pipelines = false }: BenchSpec,
  { emit, signal, versions }: JobContext,
): Promise<BenchResult> {
  const onProgress = ({ phase, done, total, name }: Progress): void => {
    const what = phase === "preparing" ? `preparing ${name}` : name;
    const event: BenchProgress = { event: "progress", done, total, name: what };
    emit(event);
  };
  // Steps come first, so that their first step finds nothing compiled by a kernel's own row.
  const others: TimedStep[] = [];
  for (const [done, step] of stepCases.entries()) {
    if (signal.aborted) throw interrupted();
    const total = stepCases.length + kernels.length;
    onProgress({ phase: "preparing", done, total, name: step.name });
    others.push(await prepareStep(device, step, pipelines));
  }
  const own = shader && ((watch: Stopwatch) => ownKernel(watch, shader));
  const subjects = { kernels, others, ...(own && { own }) };
  const { times, ...measured } = await measure(device, subjects, repeat, { signal, onProgress });
  if (signal.aborted) throw interrupted();
  const steps: StepRow[] = [];
  for (const [i, step] of others.entries()) {
    steps.push(await stepRow(step, times.get(step) as Spread, i > 0));
  }
  return { adapter: device.adapter, versions, ...measured, steps };
}

/** A shader of the user's own as a kernel; its buffers live as long as the device. */
async function ownKernel(watch: Stopwatch, shader: ShaderSpec): Promise<PreparedKernel> {
  const { recorded, ...rest } = await prepareUserShader(watch.device, shader);
  const name = shader.file;
  const timed = await watch.prepare(name, recorded, await watch.time(recorded));
  const work = { ...rest, flops: shader.flops };
  return { name, recorded, case: work, timed, dispose: () => undefined };
}

async function stepRow(step: TimedStep, at: Spread, warm: boolean): Promise<StepRow> {
  const { dispatches, submits, bytesPlanned, bytesPeak } = step.stats();
  return {
    name: step.name,
    ...at,
    stepsPerSecond: 1000 / at.median,
    samplesPerSecond: (1000 * step.case.samples) / at.median,
    first: step.first,
    warm,
    dispatches,
    submits,
    bytesPlanned,
    bytesPeak,
    kernels: await step.shares(),
    ...(step.pipelines && { pipelines: step.pipelines }),
  };
}
