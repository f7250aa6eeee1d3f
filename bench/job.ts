import type { JobContext, JobEvent } from "../src/cli/job";
import { withDevice } from "../src/cli/training-jobs";
import type { AdapterDescription, Device } from "../src/gpu/device";
import { type PreparedKernel, prepareKernel } from "./checked-kernel";
import type { NamedCase, Work } from "./kernel-case";
import { defaultCases, kernelCase, ladderCases } from "./kernels";
import { interleave, type Spread, Stopwatch, type Timed } from "./measure";
import { type Replay, replay } from "./replay";
import { type Roof, roofCases, roofOf, type RoofUnit, roofValue, submitCase } from "./roof";
import { checkShader, prepareUserShader, type ShaderSpec } from "./user-shader";
import { type KernelShare, prepareStep, type StepCase, stepCases, type TimedStep } from "./steps";

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
  readonly repeat: number;
}

/** How far the bench is. */
export interface BenchProgress extends JobEvent {
  readonly event: "progress";
  readonly done: number;
  readonly total: number;
  readonly name: string;
}

/** A measured limit of the adapter, and what it was measured from. */
export interface RoofRow extends Spread {
  readonly name: string;
  readonly value: number;
  readonly unit: RoofUnit;
}

/** A kernel; times in milliseconds of one run. A wrong one is not timed. */
export interface KernelRow extends Partial<Spread> {
  readonly name: string;
  readonly wrong?: string;
  readonly dispatches?: number;
  /** Names of the shaders that it runs. */
  readonly shaders?: readonly string[];
  readonly gflops?: number;
  /** GB/s of the bytes that must be moved at least. */
  readonly gbs?: number;
  readonly bound?: "fma" | "storage" | "dispatch";
  /** Per cent of that bound. */
  readonly percent?: number;
  /** What there is to say of it. */
  readonly note?: string;
}

/** How many times one rate of the same run is another. */
export interface RatioRow {
  readonly name: string;
  readonly value: number;
}

/** A whole step; times in milliseconds. */
export interface StepRow extends Spread {
  readonly name: string;
  readonly stepsPerSecond: number;
  readonly samplesPerSecond: number;
  readonly first: TimedStep["first"];
  readonly dispatches: number;
  readonly submits: number;
  readonly bytesPlanned: number;
  readonly bytesPeak: number;
  readonly kernels: readonly KernelShare[];
}

/** All that was measured. */
export interface BenchResult {
  readonly adapter: AdapterDescription;
  readonly versions: Readonly<Record<string, string>>;
  /** What kernels were timed by. */
  readonly clock: "timestamp" | "wall";
  readonly roof: readonly RoofRow[];
  readonly kernels: readonly KernelRow[];
  readonly ratios: readonly RatioRow[];
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
  return withDevice(context, (device) => measure(device, kernels, steps, spec, context));
}

