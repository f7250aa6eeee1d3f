import { describe, expect, test } from "vitest";
import { parseVariants, VARIANT_FORMAT } from "../../src/ops/variant-file";

const adapter = {
  vendor: "google",
  architecture: "swiftshader",
  device: "",
  description: "",
  software: true,
};
const format = VARIANT_FORMAT;
const file = (...rows: unknown[]): string => JSON.stringify({ format, adapter, rows });
const row = { op: "matmul", kernel: "register", overrides: { ROWS: [4, 8], COLS: 8 } };

describe("a file of variants", () => {
  test("gives its rows, of the adapter that they were tuned on and of its class", () => {
    const text = file({ ...row, adapter: "software", shape: "huge", measured: "12 ms" }, row);
    const mine = { ...row, adapter: "software", tunedOn: adapter };
    expect(parseVariants(text)).toEqual([{ ...mine, shape: "huge", measured: "12 ms" }, mine]);
    expect(parseVariants(file())).toEqual([]);
    const gpu = { ...adapter, software: false };
    expect(parseVariants(JSON.stringify({ format, adapter: gpu, rows: [row] }))).toEqual([
      { ...row, adapter: "gpu", tunedOn: gpu },
    ]);
  });

  test.each([
    ["not JSON", "t.json is no JSON"],
    ["[]", "t.json is no table of variants"],
    [
      JSON.stringify({ format: "hyperloom variants 2", adapter, rows: [] }),
      'its format is "hyperloom variants 2", must be "hyperloom variants 1" with rows and adapter; see bench --tune FILE',
    ],
    [JSON.stringify({ format, adapter }), "with rows and adapter"],
    [JSON.stringify({ format, rows: [] }), "with rows and adapter"],
    [JSON.stringify({ format, adapter: { vendor: "google" }, rows: [] }), "with rows and adapter"],
    [file(3), "t.json: row 1 or its overrides is no object"],
    [file(row, { op: "matmul" }), "t.json: row 2: matmul: kernel undefined is not known"],
    [file({ ...row, op: "matmull" }), "t.json: row 1: op matmull is not known; take one of matmul"],
    [file({ ...row, kernel: "warp" }), "matmul: kernel warp is not known"],
    [file({ ...row, adapter: "tpu" }), "row 1: matmul: adapter class tpu is not known"],
    [file({ ...row, shape: "odd" }), "shape class odd is not known"],
    [file({ ...row, overrides: { ROWS: "4" } }), 'override ROWS is "4", must be one of 4'],
    [file({ ...row, overrides: { ROWS: [5] } }), "override ROWS is 5, must be one of 4, 8, 16"],
    [file({ ...row, overrides: [4] }), "row 1 or its overrides is no object"],
    [file({ ...row, overrides: { DEPTH: 2 } }), "register DEPTH is not known"],
    [
      file({ op: "conv2d", kernel: "tile", overrides: { THREADS_M: 16 } }),
      "THREADS_M · THREADS_N is 512, at most 256 can be",
    ],
    [
      file({ op: "matmul", kernel: "small", overrides: { LANES_N: 32, LANES_K: 16 } }),
      "LANES_N · LANES_K is 512, at most 256 can be",
    ],
  ])("is refused as %s", (text, message) => {
    expect(() => parseVariants(text, "t.json")).toThrow(message);
    expect(() => parseVariants(text, "t.json")).toThrow(/^hyperloom: variants: t\.json/);
  });
});
