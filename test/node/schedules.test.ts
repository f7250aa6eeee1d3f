import { expect, test } from "vitest";
import { constantRate, cosineRate, exponentialRate, stepRate } from "../../src/optim/schedule";

test("a constant rate stays", () => {
  expect([1, 2, 1e6].map(constantRate(0.1).at)).toEqual([0.1, 0.1, 0.1]);
});

test("steps change after their borders, as in the paper's appendix A.3", () => {
  const cifar = stepRate([2e-3, 1e-3, 2e-4, 5e-5], [168_000, 336_000, 504_000]);
  expect([1, 168_000, 168_001, 336_000, 336_001, 504_001].map(cifar.at)).toEqual([
    2e-3, 2e-3, 1e-3, 1e-3, 2e-4, 5e-5,
  ]);
  expect(() => stepRate([1, 2], [1, 2])).toThrow("2 rates for 2 borders; give one rate more");
});

test("the notebook's exponential falls by 0.999 a step down to its floor", () => {
  const { at } = exponentialRate(5e-3, 0.999, 1e-4);
  expect(at(1)).toBe(5e-3);
  expect(at(2)).toBeCloseTo(5e-3 * 0.999, 12);
  // 0.999^3911 is the first power below 1/50.
  expect(at(3911)).toBeGreaterThan(1e-4);
  expect(at(3912)).toBe(1e-4);
});

test("a cosine starts at the rate, is half way in the middle and ends at the floor", () => {
  const { at } = cosineRate(1, 101, 0.2);
  expect(at(1)).toBe(1);
  expect(at(51)).toBeCloseTo(0.6, 12);
  expect(at(101)).toBeCloseTo(0.2, 12);
  expect(at(500)).toBeCloseTo(0.2, 12);
});
