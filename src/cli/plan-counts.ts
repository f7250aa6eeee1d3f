import type { Target } from "../gpu/dispatch";
import type { Program } from "../schedule/executable";
import { plan } from "../schedule/plan";

/** WebGPU's default limits: what every adapter has. */
export const defaultLimits: Target["limits"] = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxComputeWorkgroupStorageSize: 16 * 2 ** 10,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};

/** A device of a class with no more than the default limits. */
export function defaultTarget(adapter: Target["adapter"]): Target {
  return { adapter, limits: defaultLimits, features: new Set() };
}

/** What a program costs, without compiling it. */
export interface PlanCounts {
  /** Of a run, loops unrolled. */
  readonly dispatches: number;
  readonly submits: number;
  /** Of the plan and of the variables it works on. */
  readonly bytes: number;
  /** Of the largest binding. */
  readonly largest: number;
}

/** Plans a program on a device with the default limits. @throws LimitError where it does not fit. */
export function planCounts(program: Program, adapter: Target["adapter"]): PlanCounts {
  const roots = [...Object.values(program.outputs), ...(program.updates?.values() ?? [])];
  const planned = plan(roots, defaultTarget(adapter));
  const variables = planned.storages.filter(({ kind }) => kind === "variable");
  const held = variables.reduce((n, s) => n + s.bytes, 0);
  return {
    dispatches: planned.cuts[planned.cuts.length - 1] ?? 0,
    submits: planned.cuts.length,
    bytes: planned.bytes + held,
    largest: Math.max(...planned.storages.map((s) => s.bytes)),
  };
}
