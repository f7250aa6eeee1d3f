import type { AdapterDescription } from "./adapter";
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
  /**
   * The most loop trips that one invocation makes, all loops together, as lavapipe counts them: the
   * pass that finds a loop at its end is one more, and an inner loop is begun anew in each trip of
   * the outer one. 0 without a loop.
   */
  readonly trips: number;
  /** The most trips that one loop makes from its start to its end; default `trips`. */
  readonly longestLoop?: number;
  /**
   * Overrides beside which the kernel computes the same of these operands but takes longer to compile:
   * taken where the program compiles that kernel for another dispatch anyway.
   */
  readonly wider?: Readonly<Record<string, number>>;
}

/**
 * Describes a dispatch, checked against the kernel's names: every storage binding and every uniform
 * field must be given, and no other. Of reflected kernels the type system checks it as well.
 * @throws Error naming what lacks or is too much.
 */
export function dispatch<T, B extends string, U extends string, O extends string>(
  kernel: KernelSource<B, U, O>,
  call: {
    readonly bind: Readonly<Record<B, T>>;
    readonly uniforms: Readonly<Record<U, UniformValue>>;
    readonly overrides?: Readonly<Partial<Record<O, number>>>;
    readonly grid: Grid;
    readonly flops: number;
    readonly trips: number;
    readonly longestLoop?: number;
    readonly wider?: Readonly<Record<string, number>>;
  },
): Dispatch<T> {
  const bindings = kernel.bindings.map(({ name }) => name);
  expectNames(kernel.name, "binding", bindings, Object.keys(call.bind));
  const fields = Object.keys(kernel.uniforms?.fields ?? {});
  expectNames(kernel.name, "uniform", fields, Object.keys(call.uniforms));
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
    trips: call.trips,
    longestLoop: call.longestLoop ?? call.trips,
    ...(call.wider && { wider: call.wider }),
  };
}

/** @throws Error where the names given are not those wanted. */
export function expectNames(
  kernel: string,
  what: string,
  wanted: readonly string[],
  given: readonly string[],
): void {
  const missing = wanted.filter((name) => !given.includes(name));
  const unknown = given.filter((name) => !wanted.includes(name));
  if (missing.length === 0 && unknown.length === 0) return;
  const fault =
    unknown.length > 0
      ? `there is no ${what} ${unknown.join(", ")}`
      : `${what} ${missing.join(", ")} is not given`;
  throw new Error(
    `hyperloom: kernel ${kernel}: ${fault}; its ${what}s are ${wanted.join(", ") || "none"}`,
  );
}

/** Trips that one loop may make: half of what one adapter (lavapipe) grants. */
export const MAX_LOOP_TRIPS = 32_768;

/** Trips of all loops of an invocation together, after which lavapipe ends each loop silently. */
export const MAX_TRIPS = 65_535;

/**
 * Looks at the trips that a dispatch states.
 * @throws Error where a loop makes more than 32,768 or an invocation more than 65,535 trips: the op
 * has to split or nest its sum.
 */
export function checkTrips<T>(label: string, { kernel, trips, ...d }: Dispatch<T>): void {
  const loop = d.longestLoop ?? trips;
  const told = `internal: ${label}: kernel ${kernel.name}:`;
  if (!(loop <= MAX_LOOP_TRIPS)) {
    throw new Error(`${told} a loop makes ${loop} trips, at most ${MAX_LOOP_TRIPS} can be`);
  }
  if (!(trips <= MAX_TRIPS)) {
    throw new Error(`${told} an invocation makes ${trips} loop trips, at most ${MAX_TRIPS} can be`);
  }
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
 * A choice of kernel: for shapes of a class, on adapters of a class, a kernel (by its shader's name
 * without the op's) and values of its overrides, of several the one that fits a shape best.
 * `VARIANT_KERNELS` in ops/variants.ts lists what there is.
 */
export interface Variant {
  readonly op: string;
  /** Default: both classes. */
  readonly adapter?: "software" | "gpu";
  /** Default: every shape. */
  readonly shape?: string;
  readonly kernel: string;
  readonly overrides?: Readonly<Record<string, number | readonly number[]>>;
  /** The adapter that it was the fastest on, where that was measured; a device on another warns. */
  readonly tunedOn?: AdapterDescription;
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
  /** The caller's own choices, which come before the tables of the ops. */
  readonly variants?: readonly Variant[];
}
