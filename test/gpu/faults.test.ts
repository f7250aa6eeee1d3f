import { describe, expect, test } from "vitest";
import { type Device, requestDevice, type UseDeviceOptions, useDevice } from "../../src/gpu/device";
import { DeviceLostError, DisposedError, GpuError, GpuHangError } from "../../src/gpu/errors";
import { matmul } from "../../src/ops/matmul";
import { placeholder } from "../../src/ops/sources";
import { compile, type Executable } from "../../src/schedule/executable";
import { testDevice } from "./check-case";

/** A device of its own, for tests that break it. */
async function ownDevice(options: UseDeviceOptions = {}): Promise<Device> {
  const { gpu } = await requestDevice();
  return useDevice(gpu, options);
}

const inputs = { a: new Float32Array(64).fill(1), b: new Float32Array(64).fill(2) };

async function product(device: Device, name: string): Promise<Executable> {
  const [a, b] = [placeholder("a", [8, 8]), placeholder("b", [8, 8])];
  return await compile(device, { name, inputs: { a, b }, outputs: { y: matmul(a, b) } });
}

/** Makes mapAsync of buffers with this label, from here on, what `answer` makes of it. */
function onMap(
  gpu: GPUDevice,
  label: RegExp,
  answer: (real: Promise<void>) => Promise<void>,
): void {
  const create = gpu.createBuffer.bind(gpu);
  gpu.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    if (label.test(descriptor.label ?? "")) {
      const map = buffer.mapAsync.bind(buffer);
      buffer.mapAsync = async (mode) => {
        await answer(map(mode));
        return undefined;
      };
    }
    return buffer;
  };
}

describe("errors that no scope caught", () => {
  test("name the program that ran last", async () => {
    const device = await ownDevice();
    const [first, second] = [await product(device, "first"), await product(device, "second")];
    await first.run(inputs);
    await second.run(inputs);
    device.gpu.createBuffer({ size: 16, usage: 0xffff });
    await device.gpu.queue.onSubmittedWorkDone();
    const error = await first.run(inputs).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(GpuError);
    expect((error as GpuError).op).toBe("second");
    // Said once: the next run works.
    expect((await first.run(inputs)).y?.[0]).toBe(16);
  });

  test("name the op that the message quotes, whichever program of late it is of", async () => {
    const device = await ownDevice();
    const [first, second] = [await product(device, "first"), await product(device, "second")];
    await first.run(inputs);
    await second.run(inputs);
    const message = 'Binding size of [BindGroup "matmul"] is wrong';
    const event = new Event("uncapturederror") as Event & { error?: unknown };
    event.error = new GPUValidationError(message);
    device.gpu.dispatchEvent(event);
    const error = await second.run(inputs).catch((e: unknown) => e);
    expect((error as Error).message).toContain("second, matmul: GPU validation error");
  });

  test("that come before any program ran say so", async () => {
    const device = await ownDevice();
    device.gpu.createBuffer({ size: 16, usage: 0xffff });
    await device.gpu.queue.onSubmittedWorkDone();
    expect(() => device.check("compile")).toThrow("work outside of any program");
  });
});

describe("a device that is lost during a run", () => {
  test("rejects with DeviceLostError, not with the map's AbortError", async () => {
    const device = await ownDevice();
    const run = await product(device, "product");
    const results = [run.run(inputs), run.run(inputs)];
    device.gpu.destroy();
    for (const result of await Promise.allSettled(results)) {
      if (result.status === "rejected") expect(result.reason).toBeInstanceOf(DeviceLostError);
    }
    await expect(run.run(inputs)).rejects.toBeInstanceOf(DeviceLostError);
    run.dispose();
  });

  test("waits for the loss to be known before it says what failed", async () => {
    const device = await ownDevice();
    const { gpu } = device;
    onMap(gpu, /^staging/, () => {
      setTimeout(() => gpu.destroy(), 100);
      return Promise.reject(new DOMException("", "AbortError"));
    });
    const run = await product(device, "product");
    await expect(run.run(inputs)).rejects.toThrow(/lost.*during product/);
    run.dispose();
  });

  test("a failure without a loss stays what it is, and a disposed executable says so", async () => {
    const device = await ownDevice();
    const failure = new DOMException("no such thing", "OperationError");
    let fail = true;
    onMap(device.gpu, /^staging/, (real) =>
      fail ? real.then(() => Promise.reject(failure)) : real,
    );
    const run = await product(device, "product");
    await expect(run.run(inputs)).rejects.toBe(failure);
    fail = false;
    const pending = run.run(inputs);
    await Promise.resolve();
    run.dispose();
    await expect(pending).rejects.toBeInstanceOf(DisposedError);
  });
});

describe("a submit that never ends", () => {
  test("rejects after the deadline, and the device is left alone", async () => {
    const device = await ownDevice({ deadline: 0.2 });
    const { gpu } = device;
    const asked: string[] = [];
    gpu.destroy = () => {
      asked.push("destroy");
    };
    let hangs = true;
    let answer = (): void => {};
    onMap(gpu, /^staging/, async (real) => {
      await real;
      if (hangs) await new Promise<void>((resolve) => (answer = resolve));
    });
    const run = await product(device, "training step of net");
    const error = await run.run(inputs).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(GpuHangError);
    expect((error as Error).message).toMatch(/not answered for 0.2 s during training step of net;/);
    // What comes after is refused at once, and freeing it touches nothing.
    await expect(run.run(inputs)).rejects.toBeInstanceOf(GpuHangError);
    await expect(product(device, "next")).rejects.toBeInstanceOf(GpuHangError);
    // It was slow alone: the answer comes, and the next run is right.
    hangs = false;
    answer();
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (let k = 0; k < 4; k++) expect((await run.run(inputs)).y?.[0]).toBe(16);
    run.dispose();
    expect(device.counts.buffers).toBe(0);
    expect(asked).toEqual([]);
  });

  test("of an owned device: dispose does not destroy it, nor its buffers", async () => {
    const device = await requestDevice({ deadline: 0.1 });
    const asked: string[] = [];
    device.gpu.destroy = () => {
      asked.push("destroy device");
    };
    onMap(device.gpu, /^staging/, () => new Promise(() => {}));
    const run = await product(device, "product");
    await expect(run.run(inputs)).rejects.toBeInstanceOf(GpuHangError);
    run.dispose();
    device.dispose();
    expect(asked).toEqual([]);
    expect(device.counts.buffers).toBe(0);
  });

  test("each submit that is waited for may take the deadline", async () => {
    const device = await ownDevice({ deadline: 0.3 });
    const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    await expect(device.answer(wait(700), "one")).rejects.toThrow("0.3 s during one");
    await wait(700);
    await expect(device.answer(wait(700), "three", 3)).resolves.toBeUndefined();
    const both = [device.answer(wait(150), "a", 1), device.answer(wait(450), "b", 1)];
    await expect(Promise.all(both)).resolves.toHaveLength(2);
  });

  test("a deadline that is none is refused", async () => {
    const { gpu } = await testDevice();
    for (const deadline of [0, -1, Number.NaN]) {
      expect(() => useDevice(gpu, { deadline })).toThrow(
        /deadline is (0|-1|NaN) s, must be positive/,
      );
    }
    expect(useDevice(gpu, { deadline: Number.POSITIVE_INFINITY }).deadline).toBe(Infinity);
  });
});
