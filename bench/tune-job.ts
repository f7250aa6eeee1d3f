import type { JobContext } from "../src/cli/job";
import { withDevice } from "../src/cli/training-jobs";
import type { AdapterDescription } from "../src/gpu/device";
import type { Target } from "../src/gpu/dispatch";
import type { MeasuredVariant } from "../src/ops/variants";
import { type TuningClass, tuningClasses } from "./candidates";
import type { BenchProgress } from "./job";
import { Stopwatch } from "./measure";
import { type Tried, tuneClass } from "./tune";

/** What to tune. */
export interface TuneSpec {
  /** Pattern of a regular expression that `OP CLASS` must match, such as `matmul huge`. */
  readonly filter?: string;
  readonly repeat: number;
}

/** The rows that beat the library's own tables on this adapter, and all that was tried. */
export interface TuneResult {
  readonly adapter: AdapterDescription;
  readonly versions: Readonly<Record<string, string>>;
  readonly clock: Stopwatch["clock"];
  readonly rows: readonly MeasuredVariant[];
  readonly tried: readonly Tried[];
  /** What ended it before all classes were measured; the rows of those that were are good. */
  readonly stopped?: string;
}

/** The classes that a spec asks for. @throws RangeError naming those that there are. */
export function tuningSelection(
  { filter = "" }: TuneSpec,
  adapter: Target["adapter"],
): TuningClass[] {
  const found = tuningClasses(adapter, new RegExp(filter));
  if (found.length > 0) return found;
  const names = tuningClasses(adapter).map(({ op, shape }) => `${op} ${shape}`);
  throw new RangeError(
    `hyperloom: bench --tune --filter ${filter} matches nothing to tune; there are ${names.join(", ")}`,
  );
}

/**
 * Measures the variants of every kernel that has some, class by class of shapes. The device takes no
 * variants of the caller's: rows are compared with the library's own. What ends it after a class is
 * measured (the signal, a lost device) leaves the classes before.
 * @throws RangeError from `tuningSelection`; DeviceLostError, GpuHangError.
 */
export async function tuneJob(spec: TuneSpec, context: JobContext): Promise<TuneResult> {
  const { emit, signal, versions } = context;
  return withDevice({ ...context, variants: [] }, async (device) => {
    const classes = tuningSelection(spec, device.target.adapter);
    const watch = new Stopwatch(device);
    const rows: MeasuredVariant[] = [];
    const tried: Tried[] = [];
    let stopped: string | undefined;
    for (const [done, tuned] of classes.entries()) {
      const report = (name: string): void => {
        if (signal.aborted) throw new Error("hyperloom: the bench was interrupted");
        const event: BenchProgress = { event: "progress", done, total: classes.length, name };
        emit(event);
      };
      try {
        const result = await tuneClass(watch, tuned, spec.repeat, report);
        if (result.row) rows.push(result.row);
        tried.push(...result.tried);
      } catch (error) {
        if (done === 0) throw error;
        const reason = (error as Error).message.replace(/^hyperloom: /, "");
        stopped = `${reason}; ${done} of ${classes.length} classes are measured`;
        break;
      }
    }
    const found = { adapter: device.adapter, versions, clock: watch.clock, rows, tried };
    return { ...found, ...(stopped !== undefined && { stopped }) };
  });
}
