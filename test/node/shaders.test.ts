import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { readShader, shaderFiles } from "../../shaders/plugin.mjs";
import { reflect } from "../../shaders/reflect.mjs";
import { dense, ship } from "../../shaders/ship.mjs";
import { aptInstall } from "../../src/cli/browser";
import type { KernelSource } from "../../src/gpu/kernel-source";
import { shipped } from "../../src/gpu/shipped";
import { hasEpilogue } from "../../src/schedule/elementwise-kernel";

const files = shaderFiles();

/** naga has no subgroups: such a file is a variant, compiled by the tests in Chrome alone. */
const forNaga = files.filter(
  (file) => !/^enable .*\bsubgroups\b/m.test(readFileSync(file, "utf8")),
);

/** Runs naga.ts over the files in a Deno process. */
const runNaga = () =>
  spawnSync(
    "npx",
    ["deno", "run", "-A", "--no-config", "--no-lock", "test/node/naga.ts", ...forNaga],
    {
      encoding: "utf8",
      env: {
        ...process.env,
        // On Linux wgpu would fall back to OpenGL, which has not even the default limits.
        ...(process.platform === "linux" ? { DENO_WEBGPU_BACKEND: "vulkan" } : {}),
        DENO_NO_UPDATE_CHECK: "1",
        NO_COLOR: "1",
      },
    },
  );

test("every shader compiles under Deno's naga", () => {
  let result = runNaga();
  if (result.status === 3 && aptInstall("mesa-vulkan-drivers")) result = runNaga();
  const lines = result.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { file: string; error?: string | null });
  const finished = lines.filter((line) => line.error !== undefined);
  const failed = finished
    .filter((line) => line.error !== null)
    .map((line) => `${basename(line.file)}: ${line.error}`);
  expect(failed).toEqual([]);
  const last = basename(lines.at(-1)?.file ?? "no shader");
  expect(finished.length, `Deno ended at ${last}: ${result.stderr}`).toBe(forNaga.length);
});

describe.each(files.map((file) => [basename(file), file] as const))("%s", (_name, file) => {
  const code = readFileSync(file, "utf8");

  test("stays within the default limits and says what it does", () => {
    const kernel = reflect(file, code);
    expect(kernel.bindings.length).toBeLessThanOrEqual(8);
    const threads = kernel.workgroupSize.map((size) =>
      typeof size === "number" ? size : (kernel.overrides[size] ?? Number.NaN),
    );
    expect(threads.reduce((product, size) => product * size, 1)).toBeLessThanOrEqual(256);

    const header = /^(?:\/\/.*\n)+/.exec(code)?.[0] ?? "";
    expect(header, "the file must begin with a comment").not.toBe("");
    const unnamed = kernel.bindings.filter(
      ({ name }) => !new RegExp(`\\b${name.replace(/\d+$/, "\\d")}\\b`).test(header),
    );
    expect(
      unnamed.map(({ name }) => name),
      "bindings that the header does not explain",
    ).toEqual([]);
  });
});

describe("as shipped", () => {
  const kernels = files.flatMap((file) => {
    const [portable, ...twins] = readShader(file);
    const one = ship(portable as KernelSource);
    return [portable as KernelSource, ...twins].map((kernel, k) => ({
      file,
      made: shipped(one, k > 0),
      ...kernel,
    }));
  });
  test.each(kernels)("$name is what it was", ({ file, made, code, ...kernel }) => {
    expect(dense(made.code)).toBe(dense(dense(made.code)));
    expect(hasEpilogue(made)).toBe(hasEpilogue({ ...kernel, code }));
    for (const { name, access } of kernel.bindings) {
      expect(made.code).toContain(`var<storage, ${access}> ${name}: `);
    }
    // By the text that is compiled, and by the record that is bound.
    const { code: _, ...again } = reflect(file, made.code);
    expect({ ...again, name: kernel.name }).toEqual(kernel);
    const { overrides, ...record } = made;
    const known = Object.entries(overrides).filter(([, value]) => !Number.isNaN(value));
    expect({ ...record, overrides: { ...kernel.overrides, ...Object.fromEntries(known) } }).toEqual(
      { ...kernel, code: made.code },
    );
    expect(Object.keys(overrides)).toEqual(Object.keys(kernel.overrides));
  });

  test("spaces and commas go where nothing else is meant without them", () => {
    const code = `// what
      fn f(a: vec4<f32>, b: array<vec2<u32>, 3>,) -> f32 {
        let c: array<f32, 2> = array<f32, 2>(1e-3, - -a.x,); // two
        return c[0] - -0x1eu * f32(b[1].x >> 2u) + (a.y);
      }
      const D = 4u;`;
    expect(dense(code)).toBe(
      "fn f(a:vec4f,b:array<vec2u,3>)->f32{let c:array<f32,2> =array<f32,2>(1e-3,- -a.x);" +
        "return c[0]- -0x1eu*f32(b[1].x>>2u)+(a.y);}\nconst D=4u;",
    );
  });
});

