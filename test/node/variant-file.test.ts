import { describe, expect, test } from "vitest";
import { parseVariants, VARIANT_FORMAT } from "../../src/ops/variant-file";

const file = (...rows: unknown[]): string => JSON.stringify({ format: VARIANT_FORMAT, rows });
const row = { op: "matmul", kernel: "register", overrides: { ROWS: [4, 8], COLS: 8 } };

describe("a file of variants", () => {
  test("gives its rows, without what they say beside the choice", () => {
    const text = file({ ...row, adapter: "software", shape: "huge", measured: "12 ms" }, row);
    expect(parseVariants(text)).toEqual([{ ...row, adapter: "software", shape: "huge" }, row]);
    expect(parseVariants(file())).toEqual([]);
  });

  test.each([
    ["not JSON", "t.json is no JSON"],
    ["[]", "t.json is no table of variants"],
    [JSON.stringify({ rows: [] }), 'format "hyperloom variants 1"'],
    [file(3), "t.json: row 1 is no object"],
    [file(row, { op: "matmul" }), "t.json: row 2: kernel is undefined, must be a text"],
    [file({ ...row, op: "matmull" }), "t.json: row 1: op matmull is not known; take one of matmul"],
    [file({ ...row, kernel: "warp" }), "matmul: kernel warp is not known"],
    [file({ ...row, adapter: "tpu" }), "adapter class tpu is not known"],
    [file({ ...row, shape: "odd" }), "shape class odd is not known"],
    [file({ ...row, overrides: { ROWS: "4" } }), 'override ROWS is "4", must be a number'],
    [file({ ...row, overrides: { ROWS: [5] } }), "override ROWS is 5, must be one of 4, 8, 16"],
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
