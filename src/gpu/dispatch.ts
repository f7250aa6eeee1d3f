import type { KernelSource } from "./kernel-source";

/** A uniform field's value: a number, or four for a vec4. */
export type UniformValue = number | readonly [number, number, number, number];

/** Workgroups in x, y and z. */
export type Grid = readonly [number, number, number];

/**
 * One shader invocation as plain data: what runs, on which operands, with which sizes. It names no
 * GPU object, so that it can be planned, counted and printed before anything is allocated. T is
 * whatever stands for a buffer (a graph tensor, a buffer range, …).
 */
export interface Dispatch<T> {
  readonly kernel: KernelSource;
  readonly bind: Readonly<Record<string, T>>;
  readonly uniforms: Readonly<Record<string, UniformValue>>;
  readonly overrides: Readonly<Record<string, number>>;
  readonly grid: Grid;
  /** Floating-point operations, for cutting submits and for the bench; an estimate will do. */
  readonly flops: number;
}

/**
 * Describes a dispatch, checked by the type system against the kernel's reflected names: every
 * storage binding and every uniform field must be given, and no other.
 */
export function dispatch<T, B extends string, U extends string, O extends string>(
  kernel: KernelSource<B, U, O>,
  call: {
    readonly bind: Readonly<Record<B, T>>;
    readonly uniforms: Readonly<Record<U, UniformValue>>;
    readonly overrides?: Readonly<Partial<Record<O, number>>>;
    readonly grid: Grid;
    readonly flops: number;
  },
): Dispatch<T> {
  const overrides: Record<string, number> = {};
  for (const [name, value] of Object.entries<number | undefined>(call.overrides ?? {})) {
    if (value !== undefined) overrides[name] = value;
  }
  return {
    kernel,
    bind: call.bind,
    uniforms: call.uniforms,
    overrides,
    grid: call.grid,
    flops: call.flops,
  };
}

/** The largest number of workgroups that WebGPU allows along one dimension of a grid. */
export const MAX_WORKGROUPS_PER_DIMENSION = 65_535;

/**
 * A grid of at least `workgroups` workgroups, folded into y beyond 65,535: the shader's linear
 * workgroup is `wid.x + wid.y * num_workgroups.x` and must be checked against its own bound.
 */
export function linearGrid(workgroups: number): Grid {
  const n = Math.max(1, Math.ceil(workgroups));
  if (n <= MAX_WORKGROUPS_PER_DIMENSION) return [n, 1, 1];
  const y = Math.ceil(n / MAX_WORKGROUPS_PER_DIMENSION);
  return [Math.ceil(n / y), y, 1];
}

/**
 * What a kernel choice may depend on: the class of adapter (software adapters pay for loads, GPUs
 * want workgroup tiles), its limits and its features.
 */
export interface Target {
  readonly adapter: "software" | "gpu";
  readonly limits: {
    readonly maxStorageBufferBindingSize: number;
    readonly maxBufferSize: number;
    readonly maxComputeWorkgroupStorageSize: number;
    readonly maxComputeInvocationsPerWorkgroup: number;
    readonly maxStorageBuffersPerShaderStage: number;
  };
  readonly features: ReadonlySet<string>;
}
