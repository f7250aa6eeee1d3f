import { type BufferRange, readBack, storageBuffer } from "./buffers";
import type { Device } from "./device";
import { LimitError } from "./errors";

/** Numbers on the host; the array type gives the element type. */
export type Numbers = Float32Array | Int32Array | Uint32Array;

/** What a value is, as its constructor is called: "Float32Array", "Array", "Undefined". */
export const kindOf = (data: unknown): string => Object.prototype.toString.call(data).slice(8, -1);

const KINDS = /^(Float|Int|Uint)32Array$/;

/** Numbers in a storage buffer of their own. Made by `deviceArray`. */
export class DeviceArray<A extends Numbers = Numbers> {
  readonly #device: Device;
  readonly #kind: string;
  readonly #make: (bytes: ArrayBuffer) => A;
  #disposed = false;

  /** Use `deviceArray`. */
  constructor(device: Device, data: A, label: string) {
    this.#device = device;
    this.#kind = kindOf(data);
    this.length = data.length;
    this.range = {
      buffer: storageBuffer(device, label, data.byteLength),
      offset: 0,
      size: data.byteLength,
    };
    this.#make = (bytes) => new (data.constructor as new (bytes: ArrayBuffer) => A)(bytes);
    this.write(data);
  }

  /** Elements. */
  readonly length: number;
  /** Its buffer, as bind groups and copies take it; bytes. */
  readonly range: BufferRange;

  /**
   * Overwrites elements from `at` on; takes effect between the submits before and after the call.
   * @throws RangeError where the data do not fit; TypeError for another type of array.
   */
  write(data: A, at = 0): void {
    if (kindOf(data) !== this.#kind) {
      throw new TypeError(`hyperloom: write: ${kindOf(data)} is given, must be a ${this.#kind}`);
    }
    if (at < 0 || at + data.length > this.length) {
      throw new RangeError(
        `hyperloom: write: ${data.length} values at ${at} do not fit into an array of ${this.length}`,
      );
    }
    this.#device.gpu.queue.writeBuffer(
      this.range.buffer,
      4 * at,
      data as Float32Array<ArrayBuffer>,
    );
  }

  /** The present values, after all that was submitted. @throws DeviceLostError, GpuHangError. */
  async read(): Promise<A> {
    const [bytes] = await readBack(this.#device, [this.range]);
    return this.#make(bytes as ArrayBuffer);
  }

  /** Frees the buffer. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#device.destroyBuffers([this.range.buffer]);
  }

  /** Frees the buffer, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * A copy of numbers on a device: f32, i32 or u32 by the type of the array.
 * @param label What messages of the runtime call it.
 * @throws TypeError for another array, RangeError for an empty one; LimitError beyond the device's budget or buffer size.
 */
export function deviceArray<A extends Numbers>(
  device: Device,
  data: A,
  label = "array",
): DeviceArray<A> {
  if (!KINDS.test(kindOf(data))) {
    const must = "must be Float32Array, Int32Array or Uint32Array";
    throw new TypeError(`hyperloom: deviceArray: the data are ${kindOf(data)}, ${must}`);
  }
  if (data.length === 0) throw new RangeError("hyperloom: deviceArray: there are no values in it");
  const { maxBufferSize } = device.gpu.limits;
  if (data.byteLength > maxBufferSize) {
    throw new LimitError("maxBufferSize", data.byteLength, maxBufferSize, "use several arrays");
  }
  return new DeviceArray(device, data, label);
}
