import { basename } from "node:path";
import { expect, test } from "vitest";
import { defaultCases, kernelCase, kernels } from "../../bench/kernels";
import { shaderFiles } from "../../shaders/plugin.mjs";
import type { Target } from "../../src/gpu/dispatch";
import { plan } from "../../src/schedule/plan";

const limits = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupStorageSize: 2 ** 14,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};
const target = (adapter: Target["adapter"]): Target => ({ adapter, limits, features: new Set() });

test("each shader is run by a case of the bench, on one class of adapter or the other", () => {
  const run = new Set<string>();
  for (const { make } of defaultCases()) {
    const { outputs, timed } = make();
    for (const adapter of ["software", "gpu"] as const) {
      for (const { label, dispatch } of plan(outputs, target(adapter)).dispatches) {
        // A kernel into which something was fused has a name that goes on after a plus sign.
        const [op = "", kernel = ""] = [label, dispatch.kernel.name].map((s) => s.split("+")[0]);
        if (!timed || timed.includes(op)) run.add(kernel);
      }
    }
  }
  const files = shaderFiles().map((file) => basename(file, ".wgsl"));
  expect(files.filter((name) => !run.has(name))).toEqual([]);
});

test("each case's timed part is some of its dispatches, and each op is among the usual cases", () => {
  const cases = defaultCases();
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  for (const { name, make } of cases) {
    const { outputs, timed } = make();
    const labels = plan(outputs, target("software")).dispatches.map(
      ({ label }) => label.split("+")[0],
    );
    if (timed)
      expect(labels.filter((op) => timed.includes(op ?? "")).length, name).toBeGreaterThan(0);
  }
  const usual = new Set(cases.map(({ name }) => name.split(" ")[0]));
  expect(Object.keys(kernels).filter((op) => !usual.has(op))).toEqual([]);
});

test("a shape gives each axis a positive whole number", () => {
  expect(() => kernelCase("ln-lstm-cell", [4])).toThrow("give 2 positive integers, B,H");
  expect(() => kernelCase("gather", [4, 0, 3])).toThrow("give 3 positive integers, V,D,N");
});
