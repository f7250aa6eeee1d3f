import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter } from "node:path";
import { version } from "../../package.json";
import type { Variant } from "../gpu/dispatch";
import { parseVariants } from "../ops/variant-file";
import { type AdapterChoice, findBrowser, softwareVulkanIcd } from "./browser";
import { runInChrome } from "./chrome";
import { asUsage, UsageError } from "./errors";
import { fileText } from "./file-text";
import type { JobEvent } from "./job";
import { type JobName, type JobResult, type JobSpec, startJob } from "./jobs";

/** Where a job may run. */
export const runtimeNames = ["auto", "node", "chrome", "deno"] as const;
export type RuntimeChoice = (typeof runtimeNames)[number];

/** How a job is run, and what it is given. */
export interface RunOptions {
  readonly runtime: RuntimeChoice;
  readonly adapter: AdapterChoice;
  /** What the job reads, by name. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: JobEvent) => void;
  /** Keeps what the job writes, by name. */
  readonly onFile?: (name: string, bytes: Uint8Array) => void | Promise<void>;
}

/** `RunOptions` with nothing left out, and what the environment adds. */
export interface ResolvedRunOptions extends Required<RunOptions> {
  /** Those of the file that `HYPERLOOM_VARIANTS` or `--variants` names, where one does. */
  readonly variants: readonly Variant[];
}

/**
 * The one seam between the terminal and WebGPU: runs a job in this process (Node with the package
 * `webgpu`, or Deno) or in a page of a headless Chrome. `auto` takes this process where it finds an
 * adapter, else Chrome.
 * @throws UsageError where the runtime is not there, with the line to type; what the job throws.
 */
export async function runJob<K extends JobName>(
  name: K,
  spec: JobSpec<K>,
  options: RunOptions,
): Promise<JobResult<K>> {
  const resolved: ResolvedRunOptions = {
    files: new Map(),
    signal: new AbortController().signal,
    onEvent: () => {},
    onFile: () => {},
    ...options,
    variants: chosenVariants(),
  };
  const { runtime, adapter } = resolved;
  if (runtime !== "chrome") {
    const found = await processGpu(adapter, runtime === "node");
    if (found) return runHere(name, spec, resolved, found);
    if (runtime !== "auto") {
      throw new UsageError(
        `${runtime === "node" ? "Node" : "Deno"} finds no ${adapter === "auto" ? "" : `${adapter} `}adapter; type: npx hyperloom doctor`,
      );
    }
  }
  return runInChrome(name, spec, resolved);
}

/** @throws UsageError where the file is not there or no table of variants. */
function chosenVariants(): readonly Variant[] {
  const file = process.env.HYPERLOOM_VARIANTS;
  return file ? asUsage(() => parseVariants(fileText("--variants", file), file)) : [];
}

/** WebGPU in this process, and what gives it. */
export interface ProcessGpu {
  readonly gpu: GPU;
  readonly runtime: string;
  readonly version: string;
}

async function runHere<K extends JobName>(
  name: K,
  spec: JobSpec<K>,
  { adapter, variants, files, signal, onEvent, onFile }: ResolvedRunOptions,
  { gpu, runtime, version: runtimeVersion }: ProcessGpu,
): Promise<JobResult<K>> {
  return startJob(name, spec, {
    gpu,
    adapter,
    variants,
    versions: { hyperloom: version, runtime, [runtime]: runtimeVersion },
    signal,
    emit: onEvent,
    read: async (file) => {
      const bytes = files.get(file);
      if (!bytes)
        throw new Error(`internal: the job ${name} reads ${file}, which it was not given`);
      return bytes as Uint8Array<ArrayBuffer>;
    },
    write: async (file, bytes) => onFile(file, bytes),
  });
}

/** Whether this is Deno, which has WebGPU built in. */
export function isDeno(): boolean {
  return "Deno" in globalThis;
}

/**
 * WebGPU in this very process with an adapter of the kind wanted, else null.
 * @param required Whether a missing package `webgpu` is an error.
 * @throws UsageError where that package is required and does not load, with the line to type.
 */