/** Everything that is made here lives as long as the device, which is the job's own. */
async function measure(
  device: Device,
  namedCases: readonly NamedCase[],
  stepCases: readonly StepCase[],
  { repeat, shader }: BenchSpec,
  { emit, signal, versions }: JobContext,
): Promise<BenchResult> {
  const watch = new Stopwatch(device);
  const roofs = roofCases(device.target);
  const report = (done: number, total: number, name: string): void => {
    if (signal.aborted) throw new Error("hyperloom: the bench was interrupted");
    const event: BenchProgress = { event: "progress", done, total, name };
    emit(event);
  };
  const total = stepCases.length + roofs.length + namedCases.length;
  // Steps come first, so that their first step finds nothing compiled by a kernel's own row.
  const steps: TimedStep[] = [];
  for (const [i, step] of stepCases.entries()) {
    report(i, total, `preparing ${step.name}`);
    steps.push(await prepareStep(device, step));
  }
  const roofReplays: Replay[] = [];
  const roofTimed: Timed[] = [];
  for (const { name, output } of roofs) {
    const replayed = await replay(device, [output], {});
    roofReplays.push(replayed);
    roofTimed.push(
      await watch.prepare(name, replayed.recorded, await watch.time(replayed.recorded)),
    );
  }
  const kernels: PreparedKernel[] = [];
  for (const [i, named] of namedCases.entries()) {
    report(total - namedCases.length + i, total, `preparing ${named.name}`);
    kernels.push(await prepareKernel(watch, named.name, named.make()));
  }
  if (shader) {
    const { recorded, ...rest } = await prepareUserShader(device, shader);
    const timed = await watch.prepare(shader.file, recorded, await watch.time(recorded));
    kernels.push({
      name: shader.file,
      recorded,
      case: { ...rest, flops: shader.flops },
      timed,
    });
  }
  const submit = submitCase(device, roofReplays.at(-1) as Replay);
  const right = kernels.flatMap(({ timed }) => ("wrong" in timed ? [] : timed));
  const times = await interleave([...roofTimed, submit, ...right, ...steps], repeat, report);
  const of = (timed: Timed): Spread => times.get(timed) as Spread;

  const roofRows = roofs.map((roof, i): RoofRow => {
    const at = of(roofTimed[i] as Timed);
    return { name: roof.name, value: roofValue(roof, at.median), unit: roof.unit, ...at };
  });
  const roof = roofOf(new Map(roofRows.map(({ name, value }) => [name, value])));
  const kernelRows = kernels.map(({ name, recorded, case: made, timed }): KernelRow => {
    if ("wrong" in timed) return { name, wrong: timed.wrong };
    const { note } = made;
    const dispatches = recorded.length;
    const shaders = [...new Set(recorded.map(({ kernel }) => kernel))];
    const at = of(timed);
    return { name, dispatches, shaders, ...at, ...rates(made, dispatches, at.median, roof), note };
  });
  const stepRows: StepRow[] = [];
  for (const step of steps) stepRows.push(await stepRow(step, of(step)));
  const submitted = of(submit);
  return {
    adapter: device.adapter,
    versions,
    clock: watch.clock,
    roof: [
      ...roofRows,
      { name: submit.name, value: 1000 * submitted.median, unit: "µs", ...submitted },
    ],
    kernels: kernelRows,
    ratios: ratios(namedCases, kernelRows),
    steps: stepRows,
  };
}

async function stepRow(step: TimedStep, at: Spread): Promise<StepRow> {
  const { dispatches, submits, bytesPlanned, bytesPeak } = step.stats();
  return {
    name: step.name,
    ...at,
    stepsPerSecond: 1000 / at.median,
    samplesPerSecond: (1000 * step.case.samples) / at.median,
    first: step.first,
    dispatches,
    submits,
    bytesPlanned,
    bytesPeak,
    kernels: await step.shares(),
  };
}

/** Rates of a kernel, and which roof allows it the least. */
function rates({ flops, bytes }: Work, dispatches: number, median: number, roof: Roof) {
  const least = {
    fma: flops / roof.fma / 1e6,
    storage: bytes / roof.storage / 1e6,
    dispatch: (dispatches * roof.dispatch) / 1e3,
  };
  const names = Object.keys(least) as (keyof typeof least)[];
  const bound = names.reduce((a, b) => (least[b] > least[a] ? b : a));
  return {
    ...(flops > 0 && { gflops: flops / median / 1e6 }),
    gbs: bytes / median / 1e6,
    bound,
    percent: (100 * least[bound]) / median,
  };
}

/** What the rows say of one another: fast against naive matmul, convolutions against matmul. */
function ratios(cases: readonly NamedCase[], rows: readonly KernelRow[]): RatioRow[] {
  const rates = new Map(rows.map(({ name, gflops }) => [name, gflops]));
  return cases.flatMap(({ name, against }) => {
    const [own, other] = [rates.get(name), against && rates.get(against)];
    return own && other ? [{ name: `${name} / ${against}`, value: own / other }] : [];
  });
}
