import { type BufferRange, padded, storageBuffer } from "../src/gpu/buffers";
import type { Device } from "../src/gpu/device";
import { type Grid, linearGrid, MAX_WORKGROUPS_PER_DIMENSION } from "../src/gpu/dispatch";
import { GpuError, LimitError } from "../src/gpu/errors";
import type { KernelSource } from "../src/gpu/kernel-source";
import type { Recorded } from "../src/gpu/record";
import { prepareShader } from "../src/gpu/shader";
import { drawn } from "./kernel-case";

/** A shader of the user's own, and how it shall be run. */
export interface ShaderSpec {
  /** As the user called it. */
  readonly file: string;
  readonly kernel: KernelSource;
  /** Bytes of storage bindings by name; default 4 MiB each. */
  readonly bytes: Readonly<Record<string, number>>;
  /** Values of overrides and of uniform fields by name; a vec4 has four. */
  readonly values: Readonly<Record<string, readonly number[]>>;
  /** Workgroups; default: an invocation for every 4 bytes of the largest binding. */
  readonly grid?: Grid;
  /** Floating-point operations of a run, where they are what counts. */
  readonly flops: number;
}

/** Something about the user's shader that the user has to mend. */
export class ShaderError extends Error {
  override readonly name = "ShaderError";
  constructor(message: string) {
    super(`hyperloom: ${message}`);
  }
}

/** A user's shader on the device, not checked against anything. */
export interface ShaderRun {
  readonly recorded: readonly Recorded[];
  /** Of all bindings together. */
  readonly bytes: number;
  /** Sizes and grid in words. */
  readonly note: string;
}

const DEFAULT_BYTES = 4 * 2 ** 20;

/** The values of overrides and of uniform fields, told apart. @throws ShaderError naming what is wrong. */
function valuesOf({ file, values, kernel }: ShaderSpec) {
  const fields = kernel.uniforms?.fields ?? {};
  const known = [...Object.keys(kernel.overrides), ...Object.keys(fields)];
  const overrides: Record<string, number> = {};
  const uniforms: Record<string, number | [number, number, number, number]> = {};
  for (const [name, given] of Object.entries(values)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const wanted = field?.type.startsWith("vec4") ? 4 : 1;
    if (!known.includes(name)) {
      const there = known.length > 0 ? `it has ${known.join(", ")}` : "it has none";
      throw new ShaderError(`${file} has no override or uniform field ${name}; ${there}`);
    }
    if (given.length !== wanted) {
      throw new ShaderError(`${file}: ${name} takes ${wanted} numbers, ${given.length} given`);
    }
    const [first = 0] = given;
    if (!field) overrides[name] = first;
    else uniforms[name] = wanted === 1 ? first : (given as [number, number, number, number]);
  }
  const missing = Object.keys(fields).filter((name) => !(name in uniforms));
  if (missing.length > 0) {
    const flags = missing.map((name) => `--set ${name}=VALUE`);
    throw new ShaderError(
      `${file}: uniform ${missing.join(", ")} not given; add ${flags.join(" ")}`,
    );
  }
  return { overrides, uniforms };
}

/**
 * Looks at a spec as far as that takes no device.
 * @throws ShaderError for a binding, override or field that is not there, a field without a value,
 * sizes that no buffer has, or a grid beyond 65,535 workgroups along an axis.
 */
export function checkShader(spec: ShaderSpec): void {
  const { file, kernel, bytes, grid } = spec;
  valuesOf(spec);
  const names = kernel.bindings.map(({ name }) => name);
  for (const [name, size] of Object.entries(bytes)) {
    if (!names.includes(name)) {
      throw new ShaderError(`${file} has no storage binding ${name}; it has ${names.join(", ")}`);
    }
    if (!(size > 0) || size % 4 !== 0) {
      throw new ShaderError(`${file}: binding ${name} has ${size} bytes; give a multiple of 4`);
    }
  }
  const large = grid?.find((n) => n > MAX_WORKGROUPS_PER_DIMENSION);
  if (large !== undefined) {
    const most = MAX_WORKGROUPS_PER_DIMENSION;
    throw new ShaderError(
      `${file}: --grid has ${large} workgroups along an axis, at most ${most} can be`,
    );
  }
}

/** Bytes as they are, or with the unit that divides them. */
function inWords(bytes: number): string {
  const unit = [2 ** 20, 2 ** 10].find((u) => bytes % u === 0);
  return unit ? `${bytes / unit} ${unit === 2 ** 20 ? "MiB" : "KiB"}` : `${bytes} bytes`;
}

/**
 * Compiles a user's shader and makes its buffers: those that are only read and hold f32 are full of
 * numbers in [-1, 1), all else is zero.
 * @throws ShaderError with line and message where it does not compile; for what `checkShader` looks
 *   at; LimitError for bindings larger than the device allows; DeviceLostError.
 */
export async function prepareUserShader(device: Device, spec: ShaderSpec): Promise<ShaderRun> {
  const { file, kernel, bytes } = spec;
  const { overrides, uniforms } = valuesOf(spec);
  const sizes = kernel.bindings.map((b) => ({ ...b, bytes: bytes[b.name] ?? DEFAULT_BYTES }));
  const bind: Record<string, BufferRange> = {};
  for (const { name, access, type, bytes: size } of sizes) {
    const most = device.gpu.limits.maxStorageBufferBindingSize;
    if (size > most) {
      throw new LimitError(
        "maxStorageBufferBindingSize",
        size,
        most,
        `give --bind ${name} fewer bytes`,
      );
    }
    const buffer = storageBuffer(device, name, size);
    if (access === "read" && /\bf32\b/.test(type)) {
      device.gpu.queue.writeBuffer(buffer, 0, drawn(name, [size / 4]));
    }
    bind[name] = { buffer, offset: 0, size: padded(size) };
  }
  const threads = kernel.workgroupSize
    .map((size) =>
      typeof size === "number" ? size : (overrides[size] ?? kernel.overrides[size] ?? 1),
    )
    .reduce((a, b) => a * b);
  const elements = Math.max(1, ...sizes.map((b) => b.bytes / 4));
  const grid = spec.grid ?? linearGrid(elements / threads);
  const call = { bind, uniforms, overrides, grid };
  const { recorded } = await prepareShader(device, kernel, call).catch((error: Error) => {
    const message = error.message.replace("hyperloom: ", "").replace(/\n\s*/g, ": ");
    throw error instanceof GpuError ? new ShaderError(`${file}: ${message}`) : error;
  });
  const said = sizes.map((b) => `${b.name} ${inWords(b.bytes)}`);
  return {
    recorded: [recorded],
    bytes: sizes.reduce((sum, b) => sum + b.bytes, 0),
    note: `${[...said, `grid ${grid.join(" × ")} of ${threads} invocations`].join(", ")}; GB/s count each binding once; its values are not checked`,
  };
}
