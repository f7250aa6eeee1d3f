import { decode } from "fast-png";
import { describe, expect, test } from "vitest";
import { glyphOf, lineWidth } from "../../src/cli/bitmap-font";
import { colour } from "../../src/cli/charts";
import { chooseKernels, kernelPaths } from "../../src/cli/inspect-weights";
import { deviation } from "../../src/cli/weights-job";
import {
  HEADINGS,
  layerName,
  layoutWeights,
  MARGIN,
  mosaicLines,
  ticks,
  WIDTH,
} from "../../src/cli/weights-layout";
import { weightsPicture } from "../../src/cli/weights-png";
import {
  type EmbeddingGrid,
  embeddingGrids,
  embeddingSimilarity,
  similarityToPrevious,
  tileCosines,
} from "../../src/hyper/embeddings";
import { hyperWideResNet, sharedWideResNet } from "../../src/hyper/wide-resnet";
import { specs } from "../../src/nn/module";
import type { AnyModel } from "../../src/train/image-models";
import { buildModel, modelSpec, namedModel } from "../../src/train/models";

const model = (label: string): AnyModel => {
  const { name, options } = namedModel(label);
  return buildModel(modelSpec(name, options)) as AnyModel;
};

describe("embeddings", () => {
  const grid = (first: number, tilesIn: number, tilesOut: number): EmbeddingGrid => ({
    path: `${first}`,
    first,
    tilesIn,
    tilesOut,
  });

  test("lie one kernel after another, all of z", () => {
    const wrn = hyperWideResNet({ depth: 10, width: 2, nz: 8 });
    const grids = embeddingGrids(wrn) ?? [];
    expect(grids.map(({ tilesIn, tilesOut }) => [tilesIn, tilesOut])).toEqual([
      ...[
        [1, 2],
        [2, 2],
        [2, 4],
        [4, 4],
        [4, 8],
        [8, 8],
      ],
    ]);
    expect(grids.map(({ first }) => first)).toEqual([0, 2, 6, 14, 30, 62]);
    expect(wrn.generator.params.z.shape).toEqual([62 + 64, 8]);
    expect(embeddingGrids(sharedWideResNet({ depth: 10, width: 2 }))).toBeNull();
  });

  test("are compared tile by tile, at the positions that both layers have", () => {
    // One tile, then two by two: only the first of them has a partner.
    const z = Float32Array.of(1, 0, /**/ 3, 0, 0, 1, 1, 1, -2, 0);
    const [one, four] = [grid(0, 1, 1), grid(1, 2, 2)];
    expect(tileCosines(z, 2, one, four)).toEqual([1]);
    expect(tileCosines(z, 2, four, four).map((x) => x.toFixed(6))).toEqual(
      Array(4).fill("1.000000"),
    );
    // Down first, then across: positions (0, 0) and (1, 0) of two by two are rows 1 and 3.
    const column = grid(3, 2, 1);
    const cosines = tileCosines(z, 2, four, column);
    expect(cosines[0]).toBeCloseTo(Math.SQRT1_2, 6);
    expect(cosines[1]).toBeCloseTo(-Math.SQRT1_2, 6);
    expect(embeddingSimilarity(z, 2, [four, column])[0]?.[1]).toBeCloseTo(0, 6);
    const [none, absolute] = similarityToPrevious(z, 2, [four, column]);
    expect(none).toBeNull();
    expect(absolute).toBeCloseTo(Math.SQRT1_2, 6);
  });

  test("are 1 everywhere with full sharing, and symmetric", () => {
    const z = Float32Array.from({ length: 18 }, (_, k) => [0.3, -1.2, 0.7][k % 3] ?? 0);
    for (const row of embeddingSimilarity(z, 3, [grid(0, 1, 1), grid(1, 1, 1), grid(2, 2, 2)])) {
      for (const value of row) expect(value).toBeCloseTo(1, 6);
    }
    const mixed = Float32Array.from({ length: 18 }, (_, k) => Math.sin(k * k));
    const found = embeddingSimilarity(mixed, 3, [grid(0, 1, 2), grid(2, 2, 2)]);
    expect(found[0]?.[1]).toBe(found[1]?.[0]);
  });
});

describe("the choice of kernels", () => {
  const hyper = kernelPaths(model("hyper-wrn-64-1"));

  test("is the first, middle and last generated one of each group", () => {
    expect(hyper.length).toBe(61);
    expect(chooseKernels(hyper).map(layerName)).toEqual(
      [1, 2, 3].flatMap((g) => [
        ...[`group${g}.block1.conv1`, `group${g}.block5.conv2`, `group${g}.block10.conv2`],
      ]),
    );
    expect(chooseKernels(kernelPaths(model("hyper-cnn")))).toEqual(["conv2.kernel"]);
    expect(chooseKernels(kernelPaths(model("cnn")))).toEqual(["conv1.kernel", "conv2.kernel"]);
  });

  test("goes by number and by the beginning of paths, in the order of depth", () => {
    expect(chooseKernels(hyper, "group1.block1, 1,1").map(layerName)).toEqual([
      ...["stem", "group1.block1.conv1", "group1.block1.conv2"],
    ]);
    expect(chooseKernels(hyper, "group2").length).toBe(20);
    for (const wrong of ["group4", "0", "62", "group1.block", "", "conv1"]) {
      expect(() => chooseKernels(hyper, wrong)).toThrow(/there are 1 stem, 2 group1.block1.conv1,/);
    }
  });
});

