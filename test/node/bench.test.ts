import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { type BenchResult, selection } from "../../bench/job";
import { check, kernelCase } from "../../bench/kernels";
import { spread } from "../../bench/measure";
import { type BenchReport, compareReports, markdown, parseReport } from "../../bench/report";
import { roofOf } from "../../bench/roof";

const bench = (...args: string[]) =>
  spawnSync(process.execPath, ["dist/cli.js", "bench", ...args], { encoding: "utf8" });

test("bench times a kernel, a roof and nothing else, as one line of JSON", () => {
  const { stdout, stderr, status } = bench("--filter", "^add", "--repeat", "1", "--json", "-");
  expect(status, stderr).toBe(0);
  expect(stdout.trim().split("\n")).toHaveLength(1);
  const report = JSON.parse(stdout) as BenchReport;
  expect(report.command).toBe("hyperloom bench --filter '^add' --repeat 1");
  expect(report.versions.hyperloom).toMatch(/^\d/);
  expect(report.machine.cores).toBeGreaterThan(0);
  expect(Date.parse(report.date)).not.toBeNaN();
  expect(report.roof.map(({ name }) => name)).toContain("submit and read back");
  for (const { name, value, min, median, max } of report.roof) {
    expect(value, name).toBeGreaterThan(0);
    expect(min <= median && median <= max, name).toBe(true);
  }
  const [row] = report.kernels;
  expect(report.kernels).toHaveLength(1);
  expect(row).toMatchObject({ name: "add n65536", dispatches: 1, samples: 1 });
  expect(row?.percent).toBeGreaterThan(0);
  expect(report.steps).toEqual([]);
  // The words go where the events do not.
  expect(stderr).toContain("| add n65536");
});

test.each([
  [["--filter", "nothing-like-it"], /matches no kernel and no step/],
  [["--filter", "("], /regular expression/],
  [["--kernel", "matmul"], /--kernel and --shape belong together/],
  [["--kernel", "matmul", "--shape", "3,4"], /give 3 positive integers, M,N,K/],
  [["--kernel", "conv2d", "--shape", "1,1,4,4,1,2"], /odd f, not 2/],
  [["--kernel", "fft", "--shape", "8"], /no kernel fft/],
  [["--compare", "missing.json"], /--compare A.json B.json/],
  [["--compare", "package.json", "package.json"], /package.json is no report of bench/],
])("bench %j is refused in one line", (args, message) => {
  const { stderr, stdout, status } = bench(...args);
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("the filter picks kernels and steps by name", () => {
  const { kernels, steps } = selection({ filter: "matmul|conv|cnn", repeat: 1 });
  expect(kernels.map(({ name }) => name)).toContain("conv2d-dk N16 C64 H32 W32 O64 f3");
  expect(kernels.some(({ name }) => name.startsWith("adam"))).toBe(false);
  expect(steps.map(({ name }) => name)).toContain("hyper-cnn training step B32");
});

test("the median of an even number lies between the middle two", () => {
  expect(spread([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4, samples: 4 });
  expect(spread([7])).toEqual({ median: 7, min: 7, max: 7, samples: 1 });
});

test("the roof is the best of its forms", () => {
  const values = {
    "fma, a": 5,
    "fma, b": 7,
    "storage read, a": 2,
    "storage write": 9,
    dispatch: 20,
  };
  expect(roofOf(new Map(Object.entries(values)))).toEqual({ fma: 7, storage: 2, dispatch: 20 });
});

describe("the check before timing", () => {
  test("passes the right values and names a wrong one", () => {
    const made = kernelCase("matmul", [5, 3, 4]).make();
    const [a, b] = [made.inputs.a, made.inputs.b];
    const product = Float32Array.from({ length: 15 }, (_, i) => {
      const [m, n] = [Math.floor(i / 3), i % 3];
      return [0, 1, 2, 3].reduce((s, k) => s + (a?.[4 * m + k] ?? 0) * (b?.[3 * k + n] ?? 0), 0);
    });
    expect(check(made, product)).toBeNull();
    product.fill(Number.NaN, 7, 8);
    expect(check(made, product)).toMatch(/^element 7 is NaN, expected /);
    expect(
      check(
        made,
        product.map((x) => x * 1.001),
      ),
    ).not.toBeNull();
  });
});

describe("a report", () => {
  const row = { median: 2, min: 1, max: 3, samples: 10 };
  const result: BenchResult = {
    adapter: { vendor: "v", architecture: "a", device: "", description: "", software: true },
    versions: { hyperloom: "1.0.0", runtime: "node", node: "20" },
    clock: "timestamp",
    roof: [{ name: "fma, 8 scalars", value: 25, unit: "GFLOP/s", ...row }],
    kernels: [
      {
        name: "matmul M1 N1 K1",
        dispatches: 1,
        gflops: 5,
        gbs: 1,
        bound: "fma",
        percent: 20,
        ...row,
      },
    ],
    ratios: [{ name: "one / other", value: 9.5 }],
    steps: [],
  };
  const report: BenchReport = {
    event: "done",
    command: "hyperloom bench",
    date: "2000-01-01T00:00:00.000Z",
    machine: { cpu: "C", cores: 2, system: "linux" },
    ...result,
  };

  test("reads as Markdown with machine, rates and ratios", () => {
    const text = markdown(report);
    expect(text).toContain("hyperloom 1.0.0 on node 20");
    expect(text).toMatch(
      /\| matmul M1 N1 K1 \| +2\.00 \| +1\.00–3\.00 \| +5\.00 \| +1\.00 \| +20\.0 % fma \|/,
    );
    expect(text).toMatch(/\| one \/ other +\| +9\.50 \|/);
  });

  test("shows a wrong kernel as wrong", () => {
    const wrong = {
      ...report,
      kernels: [{ name: "matmul M1 N1 K1", wrong: "element 0 is 1, expected 2" }],
    };
    expect(markdown(wrong)).toContain("- matmul M1 N1 K1 is WRONG: element 0 is 1, expected 2");
  });

  test("is found among other events and compared row by row", () => {
    const other = { ...report, kernels: result.kernels.map((k) => ({ ...k, median: 1 })) };
    const text = `{"event":"warning"}\n${JSON.stringify(other)}\n`;
    expect(parseReport(text, "b.json")).toEqual(other);
    expect(compareReports(report, other)).toMatch(
      /\| matmul M1 N1 K1 \| 2\.00 \| 1\.00 \| +2\.00 \|/,
    );
    expect(() => parseReport("{}", "c.json")).toThrow("c.json is no report of bench");
  });
});
