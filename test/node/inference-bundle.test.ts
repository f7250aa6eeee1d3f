/** Bundles for pages that only infer, from which .ci/bundlers.mjs lets gradients and dropout be left out. */
import { describe, expect, test } from "vitest";
import { markForBundlers } from "../../.ci/bundlers.mjs";
import { apply1, GradientError, type Op } from "../../src/graph/node";
import { relu } from "../../src/ops/elementwise";
import { sum } from "../../src/ops/reduce";
import { placeholder } from "../../src/ops/sources";
import { gradient } from "../../src/schedule/gradient";

/** A record as a chunk of the library has it, evaluated as a bundle for inference or another. */
function gradientOf(rule: string, inference: boolean): unknown {
  const record = `var op = { name: "op", shape() {}, dispatch() {}, ${rule} };`;
  const given = "var gradient = () => [1];";
  const code = markForBundlers("chunk.js", `${given}\n${record}\nexport { op };`);
  const script = code.replace("export { op };", "return op.gradient;");
  return new Function("__HYPERLOOM_INFERENCE__", script)(inference ? true : undefined);
}

describe("a bundle for inference", () => {
  test("leaves out gradients however they are written, another one keeps them", () => {
    for (const rule of ["gradient: () => [1]", "gradient() { return [1]; }", "gradient"]) {
      expect(gradientOf(rule, true), rule).toBeUndefined();
      expect((gradientOf(rule, false) as () => number[])(), rule).toEqual([1]);
    }
  });

  test("does not take a function or a whole program for an op", () => {
    const code = 'var other = { name: "other", gradient: 1 };\nexport { other };';
    expect(markForBundlers("chunk.js", code)).toBe(code);
    expect(() => markForBundlers("chunk.js", "console.log(1);")).toThrow(
      "hyperloom: dist/chunk.js acts when it is imported: console.log(1);",
    );
  });

  test("leaves out what the rows of a table were chosen by", () => {
    const rows =
      'var table = { rows: [{ kernel: "a", measured: "3.1" }, { measured: "2", n: 1 }] };';
    const code = markForBundlers("chunk.js", `${rows}\nexport { table };`);
    const made = new Function(code.replace("export { table };", "return table;"))() as object;
    expect(made).toEqual({ rows: [{ kernel: "a" }, { n: 1 }] });
    const computed = "var measured = 1;\nvar a = { measured: measured };\nexport { a };";
    expect(markForBundlers("chunk.js", computed)).toBe(computed);
  });

  test("says why it cannot train", () => {
    const y = relu(placeholder("x", [3]));
    const { gradient: _, ...record } = y.node.op;
    const bare = apply1(record as unknown as Op<unknown>, y.node.attrs, ...y.node.inputs);
    const train = () => gradient(sum(bare), [bare.node.inputs[0] as typeof bare]);
    expect(train).toThrow(GradientError);
    expect(train).toThrow(
      "relu has no gradient; add one, or build without __HYPERLOOM_INFERENCE__",
    );
  });
});
