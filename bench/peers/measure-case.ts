import { interleave, type Spread } from "../measure";
import type { KernelCase, Library, Parameters, StepCase } from "./cases";

/** What came of one library at one case. */
export interface Row extends Partial<Spread> {
  readonly library: Library["name"];
  /** Why it has no time: what it threw, or how it differs from hyperloom. */
  readonly error?: string;
  /** Milliseconds of the first step, from building the model to the loss. */
  readonly first?: number;
  /** Of the first steps, in nats. */
  readonly losses?: readonly number[];
  /** The largest difference from hyperloom's results, as a part of the largest of these. */
  readonly difference?: number;
}

/** A library that is ready to be timed, or has failed. */
interface Prepared {
  readonly row: Row;
  /** Milliseconds of one run. */
  readonly sample?: () => Promise<number>;
}

type Say = (text: string) => void;

// f32 sums of up to 16,384 terms in another order; a wrong index is of the size of the result.
const KERNEL_TOLERANCE = 1e-4;
// Losses agree to four digits.
const LOSS_TOLERANCE = 5e-5;
const LOSSES = 5;
// So long at least does a sample of a kernel last: the cost of its read-back is lost in it.
const SAMPLE_MS = 200;

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";

async function clocked(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** The largest difference, as a part of the largest expected value; infinite where one is missing. */
function difference(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [worst, largest] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    const [y, wanted] = [got[i] as number, expected[i] as number];
    // Written so that NaN counts as different.
    if (!(Math.abs(y - wanted) <= worst)) worst = Math.abs(y - wanted);
    if (Number.isNaN(worst)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, Math.abs(wanted));
  }
  return worst / largest;
}

async function prepareKernel(library: Library, kernel: KernelCase) {
  const running = await library.kernel(kernel);
  const result = await running.result();
  await running.run(1);
  const once = await clocked(() => running.run(1));
  const times = Math.min(64, Math.max(1, Math.ceil(SAMPLE_MS / once)));
  const sample = async (): Promise<number> => (await clocked(() => running.run(times))) / times;
  return { values: result, extra: {}, sample };
}

async function prepareStep(library: Library, step: StepCase, initial: Parameters) {
  const began = performance.now();
  const run = await library.step(step, initial);
  const losses = [await run()];
  const first = performance.now() - began;
  while (losses.length < (step.train ? LOSSES : 2)) losses.push(await run());
  return { values: losses, extra: { first, losses }, sample: () => clocked(run) };
}

/**
 * Prepares every library in turn, compares what it computes with what the first one does, then
 * times those that agree, one sample of each in turn. What a library throws becomes its row.
 */
export async function measureCase(
  made: KernelCase | StepCase,
  libraries: readonly Library[],
  initial: Parameters,
  repeat: number,
  say: Say,
): Promise<Row[]> {
  let expected: ArrayLike<number> | undefined;
  const prepared: Prepared[] = [];
  for (const library of libraries) {
    say(`preparing ${library.name}`);
    try {
      await library.start();
      const ready =
        made.kind === "kernel"
          ? await prepareKernel(library, made)
          : await prepareStep(library, made, initial);
      expected ??= ready.values;
      const apart = difference(ready.values, expected);
      const row = { library: library.name, ...ready.extra, difference: apart };
      const allowed = made.kind === "kernel" ? KERNEL_TOLERANCE : LOSS_TOLERANCE;
      if (apart <= allowed) prepared.push({ row, sample: ready.sample });
      else {
        const error = `differs from ${libraries[0]?.name} by ${apart.toPrecision(2)} of the largest value, ${allowed} is allowed`;
        prepared.push({ row: { ...row, error } });
      }
    } catch (error) {
      prepared.push({ row: { library: library.name, error: messageOf(error) } });
    }
  }
  const timed = prepared.flatMap(({ row, sample }) =>
    sample ? [{ name: row.library, sample }] : [],
  );
  const times = await interleave(timed, repeat, (done, total, name) =>
    say(`${done}/${total} · ${name}`),
  );
  const byName = new Map([...times].map(([{ name }, spread]) => [name, spread]));
  return prepared.map(({ row }) => ({ ...row, ...byName.get(row.library) }));
}
