/** What a wrapped GPUDevice saw: the library's own counters must say the same. */
export interface Calls {
  objects: number;
  dispatches: number;
  passes: number;
  submits: number;
  buffersAlive: number;
  bytesAlive: number;
  writes: number;
}

type Members = Readonly<Record<string, object>>;

/** An object with some members replaced; the others reach the real one. */
function wrap<T extends object>(target: T, members: Members): T {
  return new Proxy(target, {
    get(_, name) {
      const own = typeof name === "string" ? members[name] : undefined;
      if (own) return own;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (_, name, value) => Reflect.set(target, name, value),
  });
}

/** A GPUDevice that counts what is asked of it. Empty submits (which free memory) do not count. */
export function countingDevice(device: GPUDevice): { device: GPUDevice; calls: Calls } {
  const calls: Calls = {
    objects: 0,
    dispatches: 0,
    passes: 0,
    submits: 0,
    buffersAlive: 0,
    bytesAlive: 0,
    writes: 0,
  };
  const counted =
    <A extends unknown[], R>(make: (...args: A) => R) =>
    (...args: A): R => {
      calls.objects++;
      return make(...args);
    };
  const queue = wrap(device.queue, {
    submit: (buffers: GPUCommandBuffer[]) => {
      if (buffers.length > 0) calls.submits++;
      device.queue.submit(buffers);
    },
    writeBuffer: (...args: Parameters<GPUQueue["writeBuffer"]>) => {
      calls.writes++;
      device.queue.writeBuffer(...args);
    },
  });
  const encoder = (descriptor?: GPUCommandEncoderDescriptor): GPUCommandEncoder => {
    const real = device.createCommandEncoder(descriptor);
    return wrap(real, {
      beginComputePass: (d?: GPUComputePassDescriptor) => {
        calls.passes++;
        const pass = real.beginComputePass(d);
        return wrap(pass, {
          dispatchWorkgroups: (x: number, y?: number, z?: number) => {
            calls.dispatches++;
            pass.dispatchWorkgroups(x, y, z);
          },
        });
      },
    });
  };
  const wrapped = wrap(device, {
    queue,
    createBuffer: counted((d: GPUBufferDescriptor) => {
      const buffer = device.createBuffer(d);
      calls.buffersAlive++;
      calls.bytesAlive += d.size;
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        calls.buffersAlive--;
        calls.bytesAlive -= d.size;
        destroy();
      };
      return buffer;
    }),
    createBindGroup: counted((d: GPUBindGroupDescriptor) => device.createBindGroup(d)),
    createShaderModule: counted((d: GPUShaderModuleDescriptor) => device.createShaderModule(d)),
    createComputePipelineAsync: counted((d: GPUComputePipelineDescriptor) =>
      device.createComputePipelineAsync(d),
    ),
    createComputePipeline: counted((d: GPUComputePipelineDescriptor) =>
      device.createComputePipeline(d),
    ),
    createCommandEncoder: encoder,
  });
  return { device: wrapped, calls };
}
