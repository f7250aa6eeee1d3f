import { BufferUsage, MAP_READ } from "./buffers";
import type { Device } from "./device";
import type { Grid } from "./dispatch";

/** A dispatch ready to be replayed. */
export interface Recorded {
  readonly label: string;
  readonly kernel: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly grid: Grid;
  readonly flops: number;
}

/** Time of one dispatch. */
export interface Profile {
  readonly label: string;
  readonly kernel: string;
  readonly milliseconds: number;
  readonly flops: number;
  /** "timestamp": measured by the GPU; "wall": submit to completion, overhead included. */
  readonly clock: "timestamp" | "wall";
}

/** Writes dispatches [from, to) into one compute pass. */
export function encode(
  encoder: GPUCommandEncoder,
  recorded: readonly Recorded[],
  from: number,
  to: number,
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  const pass = encoder.beginComputePass(timestampWrites ? { timestampWrites } : undefined);
  let current: GPUComputePipeline | undefined;
  for (let i = from; i < to; i++) {
    const { pipeline, bindGroup, grid } = recorded[i] as Recorded;
    if (pipeline !== current) {
      pass.setPipeline(pipeline);
      current = pipeline;
    }
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
  }
  pass.end();
}

// A query set holds at most 4096 timestamps.
const DISPATCHES_PER_QUERY_SET = 2048;

/** Runs dispatches in order, each timed: by timestamp queries where the device has them. */
export async function profile(device: Device, recorded: readonly Recorded[]): Promise<Profile[]> {
  const exact = device.gpu.features.has("timestamp-query");
  const times: number[] = [];
  if (exact) {
    for (let from = 0; from < recorded.length; from += DISPATCHES_PER_QUERY_SET) {
      const some = recorded.slice(from, from + DISPATCHES_PER_QUERY_SET);
      times.push(...(await timestamps(device, some)));
    }
  } else {
    for (let i = 0; i < recorded.length; i++) {
      const start = performance.now();
      const encoder = device.gpu.createCommandEncoder();
      encode(encoder, recorded, i, i + 1);
      device.gpu.queue.submit([encoder.finish()]);
      await device.answer(device.gpu.queue.onSubmittedWorkDone(), "profile");
      times.push(performance.now() - start);
    }
  }
  device.check("profile");
  return recorded.map(({ label, kernel, flops }, i) => ({
    label,
    kernel,
    flops,
    milliseconds: times[i] ?? 0,
    clock: exact ? "timestamp" : "wall",
  }));
}

async function timestamps(device: Device, recorded: readonly Recorded[]): Promise<number[]> {
  const count = 2 * recorded.length;
  const querySet = device.gpu.createQuerySet({ label: "timestamps", type: "timestamp", count });
  const resolve = device.createBuffer({
    label: "timestamps",
    size: 8 * count,
    usage: BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC,
  });
  const staging = device.createBuffer({
    label: "timestamps, read back",
    size: 8 * count,
    usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
  });
  try {
    const encoder = device.gpu.createCommandEncoder();
    for (const i of recorded.keys()) {
      encode(encoder, recorded, i, i + 1, {
        querySet,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      });
    }
    encoder.resolveQuerySet(querySet, 0, count, resolve, 0);
    encoder.copyBufferToBuffer(resolve, 0, staging, 0, 8 * count);
    device.gpu.queue.submit([encoder.finish()]);
    await device.answer(staging.mapAsync(MAP_READ), "profile");
    const ns = new BigInt64Array(staging.getMappedRange());
    return recorded.map((_, i) => Number((ns[2 * i + 1] ?? 0n) - (ns[2 * i] ?? 0n)) / 1e6);
  } finally {
    querySet.destroy();
    device.destroyBuffers([resolve, staging]);
  }
}
