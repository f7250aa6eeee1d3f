import { expect, test } from "vitest";
import type { Target } from "../../src/gpu/dispatch";
import { add } from "../../src/ops/elementwise";
import { matmul } from "../../src/ops/matmul";
import { placeholder } from "../../src/ops/sources";
import { plan } from "../../src/schedule/plan";

const target: Target = {
  adapter: "software",
  limits: {
    maxStorageBufferBindingSize: 2 ** 27,
    maxBufferSize: 2 ** 28,
    maxComputeWorkgroupStorageSize: 16_384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxStorageBuffersPerShaderStage: 8,
  },
  features: new Set(),
};

/** The kernel that makes a product with something added to it. */
function kernelOf(a: number[], b: number[], added: number[]) {
  const y = add(matmul(placeholder("a", a), placeholder("b", b)), placeholder("c", added));
  const [{ dispatch }, ...others] = plan([y], target).dispatches as ReturnType<
    typeof plan
  >["dispatches"] &
    [ReturnType<typeof plan>["dispatches"][number]];
  expect(others).toEqual([]);
  const { kernel, overrides } = dispatch;
  return `${JSON.stringify(overrides)} ${kernel.code}`;
}

test("products of other sizes and batches share the kernel that adds their bias", () => {
  const one = kernelOf([32, 64], [64, 48], [48]);
  expect(kernelOf([64, 32], [32, 256], [256])).toBe(one);
  expect(kernelOf([12, 32, 16], [12, 16, 64], [12, 1, 64])).toBe(one);
  // Not where the operand repeats otherwise.
  expect(kernelOf([12, 32, 16], [12, 16, 64], [64])).not.toBe(one);
  expect(kernelOf([12, 32, 16], [12, 16, 64], [32, 64])).not.toBe(one);
  expect(kernelOf([32, 64], [64, 48], [32, 1])).not.toBe(one);
});
