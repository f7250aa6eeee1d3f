import { expect, test } from "vitest";
import { size } from "../../src/graph/shape";
import { hyperWideResNet, sharedWideResNet } from "../../src/hyper/wide-resnet";
import { specs } from "../../src/nn/module";
import { countParameters, slabsOf } from "../../src/nn/slabs";
import { wideResNet, wideResNetGroups } from "../../src/nn/wide-resnet";
import { modelLabel, modelSpec, namedModel } from "../../src/train/models";

const count = (net: { readonly params: Parameters<typeof countParameters>[0] }): number =>
  countParameters(net.params);

test("the paper's counts of WRN-40-1 and 40-2, plain and generated", () => {
  expect(count(wideResNet({ depth: 40, width: 1 }))).toBe(562_762);
  expect(count(hyperWideResNet({ depth: 40, width: 1 }))).toBe(96_602);
  expect(count(wideResNet({ depth: 40, width: 2 }))).toBe(2_235_530);
  expect(count(hyperWideResNet({ depth: 40, width: 2 }))).toBe(147_610);
});

test("embeddings: one for each block of 16 × 16 channels, 242 and 966", () => {
  for (const [width, tiles] of [
    [1, 242],
    [2, 966],
  ] as const) {
    const { generator } = hyperWideResNet({ depth: 40, width });
    expect(generator.params.z.shape).toEqual([tiles, 64]);
    expect(countParameters(generator.params)).toBe(64 * tiles + 66_560 + 9_360);
  }
});

test("full sharing: a kernel a group, and biases and norms as in the plain network", () => {
  for (const width of [1, 2]) {
    const plain = count(wideResNet({ depth: 40, width }));
    const kernels = wideResNetGroups({ depth: 40, width })
      .flat()
      .reduce((n, { inputs, outputs }) => n + 9 * outputs * (inputs + outputs), 0);
    const shared = [16, 32, 64].reduce((n, c) => n + 9 * (c * width) ** 2, 0);
    expect(count(sharedWideResNet({ depth: 40, width }))).toBe(plain - kernels + shared);
  }
  expect(count(sharedWideResNet({ depth: 40, width: 1 }))).toBe(53_578);
  expect(count(sharedWideResNet({ depth: 40, width: 2 }))).toBe(203_402);
});

test("36 kernels are generated at depth 40, and none of the stem's or the classifier's", () => {
  const { paths, target } = hyperWideResNet({ depth: 40, width: 1 });
  expect(paths.length).toBe(36);
  const rest = specs(target.params).filter(
    ({ path, value }) => value.shape.length === 4 && !paths.includes(path),
  );
  expect(rest.map(({ path }) => path)).toEqual(["stem.kernel"]);
});

test("running statistics: a mean and a variance a channel of each of the 38 norms", () => {
  const state = slabsOf(wideResNet({ depth: 40, width: 1 })).state?.variable.entries ?? [];
  expect(state.length).toBe(2 * 38);
  const channels = 16 + 12 * 16 + 16 + 11 * 32 + 32 + 11 * 64 + 64;
  expect(state.reduce((n, { shape }) => n + size(shape), 0)).toBe(2 * channels);
});

test("depths and widths that are none are refused with those there are", () => {
  expect(() => wideResNet({ depth: 41, width: 1 })).toThrow(/depth 41 .* 6n \+ 4/);
  expect(() => wideResNet({ depth: 4, width: 1 })).toThrow(/depth 4 /);
  expect(() => wideResNet({ depth: 40, width: 0 })).toThrow(/width 0/);
});

test("names such as hyper-wrn-40-2 say depth and width, and come back from the spec", () => {
  expect(namedModel("hyper-wrn-40-2")).toEqual({
    name: "hyper-wrn",
    options: { depth: 40, width: 2 },
  });
  expect(namedModel("cnn")).toEqual({ name: "cnn", options: {} });
  const { name, options } = namedModel("shared-wrn-16-1");
  expect(modelLabel(modelSpec(name, options))).toBe("shared-wrn-16-1");
  expect(() => namedModel("wrn")).toThrow(/which depth and width/);
  expect(() => namedModel("wrn-41-1")).toThrow(/6n \+ 4/);
  expect(() => namedModel("resnet-50")).toThrow(/no model resnet-50; .*hyper-wrn-D-K/);
});
