import { afterEach, expect, test } from "vitest";
import { deviceArray } from "../../src/gpu/device-array";
import { requestDevice } from "../../src/gpu/device";
import { GpuError, LimitError } from "../../src/gpu/errors";
import { prepareShader } from "../../src/gpu/shader";
import { testDevice } from "./check-case";

const SAXPY = `
  struct Sizes { n: u32, a: f32 }
  override WORKGROUP: u32 = 64;
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read_write> y: array<f32>;
  @group(0) @binding(2) var<uniform> sizes: Sizes;
  @compute @workgroup_size(WORKGROUP)
  fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < sizes.n) { y[id.x] += sizes.a * x[id.x]; }
  }`;

const device = await testDevice();
const before = { ...device.counts };
afterEach(() => {
  expect(device.counts).toMatchObject({ buffers: before.buffers, bytes: before.bytes });
});

const N = 1000;
const numbers = (f: (i: number) => number): Float32Array =>
  Float32Array.from({ length: N }, (_, i) => f(i));

test("a shader of one's own, bound by name or by position, runs on arrays that come back", async () => {
  using x = deviceArray(
    device,
    numbers((i) => i),
  );
  using y = deviceArray(
    device,
    numbers((i) => 2 * i),
  );
  using saxpy = await prepareShader(device, SAXPY, {
    bind: { y, x },
    uniforms: { n: N, a: 0.5 },
    overrides: { WORKGROUP: 32 },
    grid: [Math.ceil(N / 32)],
  });
  await saxpy.run();
  expect(await y.read()).toEqual(numbers((i) => 2.5 * i));
  saxpy.setUniforms({ n: 1, a: 1 });
  y.write(Float32Array.of(7, 8), 0);
  await saxpy.run();
  expect((await y.read()).slice(0, 3)).toEqual(Float32Array.of(7, 8, 5));

  // The other way round.
  using back = await prepareShader(device, SAXPY, {
    bind: [y, x],
    uniforms: { n: N, a: -1 },
    grid: [16, 1, 1],
  });
  await back.run();
  expect((await x.read()).slice(2, 4)).toEqual(Float32Array.of(2 - 5, 3 - 7.5));
});

test("integers keep their type", async () => {
  using words = deviceArray(device, Uint32Array.of(1, 2, 2 ** 32 - 1));
  expect(await words.read()).toEqual(Uint32Array.of(1, 2, 2 ** 32 - 1));
  using signed = deviceArray(device, Int32Array.of(-1, 2 ** 31 - 1));
  expect(await signed.read()).toEqual(Int32Array.of(-1, 2 ** 31 - 1));
});

test("time gives milliseconds of a run with their clock, reports each sample, and can be ended", async () => {
  using x = deviceArray(
    device,
    numbers(() => 1),
  );
  using y = deviceArray(
    device,
    numbers(() => 0),
  );
  const call = { bind: { x, y }, uniforms: { n: N, a: 0 }, grid: [16] };
  using saxpy = await prepareShader(device, SAXPY, call);
  const done: number[] = [];
  const time = await saxpy.time({ samples: 3, onProgress: (k, n) => done.push(k / n) });
  expect(done).toEqual([1 / 3, 2 / 3, 1]);
  expect(time.samples).toBe(3);
  expect(time.median).toBeGreaterThan(0);
  expect(time.min <= time.median && time.median <= time.max).toBe(true);
  expect(time.clock).toBe(device.gpu.features.has("timestamp-query") ? "timestamp" : "wall");

  const abort = new AbortController();
  const ended = saxpy.time({
    signal: abort.signal,
    onProgress: () => abort.abort(new Error("enough")),
  });
  await expect(ended).rejects.toThrow("enough");
  await expect(saxpy.time({ samples: 0 })).rejects.toThrow("samples is 0, must be a positive");
});

