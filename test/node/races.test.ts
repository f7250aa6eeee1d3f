import { describe, expect, test } from "vitest";
import { detectRaces } from "wgsl_reflect/wgsl_reflect.module.js";
import { packUniforms } from "../../src/gpu/buffers";
import type { Dispatch, Target } from "../../src/gpu/dispatch";
import { key, uniform } from "../../src/graph/random";
import type { Operand, Tensor } from "../../src/graph/node";
import { size } from "../../src/graph/shape";
import { mul } from "../../src/ops/elementwise";
import { sum } from "../../src/ops/reduce";
import { placeholder } from "../../src/ops/sources";
import { reachable } from "../../src/graph/substitute";
import { gradient } from "../../src/schedule/gradient";
import { allCases } from "../cases/all";

const limits = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};

/** Of one workgroup. */
const MOST_FLOPS = 10_000;

/**
 * The cheapest dispatch of every kernel with a barrier, over all op cases and their gradients.
 * Overrides that are sizes do not make another kernel here.
 */
function barrierDispatches(): Map<string, Dispatch<Operand>> {
  const found = new Map<string, Dispatch<Operand>>();
  const cost = ({ grid, flops }: Dispatch<Operand>): number =>
    flops / (grid[0] * grid[1] * grid[2]);
  for (const adapter of ["software", "gpu"] as const) {
    const target: Target = { adapter, limits, features: new Set() };
    for (const c of allCases) {
      const x = c.inputs.map(({ shape, dtype }, k) => placeholder(`x${k}`, shape, dtype));
      const built = c.build(...x);
      const outputs = Array.isArray(built) ? built : [built];
      const roots = [...outputs];
      const wrt =
        c.gradients ?? c.inputs.flatMap(({ dtype = "f32" }, k) => (dtype === "f32" ? [k] : []));
      for (const y of wrt.length > 0 ? outputs : []) {
        const inputs = wrt.map((k) => x[k] as Tensor);
        roots.push(...gradient(sum(mul(y, placeholder("cot", y.shape))), inputs));
      }
      for (const node of reachable(roots)) {
        for (const d of node.op.dispatch(node, target)) {
          if (!d.kernel.code.includes("Barrier()")) continue;
          const modes = Object.entries(d.overrides).filter(
            ([name]) => !/^KERNEL_|^THREADS|^[A-Z]$/.test(name),
          );
          const id = `${d.kernel.name} ${JSON.stringify(Object.fromEntries(modes))}`;
          const before = found.get(id);
          if (!before || cost(d) < cost(before)) found.set(id, d);
        }
      }
    }
  }
  // The interpreter is slow: modes that only long sums take are left to the kernel's other modes.
  for (const [id, d] of found) {
    const others = [...found].filter(([other, e]) => other !== id && e.kernel === d.kernel);
    if (cost(d) > MOST_FLOPS && others.some(([, e]) => cost(e) <= MOST_FLOPS)) found.delete(id);
  }
  return found;
}

/** A product, quotient or sum of integers as the shader writes it. */
function evaluate(expression: string): number {
  const text = expression.replaceAll(/(\d)u/g, "$1");
  if (!/^[\d\s()+*/%-]+$/.test(text)) throw new Error(`cannot evaluate ${expression}`);
  return Math.floor(Number(new Function(`return ${text}`)()));
}

/** The shader with overrides put in as numbers: the interpreter sizes no array by an override. */
function specialise({ kernel, overrides }: Dispatch<Operand>): string {
  let code = kernel.code.replaceAll(/\/\/.*/g, "");
  for (const [, name = "", type, value = ""] of kernel.code.matchAll(
    /^(?:override|const) (\w+)(?:: (\w+))? = ([^;]+);/gm,
  )) {
    const settled =
      new RegExp(`^(?:override|const) ${name}\\b.*= ([^;]+);`, "m").exec(code)?.[1] ?? value;
    const number =
      overrides[name] ?? (type === "bool" ? Number(settled === "true") : evaluate(settled));
    const literal =
      type === "bool" ? String(Boolean(number)) : type === "i32" ? `${number}` : `${number}u`;
    code = code
      .replace(new RegExp(`^(?:override|const) ${name}\\b[^;]*;`, "m"), "")
      .replaceAll(new RegExp(`\\b${name}\\b`, "g"), literal);
  }
  return code.replaceAll(
    /array<([\w<>]+), ([^>]+)>/g,
    (_, t: string, n: string) => `array<${t}, ${evaluate(n)}>`,
  );
}

function races(d: Dispatch<Operand>, code: string): { races: unknown[]; errors: string[] } {
  const group: Record<number, unknown> = {};
  for (const { name, binding } of d.kernel.bindings) {
    const operand = d.bind[name] as Operand;
    const n = "scratch" in operand ? operand.elements : size(operand.shape);
    group[binding] = Float32Array.from(uniform(key(binding), Math.ceil(n / 4) * 4));
  }
  const { uniforms } = d.kernel;
  if (uniforms) group[uniforms.binding] = new Uint32Array(packUniforms(d.kernel, d.uniforms));
  return detectRaces(code, "main", [1, 1, 1], { 0: group });
}

describe("no two invocations of a workgroup touch one word without a barrier between", () => {
  const dispatches = barrierDispatches();
  test("kernels with barriers are among the cases", () => {
    expect(dispatches.size).toBeGreaterThan(0);
  });
  for (const [id, d] of dispatches) {
    test(id, () => {
      expect(races(d, specialise(d))).toEqual({ races: [], errors: [] });
    });
  }
  test("the check sees a barrier that is missing", () => {
    const seen = [...dispatches.values()].filter(
      (d) => races(d, specialise(d).replaceAll("workgroupBarrier();", "")).races.length > 0,
    );
    expect(seen.length).toBeGreaterThan(0);
  });
});
