/**
 * hyperloom/gpu: a WebGPU device with its failures told apart, and shaders of one's own on it,
 * compiled, run and timed. It knows no tensors and no models; this file re-exports only.
 */
export type { BufferRange } from "./buffers";
export {
  type AdapterDescription,
  type Device,
  type DeviceCounts,
  type DeviceOptions,
  requestDevice,
  type UseDeviceOptions,
  useDevice,
} from "./device";
export { type DeviceArray, deviceArray, type Numbers } from "./device-array";
export {
  type Dispatch,
  dispatch,
  type Grid,
  linearGrid,
  type Target,
  type UniformValue,
  type Variant,
} from "./dispatch";
export * from "./errors";
export type { KernelSource, StorageBinding, UniformLayout, UniformType } from "./kernel-source";
export type { Recorded } from "./record";
export {
  type Bound,
  type PreparedShader,
  prepareShader,
  type ShaderCall,
  type ShaderTime,
  type TimeOptions,
} from "./shader";
export type { Spread } from "./stopwatch";
export type { WaitOptions } from "./wait-options";
export { type KernelOptions, kernelSource } from "./wgsl-text";
