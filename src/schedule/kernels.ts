import type { Device } from "../gpu/device";
import type { Dispatch } from "../gpu/dispatch";
import type { KernelSource } from "../gpu/kernel-source";
import type { Pipeline } from "../gpu/pipelines";
import type { WaitOptions } from "../gpu/wait-options";
import type { Scheduled } from "./plan";

/** Kernel and overrides of each dispatch; a wider kernel that is needed anyway serves for both. */
export function kernelsOf(
  dispatches: readonly Scheduled[],
): (readonly [KernelSource, Dispatch<unknown>["overrides"]])[] {
  const key = (code: string, overrides: Dispatch<unknown>["overrides"]): string =>
    `${JSON.stringify(overrides)}${code}`;
  const needed = new Set(dispatches.map(({ dispatch: d }) => key(d.kernel.code, d.overrides)));
  return dispatches.map(({ dispatch: { kernel, overrides, wider } }) => {
    const both = { ...overrides, ...wider };
    return [kernel, needed.has(key(kernel.code, both)) ? both : overrides];
  });
}

/**
 * The compiled kernels of dispatches, in their order; progress counts different ones. A runtime
 * cannot be stopped in compiling: what is asked for already is there for the next who asks.
 * @throws GpuError naming a kernel that does not compile; the signal's reason.
 */
export async function compileKernels(
  device: Device,
  dispatches: readonly Scheduled[],
  { onProgress, signal }: WaitOptions,
): Promise<Pipeline[]> {
  signal?.throwIfAborted();
  const asked = kernelsOf(dispatches).map((kernel) => device.pipelines.get(...kernel));
  const different = new Set(asked);
  let done = 0;
  for (const kernel of different) {
    const compiled = (): void => {
      done++;
      if (!signal?.aborted) onProgress?.(done, different.size);
    };
    kernel.then(compiled, () => undefined);
  }
  const all = Promise.all(asked);
  if (!signal) return all;
  let stop = (): void => undefined;
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
  });
  // Whichever comes second has no listener any more.
  all.catch(() => undefined);
  try {
    return await Promise.race([all, ended]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
