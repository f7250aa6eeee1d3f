import {
  type KernelSource,
  layoutOf,
  type StorageBinding,
  type UniformType,
} from "./kernel-source";

/**
 * A shader as the built library carries it (shaders/ship.mjs writes it so): what it declares as lists,
 * from which both its text and its reflection are made, and the rest of its text. Overrides are such
 * as `TILE:u32=16u FLAG:bool=false`; bindings `x:array<f32> y!:array<f32>`, `!` for read_write, in the
 * order of their numbers; the uniform is a variable and its fields, `p rows:u32 scale:f32`, or empty.
 */
export type Shipped = readonly [
  name: string,
  overrides: string,
  bindings: string,
  uniform: string,
  body: string,
];

/**
 * The kernel that a shader is, or with `subgroups` its twin for devices that have them: of
 * `#line#line of the twin#` the second. An override that follows from others has NaN as its default.
 */
export function shipped(
  [name, overrides, bindings, uniform, both]: Shipped,
  subgroups = false,
): KernelSource {
  const body = both.replace(/#([^#]*)#([^#]*)#/g, subgroups ? "$2" : "$1");
  const [variable, ...fields] = listed(uniform);
  const bound = listed(bindings).map((text, binding): StorageBinding => {
    const [, name = "", written, type = ""] = /^(\w+)(!?):(.+)$/.exec(text) ?? [];
    return { name, binding, access: written ? "read_write" : "read", type };
  });
  const constants = listed(overrides).map((text) => text.split(/:\w+=/));
  const layout = layoutOf(fields.map((text) => text.split(":") as [string, UniformType]));
  // Directives come first.
  const [enables = ""] = /^(?:enable [^;]+;\s*)+/.exec(body) ?? [];
  const code = [
    enables,
    ...listed(overrides).map((text) => `override ${text};`),
    ...bound.map(
      ({ name, binding, access, type }) =>
        `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: ${type};`,
    ),
    variable && `struct Params{${fields}}`,
    variable && `@group(0) @binding(${bound.length}) var<uniform> ${variable}: Params;`,
    body.slice(enables.length),
  ]
    .filter(Boolean)
    .join("\n");
  const threads = /@workgroup_size\(([^)]*)/.exec(body)?.[1]?.split(",") ?? [];
  return Object.freeze({
    name: subgroups ? `${name}_subgroups` : name,
    code,
    entryPoint: "main",
    bindings: bound,
    uniforms: variable ? { binding: bound.length, ...layout } : null,
    overrides: Object.fromEntries(constants.map(([name, value]) => [name, literal(value)])),
    workgroupSize: [...threads.map((size) => Number(size) || size), 1, 1].slice(0, 3),
  });
}

const listed = (list: string): string[] => list.split(" ").filter(Boolean);

/** A number such as `64u`, `-1.5` or `true`; NaN for any other expression. */
function literal(text = ""): number {
  return text === "true" ? 1 : text === "false" ? 0 : Number(text.replace(/u$/, ""));
}
