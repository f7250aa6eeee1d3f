import type { Device } from "./device";
import { GpuError } from "./errors";
import type { KernelSource } from "./kernel-source";

/** A compiled kernel: what a recorded dispatch needs of it. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/**
 * Compiled kernels of one device. Pipelines are created asynchronously and once per (code,
 * overrides); bind-group layouts once per signature, explicit so that every declared binding may
 * be bound whether a variant reads it or not.
 */
export class PipelineCache {
  readonly #device: Device;
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, Promise<Pipeline>>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** Pipelines compiled so far. */
  get size(): number {
    return this.#pipelines.size;
  }

  /**
   * The pipeline of a kernel with override values; requests for the same one share one compile.
   * @throws GpuError naming the kernel when the shader does not compile, with lines and messages.
   */
  get(kernel: KernelSource, overrides: Readonly<Record<string, number>>): Promise<Pipeline> {
    const key = `${JSON.stringify(overrides)}${kernel.code}`;
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#compile(kernel, overrides);
      this.#pipelines.set(key, pipeline);
      pipeline.catch(() => this.#pipelines.delete(key));
    }
    return pipeline;
  }

  /** Forgets everything; pipelines in use stay alive until their users drop them. */
  clear(): void {
    this.#pipelines.clear();
    this.#layouts.clear();
    this.#modules.clear();
  }

  async #compile(
    kernel: KernelSource,
    overrides: Readonly<Record<string, number>>,
  ): Promise<Pipeline> {
    try {
      return await this.#device.scoped(`kernel ${kernel.name}`, () =>
        this.#create(kernel, overrides),
      );
    } catch (error) {
      const module = this.#modules.get(kernel.code);
      if (!module || !(error instanceof GpuError) || error.kind !== "validation") throw error;
      this.#modules.delete(kernel.code);
      const mistakes = await shaderErrors(module, kernel.code);
      throw mistakes === null ? error : new GpuError(error.op, error.kind, mistakes);
    }
  }

  async #create(
    kernel: KernelSource,
    overrides: Readonly<Record<string, number>>,
  ): Promise<Pipeline> {
    const { gpu, counts } = this.#device;
    let module = this.#modules.get(kernel.code);
    if (!module) {
      counts.created++;
      module = gpu.createShaderModule({ label: kernel.name, code: kernel.code });
      this.#modules.set(kernel.code, module);
    }
    const layout = this.#layout(kernel);
    counts.created++;
    const pipeline = await gpu.createComputePipelineAsync({
      label: kernel.name,
      layout: gpu.createPipelineLayout({ label: kernel.name, bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: kernel.entryPoint, constants: overrides },
    });
    return { pipeline, layout };
  }

  #layout(kernel: KernelSource): GPUBindGroupLayout {
    const entries: GPUBindGroupLayoutEntry[] = kernel.bindings.map(({ binding, access }) => ({
      binding,
      visibility: GPU_SHADER_STAGE_COMPUTE,
      buffer: { type: access === "read" ? "read-only-storage" : "storage" },
    }));
    if (kernel.uniforms) {
      entries.push({
        binding: kernel.uniforms.binding,
        visibility: GPU_SHADER_STAGE_COMPUTE,
        buffer: { type: "uniform" },
      });
    }
    const key = entries.map((e) => `${e.binding}${e.buffer?.type}`).join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#device.gpu.createBindGroupLayout({ label: key, entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

// GPUShaderStage is not a global in every runtime (npm webgpu exports it instead).
const GPU_SHADER_STAGE_COMPUTE = 0x4;

// A mistake often causes others; the first ones are worth reading.
const MOST_ERRORS = 5;

/** What the runtime's compiler finds wrong, each with its line; null where it finds nothing. */
async function shaderErrors(module: GPUShaderModule, code: string): Promise<string | null> {
  const info = await module.getCompilationInfo().catch(() => null);
  const errors = info?.messages.filter(({ type }) => type === "error") ?? [];
  if (errors.length === 0) return null;
  const lines = code.split("\n");
  return errors
    .slice(0, MOST_ERRORS)
    .map(({ lineNum, linePos, message }) => {
      // A line of a shader as shipped is a whole function.
      const line = lines[lineNum - 1]?.slice(Math.max(0, linePos - 100), linePos + 100).trim();
      // Messages of some runtimes draw the place over several lines.
      const [first = ""] = message.trim().split("\n");
      if (!line) return first;
      return `line ${lineNum}, column ${linePos}: ${first}\n  ${line}`;
    })
    .join("\n");
}