test("a shader that does not compile is named, with line and message", async () => {
  using y = deviceArray(
    device,
    numbers(() => 0),
  );
  const code = `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() {
  y[0] = unheardOf(1.0);
}`;
  const error = await prepareShader(device, code, { name: "broken", bind: [y], grid: [1] }).catch(
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(GpuError);
  expect((error as GpuError).op).toBe("kernel broken");
  expect((error as GpuError).message).toMatch(/line 3, column \d+: .*unheardOf.*\n {2}y\[0\] =/);
});

test("what does not fit is refused before any work of the GPU", async () => {
  using x = deviceArray(
    device,
    numbers(() => 0),
  );
  const { created } = device.counts;
  const good = { bind: { x, y: x }, uniforms: { n: 1, a: 1 }, grid: [1] };
  const refused: [object, RegExp][] = [
    [{ bind: { x } }, /binding y is not given; its bindings are x, y/],
    [{ bind: { x, z: x } }, /there is no binding z; its bindings are x, y/],
    [{ bind: [x, x, x] }, /binds 2 buffers \(x, y\), 3 were given/],
    [{ uniforms: { n: 1 } }, /uniform a is not given; its uniforms are n, a/],
    [{ uniforms: { n: 1, a: 1, b: 1 } }, /there is no uniform b; its uniforms are n, a/],
    [{ overrides: { TILE: 4 } }, /has no override TILE; it has WORKGROUP/],
    [{ grid: [70_000] }, /grid is \[70000\], must be up to three integers from 1 to 65535/],
    [{ grid: [1.5] }, /grid is \[1.5\], must be up to three integers .* round up/],
    [{ grid: undefined }, /grid is \[undefined\]/],
    [{ bind: { x, y: new Float32Array(4) } }, /binding y is Float32Array, must be a deviceArray/],
    [{ bind: [x, undefined] }, /binding y is Undefined, must be a deviceArray/],
    [{ grid: [1, 0] }, /grid is \[1,0\]/],
  ];
  for (const [wrong, message] of refused) {
    const call = { ...good, ...wrong, name: "saxpy" };
    await expect(prepareShader(device, SAXPY, call)).rejects.toThrow(message);
  }
  const { maxStorageBufferBindingSize: most } = device.gpu.limits;
  const range = { ...x.range, size: most + 4 };
  await expect(prepareShader(device, SAXPY, { ...good, bind: [range, x] })).rejects.toThrow(
    LimitError,
  );
  expect(device.counts.created).toBe(created);
  expect(() => deviceArray(device, new Float32Array(0))).toThrow("there are no values");
  expect(() => x.write(new Float32Array(2), N - 1)).toThrow(`2 values at ${N - 1} do not fit`);
});

test("what the runtime alone can see, such as one buffer read and written, comes as a GpuError", async () => {
  // A device of its own: some runtimes tell of the error once more, to whoever uses it next.
  const own = await requestDevice();
  try {
    using x = deviceArray(
      own,
      numbers(() => 0),
    );
    const twice = { bind: [x, x], uniforms: { n: 1, a: 1 }, grid: [1], name: "twice" };
    using saxpy = await prepareShader(own, SAXPY, twice);
    await expect(saxpy.run()).rejects.toThrow(GpuError);
  } finally {
    own.dispose();
  }
});

test.each([
  ["shader-f16", "f16", "f32(f16(y[id.x]) * 1.5h)", [1.5, 3, 4.5, 6]],
  ["subgroups", "subgroups", "y[id.x] + subgroupAdd(0.0)", [1, 2, 3, 4]],
] as const)(
  "what needs %s computes, or is refused by that name where the runtime has none",
  async (feature, extension, value, want) => {
    using y = deviceArray(device, Float32Array.of(1, 2, 3, 4));
    const code = `enable ${extension};
    @group(0) @binding(0) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(4)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) { y[id.x] = ${value}; }`;
    const made = prepareShader(device, code, { name: "special", bind: { y }, grid: [1] });
    if (device.gpu.features.has(feature)) {
      using shader = await made;
      await shader.run();
      expect(await y.read()).toEqual(Float32Array.from(want));
    } else {
      const error = await made.catch((e: unknown) => e);
      expect(error).toBeInstanceOf(GpuError);
      expect((error as GpuError).message).toMatch(
        new RegExp(`kernel special: .*${extension}`, "s"),
      );
    }
  },
);
