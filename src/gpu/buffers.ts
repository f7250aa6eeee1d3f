import type { Device } from "./device";
import type { KernelSource, UniformType } from "./kernel-source";
import { expectNames, type UniformValue } from "./dispatch";

/** GPUBufferUsage flags; the global is missing in some runtimes. */
export const BufferUsage = {
  MAP_READ: 0x1,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  QUERY_RESOLVE: 0x200,
} as const;

/** GPUMapMode.READ. */
export const MAP_READ = 0x1;

/** Bytes rounded up to 16, so that vec4 views of a buffer cover its tail. */
export function padded(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}

/** A range of a buffer, as a bind-group entry takes it; bytes. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** A storage buffer of at least `bytes`, zeroed by the runtime. */
export function storageBuffer(device: Device, label: string, bytes: number): GPUBuffer {
  return device.createBuffer({
    label,
    size: padded(bytes),
    usage: BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST,
  });
}

function put(view: DataView, at: number, type: UniformType, value: number): void {
  if (type === "f32" || type === "vec4<f32>") view.setFloat32(at, value, true);
  else if (type === "i32" || type === "vec4<i32>") view.setInt32(at, value, true);
  else view.setUint32(at, value, true);
}

/**
 * Uniform values laid out as the shader's struct asks.
 * @throws Error when a field is missing or unknown: both are mistakes of the caller.
 */
export function packUniforms(
  kernel: KernelSource,
  values: Readonly<Record<string, UniformValue>>,
): ArrayBuffer {
  const layout = kernel.uniforms;
  const bytes = new ArrayBuffer(layout ? Math.ceil(layout.size / 16) * 16 : 0);
  const view = new DataView(bytes);
  const fields = Object.entries(layout?.fields ?? {});
  const names = fields.map(([name]) => name);
  expectNames(kernel.name, "uniform", names, Object.keys(values));
  for (const [name, { offset, type }] of fields) {
    const value = values[name] as UniformValue;
    if (typeof value === "number") put(view, offset, type, value);
    else for (const [i, v] of value.entries()) put(view, offset + 4 * i, type, v);
  }
  return bytes;
}

/** Reads ranges of buffers back, in one copy and one map. @throws DeviceLostError, GpuHangError. */
export async function readBack(
  device: Device,
  ranges: readonly BufferRange[],
): Promise<ArrayBuffer[]> {
  let total = 0;
  const offsets = ranges.map((r) => {
    const at = total;
    total += padded(r.size);
    return at;
  });
  const staging = device.createBuffer({
    label: "read-back",
    size: padded(total),
    usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
  });
  try {
    const encoder = device.gpu.createCommandEncoder({ label: "read-back" });
    for (const [i, r] of ranges.entries()) {
      encoder.copyBufferToBuffer(r.buffer, r.offset, staging, offsets[i] ?? 0, r.size);
    }
    device.gpu.queue.submit([encoder.finish()]);
    await device.answer(staging.mapAsync(MAP_READ), "read-back");
    const mapped = staging.getMappedRange();
    return ranges.map((r, i) => mapped.slice(offsets[i] ?? 0, (offsets[i] ?? 0) + r.size));
  } finally {
    device.destroyBuffers([staging]);
  }
}
