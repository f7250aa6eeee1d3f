import { describe, expect, test } from "vitest";
import { Device, useDevice } from "../../src/gpu/device";
import { deviceArray } from "../../src/gpu/device-array";
import { LimitError } from "../../src/gpu/errors";
import { apply1, notDifferentiable, type Op, type Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { hyperCnn } from "../../src/hyper/hyper-cnn";
import { dense } from "../../src/nn/dense";
import { crossEntropy } from "../../src/nn/losses";
import { slabsOf } from "../../src/nn/slabs";
import { add, cast, exp, mul } from "../../src/ops/elementwise";
import { matmul } from "../../src/ops/matmul";
import { sum } from "../../src/ops/reduce";
import { constant, placeholder, read, type Variable } from "../../src/ops/sources";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { Variables } from "../../src/schedule/variables";
import { trainStep } from "../../src/train/programs";
import { testDevice } from "./check-case";
import { countingDevice } from "./counting-device";

/** A batch of noise with labels: speed and counters do not ask for more. */
function noise(batch: number) {
  return {
    x: Float32Array.from(uniform(key(1), batch * 784)),
    labels: Uint32Array.from({ length: batch }, (_, i) => i % 10),
    weight: new Float32Array(batch).fill(1),
  };
}

describe("the execution contract, counted by a wrapped device", () => {
  test("hyper-CNN training step of 32: one submit, at most 30 dispatches, no new objects", async () => {
    const real = await testDevice();
    const { device: gpu, calls } = countingDevice(real.gpu);
    const device = new Device(gpu, real.adapter, false, false);
    const net = hyperCnn({ nz: 4 });
    const step = await compile(device, trainStep(net, crossEntropy, adam(), { batch: 32 }), {
      seed: 1,
    });
    const batch = noise(32);
    await step.run(batch);

    const before = { ...calls };
    const runs = 3;
    const losses: number[] = [];
    for (let i = 0; i < runs; i++) losses.push((await step.run(batch)).loss?.[0] as number);
    const { stats } = step;
    expect(calls.objects - before.objects).toBe(0);
    expect(stats.createdSinceCompile).toBe(0);
    expect(calls.dispatches - before.dispatches).toBe(runs * stats.dispatches);
    expect(calls.passes - before.passes).toBe(runs * stats.passes);
    expect(calls.submits - before.submits).toBe(runs * stats.submits);
    // x, labels, weight, and one write for all numbers of the step.
    expect(calls.writes - before.writes).toBe(runs * 4);
    expect(stats.submits).toBe(1);
    expect(stats.dispatches).toBeLessThanOrEqual(30);
    expect(calls.objects).toBe(device.counts.created);
    expect(calls.buffersAlive).toBe(device.counts.buffers);
    expect(calls.bytesAlive).toBe(device.counts.bytes);
    expect(losses[2]).toBeLessThan(losses[0] as number);

    step.dispose();
    expect(calls.buffersAlive).toBe(0);
    expect(device.counts.bytes).toBe(0);
    device.dispose();
    expect(real.lost).toBe(false);
  });

  test("two equal runs of five steps end in the same bits", async () => {
    const device = await testDevice();
    const parameters = async (): Promise<Uint32Array> => {
      const net = hyperCnn({ nz: 3, channels: [3, 5], kernelSize: 3, input: [1, 8, 8] });
      const step = await compile(device, trainStep(net, crossEntropy, adam(), { batch: 4 }), {
        seed: 7,
      });
      const batch = { ...noise(4), x: Float32Array.from(uniform(key(3), 4 * 64)) };
      for (let i = 0; i < 5; i++) await step.run(batch);
      const [data] = await step.variables.read(step.variables.all.slice(0, 1));
      step.dispose();
      return new Uint32Array((data as Float32Array).buffer);
    };
    const first = await parameters();
    expect(first.some((word) => word !== 0)).toBe(true);
    expect(await parameters()).toEqual(first);
  });

  test("a value that a gradient slab and another op both read is copied, not aliased", async () => {
    const device = await testDevice();
    const x = placeholder("x", [5]);
    const y = exp(x);
    const [dx] = gradient(sum(mul(y, y)), [x]);
    const run = await compile(device, { inputs: { x }, outputs: { dx: dx as Tensor, y } });
    const out = await run.run({ x: Float32Array.of(0, 1, -1, 0.5, 2) });
    expect(out.y?.[1]).toBeCloseTo(Math.E, 5);
    expect(out.dx?.[1]).toBeCloseTo(2 * Math.E ** 2, 4);
    run.dispose();
  });
});

describe("values that are overwritten", () => {
  const bump: Op<null> = {
    name: "bump",
    shape: (_, x) => [x as Tensor],
    gradient: notDifferentiable("it is an update"),
    inPlace: [0],
    dispatch: (node) => [
      {
        kernel: {
          name: "bump",
          code: `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
            @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] += 1.0; }`,
          entryPoint: "main",
          bindings: [{ name: "x", binding: 0, access: "read_write", type: "array<f32>" }],
          uniforms: null,
          overrides: {},
          workgroupSize: [4],
        },
        bind: { x: node.outputs[0] as Tensor },
        uniforms: {},
        overrides: {},
        grid: [1, 1, 1],
        flops: 4,
        trips: 0,
      },
    ],
  };
  const four = (name: string, value: number): Variable => ({
    name,
    shape: [4],
    dtype: "f32",
    initial: () => new Float32Array(4).fill(value),
    entries: [],
  });

  test("a profile counts its dispatches; ended in the midst, the step is whole all the same", async () => {
    const device = await testDevice();
    // Each so much work that it takes a submit of its own.
    const heavy: Op<null> = {
      ...bump,
      dispatch: (node, target) => bump.dispatch(node, target).map((d) => ({ ...d, flops: 1e15 })),
    };
    const p = four("p", 10);
    let updated = read(p);
    for (let i = 0; i < 3; i++) updated = apply1(heavy, null, updated);
    using step = await compile(device, {
      inputs: {},
      outputs: {},
      updates: new Map([[p, updated]]),
    });
    const state = async () => [step.variables.step, (await step.variables.read([p]))[0]?.[0]];
    const early = step.profile({}, { signal: AbortSignal.abort(new Error("not at all")) });
    await expect(early).rejects.toThrow("not at all");
    expect(await state()).toEqual([0, 10]);
    const reports: (readonly number[])[] = [];
    const whole = await step.profile({}, { onProgress: (...report) => reports.push(report) });
    expect(whole.map(({ kernel }) => kernel)).toEqual(["bump", "bump", "bump"]);
    expect(reports).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    expect(await state()).toEqual([1, 13]);
    const abort = new AbortController();
    const ended = step.profile(
      {},
      { signal: abort.signal, onProgress: () => abort.abort(new Error("enough")) },
    );
    await expect(ended).rejects.toThrow("enough");
    expect(await state()).toEqual([2, 16]);
  });

  test("readers of the old value run before the update, readers of the new one after it", async () => {
    const device = await testDevice();
    const p = four("p", 10);
    const old = read(p);
    const updated = apply1(bump, null, old);
    const outputs = { after: mul(updated, 2), before: mul(old, 3) };
    const run = await compile(device, { inputs: {}, outputs, updates: new Map([[p, updated]]) });
    const got = await run.run();
    run.dispose();
    expect(got.before?.[0]).toBe(30);
    expect(got.after?.[0]).toBe(22);
    await expect(
      compile(device, {
        inputs: {},
        outputs: { y: add(updated, old) },
        updates: new Map([[p, updated]]),
      }),
    ).rejects.toThrow(/bump overwrites its input 0, whose old value add reads/);
  });

  test("two variables can change places", async () => {
    const device = await testDevice();
    const [a, b] = [four("a", 1), four("b", 2)];
    const updates = new Map([
      [a, read(b)],
      [b, read(a)],
    ]);
    const run = await compile(device, { inputs: {}, outputs: {}, updates });
    await run.run();
    const values = await run.variables.read([a, b]);
    run.dispose();
    expect(values.map((v) => v[0])).toEqual([2, 1]);
  });
});

describe("refusals, before any GPU work", () => {
  test("a plan beyond the device's limits names both numbers", async () => {
    const device = await testDevice();
    const limit = device.gpu.limits.maxStorageBufferBindingSize;
    const n = Math.floor(limit / 4) + 64;
    const x = placeholder("x", [n]);
    const before = device.counts.created;
    const attempt = compile(device, { inputs: { x }, outputs: { y: add(x, 1) } });
    await expect(attempt).rejects.toThrow(LimitError);
    await expect(attempt).rejects.toThrow(
      `maxStorageBufferBindingSize is ${limit}, ${4 * n} needed`,
    );
    expect(device.counts.created).toBe(before);
  });

  test("the byte budget stops an allocation", async () => {
    const real = await testDevice();
    const device = new Device(real.gpu, real.adapter, false, false, 1000);
    const x = placeholder("x", [1000]);
    await expect(compile(device, { inputs: { x }, outputs: { y: add(x, 1) } })).rejects.toThrow(
      /byte budget \(maxBytes\) is 1000/,
    );
    expect(device.counts.buffers).toBe(0);
  });

  test("a budget that ends in the middle of compiling leaves nothing behind", async () => {
    const real = await testDevice();
    const x = placeholder("x", [1000]);
    const program = { inputs: { x }, outputs: { y: add(x, 1) } };
    for (const budget of [5000, 9000, 14_000]) {
      const device = new Device(real.gpu, real.adapter, false, false, budget);
      await expect(compile(device, program), `${budget}`).rejects.toThrow(/byte budget/);
      expect(device.counts.buffers).toBe(0);
      expect(device.counts.bytes).toBe(0);
    }
  });

  test("inputs are checked by name, dtype and size", async () => {
    const device = await testDevice();
    const x = placeholder("x", [2, 3]);
    const run = await compile(device, { inputs: { x }, outputs: { y: add(x, 1) } });
    await expect(run.run({})).rejects.toThrow("input x (f32 [2, 3]) is missing");
    await expect(run.run({ x: new Float32Array(5) })).rejects.toThrow(
      "input x is Float32Array of 5 values, must be Float32Array [2, 3] of 6",
    );
    await expect(run.run({ x: new Uint32Array(6) })).rejects.toThrow("is Uint32Array of 6 values");
    await expect(run.run({ x: new Float32Array(6), z: new Float32Array(1) })).rejects.toThrow(
      "no input z",
    );
    run.dispose();
    await expect(run.run({ x: new Float32Array(6) })).rejects.toThrow("disposed");
  });

  test("arrays of other types are refused by what they are, wherever numbers come in", async () => {
    const device = await testDevice();
    const labels = placeholder("labels", [2], "u32");
    const run = await compile(device, {
      inputs: { labels },
      outputs: { y: cast(labels, "f32") },
    });
    const store = new Variables(device);
    const [variable] = [slabsOf(dense(1, 1)).parameters.variable];
    for (const [kind, data] of Object.entries({
      Float64Array: new Float64Array(2),
      Uint16Array: new Uint16Array(2),
      Uint8Array: new Uint8Array(2),
      BigUint64Array: new BigUint64Array(2),
      Array: [3, 9],
      Int32Array: new Int32Array(2),
    })) {
      const given = data as unknown as Uint32Array;
      await expect(run.run({ labels: given }), kind).rejects.toThrow(
        `run: input labels is ${kind} of 2 values, must be Uint32Array [2] of 2`,
      );
      expect(() => store.write(variable, given), kind).toThrow(
        `write: parameters is ${kind} of 2 values, must be Float32Array [`,
      );
      if (kind === "Int32Array") continue;
      expect(() => constant(given, [2]), kind).toThrow(
        `constant: the data is ${kind}, must be Float32Array or Int32Array or Uint32Array`,
      );
      expect(() => deviceArray(device, given), kind).toThrow(
        `deviceArray: the data are ${kind}, must be Float32Array, Int32Array or Uint32Array`,
      );
    }
    const array = deviceArray(device, new Float32Array(2));
    expect(() => array.write(new Int32Array(2) as unknown as Float32Array<ArrayBuffer>)).toThrow(
      "write: Int32Array is given, must be a Float32Array",
    );
    array.dispose();
    run.dispose();
    expect(store.all).toEqual([]);
  });

  test("shape errors name the op and both shapes", () => {
    const a = placeholder("a", [2, 3]);
    const b = placeholder("b", [4, 5]);
    expect(() => add(a, b)).toThrow("add: shapes [2, 3] and [4, 5] do not broadcast: 3 against 5");
    expect(() => matmul(a, b)).toThrow(/matmul.*\[2, 3\].*\[4, 5\]/);
  });
});

describe("errors of the GPU", () => {
  const broken: Op<null> = {
    name: "broken",
    shape: (_, x) => [x as Tensor],
    gradient: notDifferentiable("it is broken"),
    dispatch: (node) => [
      {
        kernel: {
          name: "broken_kernel",
          code: "@compute @workgroup_size(1) fn main() { let x: u32 = 1.5; }",
          entryPoint: "main",
          bindings: [],
          uniforms: null,
          overrides: {},
          workgroupSize: [1],
        },
        bind: { y: node.outputs[0] as Tensor },
        uniforms: {},
        overrides: {},
        grid: [1, 1, 1],
        flops: 0,
        trips: 0,
      },
    ],
  };

  test("a shader that does not compile is named", async () => {
    const real = await testDevice();
    const device = useDevice(real.gpu);
    const x = placeholder("x", [4]);
    const attempt = compile(device, { inputs: { x }, outputs: { y: apply1(broken, null, x) } });
    await expect(attempt).rejects.toThrow(/broken_kernel/);
    expect(device.counts.buffers).toBe(0);
  });

  test("of several shaders compiled together the broken one is named, and the others stand", async () => {
    const real = await testDevice();
    const device = useDevice(real.gpu);
    const x = placeholder("x", [4]);
    const outputs = { a: exp(x), b: apply1(broken, null, x), c: mul(x, 2) };
    await expect(compile(device, { inputs: { x }, outputs })).rejects.toThrow(/broken_kernel/);
    const run = await compile(device, { inputs: { x }, outputs: { a: exp(x), c: mul(x, 2) } });
    expect((await run.run({ x: new Float32Array(4) })).a?.[0]).toBe(1);
    run.dispose();
  });

  test("debug mode runs the same numbers under validation scopes", async () => {
    const real = await testDevice();
    const device = useDevice(real.gpu, { debug: true });
    const a = placeholder("a", [3, 5]);
    const b = placeholder("b", [5, 2]);
    const run = await compile(device, { inputs: { a, b }, outputs: { y: add(matmul(a, b), 1) } });
    const out = await run.run({ a: new Float32Array(15).fill(1), b: new Float32Array(10).fill(2) });
    expect([...(out.y as Float32Array)]).toEqual(new Array(6).fill(11));
    run.dispose();
  });

  test("a lost device rejects runs with the reason", async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const gpu = (await adapter?.requestDevice()) as GPUDevice;
    const device = useDevice(gpu);
    const x = placeholder("x", [4]);
    const run = await compile(device, { inputs: { x }, outputs: { y: add(x, 1) } });
    gpu.destroy();
    await gpu.lost;
    await expect(run.run({ x: new Float32Array(4) })).rejects.toThrow(
      /device was lost \(destroyed/,
    );
    run.dispose();
  });
});
