import {
  adviceInsecure,
  adviceMissingLimit,
  adviceNoAdapter,
  adviceNoWebGpu,
  hostName,
} from "./advice";
import { NoDeviceError } from "./errors";
import { type Host, hostOf } from "./host";
import { nodeGpu } from "./node-gpu";

/** What is known of an adapter, as reports print it. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** True for a software (CPU) adapter: everything works, slowly. */
  readonly software: boolean;
}

/** Which adapter is wanted. */
export interface AdapterOptions {
  /** Where WebGPU is; default `navigator.gpu`, in Node that of the npm package webgpu. */
  readonly gpu?: GPU;
  /** "software" asks for the fallback adapter, "gpu" refuses one; default: whatever there is. */
  readonly adapter?: "auto" | "gpu" | "software";
  /** Keep WebGPU's default limits instead of the adapter's buffer sizes (for tests). */
  readonly defaultLimits?: boolean;
  /** Least limits that shaders of one's own need, by WebGPU's names, such as `maxStorageBuffersPerShaderStage`. */
  readonly requiredLimits?: Readonly<Record<string, number>>;
  /** Called with a sentence worth showing the user, such as the use of a software adapter. */
  readonly onWarning?: (message: string) => void;
}

/** An adapter, and what is known of it. */
export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  readonly description: AdapterDescription;
}

/** Every GPU that gave an adapter: Node crashes where one is collected while a device of it lives. */
const kept = new Set<GPU>();

/** What the kernels need; adapters of WebGPU's compatibility mode alone have less. */
const NEEDED: Readonly<Record<string, number>> = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
};

/** Facts of an adapter, with its class. */
export function describe(info: GPUAdapterInfo): AdapterDescription {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    // Deno's and Node's runtimes do not mark lavapipe and SwiftShader as fallback adapters.
    software:
      info.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|softpipe/i.test(text),
  };
}

/** What messages call an adapter. */
export function nameOfAdapter({
  description,
  architecture,
  device,
  vendor,
}: AdapterDescription): string {
  return description || architecture || device || vendor || "without a name";
}

/** A warning where variants were tuned on another adapter than this, as far as runtimes tell. */
export function tuningWarning(tuned: AdapterDescription, here: AdapterDescription): string | null {
  const facts = Object.keys(here) as (keyof AdapterDescription)[];
  // Not every runtime tells every fact.
  const fact = facts.find((f) => tuned[f] && here[f] && tuned[f] !== here[f]);
  const alike = tuned.software === here.software;
  if (alike && !fact) return null;
  const [was, is] = [tuned, here].map((a) => (fact ? a[fact] : nameOfAdapter(a)));
  return `variants tuned on ${was} ${alike ? "may not be the fastest" : "do not apply"} on ${is}`;
}

/** `navigator.gpu`, or what stands for it. @throws NoDeviceError where there is none. */
async function webGpu(host: Host): Promise<GPU> {
  const api = globalThis.navigator?.gpu as GPU | undefined;
  if (api) return api;
  const name = hostName(host);
  if (globalThis.isSecureContext === false) {
    const origin = (globalThis as { readonly location?: { readonly origin: string } }).location
      ?.origin;
    const page = origin === undefined ? "this page" : `this page (${origin})`;
    throw new NoDeviceError(
      "insecure-context",
      `${name} gives WebGPU to secure contexts alone, and ${page} is none; ${adviceInsecure(origin, host)}`,
    );
  }
  if (host.name !== "Node") {
    throw new NoDeviceError("no-webgpu", `${name} has no WebGPU here; ${adviceNoWebGpu(host)}`);
  }
  return nodeGpu().catch((reason: Error | null) => {
    const why = reason
      ? `the package webgpu does not load (${reason.message})`
      : "Node has no WebGPU of its own";
    throw new NoDeviceError("no-webgpu", `${why}; ${adviceNoWebGpu(host)}`);
  });
}

/**
 * The adapter of the kind wanted; `onWarning` is told of a software adapter.
 * @throws NoDeviceError with the step to take where there is none.
 */
export async function findAdapter(options: AdapterOptions, host = hostOf()): Promise<FoundAdapter> {
  const { adapter: wanted = "auto", onWarning } = options;
  const api = options.gpu ?? (await webGpu(host));
  const asked = await api.requestAdapter({
    powerPreference: "high-performance",
    ...(wanted === "software" && { forceFallbackAdapter: true }),
  });
  const adapter = asked ?? (wanted === "software" ? await api.requestAdapter() : null);
  const description = adapter && describe(adapter.info);
  if (!adapter || !description || (wanted === "software" && !description.software)) {
    const kind = wanted === "software" ? "software adapter" : "adapter";
    throw new NoDeviceError(
      "no-adapter",
      `WebGPU found no ${kind} in ${hostName(host)}; ${adviceNoAdapter(wanted, host)}`,
    );
  }
  const name = nameOfAdapter(description);
  if (wanted === "gpu" && description.software) {
    throw new NoDeviceError(
      "no-adapter",
      `a GPU was asked for, but only the software adapter ${name} is here; take the adapter ` +
        `"software", or ${adviceNoAdapter(wanted, host)}`,
    );
  }
  kept.add(api);
  if (description.software) onWarning?.(`software adapter (${name}): everything works, slowly`);
  return { adapter, description };
}

/**
 * The limits to ask a device for: the adapter's own sizes of buffers, and what the caller needs.
 * @throws NoDeviceError naming the first limit that the adapter does not reach, and both numbers.
 */
export function requiredLimits(
  { limits }: GPUAdapter,
  description: AdapterDescription,
  { defaultLimits = false, requiredLimits: own = {} }: AdapterOptions,
): Record<string, number> {
  const { maxBufferSize, maxStorageBufferBindingSize } = limits;
  const offered = limits as unknown as Readonly<Record<string, number | undefined>>;
  for (const [limit, needed] of [...Object.entries(NEEDED), ...Object.entries(own)]) {
    const available = offered[limit];
    // Of alignments less is better.
    const ratio = (available ?? Number.NaN) / needed;
    if (limit.startsWith("min") ? ratio <= 1 : ratio >= 1) continue;
    throw new NoDeviceError(
      "missing-limit",
      `${limit} is ${available ?? "unknown"} on the adapter ${nameOfAdapter(description)}, ` +
        `${needed} needed; ${available ? adviceMissingLimit() : "there is none of this name"}`,
    );
  }
  return { ...own, ...(!defaultLimits && { maxBufferSize, maxStorageBufferBindingSize }) };
}