test("the layout keeps all apart and within the picture", () => {
  for (const [label, wanted] of [
    ["hyper-wrn-40-1"],
    ["hyper-wrn-16-12", "group3"],
    ["wrn-100-1"],
    ["hyper-cnn"],
    ["cnn"],
    ["shared-wrn-10-2"],
  ] as const) {
    const of = model(label);
    const paths = kernelPaths(of);
    const target = "target" in of ? of.target : of;
    const shapes = new Map(specs(target.params).map(({ path, value }) => [path, value.shape]));
    const sized = (path: string) => ({ path, shape: shapes.get(path) ?? [] });
    const chosen = chooseKernels(paths, wanted).map(sized);
    const layers = paths.map(({ path }) => sized(path));
    const compared = label.startsWith("hyper-wrn") ? layers.length - 1 : 0;
    const { mosaics, table, height } = layoutWeights(chosen, layers, compared);
    const boxes = mosaics.map(({ x, y, width, height: tall, column }) => {
      expect(width).toBeLessThanOrEqual(column);
      return { left: x, top: y - 17, right: x + width, bottom: y + tall };
    });
    const bottom = table.top + table.row * layers.length;
    const left = table.path - 20;
    boxes.push({ left, top: table.y, right: table.bars.x + table.bars.width, bottom });
    for (const [k, a] of boxes.entries()) {
      expect(a.left).toBeGreaterThanOrEqual(MARGIN);
      expect(a.right).toBeLessThanOrEqual(WIDTH - MARGIN);
      expect(a.bottom).toBeLessThanOrEqual(height - MARGIN);
      for (const b of boxes.slice(k + 1)) {
        const meet = a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        expect(meet).toBe(false);
      }
    }
    expect(table.bars.width).toBeGreaterThan(200);
    if (table.heat === null) expect(compared).toBe(0);
    else expect(table.heat + compared * table.row).toBeLessThan(table.bars.x);
  }
});

test("a group of three has a line of its own, smaller ones share", () => {
  const lines = (...paths: readonly string[]) =>
    mosaicLines(paths.map((path) => ({ path, shape: [1, 1, 1, 1] }))).map((line) =>
      line.map(({ path }) => path).join(" "),
    );
  expect(lines("s", "a.1", "a.2", "a.3", "b.1", "c.1")).toEqual(["s", "a.1 a.2 a.3", "b.1 c.1"]);
  expect(lines("a.1", "a.2", "b.1", "b.2")).toEqual(["a.1 a.2 b.1", "b.2"]);
});

test("axes have round numbers", () => {
  expect(ticks(0.27)).toEqual([0, 0.1, 0.2]);
  expect(ticks(0.31)).toEqual([0, 0.1, 0.2, 0.3]);
  expect(ticks(1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(deviation([1, 3, 1, 3])).toBe(1);
});

test("the font has every character that pictures use", () => {
  const question = glyphOf("?");
  for (const character of `${Object.values(HEADINGS).join("")}abcxyz019ABCXYZ.,:;±×−/-`) {
    if (character === " ") continue;
    const glyph = glyphOf(character);
    expect(glyph).not.toBe(question);
    expect(glyph.rows.length).toBe(12);
    expect(glyph.width).toBeGreaterThan(0);
  }
  expect(glyphOf("中")).toBe(question);
  expect(lineWidth("il")).toBeLessThan(lineWidth("mw"));
  expect(lineWidth("")).toBe(0);
});

test("the picture shows kernels, similarities and deviations where the layout says", async () => {
  const shape = [2, 1, 3, 3];
  const data = new Float32Array(18).fill(-1);
  const kernels = new Map([["b.kernel", { shape, dtype: "f32" as const, data }]]);
  const layers = ["a.kernel", "b.kernel"].map((path) => {
    return { path, shape, generated: true, std: 0.5, he: 1, similarity: null };
  });
  const similarity = [
    [1, -0.5],
    [-0.5, 1],
  ];
  const bytes = await weightsPicture({ title: "a", note: "b", layers, similarity, kernels });
  const { mosaics, table, height } = layoutWeights([{ path: "b", shape }], layers, 2);
  const png = decode(bytes);
  expect([png.width, png.height]).toEqual([WIDTH, height]);
  const pixel = (x: number, y: number) => [...png.data.slice(3 * (y * WIDTH + x)).slice(0, 3)];
  const [place] = mosaics;
  expect(pixel((place?.x ?? 0) + 4, (place?.y ?? 0) + 4)).toEqual([...colour(-1)]);
  const [x, y] = [(table.heat ?? 0) + 3, table.top + 3];
  expect(pixel(x, y)).toEqual([...colour(1)]);
  expect(pixel(x + table.row, y)).toEqual([...colour(-0.5)]);
  const middle = table.top + Math.floor(table.row / 2);
  expect(pixel(table.bars.x + 9, middle)).not.toEqual([255, 255, 255]);
  expect(pixel(table.bars.x + Math.round(0.7 * table.bars.width), middle)).toEqual([255, 255, 255]);
});
