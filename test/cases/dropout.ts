import { philox } from "../../src/graph/random";
import type { Tensor } from "../../src/graph/node";
import { type Shape, size } from "../../src/graph/shape";
import { dropout, dropoutMask } from "../../src/ops/dropout";
import { fill, mul, sub } from "../../src/ops/elementwise";
import { mean } from "../../src/ops/reduce";
import type { Nd, OpCase } from "./case";

const PI_KEY = [0xa4093822, 0x299f31d0, 0x13198a2e, 0x03707344];

function oracle(x: Nd, key: Nd, keep: number, site: number): Nd {
  const [k0, k1, step, extra] = key.data as unknown as [number, number, number, number];
  const word = new Uint32Array(4);
  const threshold = Math.min(Math.round(keep * 2 ** 32), 2 ** 32 - 1);
  const data = x.data.map((v, i) => {
    philox([k0, k1], [i >>> 2, site, step, extra], word);
    return (word[i % 4] as number) < threshold ? v / keep : 0;
  });
  return { shape: x.shape, data };
}

function dropoutCase(shape: Shape, keep: number, key: readonly number[], site: number): OpCase {
  return {
    name: `dropout [${shape.join(", ")}] keep ${keep} site ${site} key ${key.join(" ")}`,
    ops: ["dropout"],
    // Away from 0, so that what is kept can be told from what is dropped.
    inputs: [
      { shape, low: 1, high: 2 },
      { shape: [4], dtype: "u32", values: key },
    ],
    build: (x, k) => dropout(x, keep, k, site),
    oracle: (x, k) => oracle(x, k, keep, site),
    tolerance: 1e-6, // one division
  };
}

/** Masks from the words that the CPU makes, for one key or several. */
function maskCase(shape: Shape, keep: number, keys: readonly (readonly number[])[], site: number) {
  const key: Shape = keys.length > 1 ? [keys.length, 4] : [4];
  return {
    name: `mask [${shape.join(", ")}] keep ${keep} site ${site} of ${keys.length} keys`,
    ops: ["dropout_mask"],
    inputs: [{ shape: key, dtype: "u32" as const, values: keys.flat() }],
    build: (k: Tensor) => dropoutMask(shape, keep, k, site),
    oracle: () => {
      const ones = { shape, data: new Float64Array(size(shape)).fill(1) };
      const rows = keys.map((k) =>
        oracle(ones, { shape: [4], data: Float64Array.from(k) }, keep, site),
      );
      const data = Float64Array.from(rows.flatMap((row) => [...row.data]));
      return { shape: [...key.slice(0, -1), ...shape], data };
    },
    tolerance: 1e-7, // 1 / keep, rounded once; which elements are kept is exact
  };
}

/** Cases of src/ops/dropout.ts. */
export const dropoutCases: readonly OpCase[] = [
  dropoutCase([1], 0.5, [0, 0, 0, 0], 0),
  dropoutCase([5, 7], 0.9, [1, 2, 3, 4], 5),
  dropoutCase([3, 64], 0.5, PI_KEY, 0x85a308d3),
  dropoutCase([2, 3, 11], 0.25, [4294967295, 4294967295, 4294967295, 4294967295], 4294967295),
  dropoutCase([130], 0.999, [7, 0, 1, 0], 1),
  maskCase([1], 0.5, [PI_KEY], 0),
  maskCase([5, 7], 0.9, [[1, 2, 3, 4]], 5),
  maskCase([3, 64], 0.5, [PI_KEY], 0x85a308d3),
  maskCase([3, 5], 0.4, [[1, 2, 3, 4], PI_KEY, [1, 2, 4, 4]], 9),
  maskCase([2, 8], 0.4, [[1, 2, 3, 4], PI_KEY], 9),
  maskCase([13], 1, [[1, 2, 3, 4], PI_KEY], 9),
  {
    name: "dropout of ones is the mask, and differentiates through what it masks",
    ops: ["dropout_mask", "dropout"],
    inputs: [
      { shape: [61], low: 1, high: 2 },
      { shape: [4], dtype: "u32", values: PI_KEY },
    ],
    build: (x, k) => {
      const mask = dropoutMask([61], 0.7, k, 2);
      return [sub(mask, dropout(fill(1, [61]), 0.7, k, 2)), mul(x, mask)];
    },
    oracle: (x, k) => [{ shape: [61], data: new Float64Array(61) }, oracle(x, k, 0.7, 2)],
    tolerance: 1e-6,
  },
  {
    name: "two sites and two steps drop different elements; a product shows both masks",
    ops: ["dropout"],
    inputs: [
      { shape: [97], low: 1, high: 2 },
      { shape: [4], dtype: "u32", values: [1, 2, 3, 0] },
      { shape: [4], dtype: "u32", values: [1, 2, 4, 0] },
    ],
    build: (x, k, l) => [mul(dropout(x, 0.5, k, 0), dropout(x, 0.5, k, 1)), dropout(x, 0.5, l, 0)],
    oracle: (x, k, l) => {
      const [a, b] = [oracle(x, k, 0.5, 0), oracle(x, k, 0.5, 1)];
      return [
        { shape: x.shape, data: a.data.map((v, i) => v * (b.data[i] as number)) },
        oracle(x, l, 0.5, 0),
      ];
    },
    tolerance: 1e-6,
  },
  {
    name: "keep 1 is the input itself",
    ops: ["dropout"],
    inputs: [{ shape: [9] }, { shape: [4], dtype: "u32", values: [0, 0, 0, 0] }],
    build: (x, k) => mul(dropout(x, 1, k), 2),
    oracle: (x) => ({ shape: x.shape, data: x.data.map((v) => 2 * v) }),
    tolerance: 0,
  },
  {
    // 200,000 draws: the standard error of the mean is 0.0009; the words themselves are exact above.
    name: "the mean over 200,000 elements is kept",
    ops: ["dropout"],
    inputs: [
      { shape: [200_000], low: 1, high: 1 },
      { shape: [4], dtype: "u32", values: [11, 12, 13, 14] },
    ],
    build: (x, k) => mean(dropout(x, 0.85, k, 3)),
    oracle: () => ({ shape: [], data: Float64Array.of(1) }),
    tolerance: 0.0045, // five standard errors
    gradients: [],
  },
];
