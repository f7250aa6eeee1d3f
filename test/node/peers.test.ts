import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import type { KernelCase, Library, StepCase } from "../../bench/peers/cases";
import { cases } from "../../bench/peers/cases";
import { measureCase } from "../../bench/peers/measure-case";
import { advantage, markdown } from "../../bench/peers/report";

const matmul = cases.find((c) => c.name === "matmul 1024³") as KernelCase;
const training = cases.find((c) => c.kind === "step" && c.train) as StepCase;

/** A library that computes `values`, its losses `loss`, or throws. */
function library(
  name: Library["name"],
  { values = [1, 2], loss = 2.3, fails = "" }: { values?: number[]; loss?: number; fails?: string },
): Library {
  return {
    name,
    start: async () => {
      if (fails) throw new Error(`${fails}\nat a line`);
    },
    kernel: async () => ({
      run: async () => undefined,
      result: async () => new Float32Array(values),
    }),
    step: async () => async () => loss,
  };
}

const measure = (made: KernelCase | StepCase, ...libraries: Library[]) =>
  measureCase(made, libraries, {}, 3, () => undefined);

describe("bench:peers", () => {
  test("times what agrees, and tells what does not and what fails", async () => {
    const rows = await measure(
      matmul,
      library("hyperloom", {}),
      library("jax-js", { values: [1, 2.1] }),
      library("TensorFlow.js", { fails: "no backend" }),
    );
    expect(rows.map(({ library, samples }) => [library, samples])).toEqual([
      ["hyperloom", 3],
      ["jax-js", undefined],
      ["TensorFlow.js", undefined],
    ]);
    expect(rows[1]?.error).toBe(
      "differs from hyperloom by 0.050 of the largest value, 0.0001 is allowed",
    );
    expect(rows[2]?.error).toBe("no backend");
  });

  test("losses have to agree to four digits, and NaN agrees with nothing", async () => {
    const near = await measure(
      training,
      library("hyperloom", { loss: 2.3 }),
      library("jax-js", { loss: 2.30005 }),
      library("TensorFlow.js", { loss: 2.301 }),
    );
    expect(near.map(({ error }) => error === undefined)).toEqual([true, true, false]);
    expect(near[0]?.losses).toHaveLength(5);
    expect(near[1]?.first).toBeGreaterThanOrEqual(0);
    const broken = await measure(
      training,
      library("hyperloom", {}),
      library("jax-js", { loss: Number.NaN }),
    );
    expect(broken[1]?.error).toContain("differs from hyperloom");
  });

  test("the advantage is over the faster peer, and a peer that fails has none", () => {
    const rows = [
      { library: "hyperloom", median: 2 },
      { library: "jax-js", median: 5 },
      { library: "TensorFlow.js", median: 1, error: "differs" },
    ] as const;
    expect(advantage(rows, ({ median }) => median)).toBe(2.5);
    expect(advantage(rows.slice(0, 1), ({ median }) => median)).toBeUndefined();
  });

  test("the table has every library, rates from the mathematics, and the reasons of failures", () => {
    const rows = [
      { library: "hyperloom", median: 100, min: 90, max: 110, samples: 3 },
      { library: "jax-js", median: 250, min: 240, max: 260, samples: 3 },
      { library: "TensorFlow.js", error: "no backend" },
    ] as const;
    const text = markdown({
      event: "done",
      command: "npm run bench:peers --",
      date: "2026-01-01",
      machine: { cpu: "a processor", cores: 2, system: "linux" },
      adapter: { vendor: "v", architecture: "a", device: "", description: "d", software: true },
      versions: { hyperloom: "0.1.0", Chrome: "156" },
      cases: [{ ...matmul, rows, times: 2.5 }],
    });
    expect(text).toContain(
      "| matmul 1024³ | 100 (90.0–110) | 21.5 | 250 (240–260) | 8.59 | fails |  | 2.50× |",
    );
    expect(text).toContain("- TensorFlow.js fails at matmul 1024³: no backend");
    expect(text).toContain("2 × a processor, linux");
  });

  test("a wrong flag or pattern ends with status 2 before any browser starts", () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, ["bench/peers/run.mjs", ...args], { encoding: "utf8" });
    for (const args of [
      ["--repeat", "0"],
      ["--adapter", "warp"],
      ["--filter", "("],
    ]) {
      const { status, stderr } = run(...args);
      expect([args, status, stderr.includes("error")]).toEqual([args, 2, true]);
    }
  });
});
