import { type CaseReport, evaluateCase } from "./golden-cases/kinds";
import type { JobContext, JobEvent } from "./job";
import { withDevice } from "./training-jobs";

/** Which cases to evaluate. Files: `K.json` and `K.safetensors` for case number K. */
export interface GoldenSpec {
  readonly names: readonly string[];
}

/** What became of one case. */
export interface GoldenCaseEvent extends JobEvent, CaseReport {
  readonly event: "case";
}

/** How many cases passed. */
export interface GoldenOutcome {
  readonly passed: number;
  readonly failed: number;
}

/** Evaluates golden cases one after another, with an event for each. */
export async function goldenJob(
  { names }: GoldenSpec,
  context: JobContext,
): Promise<GoldenOutcome> {
  const { read, emit, signal, versions } = context;
  return withDevice(context, async (device) => {
    emit({
      event: "start",
      command: "golden",
      versions,
      adapter: device.adapter,
      cases: names.length,
    });
    let passed = 0;
    for (const [k, name] of names.entries()) {
      if (signal.aborted)
        throw new Error(`hyperloom: golden was interrupted after ${k} of ${names.length} cases`);
      const [sidecar, safetensors] = await Promise.all([
        read(`${k}.json`),
        read(`${k}.safetensors`),
      ]);
      const text = new TextDecoder().decode(sidecar);
      const report = await evaluateCase(device, { name, sidecar: text, safetensors });
      if (report.pass) passed++;
      emit<GoldenCaseEvent>({ event: "case", ...report });
    }
    const outcome = { passed, failed: names.length - passed };
    emit({ event: "done", metrics: outcome });
    return outcome;
  });
}
