/** Why no device could be had; each cause has its own step to take, given in the message. */
export type NoDeviceCause = "no-webgpu" | "insecure-context" | "no-adapter" | "missing-limit";

/** No WebGPU device: the message says why and what to do here. */
export class NoDeviceError extends Error {
  override readonly name = "NoDeviceError";
  constructor(
    readonly reason: NoDeviceCause,
    message: string,
  ) {
    super(`hyperloom: ${message}`);
  }
}

/** The device is gone (crash, driver reset, destroyed): compile again on a new one. */
export class DeviceLostError extends Error {
  override readonly name = "DeviceLostError";
  constructor(
    readonly reason: string,
    during: string,
  ) {
    super(`hyperloom: the GPU device was lost (${reason || "unknown reason"}) during ${during}`);
  }
}

/** The runtime reported a validation, internal or out-of-memory error; `op` names what was running. */
export class GpuError extends Error {
  override readonly name = "GpuError";
  constructor(
    readonly op: string,
    readonly kind: "validation" | "out-of-memory" | "internal",
    detail: string,
  ) {
    super(`hyperloom: ${op}: GPU ${kind} error: ${detail}`);
  }
}

/**
 * The GPU has not answered within the deadline: a kernel hangs, or the adapter is far slower than
 * planned. The device is left alone, since destroying one that hangs can block for good.
 */
export class GpuHangError extends Error {
  override readonly name = "GpuHangError";
  constructor(
    readonly during: string,
    readonly seconds: number,
  ) {
    super(
      `hyperloom: the GPU has not answered for ${seconds} s during ${during}; end this process or page, ` +
        "or raise the deadline of requestDevice()",
    );
  }
}

/** A plan that this device cannot hold; raised before anything is allocated. */
export class LimitError extends Error {
  override readonly name = "LimitError";
  constructor(
    readonly limit: string,
    readonly needed: number,
    readonly available: number,
    fix: string,
  ) {
    super(`hyperloom: ${limit} is ${available}, ${needed} needed; ${fix}`);
  }
}

/** A choice of kernel that cannot be: see the `variants` of `requestDevice`. */
export class VariantError extends Error {
  override readonly name = "VariantError";
  constructor(message: string) {
    super(`hyperloom: variants: ${message}`);
  }
}

/** Something was used after dispose(). */
export class DisposedError extends Error {
  override readonly name = "DisposedError";
}
