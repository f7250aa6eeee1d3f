import { describe, expect, test } from "vitest";
import { useDevice } from "../../src/gpu/device";
import type { Variant } from "../../src/gpu/dispatch";
import { key, uniform } from "../../src/graph/random";
import { size } from "../../src/graph/shape";
import { contractionVariants } from "../../src/ops/contraction-variants";
import { conv2d } from "../../src/ops/conv2d";
import { conv2dVariants } from "../../src/ops/conv2d-variants";
import { add } from "../../src/ops/elementwise";
import { linear } from "../../src/ops/generate";
import { matmul, matmulPair } from "../../src/ops/matmul";
import { matmulVariants } from "../../src/ops/matmul-variants";
import { placeholder } from "../../src/ops/sources";
import { parseVariants, VARIANT_FORMAT } from "../../src/ops/variant-file";
import { checkVariants, VARIANT_KERNELS } from "../../src/ops/variants";
import { compile } from "../../src/schedule/executable";
import { plan } from "../../src/schedule/plan";
import type { OpCase } from "../cases/case";
import { contractionCases } from "../cases/contraction";
import { conv2dCases } from "../cases/conv2d";
import { matmulCases } from "../cases/matmul";
import { checkCase, deviceWith, expectClose, testDevice } from "./check-case";

// Whatever a table or a caller chooses, for shapes of any class: the results are the same.

const tables = [matmulVariants, conv2dVariants, contractionVariants];
const cases: Readonly<Record<string, readonly OpCase[]>> = {
  matmul: matmulCases,
  conv2d: conv2dCases,
  contraction: contractionCases,
};

/**
 * Convolutions of one size of kernels: tiles are no different for others, each of which every
 * variant would be compiled for anew.
 */
const common = ({ ops, name }: OpCase): boolean =>
  !ops.some((op) => op.startsWith("conv2d")) || /\b3x3\b/.test(name);

/** Some differentiated cases and some larger ones: test/gpu/ops.test.ts runs all by the tables. */
function some(all: readonly OpCase[]): readonly OpCase[] {
  const spread = (from: readonly OpCase[], n: number): readonly OpCase[] =>
    Array.from(
      { length: n },
      (_, i) => from[Math.round((i * (from.length - 1)) / (n - 1))] as OpCase,
    );
  const differentiated = all.filter((c) => c.gradients?.length !== 0 && common(c));
  const others = all.filter((c) => c.gradients?.length === 0 && common(c));
  return [...spread(differentiated, 4), ...spread(others, 3)];
}

describe("every row of every table", () => {
  for (const { op, rows } of tables) {
    test(`${op}: for each class of adapter and of shape there is one, of what is known`, () => {
      checkVariants(rows.map((row) => ({ op, ...row })));
      for (const row of rows) expect(row.measured.length).toBeGreaterThan(5);
    });
    const distinct = new Map(
      rows.map(({ kernel, overrides = {} }) => {
        return [`${kernel} ${JSON.stringify(overrides)}`, { op, kernel, overrides }] as const;
      }),
    );
    for (const [name, variant] of distinct) {
      test(`${op}: ${name}, for all shapes`, async () => {
        expect.hasAssertions();
        const device = await deviceWith(variant);
        if (variant.kernel === "quad" && !device.target.features.has("subgroups")) {
          const refused = checkCase(device, (cases[op] as OpCase[])[0] as OpCase);
          await expect(refused).rejects.toThrow("needs the feature subgroups");
          return;
        }
        for (const c of some(cases[op] ?? [])) await checkCase(device, c);
      });
    }
  }
});

