import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import { shaderFiles } from "../../shaders/plugin.mjs";
import { reflect } from "../../shaders/reflect.mjs";
import { dispatch } from "../../src/gpu/dispatch";
import { kernelSource } from "../../src/gpu/wgsl-text";

test.each(shaderFiles().map((file) => [basename(file, ".wgsl"), file]))(
  "%s read at run time is what the build reflects",
  (name, file) => {
    const code = readFileSync(file, "utf8");
    expect(kernelSource(code, { name })).toEqual(reflect(file, code));
  },
);

const MAIN = "@compute @workgroup_size(64) fn main() {}";

test("aliases, short vector names, constants, several entry points, comments and gaps are read", () => {
  const kernel = kernelSource(
    `alias Real = f32; const GROUP = 0; const W = 4 * 8u;
    /* var<storage> of a /* nested */ comment: @group(1) @binding(0) var<storage> no: array<f32>; */
    struct Sizes { n: u32, // elements
      by: Real, at: vec4f, last: i32, }
    override HALF: f32 = .5e1 / (1.0 + 1); override ON: bool = true;
    @binding(7) @group(GROUP) var<storage, read_write> y: array<vec4f>;
    @group(0) @binding(2) var<uniform> sizes: Sizes;
    @group(0) @binding(0) var<storage> x: array<Real, 3>;
    var<workgroup> tile: array<f32, 64>;
    fn helper(i: u32) -> f32 { if (i > 0) { return f32(i); } return 0; }
    @compute @workgroup_size(1) fn first() { y[0] = vec4f(helper(1)); }
    @workgroup_size(W, 2) @compute fn second() {}`,
    { name: "all", entryPoint: "second" },
  );
  expect(kernel).toMatchObject({
    name: "all",
    entryPoint: "second",
    bindings: [
      { name: "x", binding: 0, access: "read", type: "array<f32, 3>" },
      { name: "y", binding: 7, access: "read_write", type: "array<vec4<f32>>" },
    ],
    uniforms: {
      binding: 2,
      size: 48,
      fields: {
        n: { offset: 0, type: "u32" },
        by: { offset: 4, type: "f32" },
        at: { offset: 16, type: "vec4<f32>" },
        last: { offset: 32, type: "i32" },
      },
    },
    overrides: { HALF: 2.5, ON: 1 },
    workgroupSize: [32, 2, 1],
  });
  const alone = kernelSource(`@group(0) @binding(0) var<uniform> n: u32; ${MAIN}`);
  expect(alone.uniforms).toEqual({
    binding: 0,
    size: 16,
    fields: { n: { offset: 0, type: "u32" } },
  });
});

test.each([
  ["fn main() {}", /kernel mine: it has no @compute function/],
  [`${MAIN} @compute @workgroup_size(1) fn other() {}`, /functions main, other; name one/],
  ["@compute fn main() {}", /main has no @workgroup_size/],
  ["@compute @workgroup_size(N) fn main() {}", /workgroup size N is no constant/],
  [`@group(1) @binding(0) var<storage> x: array<f32>; ${MAIN}`, /x is in group 1; use group 0/],
  [`@group(0) @binding(0) var t: texture_2d<f32>; ${MAIN}`, /t is neither var<storage, read>/],
  [
    `@group(0) @binding(0) var<uniform> a: u32; @group(0) @binding(1) var<uniform> b: u32; ${MAIN}`,
    /b is a second uniform/,
  ],
  [
    `struct S { m: mat2x2<f32> } @group(0) @binding(0) var<uniform> s: S; ${MAIN}`,
    /uniform field m has type mat2x2<f32>; use one of u32/,
  ],
  [
    `struct S { @align(16) n: u32 } @group(0) @binding(0) var<uniform> s: S; ${MAIN}`,
    /cannot read/,
  ],
  [`override N: u32; ${MAIN}`, /override N needs a default/],
  [`override N = sqrt(4.0); ${MAIN}`, /override N needs a default/],
  [`@id(3) override N: u32 = 1; ${MAIN}`, /override N has an @id/],
])("%s is refused", (code, message) => {
  expect(() => kernelSource(code, { name: "mine" })).toThrow(message);
});

test("a dispatch of a kernel read at run time is checked name by name", () => {
  const kernel = kernelSource(
    `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
    @group(0) @binding(1) var<uniform> n: u32; ${MAIN}`,
    { name: "mine" },
  );
  const of = (bind: Record<string, number>, uniforms: Record<string, number>) => () =>
    dispatch(kernel, { bind, uniforms, grid: [1, 1, 1], flops: 0, trips: 0 });
  expect(of({ y: 1 }, { n: 2 })()).toMatchObject({ bind: { y: 1 }, uniforms: { n: 2 } });
  expect(of({}, { n: 2 })).toThrow("kernel mine: binding y is not given; its bindings are y");
  expect(of({ y: 1, z: 1 }, { n: 2 })).toThrow("there is no binding z; its bindings are y");
  expect(of({ y: 1 }, {})).toThrow("uniform n is not given; its uniforms are n");
});
