import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type BenchResult, selection } from "../../bench/job";
import { kernelCase } from "../../bench/kernels";
import { spread } from "../../bench/measure";
import type { KernelRow } from "../../bench/measurement";
import { type BenchReport, compareReports, markdown, parseReport } from "../../bench/report";
import { roofOf } from "../../bench/roof";
import { parseVariants, VARIANT_FORMAT } from "../../src/ops/variant-file";

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

const folder = mkdtempSync(join(tmpdir(), "hyperloom-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with some text. */
function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const scale = written(
  "scale.wgsl",
  `struct Params { n: u32, factor: f32 }
  override SIZE: u32 = 32u;
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read_write> y: array<f32>;
  @group(0) @binding(2) var<uniform> p: Params;
  @compute @workgroup_size(SIZE) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < p.n) { y[id.x] = p.factor * x[id.x]; }
  }`,
);
const two = written(
  "two.wgsl",
  "@compute @workgroup_size(1) fn one() {} @compute @workgroup_size(1) fn other() {}",
);
const broken = written(
  "broken.wgsl",
  "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n" +
    "@compute @workgroup_size(1) fn main() {\n  y[0] = nowhere;\n}\n",
);
const variants = (name: string, kernel: string, adapter: object = { software: true }) => {
  const rows = [{ op: "matmul", kernel }];
  return written(name, JSON.stringify({ format: VARIANT_FORMAT, adapter, rows }));
};
const unknown = variants("unknown.json", "warp");
const newer = written("newer.json", JSON.stringify({ format: "hyperloom variants 2" }));

test("a shader of the user's own is timed at the sizes given", () => {
  const sizes = ["--bind", "x=4096", "--bind", "y=4096", "--set", "n=1024", "--set", "factor=2"];
  const more = ["--set", "SIZE=16", "--flops", "1024", "--repeat", "1", "--json", "-"];
  const { stdout, stderr, status } = bench("--wgsl", scale, ...sizes, ...more);
  expect(status, stderr).toBe(0);
  const [row] = (JSON.parse(stdout) as BenchReport).kernels;
  expect(row).toMatchObject({ name: scale, dispatches: 1, shaders: ["scale"], samples: 1 });
  expect(row?.gbs).toBeCloseTo(8192 / 1e6 / (row?.median ?? 0), 6);
  expect(row?.gflops).toBeCloseTo(1024 / 1e6 / (row?.median ?? 0), 6);
  expect(row?.note).toContain("x 4 KiB, y 4 KiB, grid 64 × 1 × 1 of 16 invocations");
});

test("its errors come with file, line and column", () => {
  const { stderr, stdout, status } = bench("--wgsl", broken);
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/broken\.wgsl: .*line 3, column \d+: .*nowhere/);
});

test("a table of variants chooses kernels on adapters of its class, and says where it was tuned on another", () => {
  const run = (...args: string[]) => {
    const shape = ["--kernel", "matmul", "--shape", "64,64,64", "--repeat", "1", "--json", "-"];
    const { stdout, stderr, status } = bench(...shape, ...args);
    expect(status, stderr).toBe(0);
    const { kernels, adapter } = JSON.parse(stdout) as BenchReport;
    return { shaders: kernels[0]?.shaders, adapter, stderr };
  };
  const own = run();
  expect(own.shaders).not.toEqual(["matmul_small"]);
  const { adapter } = own;
  const same = run("--variants", variants("same.json", "small", adapter));
  expect(same.shaders).toEqual(["matmul_small"]);
  expect(same.stderr).not.toContain("variants tuned");
  const another = { ...adapter, vendor: "acme" };
  const other = run("--variants", variants("other.json", "small", another));
  expect(other.shaders).toEqual(["matmul_small"]);
  expect(other.stderr).toMatch(
    `hyperloom: variants tuned on acme may not be the fastest on ${adapter.vendor}\n`,
  );
  const class2 = { ...another, software: !adapter.software };
  const elsewhere = run("--variants", variants("elsewhere.json", "small", class2));
  expect(elsewhere.shaders).toEqual(own.shaders);
  expect(elsewhere.stderr).toMatch(`variants tuned on acme do not apply on ${adapter.vendor}\n`);
});

test("a table that --tune writes is one that --variants takes", () => {
  const file = join(folder, "tuned.json");
  const { stderr, stdout, status } = bench("--tune", file, "--filter", "thin", "--repeat", "1");
  expect(status, stderr).toBe(0);
  expect(stdout).toContain("matmul thin:");
  expect(stdout).not.toContain("WRONG");
  const table = readFileSync(file, "utf8");
  expect(JSON.parse(table).tried.length).toBeGreaterThan(3);
  expect(JSON.parse(table).adapter).toMatchObject({ vendor: expect.any(String) });
  for (const row of parseVariants(table))
    expect(row).toMatchObject({ op: "matmul", shape: "thin" });
});

test.each([
  [["--wgsl", "missing.wgsl"], /missing.wgsl cannot be read/],
  [["--wgsl", scale, "--set", "n=4"], /uniform factor not given; add --set factor=VALUE/],
  [["--wgsl", scale, "--set", "n=4,5", "--set", "factor=2"], /n takes 1 numbers, 2 given/],
  [["--wgsl", scale, "--set", "m=4"], /no override or uniform field m; it has SIZE, n, factor/],
  [
    ["--wgsl", scale, "--set", "n=4", "--set", "factor=1", "--bind", "z=4"],
    /no storage binding z; it has x, y/,
  ],
  [
    ["--wgsl", scale, "--set", "n=4", "--set", "factor=1", "--bind", "x=6"],
    /binding x has 6 bytes; give a multiple of 4/,
  ],
  [
    ["--wgsl", scale, "--set", "n=4", "--set", "factor=1", "--grid", "70000"],
    /--grid has 70000 workgroups along an axis, at most 65535/,
  ],
  [["--wgsl", scale, "--grid", "1,0"], /whole numbers from 1/],
  [["--bind", "x=4"], /--bind belongs to --wgsl/],
  [["--wgsl", scale, "--ladder"], /--ladder and --wgsl do not go together/],
  [["--tune", "t.json", "--filter", "nothing"], /matches nothing to tune; there are matmul huge/],
  [
    ["--kernel", "add", "--shape", "4", "--variants", "missing.json"],
    /--variants missing.json cannot be read/,
  ],
  [["--kernel", "add", "--shape", "4", "--variants", unknown], /row 1: matmul: kernel warp/],
  [
    ["--kernel", "add", "--shape", "4", "--variants", newer],
    /newer.json is no table of variants: its format is "hyperloom variants 2", must be/,
  ],
  [["--filter", "nothing-like-it"], /matches no kernel and no step/],
  [["--filter", "("], /regular expression/],
  [["--kernel", "matmul"], /--kernel and --shape belong together/],
  [["--kernel", "matmul", "--shape", "3,4"], /give 3 positive integers, M,N,K/],
  [["--kernel", "conv2d", "--shape", "1,1,4,4,1,2"], /odd f, not 2/],
  [["--kernel", "fft", "--shape", "8"], /no kernel fft/],
  [["--compare", "missing.json"], /--compare A.json B.json/],
  [["--compare", "package.json", "package.json"], /package.json is no report of bench/],
  [["--compare", "missing.json", "b.json"], /--compare missing.json cannot be read/],
  [["--compare", "a.json", "b.json", "--filter", "x"], /--compare .* no use for --filter/],
  [["--tune", "t.json", "--grid", "4"], /--grid belongs to --wgsl/],
  [["--ladder", "--pipelines"], /--pipelines is of steps; .* --ladder/],
  [["--tune", "nowhere/t.json"], /--tune nowhere\/t.json cannot be written/],
  [["--wgsl", two], /@compute functions one, other; name one with --entry/],
])("bench %j is refused in one line", (args, message) => {
  const { stderr, stdout, status } = bench(...args);
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("the kernels of a step are compiled one after another where that is asked for", () => {
  const args = ["--filter", "^cnn inference B32", "--pipelines", "--repeat", "1", "--json", "-"];
  const { stdout, stderr, status } = bench(...args);
  expect(status, stderr).toBe(0);
  const [step] = (JSON.parse(stdout) as BenchReport).steps;
  const pipelines = step?.pipelines ?? [];
  const sum = pipelines.reduce((total, { milliseconds }) => total + milliseconds, 0);
  expect(pipelines.length).toBeGreaterThan(2);
  // Nothing is left to compile for the step itself.
  expect(step?.first.compile).toBeGreaterThanOrEqual(sum);
  expect(step?.warm).toBe(false);
  expect(stderr).toContain("| cnn inference B32: pipeline");
});

test("a shape that does not fit the device is refused before its data are drawn", () => {
  const { stderr, status } = bench("--kernel", "matmul", "--shape", "100000,100000,100000");
  expect(status).toBe(2);
  expect(stderr).toMatch(/maxStorageBufferBindingSize is \d+, 40000000000 needed/);
});

test("the filter picks kernels and steps by name", () => {
  const { kernels, steps } = selection({ filter: "matmul|conv|cnn", repeat: 1 });
  expect(kernels.map(({ name }) => name)).toContain("conv2d-dk N16 C64 H32 W32 O64 f3");
  expect(kernels.some(({ name }) => name.startsWith("adam"))).toBe(false);
  expect(steps.map(({ name }) => name)).toContain("hyper-cnn training step B32");
});

test("steps too slow for software adapters run only where the filter names them", () => {
  const steps = (filter: string) => selection({ filter, repeat: 1 }).steps.map(({ name }) => name);
  expect(steps("").filter((name) => name.includes("wrn-40-2"))).toEqual([]);
  expect(steps("training step")).not.toContain("wrn-40-1 training step B128");
  expect(steps("^wrn-40-1")).toEqual(["wrn-40-1 training step B128", "wrn-40-1 inference B128"]);
  expect(steps("hyper-wrn-40-2 training")).toEqual(["hyper-wrn-40-2 training step B128"]);
});

test("the ladder goes from the naive kernel to the library's, each against the first", () => {
  const { kernels, steps } = selection({ ladder: 64, repeat: 1 });
  expect(steps).toEqual([]);
  const [first, ...rest] = kernels;
  expect(first?.name).toBe("matmul-naive M64 N64 K64");
  expect(rest.at(-1)?.name).toBe("matmul M64 N64 K64");
  expect(rest.map(({ against }) => against)).toEqual(rest.map(() => first?.name));
  for (const { make } of kernels) expect(make().note).toMatch(/\w/);
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
    const [a, b] = [made.inputs().a, made.inputs().b];
    const product = Float32Array.from({ length: 15 }, (_, i) => {
      const [m, n] = [Math.floor(i / 3), i % 3];
      return [0, 1, 2, 3].reduce((s, k) => s + (a?.[4 * m + k] ?? 0) * (b?.[3 * k + n] ?? 0), 0);
    });
    expect(made.wrong([product])).toBeNull();
    product.fill(Number.NaN, 7, 8);
    expect(made.wrong([product])).toMatch(/^element 7 is NaN, expected /);
    expect(made.wrong([product.map((x) => x * 1.001)])).not.toBeNull();
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
    const compared = compareReports(report, other);
    expect(compared).toContain("A: `hyperloom bench`, node, v a, 2 × C, 2000");
    expect(compared).toMatch(
      /\| matmul M1 N1 K1 \| +2\.00 \| 1\.00–3\.00 \| +1\.00 \| 1\.00–3\.00 \| +2\.00 \|/,
    );
    for (const no of ["{}", '{"event":"done","roof":[],"kernels":[],"steps":[]}', '{"roof":1}']) {
      expect(() => parseReport(no, "c.json")).toThrow("c.json is no report of bench");
    }
  });

  test("compared with another names the rows that are wrong, or in one of them alone", () => {
    const wrong = { name: "matmul M1 N1 K1", wrong: "element 0 is 1, expected 2" };
    const add = { ...(result.kernels[0] as KernelRow), name: "add n8" };
    const text = compareReports(report, { ...report, kernels: [wrong, add] });
    expect(text).toMatch(/\| matmul M1 N1 K1 \| +2\.00 \| 1\.00–3\.00 \| +WRONG \| +\| +\|/);
    expect(text).toMatch(/\| add n8 +\| not there \| +\| +2\.00 \| 1\.00–3\.00 \| +\|/);
  });

  test("tells a first step that found compiled kernels from one that did not", () => {
    const first = { build: 10, compile: 200, run: 30 };
    const counts = { dispatches: 1, submits: 1, bytesPlanned: 8, bytesPeak: 8, kernels: [] };
    const step = { stepsPerSecond: 1, samplesPerSecond: 32, first, ...counts, ...row };
    const cold = { ...step, name: "cnn inference B32", warm: false };
    const warm = { ...step, name: "cnn inference B128", warm: true };
    const text = markdown({ ...report, steps: [cold, warm] });
    expect(text).toMatch(/\| cnn inference B32 .*\| +10\.0 \+ 200 \+ 30\.0 \|/);
    expect(text).toMatch(/\| cnn inference B128 .*\| +\(10\.0 \+ 200 \+ 30\.0\) \|/);
    expect(text).toContain("First steps in brackets");
    expect(markdown({ ...report, steps: [cold] })).not.toContain("brackets");
  });
});
