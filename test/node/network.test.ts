import { expect, test } from "vitest";
import { networkOf } from "../../src/cli/network";
import type { AnyModel } from "../../src/train/image-models";
import { buildModel, namedModel, modelSpec } from "../../src/train/models";

/** Paths and shapes of the kernels that have boxes of their own. */
function kernelBoxes(label: string): string[] {
  const { name, options } = namedModel(label);
  const network = networkOf(buildModel(modelSpec(name, options)) as AnyModel);
  return network.boxes
    .filter(({ kind }) => kind === "kernel")
    .map(({ title, weights }) => `${title} ${weights[0]?.shape.join("×")}`);
}

test("generated kernels have boxes with their own names and shapes, batch norm's factors have none", () => {
  expect(kernelBoxes("hyper-wrn-10-1")).toEqual([
    "group1.block1.conv1.kernel 16×16×3×3",
    "group1.block1.conv2.kernel 16×16×3×3",
    "group2.block1.conv1.kernel 32×16×3×3",
    "group2.block1.conv2.kernel 32×32×3×3",
    "group3.block1.conv1.kernel 64×32×3×3",
    "group3.block1.conv2.kernel 64×64×3×3",
  ]);
  expect(kernelBoxes("hyper-cnn")).toEqual(["conv2.kernel 16×16×7×7"]);
});

test("of kernels that layers share, the parts have boxes", () => {
  expect(kernelBoxes("shared-wrn-10-1")).toEqual([
    "group2.block1.conv1.kernel 32×16×3×3",
    "group3.block1.conv1.kernel 64×32×3×3",
  ]);
});
