import { describe, expect, test } from "vitest";
import { type TuningClass, tuningClasses } from "../../bench/candidates";
import { kernelCase } from "../../bench/kernels";
import { Stopwatch } from "../../bench/measure";
import { replay, shaderOp } from "../../bench/replay";
import { type Prepare, prepareOn, tuneClass } from "../../bench/tune";
import { dispatch, type Target, type Variant } from "../../src/gpu/dispatch";
import type { KernelSource } from "../../src/gpu/kernel-source";
import { apply1, type Operand } from "../../src/graph/node";
import { placeholder } from "../../src/ops/sources";
import { checkVariants } from "../../src/ops/variants";
import { plan } from "../../src/schedule/plan";
import { testDevice } from "./check-case";

const [m, n, k] = [32, 32, 32];
const candidate = (kernel: string, overrides: Variant["overrides"] = {}): Variant => ({
  op: "matmul",
  kernel,
  overrides,
});
const right = candidate("register", { ROWS: 4, COLS: 4 });
const wrong = candidate("small", { ROWS: 1 });
const broken = candidate("tile", { THREADS: 8 });
const large = candidate("small", { LANES_N: 64, LANES_K: 64 });

/** A kernel that takes no time, and leaves the product to others. */
function idle(code: string): KernelSource {
  const bindings = (["a", "b", "y"] as const).map((name, binding) => ({
    name,
    binding,
    access: name === "y" ? ("read_write" as const) : ("read" as const),
    type: "array<f32>",
  }));
  const declared = bindings.map(
    ({ name, binding, access }) =>
      `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<f32>;`,
  );
  return {
    name: "idle",
    code: `${declared.join("\n")}\n@compute @workgroup_size(1) fn main() { ${code} }`,
    entryPoint: "main",
    bindings,
    uniforms: null,
    overrides: {},
    workgroupSize: [1, 1, 1],
  };
}

test("a variant that computes something else, does not compile or exceeds a limit is never chosen", async () => {
  const device = await testDevice();
  const honest = prepareOn(device);
  const prepare: Prepare = async (made, variant) => {
    if (variant !== wrong && variant !== broken) return honest(made, variant);
    const kernel = idle(
      variant === wrong
        ? "for (var i = 0u; i < 1024u; i++) { y[i] = a[i] * b[i]; }"
        : "y[0] = nothing;",
    );
    const op = shaderOp("idle", { shape: [m, n], dtype: "f32" }, (node) => [
      dispatch<Operand, string, string, string>(kernel, {
        bind: { a: node.inputs[0], b: node.inputs[1], y: node.outputs[0] },
        uniforms: {},
        grid: [1, 1, 1],
        flops: 1,
        trips: 0,
      }),
    ]);
    const y = apply1(op, null, placeholder("a", [m, k]), placeholder("b", [k, n]));
    const made2 = await replay(device, [y], made.inputs);
    return { ...made2, read: () => made2.read(y) };
  };
  const tuning: TuningClass = {
    op: "matmul",
    shape: "vectors",
    cases: [kernelCase("matmul", [m, n, k])],
    candidates: [wrong, broken, large, right],
  };
  const buffers = device.counts.buffers;
  const watch = new Stopwatch(device);
  const own = device.counts.buffers;
  const { row, tried } = await tuneClass(watch, tuning, 1, () => undefined, prepare);
  expect(device.counts.buffers - buffers, "buffers left").toBe(own - buffers);

  const reason = (of: Variant) =>
    tried.find(({ variant }) => variant?.overrides === of.overrides)?.wrong;
  expect(reason(wrong)).toMatch(/^element \d+ is .*, expected /);
  expect(reason(broken)).toContain("nothing");
  expect(reason(large)).toContain("LANES_N · LANES_K is 4096, at most 256 can be");
  expect(reason(right)).toBeUndefined();
  const measured = tried.filter(({ score }) => score !== undefined).map(({ variant }) => variant);
  expect(measured.every((v) => v === null || v.overrides === right.overrides)).toBe(true);
  expect(measured.length).toBeGreaterThan(0);
  if (row) expect(row).toMatchObject({ shape: "vectors", ...right });
});

test("a variant with one element wrong, or unwritten, is never chosen", async () => {
  const device = await testDevice();
  const honest = prepareOn(device);
  const made = kernelCase("matmul", [m, n, k]);
  const at = 1000; // The comparison with f64 does not look at it.
  const prepare: Prepare = async (of, variant) => {
    const replayed = await honest(of, variant);
    if (variant === null) return replayed;
    const read: typeof replayed.read = async (y) => {
      const got = await replayed.read(y);
      got[at] = variant === wrong ? 0.5 + (got[at] as number) : Number.NaN;
      return got;
    };
    return { ...replayed, read };
  };
  const candidates = [wrong, right];
  const tuning: TuningClass = { op: "matmul", shape: "vectors", cases: [made], candidates };
  const watch = new Stopwatch(device);
  const { row, tried } = await tuneClass(watch, tuning, 1, () => undefined, prepare);
  const reason = (of: Variant) =>
    tried.find(({ variant }) => variant?.overrides === of.overrides)?.wrong;
  expect(reason(wrong)).toMatch(/^element 1000 of output 0 is .*, another kernel's .* within/);
  expect(reason(right)).toBe("element 1000 of output 0 is NaN");
  expect(row).toBeNull();
});

test("where the library's own choice computes something else, the right one is taken", async () => {
  const device = await testDevice();
  const honest = prepareOn(device);
  const prepare: Prepare = async (made, variant) => {
    const replayed = await honest(made, variant);
    if (variant) return replayed;
    const read: typeof replayed.read = async (y) => (await replayed.read(y)).fill(0);
    return { ...replayed, read };
  };
  const tuning: TuningClass = {
    op: "matmul",
    shape: "vectors",
    cases: [kernelCase("matmul", [m, n, k])],
    candidates: [right],
  };
  const { row, tried } = await tuneClass(
    new Stopwatch(device),
    tuning,
    1,
    () => undefined,
    prepare,
  );
  expect(tried.find(({ variant }) => variant === null)?.wrong).toMatch(
    /^element \d+ is 0, expected/,
  );
  expect(row).toMatchObject({ shape: "vectors", ...right, measured: "the table's own is wrong" });
});

describe.each(["software", "gpu"] as const)("what is tuned on a %s adapter", (adapter) => {
  const classes = tuningClasses(adapter);

  test("is of known names and values, and of the class that it says", async () => {
    const { target } = await testDevice();
    // Whether or not this device has what some kernels need.
    const features = new Set([...target.features, "subgroups"]);
    for (const { op, shape, cases, candidates } of classes) {
      checkVariants(candidates);
      const planned = (outputs: Parameters<typeof plan>[0], variants: readonly Variant[]) => {
        const on: Target = { ...target, adapter, features, variants };
        return JSON.stringify(
          plan(outputs, on).dispatches.map(({ dispatch: d }) => [d.kernel.name, d.overrides]),
        );
      };
      for (const { name, make } of cases) {
        const { outputs } = make();
        const own = planned(outputs, []);
        // Rows of this class change the plan, those of another do not.
        const changed = candidates.filter((c) => planned(outputs, [c]) !== own);
        expect(changed.length, `${op} ${shape}: ${name}`).toBeGreaterThan(0);
        for (const other of classes.filter((c) => c.op === op && c.shape !== shape)) {
          for (const c of other.candidates) expect(planned(outputs, [c]), name).toBe(own);
        }
      }
    }
  });
});
