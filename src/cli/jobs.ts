import { benchJob } from "../../bench/job";
import { tuneJob } from "../../bench/tune-job";
import { goldenJob } from "./golden-job";
import { inspectJob } from "./inspect-job";
import type { JobContext } from "./job";
import { sampleJob } from "./sample-job";
import { evaluateJob, probeJob, trainJob } from "./training-jobs";
import { weightsJob } from "./weights-job";

/**
 * Everything that runs on a GPU for the terminal, by name: each takes a spec that survives JSON and
 * a context, and resolves to a result that survives JSON.
 */
export const jobs = {
  train: trainJob,
  evaluate: evaluateJob,
  sample: sampleJob,
  inspect: inspectJob,
  weights: weightsJob,
  probe: probeJob,
  golden: goldenJob,
  bench: benchJob,
  tune: tuneJob,
};

export type JobName = keyof typeof jobs;
export type JobSpec<K extends JobName> = Parameters<(typeof jobs)[K]>[0];
export type JobResult<K extends JobName> = Awaited<ReturnType<(typeof jobs)[K]>>;

/** Runs a job here and now. */
export function startJob<K extends JobName>(
  name: K,
  spec: JobSpec<K>,
  context: JobContext,
): Promise<JobResult<K>> {
  const job = jobs[name] as (spec: JobSpec<K>, context: JobContext) => Promise<JobResult<K>>;
  return job(spec, context);
}
