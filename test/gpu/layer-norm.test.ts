import { expect, test } from "vitest";
import { listed } from "../../src/graph/node";
import { ShapeError } from "../../src/graph/shape";
import { layerNorm, layerNormGradientOp, layerNormOp } from "../../src/ops/layer-norm";
import { placeholder } from "../../src/ops/sources";

test("layer norm leaves a loop unless its parameters change from step to step", () => {
  const [x, scale] = [placeholder("x", [3, 2, 5]), placeholder("scale", [5])];
  const [eps, steps] = [1e-5, null];
  const over = (...stacked: boolean[]) =>
    layerNormOp.overTime?.({ eps }, listed([x, scale, scale]), listed(stacked), 3);
  expect(over(true, false, false)?.[0]?.shape).toEqual([3, 2, 5]);
  expect(over(true, true, false)).toBeNull();
  expect(over(true, false, true)).toBeNull();
  const back = (...stacked: boolean[]) =>
    layerNormGradientOp.overTime?.({ eps, steps }, listed([x, scale, x]), listed(stacked), 3);
  expect(back(true, true, true)).toBeNull();
  // Two rows a step are two groups of one.
  expect(back(true, false, true)?.map(({ shape }) => shape)).toEqual([
    [3, 2, 5],
    [3, 2, 5],
    [3, 2, 5],
  ]);
});

const x = (...shape: number[]) => placeholder("x", shape);

test.each<[string, () => unknown]>([
  ["scale is [4], must be [5]", () => layerNorm(x(3, 5), x(4), x(5))],
  ["shift is [1], must be [5]", () => layerNorm(x(3, 5), x(5), x(1))],
  ["x is a scalar", () => layerNorm(x(), x(1), x(1))],
  ["x is i32", () => layerNorm(placeholder("x", [5], "i32"), x(5), x(5))],
  ["eps is -1", () => layerNorm(x(3, 5), x(5), x(5), { eps: -1 })],
  ["trips of its loops", () => layerNorm(x(1, 6_000_000), x(6_000_000), x(6_000_000))],
])("refused: %s", (message, build) => {
  expect(build).toThrow(ShapeError);
  expect(build).toThrow(message);
});