export async function processGpu(
  adapter: AdapterChoice,
  required: boolean,
): Promise<ProcessGpu | null> {
  if (isDeno()) {
    const gpu = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
    return gpu && (await gpu.requestAdapter())
      ? { gpu, runtime: "deno", version: process.versions.deno ?? "" }
      : null;
  }
  let create: (flags: string[]) => GPU;
  try {
    ({ create } = await import("webgpu"));
  } catch (error) {
    if (!required) return null;
    const reason = (error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND";
    throw new UsageError(
      reason
        ? "the runtime node needs the package webgpu; type: npm install webgpu"
        : `the package webgpu does not load here (${(error as Error).message.split("\n")[0]})`,
    );
  }
  for (const drivers of vulkanDrivers(adapter)) {
    const gpu = await createUnder(drivers, create);
    if (gpu && (adapter === "auto" || (adapter === "software") === gpu.software)) {
      return { gpu: gpu.gpu, runtime: "node", version: process.versions.node };
    }
  }
  return null;
}

/** WebGPU made under some settings of the environment, which are then as before; null without adapter. */
async function createUnder(
  settings: Readonly<Record<string, string>>,
  create: (flags: string[]) => GPU,
): Promise<{ gpu: GPU; software: boolean } | null> {
  const before = { ...process.env };
  Object.assign(process.env, settings);
  try {
    const gpu = create([]);
    const found = await gpu.requestAdapter({ powerPreference: "high-performance" });
    return found && { gpu, software: isSoftware(found) };
  } finally {
    for (const name of Object.keys(settings)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}

/** What the kernel has where there is a GPU: Mesa's, NVIDIA's, and that of Windows under WSL. */
const GPU_DEVICES = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg"];

function isSoftware({ info }: GPUAdapter): boolean {
  return info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(info.description);
}

/**
 * Settings of the environment under which Dawn and wgpu look for drivers, in order of preference: a real
 * GPU's, the SwiftShader that ships with an installed Chrome, and whatever else there is. The Vulkan
 * loader reads them anew for each instance.
 */
export function vulkanDrivers(adapter: AdapterChoice): Record<string, string>[] {
  // Mesa complains on stderr without one.
  if (process.platform === "linux") process.env.XDG_RUNTIME_DIR ||= tmpdir();
  const named = process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES;
  if (named) return named.split(delimiter).some((path) => existsSync(path)) ? [{}] : [];
  const browser = asUsage(findBrowser);
  const swiftshader = browser && softwareVulkanIcd(browser);
  // The loader says on stderr that there is no GPU: it is asked only where there may be one.
  const mayHaveGpu = process.platform !== "linux" || GPU_DEVICES.some((path) => existsSync(path));
  return [
    ...(adapter === "software" || !mayHaveGpu ? [] : [{ VK_LOADER_DRIVERS_DISABLE: "*lvp*" }]),
    ...(adapter === "gpu" || !swiftshader ? [] : [{ VK_ICD_FILENAMES: swiftshader }]),
    ...(adapter === "gpu" || swiftshader || !anyDriver()
      ? []
      : [{ VK_LOADER_DRIVERS_DISABLE: "" }]),
  ];
}

/** Whether a Vulkan driver is installed; without one the loader complains on stderr. */
function anyDriver(): boolean {
  const folders = ["/usr/share", "/usr/local/share", "/etc"].map((root) => `${root}/vulkan/icd.d`);
  return process.platform !== "linux" || folders.some((folder) => existsSync(folder));
}

/** Starts this same command under Deno and returns its exit status. @throws UsageError without Deno. */
export function runUnderDeno(): number {
  const [, script, ...rest] = process.argv;
  const { status, error } = spawnSync("deno", ["run", "-A", script ?? "", ...rest], {
    stdio: "inherit",
    // Mesa complains on stderr without a folder of its own.
    env: { XDG_RUNTIME_DIR: tmpdir(), ...process.env },
  });
  if (error)
    throw new UsageError("the runtime deno is not installed; see https://deno.com, or use node");
  return status ?? 1;
}
