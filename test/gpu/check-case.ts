import { expect } from "vitest";
import type { AdapterDescription } from "../../src/gpu/adapter";
import { Device, requestDevice } from "../../src/gpu/device";
import type { Variant } from "../../src/gpu/dispatch";
import type { Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { show, size } from "../../src/graph/shape";
import { fill } from "../../src/ops/elementwise";
import { type HostArray, placeholder } from "../../src/ops/sources";
import { compile } from "../../src/schedule/executable";
import { pullBack } from "../../src/schedule/gradient";
import type { CaseInput, Nd, OpCase } from "../cases/case";

let shared: Promise<Device> | undefined;
const asClass = new Map<string, Promise<Device>>();

/** One device for all tests of a page or process. */
export function testDevice(): Promise<Device> {
  shared ??= requestDevice();
  return shared;
}

/**
 * The shared GPUDevice seen in another way. Compiled kernels are those of the shared one: a software
 * adapter spends two thirds of the tests' time on compiling.
 */
async function seenAs(
  adapter: Partial<AdapterDescription>,
  variants?: readonly Variant[],
): Promise<Device> {
  const { gpu, adapter: real, pipelines } = await testDevice();
  const device = new Device(gpu, { ...real, ...adapter }, false, false, undefined, variants);
  return Object.assign(device, { pipelines });
}

/** The same GPUDevice seen as another class of adapter, so that all kernel variants run here. */
export function deviceAs(adapter: "software" | "gpu"): Promise<Device> {
  const device = asClass.get(adapter) ?? seenAs({ software: adapter === "software" });
  asClass.set(adapter, device);
  return device;
}

/** The same GPUDevice with variants of the caller's. */
export function deviceWith(...variants: readonly Variant[]): Promise<Device> {
  return seenAs({}, variants);
}

/** The values of a case's input: given, or drawn from its range and rounded to f32. */
function values({ shape, dtype = "f32", low = -1, high = 1, values }: CaseInput, seed: number): Nd {
  const n = size(shape);
  if (values) return { shape, data: Float64Array.from(values) };
  const u = uniform(key(seed), n);
  const data = u.map((x) =>
    dtype === "f32" ? Math.fround(low + x * (high - low)) : Math.floor(low + x * (high - low)),
  );
  return { shape, data };
}

function toHost(nd: Nd, dtype: "f32" | "i32" | "u32" = "f32"): HostArray {
  if (dtype === "f32") return Float32Array.from(nd.data);
  return dtype === "i32" ? Int32Array.from(nd.data) : Uint32Array.from(nd.data);
}

/** Every element within `tolerance` of the largest expected magnitude; NaN equals only NaN. */
export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  expect(got.length, `${what}: number of elements`).toBe(want.length);
  let scale = 0;
  for (let i = 0; i < want.length; i++) {
    const w = Math.abs(want[i] ?? 0);
    if (Number.isFinite(w)) scale = Math.max(scale, w);
  }
  let worst = 0;
  let at = -1;
  for (let i = 0; i < want.length; i++) {
    const g = got[i] as number;
    const w = want[i] as number;
    if (Object.is(g, w) || g === w) continue;
    const error = Number.isNaN(g) || Number.isNaN(w) ? Infinity : Math.abs(g - w);
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  const allowed = tolerance * Math.max(scale, 1e-30);
  expect(
    worst,
    `${what}: element ${at} is ${got[at]}, expected ${want[at]} (largest expected ${scale})`,
  ).toBeLessThanOrEqual(allowed);
}

const list = <T>(x: T | readonly T[]): readonly T[] =>
  Array.isArray(x) ? (x as readonly T[]) : [x as T];

/** What a case must come to, whatever kernels compute it. */
interface Expected {
  readonly inputs: readonly Nd[];
  readonly outputs: readonly Nd[];
  /** Of the outputs, drawn. */
  readonly cotangents: readonly Nd[];
  /** The inputs that are differentiated, and their gradients. */
  readonly wrt: readonly number[];
  readonly gradients: readonly Float64Array[];
}

/** Each case is computed once: its differences take as long as compiling its kernels. */
const known = new WeakMap<OpCase, Expected>();

function expectedOf(c: OpCase): Expected {
  const before = known.get(c);
  if (before) return before;
  const inputs = c.inputs.map((spec, k) => values(spec, 1000 + k));
  const outputs = list(c.oracle(...inputs));
  const cotangents = outputs.map((y, k) => ({
    shape: y.shape,
    data: uniform(key(2000 + k), y.data.length).map((v) => Math.fround(2 * v - 1)),
  }));
  const wrt =
    c.gradients ?? c.inputs.flatMap(({ dtype = "f32" }, k) => (dtype === "f32" ? [k] : []));
  const gradients = wrt.map((k) => differences(c, inputs, cotangents, k));
  const expected = { inputs, outputs, cotangents, wrt, gradients };
  known.set(c, expected);
  return expected;
}

/** Runs a case forward and backward against its oracle and the oracle's central differences. */
export async function checkCase(device: Device, c: OpCase): Promise<void> {
  const { inputs, outputs: want, cotangents, wrt, gradients } = expectedOf(c);
  const host = Object.fromEntries(inputs.map((x, k) => [`x${k}`, toHost(x, c.inputs[k]?.dtype)]));
  const x = c.inputs.map(({ shape, dtype }, k) => placeholder(`x${k}`, shape, dtype));
  const outputs = list(c.build(...x));
  const cot = cotangents.map((y, k) => placeholder(`cot${k}`, y.shape));
  const program: Record<string, Tensor> = Object.fromEntries(outputs.map((y, k) => [`y${k}`, y]));
  if (wrt.length > 0) {
    const by = wrt.map((k) => x[k] as Tensor);
    for (const [i, g] of pullBack(outputs, cot, by).entries()) {
      program[`d${wrt[i]}`] = g ?? fill(0, by[i]?.shape ?? []);
    }
    for (const [k, y] of cotangents.entries()) host[`cot${k}`] = toHost(y);
  }
  const named = Object.fromEntries([
    ...x.map((t, k) => [`x${k}`, t]),
    ...(wrt.length > 0 ? cot.map((t, k) => [`cot${k}`, t]) : []),
  ]) as Record<string, Tensor>;
  const before = { ...device.counts };
  const executable = await compile(device, { inputs: named, outputs: program }, { poison: true });
  const got = await executable.run(host);
  const again = await executable.run(host);
  expect(executable.stats.createdSinceCompile, "objects created by runs").toBe(0);
  executable.dispose();
  expect(device.counts.buffers, "buffers left").toBe(before.buffers);
  for (const name of Object.keys(got)) {
    const bits = (a: HostArray): Uint32Array => new Uint32Array(a.buffer, a.byteOffset, a.length);
    expect(bits(again[name] as HostArray), `${name}: two runs`).toEqual(
      bits(got[name] as HostArray),
    );
  }
  for (const [k, y] of want.entries()) {
    expect(outputs[k]?.shape, `output ${k}: shape`).toEqual(y.shape);
    expectClose(got[`y${k}`] as HostArray, y.data, c.tolerance, `output ${k} ${show(y.shape)}`);
  }
  for (const [i, k] of wrt.entries()) {
    // Gradients chain two or three roundings more than the op; differences of the oracle are good
    // to about 1e-8.
    expectClose(
      got[`d${k}`] as HostArray,
      gradients[i] ?? [],
      4 * c.tolerance + 1e-6,
      `gradient of input ${k}`,
    );
  }
}

/** d/dx_k of Σ cot · oracle by central differences in f64, every element of small inputs. */
function differences(
  c: OpCase,
  inputs: readonly Nd[],
  cot: readonly Nd[],
  k: number,
): Float64Array {
  const at = inputs[k] as Nd;
  const loss = (): number =>
    list(c.oracle(...inputs)).reduce(
      (total, y, i) => y.data.reduce((s, v, j) => s + v * (cot[i]?.data[j] ?? 0), total),
      0,
    );
  return at.data.map((_, i) => {
    const x0 = at.data[i] as number;
    const h = 1e-5 * Math.max(1, Math.abs(x0));
    at.data[i] = x0 + h;
    const up = loss();
    at.data[i] = x0 - h;
    const down = loss();
    at.data[i] = x0;
    return (up - down) / (2 * h);
  });
}
