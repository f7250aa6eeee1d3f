import { expect, test } from "vitest";
import { type CaseReport, evaluateCase } from "../../src/cli/golden-cases/kinds";
import { type NamedSafeTensor, writeSafetensors } from "../../src/io/safetensors";
import { testDevice } from "./check-case";

const f32 = (name: string, shape: readonly number[], ...data: number[]): NamedSafeTensor => ({
  name,
  shape,
  dtype: "f32",
  data: Float32Array.from(data),
});

// f = 1, one channel each way: kernel = W_out (W_i z + B_i) + B_out, all by hand.
const hyper = { f: 1, N_in: 1, N_out: 1, N_z: 1, d: 1, M: 1 };
const given = [
  f32("in.z", [1, 1], 2),
  f32("param.W_i", [1, 1, 1], 3),
  f32("param.B_i", [1, 1], 1),
  f32("param.W_out", [1, 1, 1], 0.5),
  f32("param.B_out", [1, 1], -1),
  f32("cot.kernel", [1, 1, 1, 1, 1], 4),
];
const results = [
  f32("mid.a", [1, 1, 1], 7),
  f32("out.kernel", [1, 1, 1, 1, 1], 2.5),
  f32("out.loss", [], 10),
  f32("grad.in.z", [1, 1], 6),
  f32("grad.param.W_out", [1, 1, 1], 28),
];

async function report(
  tensors: readonly NamedSafeTensor[],
  change: { kind?: string; hyper?: object; atol?: number; rows?: object[] } = {},
): Promise<CaseReport> {
  const described = tensors.map(({ name }) => [name, { atol: change.atol ?? 1e-3 }]);
  const sidecar = {
    kind: "static.paper",
    hyper,
    ...change,
    tensors: Object.fromEntries(described),
  };
  return evaluateCase(await testDevice(), {
    name: "a label",
    sidecar: JSON.stringify(sidecar),
    safetensors: writeSafetensors(tensors),
  });
}

const failures = ({ pass, tensors }: CaseReport) => {
  const failed = tensors.filter((t) => !t.pass).map((t) => [t.name, t.errorOverTolerance]);
  expect(pass).toBe(failed.length === 0);
  return failed;
};

test("a golden case passes where every result is within its tolerance", async () => {
  const { tensors, pass } = await report([...given, ...results]);
  expect(pass).toBe(true);
  expect(tensors.map((t) => t.name).sort()).toEqual(results.map((t) => t.name).sort());
});

test("a golden case fails on any wrong, undefined or uncompared result", async () => {
  const other = results.filter((t) => t.name !== "out.kernel");
  const wrong = f32("out.kernel", [1, 1, 1, 1, 1], 2.503);
  const [[name, error] = []] = failures(await report([...given, ...other, wrong]));
  expect(name).toBe("out.kernel");
  expect(error).toBeCloseTo(3, 2);
  const undefinedNumber = f32("out.kernel", [1, 1, 1, 1, 1], Number.NaN);
  expect(failures(await report([...given, ...other, undefinedNumber]))).toEqual([
    ["out.kernel", null],
  ]);
  const extra = f32("out.other", [1], 0);
  expect(failures(await report([...given, ...results, extra]))).toEqual([["out.other", null]]);
  const unknown = f32("grad.param.other", [1], 0);
  expect(failures(await report([...given, ...results, unknown]))).toEqual([
    ["grad.param.other", null],
  ]);
});

test("a golden case that cannot be computed says why", async () => {
  const all = [...given, ...results];
  expect((await report(all, { kind: "toString" })).message).toBe(
    "kind toString is not supported yet",
  );
  expect((await report(all, { hyper: { ...hyper, d: "1" } })).message).toBe(
    "hyper.d is 1, must be a number",
  );
  const without = all.filter((t) => t.name !== "param.B_i");
  expect((await report(without)).message).toBe("tensor param.B_i is missing");
  expect((await report(all, { hyper: { ...hyper, M: 2 } })).message).toMatch(
    /^hyperloom: contraction: .* is 1, must be 2: /,
  );
  expect((await report(given)).message).toBe("it has no results to compare");
  for (const failed of [await report(all, { kind: "lstm.labml" }), await report(given)]) {
    expect(failed.pass).toBe(false);
  }
});

test("a sidecar with rows judges each row by its own tolerance", async () => {
  // Standard normals at their means: nll = log 4 pi, in the loss twice.
  const nll = Math.log(4 * Math.PI);
  const draw = [0.5, 0, 0, 0, 1, 1, 0];
  const rows = (first: number, second: number) => [
    { nll_atol: first, grad_atol: 1e-5 },
    { nll_atol: second, grad_atol: 1e-5 },
  ];
  const tensors = [
    f32("in.y", [2, 7], ...new Array<number>(14).fill(0)),
    f32("in.target", [2, 3], 0, 0, 0, 0, 0, 0),
    f32("out.nll", [2], nll, nll + 0.01),
    f32("out.loss", [], 2 * nll),
    f32("grad.in.y", [2, 7], ...draw, ...draw),
  ];
  const judged = async (first: number, second: number) =>
    failures(
      await report(tensors, {
        kind: "mdn.extreme",
        // Of the tensor as a whole; not looked at where rows have their own.
        atol: 1e-4,
        rows: rows(first, second),
      }),
    );
  expect(await judged(1e-5, 0.02)).toEqual([]);
  const [[name, error] = []] = await judged(0.02, 1e-3);
  expect(name).toBe("out.nll");
  expect(error).toBeCloseTo(10, 1);
  const broken = report(tensors, { kind: "mdn.extreme", rows: [{ nll_atol: 1 }] });
  await expect(broken).rejects.toThrow("it has 1 rows, not as many as out.nll");
  const unnamed = report(tensors, { kind: "mdn.extreme", rows: [{ nll_atol: 1 }, {}] });
  await expect(unnamed).rejects.toThrow('a row has no number "nll_atol"');
});

test("files that are no golden case are refused by name", async () => {
  const device = await testDevice();
  const safetensors = writeSafetensors(given);
  const refused = (sidecar: string, bytes = safetensors) =>
    expect(evaluateCase(device, { name: "x", sidecar, safetensors: bytes })).rejects;
  await refused("{").toThrow("hyperloom: x.json: it is no JSON");
  await refused("[]").toThrow("hyperloom: x.json: it holds no object");
  await refused('{"kind": "mdn", "tensors": {}}').toThrow(
    'hyperloom: x.json: it has no object "hyper"',
  );
  await refused('{"kind": "mdn", "hyper": {}, "tensors": {"out.y": {}}}').toThrow(
    "x.safetensors lacks",
  );
  await refused('{"kind": "mdn", "hyper": {}, "tensors": {}}', safetensors.subarray(0, 40)).toThrow(
    "hyperloom: x.safetensors: it declares a header",
  );
});