describe("a caller's variants", () => {
  const [m, n, k] = [64, 64, 64];
  const product = () => matmul(placeholder("a", [m, k]), placeholder("b", [k, n]));

  test("come before the table, by class of adapter and of shape, the first that fits", async () => {
    const { target } = await testDevice();
    const features: ReadonlySet<string> = new Set();
    const chosen = (...variants: Variant[]) =>
      plan([product()], { ...target, adapter: "software", features, variants }).dispatches.map(
        ({ dispatch }) => [dispatch.kernel.name, dispatch.overrides.ROWS],
      );
    const small: Variant = { op: "matmul", kernel: "small" };
    const four: Variant = { op: "matmul", kernel: "register", overrides: { ROWS: 4 } };
    expect(chosen()[0]).toEqual(["matmul_register", 8]);
    expect(chosen(four, small)[0]).toEqual(["matmul_register", 4]);
    expect(chosen(small, four)[0]?.[0]).toBe("matmul_small");
    expect(chosen({ ...small, shape: "huge" })[0]).toEqual(["matmul_register", 8]);
    expect(chosen({ ...small, shape: "vectors" })[0]?.[0]).toBe("matmul_small");
    expect(chosen({ ...small, adapter: "gpu" })[0]).toEqual(["matmul_register", 8]);
    const tile = { THREADS_M: 8, THREADS_N: 16 };
    expect(chosen({ op: "conv2d", kernel: "tile", overrides: tile })[0]).toEqual([
      "matmul_register",
      8,
    ]);
  });

  test("kernels that need a feature are chosen where the device has it, and refused where not", async () => {
    const { target } = await testDevice();
    const quad: Variant = { op: "matmul", kernel: "quad" };
    const chosen = (features: readonly string[], ...variants: Variant[]) => {
      const seen = {
        ...target,
        adapter: "software" as const,
        features: new Set(features),
        variants,
      };
      return plan([product()], seen).dispatches[0]?.dispatch.kernel.name;
    };
    expect(chosen([])).toBe("matmul_register");
    expect(chosen(["subgroups"])).toBe("matmul_register_subgroups");
    expect(() => chosen([], quad)).toThrow(
      "matmul: kernel quad needs the feature subgroups, which this device does not have",
    );
  });

  test("convolutions choose likewise, and both kernels compute the same", async () => {
    const device = await testDevice();
    const [x, k] = [placeholder("x", [2, 9, 11, 13]), placeholder("k", [21, 9, 3, 3])];
    const build = () => conv2d(x, k, { padding: "symmetric" });
    const values = {
      x: Float32Array.from(uniform(key(1), 2 * 9 * 11 * 13), (v) => 2 * v - 1),
      k: Float32Array.from(uniform(key(2), 21 * 9 * 9), (v) => 2 * v - 1),
    };
    const chosen = (...features: string[]) => {
      const target = { ...device.target, adapter: "software" as const };
      const planned = plan([build()], { ...target, features: new Set(features) });
      return planned.dispatches.map(({ dispatch }) => dispatch.kernel.name);
    };
    expect(chosen()).toEqual(["conv2d_pack", "conv2d_direct"]);
    expect(chosen("subgroups")).toEqual(["conv2d_pack", "conv2d_direct_subgroups"]);
    const kernels = device.target.features.has("subgroups") ? ["direct", "quad"] : ["direct"];
    const results: Float32Array[] = [];
    for (const name of kernels) {
      const own = await deviceWith({
        op: "conv2d",
        kernel: name,
        overrides: { ROWS: 2, DEPTH: 2 },
      });
      const step = await compile(own, { inputs: { x, k }, outputs: { y: build() } });
      const { y } = await step.run(values);
      results.push(Float32Array.from(y as Float32Array));
      step.dispose();
    }
    const [direct, quad = direct] = results as [Float32Array, Float32Array?];
    // Sums of 81 products in [-1, 1], in one order: at most the rounding of fused products apart.
    const apart = direct.map((v, i) => Math.abs(v - (quad[i] as number)));
    expect(Math.max(...apart)).toBeLessThan(1e-5);
    expect(Math.max(...direct)).toBeGreaterThan(1);
  });

  test("products of little work make one output an invocation on software adapters", async () => {
    const { target } = await testDevice();
    const chosen = (adapter: "software" | "gpu", m: number) => {
      const y = linear(
        placeholder("x", [m, 64]),
        placeholder("w", [64, 64]),
        placeholder("b", [64]),
      );
      const seen = { ...target, adapter, features: new Set<string>() };
      return plan([y], seen).dispatches[0]?.dispatch.kernel.name;
    };
    // 2^19 multiply-adds, and more.
    expect(chosen("software", 128)).toBe("contraction_single");
    expect(chosen("software", 129)).toBe("contraction");
    expect(chosen("gpu", 128)).toBe("contraction");
  });

  test("a pair of products and products with addends share one kernel, with equal bits", async () => {
    const overrides = { ROWS: 4, COLS: 16 };
    const device = await deviceWith({ op: "matmul", kernel: "register", overrides });
    const tensors = {
      a: placeholder("a", [m, k]),
      b: placeholder("b", [k, n]),
      bias: placeholder("bias", [n]),
      rest: placeholder("rest", [m, n]),
    };
    const { a, b, bias, rest } = tensors;
    const outputs = {
      bias: add(matmul(a, b), bias),
      rest: add(matmul(a, b), rest),
      pair: add(matmulPair(a, b, a, b), rest),
    };
    const values = (x: { shape: readonly number[] }, seed: number) =>
      Float32Array.from(uniform(key(seed), size(x.shape)));
    const data = {
      a: values(a, 1),
      b: values(b, 2),
      bias: values(bias, 3),
      rest: values(rest, 4),
    };
    const before = device.pipelines.size;
    using step = await compile(device, { inputs: tensors, outputs });
    expect(device.pipelines.size - before).toBe(1);
    const together = await step.run(data);
    for (const name of ["bias", "rest"] as const) {
      const inputs = { a, b, [name]: tensors[name] };
      using alone = await compile(device, { inputs, outputs: { y: outputs[name] } });
      const { y } = await alone.run({ a: data.a, b: data.b, [name]: data[name] });
      expect(together[name]).toEqual(y);
    }
    // Alone, these two take a kernel without the second pair.
    expect(device.pipelines.size - before).toBe(2);
    const oracle = (products: number, added: Float32Array) =>
      Float64Array.from({ length: m * n }, (_, at) => {
        let sum = 0;
        for (let t = 0; t < k; t++)
          sum += (data.a[Math.floor(at / n) * k + t] ?? 0) * (data.b[t * n + (at % n)] ?? 0);
        return products * sum + (added[at % added.length] ?? 0);
      });
    // Roundings of 128 terms below 1.
    const tolerance = 128 * 2 ** -24;
    expectClose(together.bias as Float32Array, oracle(1, data.bias), tolerance, "bias");
    expectClose(together.rest as Float32Array, oracle(1, data.rest), tolerance, "rest");
    expectClose(together.pair as Float32Array, oracle(2, data.rest), tolerance, "pair");
  });

  test("a table of another adapter warns, by what tells the two apart; of another class, it applies nowhere", async () => {
    const { gpu, adapter: here } = await testDevice();
    const warned: string[] = [];
    const chosen = (adapter: object, rows: readonly object[] = [{}, {}]) => {
      warned.length = 0;
      const small = rows.map((row) => ({ op: "matmul", kernel: "small", ...row }));
      const text = JSON.stringify({ format: VARIANT_FORMAT, adapter, rows: small });
      // As it reaches a page.
      const variants = JSON.parse(JSON.stringify(parseVariants(text))) as Variant[];
      const device = useDevice(gpu, { variants, onWarning: (message) => warned.push(message) });
      const { kernel } = plan([product()], device.target).dispatches[0]?.dispatch ?? {};
      return kernel?.name === "matmul_small";
    };
    const described = useDevice(gpu).adapter;
    expect(chosen(described)).toBe(true);
    expect(warned).toEqual([]);
    // What one of two runtimes does not tell sets nothing apart.
    expect(chosen({ software: described.software })).toBe(true);
    expect(warned).toEqual([]);
    expect(chosen({ ...described, vendor: "acme" })).toBe(true);
    expect(warned).toEqual([`variants tuned on acme may not be the fastest on ${here.vendor}`]);
    expect(chosen({ vendor: "acme", software: !described.software })).toBe(false);
    expect(warned).toEqual([`variants tuned on acme do not apply on ${here.vendor}`]);
    expect(chosen({ vendor: "acme", software: !described.software }, [])).toBe(false);
    expect(warned).toEqual([]);
  });

  test("unknown names and values out of range are refused, before any GPU work", async () => {
    const { gpu } = await testDevice();
    const attempt = (variant: Variant, message: string) => {
      const device = useDevice(gpu, { variants: [variant] });
      return expect(compile(device, { inputs: {}, outputs: { y: product() } })).rejects.toThrow(
        `hyperloom: variants: ${message}`,
      );
    };
    await attempt({ op: "matmull", kernel: "tile" }, "op matmull is not known; take one of matmul");
    await attempt({ op: "matmul", kernel: "warp" }, "matmul: kernel warp is not known");
    await attempt({ op: "conv2d", kernel: "direct", shape: "odd" }, "conv2d: shape class odd");
    await attempt(
      { op: "matmul", kernel: "tile", overrides: { ROWS: 4 } },
      "matmul: override of kernel tile ROWS is not known; take one of THREADS",
    );
    await attempt(
      { op: "matmul", kernel: "register", overrides: { ROWS: [4, 5] } },
      "matmul: kernel register: override ROWS is 5, must be one of 4, 8, 16",
    );
    await attempt(
      { op: "matmul", kernel: "register", overrides: { ROWS: [] } },
      "matmul: kernel register: override ROWS is empty",
    );
    await attempt(
      { op: "matmul", kernel: "small", overrides: { LANES_N: 64, LANES_K: 64 } },
      "matmul: kernel small: LANES_N · LANES_K is 4096, at most 256 can be",
    );
  });

  test("a tile of too many threads is refused", async () => {
    const { target } = await testDevice();
    const overrides = { THREADS_M: 16, THREADS_N: 32 };
    const variants = [{ op: "conv2d", kernel: "tile", overrides }];
    const y = conv2d(placeholder("x", [1, 2, 5, 5]), placeholder("k", [3, 2, 3, 3]));
    expect(() => plan([y], { ...target, variants })).toThrow(/512, at most 256/);
  });

  test("every kernel's extreme values compute what the others do", async () => {
    expect.hasAssertions();
    for (const [op, { kernels }] of Object.entries(VARIANT_KERNELS)) {
      const [first] = cases[op]?.filter((c) => c.gradients?.length !== 0) ?? [];
      for (const [kernel, ranges] of Object.entries(kernels)) {
        const least = Object.fromEntries(
          Object.entries<readonly number[]>(ranges).map(([k, v]) => [k, v[0] ?? 0]),
        );
        const device = await deviceWith({ op, kernel, overrides: least });
        const checked = checkCase(device, first as OpCase);
        if (kernel !== "quad" || device.target.features.has("subgroups")) await checked;
        else await expect(checked).rejects.toThrow("needs the feature subgroups");
      }
    }
  });
});
