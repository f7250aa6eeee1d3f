import { expect, test } from "vitest";
import { defaultTarget } from "../../src/cli/plan-counts";
import { add } from "../../src/ops/elementwise";
import { matmul } from "../../src/ops/matmul";
import { placeholder } from "../../src/ops/sources";
import { plan } from "../../src/schedule/plan";

/** The kernel that makes a product with something added to it. */
function kernelOf(a: number[], b: number[], added: number[]) {
  const y = add(matmul(placeholder("a", a), placeholder("b", b)), placeholder("c", added));
  const { dispatches } = plan([y], defaultTarget("software"));
  expect(dispatches).toHaveLength(1);
  const { kernel, overrides } = (dispatches[0] as (typeof dispatches)[number]).dispatch;
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