test("a shader with lines for subgroups has a twin, in which these stand in place of the others", () => {
  const code = `// subgroups: enable subgroups;
// y: out
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(4)
fn main() {
  y[0] = 1.0; // subgroups: y[0] = quadSwapX(1.0);
}
`;
  const [portable, twin, ...others] = readShader("some_probe.wgsl", code);
  expect(others).toEqual([]);
  expect(portable?.name).toBe("some_probe");
  expect(portable?.code).toBe(code);
  expect(twin?.name).toBe("some_probe_subgroups");
  expect(twin?.code).toContain("enable subgroups;\n// y: out");
  expect(twin?.code).toContain("{\n  y[0] = quadSwapX(1.0);\n}");
  expect(readShader("probe.wgsl", code.replace(/\/\/ subgroups: .*\n/g, "\n"))).toHaveLength(1);
  const made = shipped(ship(portable as KernelSource), true);
  expect(made.code).toMatch(/^enable subgroups;\s+@group/);
  expect(made.code).toContain("y[0]=quadSwapX(1.0);");
  expect(shipped(ship(portable as KernelSource)).code).toMatch(/^@group[^#]*\{y\[0\]=1\.0;\}$/s);
});

test("reflection reads names, layouts and defaults that are expressions", () => {
  const kernel = reflect(
    "probe_me.wgsl",
    `override TILE: u32 = 16u;
     override WIDE: u32 = TILE * 4u;
     override FLAG: bool = true;
     override SCALE: f32 = -1.5;
     override LATE = WIDE / 3 + 1u;
     struct Params { n: u32, off: i32, s: f32, v: vec4<u32>, w: vec4f }
     @group(0) @binding(1) var<storage, read_write> out : array<vec4f>;
     @group(0) @binding(0) var<storage> x: array<u32>;
     @group(0) @binding(2) var<uniform> p: Params;
     @compute @workgroup_size(TILE, 4)
     fn main(@builtin(global_invocation_id) g: vec3<u32>) { out[g.x] = p.w * f32(x[g.x]); if (FLAG) { let block = p.w; out[0] = block; } }
     // The parser must not see what follows: { fn
     fn later() -> vec4f { let block = p.w; return vec4f(block[0]); }
     override LAST = 3u;`,
  );
  expect(kernel).toMatchObject({
    name: "probe_me",
    entryPoint: "main",
    bindings: [
      { name: "x", binding: 0, access: "read", type: "array<u32>" },
      { name: "out", binding: 1, access: "read_write", type: "array<vec4<f32>>" },
    ],
    uniforms: {
      binding: 2,
      size: 48,
      fields: {
        n: { offset: 0, type: "u32" },
        off: { offset: 4, type: "i32" },
        s: { offset: 8, type: "f32" },
        v: { offset: 16, type: "vec4<u32>" },
        w: { offset: 32, type: "vec4<f32>" },
      },
    },
    overrides: { TILE: 16, WIDE: 64, FLAG: 1, SCALE: -1.5, LATE: 22, LAST: 3 },
    workgroupSize: ["TILE", 4, 1],
  });
});

test.each([
  ["override N: u32;", "override N needs a default"],
  ["@group(1) @binding(0) var<storage> y: array<f32>;", "outside group 0"],
  ["@group(0) @binding(2) var<storage> y: array<f32>;", "without a gap"],
  ["@group(0) @binding(1) var<uniform> p: vec4<f32>;", "must be a struct"],
])("reflection refuses %s", (line, message) => {
  const code = `${line}
    @group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(1) fn main() { x[0] = 1.0; }`;
  expect(() => reflect("probe.wgsl", code)).toThrow(message);
});
