/**
 * Reflects the shaders of this folder with `wgsl_reflect`, at build time; `kernelSource` of
 * src/gpu/wgsl-text.ts, which reads a user's at run time, is tested against it.
 */
import { basename } from "node:path";
// The bare package name resolves to a file that Node cannot load.
import { WgslExec, WgslParser, WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";

/** @typedef {import("../src/gpu/kernel-source").KernelSource} KernelSource */
/** @typedef {import("../src/gpu/kernel-source").UniformType} UniformType */

const UNIFORM_TYPES = ["u32", "i32", "f32", "vec4<u32>", "vec4<i32>", "vec4<f32>"];

/** `vec4f` and `vec4u` written out, as `vec4<f32>` and `vec4<u32>`. @param {string} type */
function longType(type) {
  const scalar = /** @type {Record<string, string>} */ ({ f: "f32", i: "i32", u: "u32", h: "f16" });
  return type.replace(/\bvec([234])([fiuh])\b/g, (_, n, t) => `vec${n}<${scalar[t]}>`);
}

/**
 * The shader without comments and with empty function bodies: all that reflection needs, and less
 * for wgsl_reflect's parser to stumble over (1.6.0 takes a variable named `block` for a keyword).
 * @param {string} code
 */
function declarations(code) {
  const text = code
    .replace(/\/\/.*$/gm, "")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*enable\s[^;]*;/gm, "");
  let kept = "";
  let end = 0;
  for (const { index } of text.matchAll(/\bfn\s/g)) {
    const open = text.indexOf("{", index);
    kept += `${text.slice(end, open)}{}`;
    end = open;
    for (let depth = 0; end < text.length; ) {
      if (text[end] === "{") depth++;
      if (text[end] === "}") depth--;
      end++;
      if (depth === 0) break;
    }
  }
  return kept + text.slice(end);
}

/** Declarations, and an interpreter that has evaluated them. @param {string} file @param {string} text */
function parse(file, text) {
  try {
    // Reflection resolves type aliases in place; the interpreter gets a syntax tree of its own.
    const interpreter = new WgslExec(new WgslParser().parse(text));
    interpreter.execute();
    return /** @type {const} */ ([new WgslReflect(text), interpreter]);
  } catch (error) {
    throw new Error(`hyperloom: ${file}: ${error}`);
  }
}

/**
 * Reflects one shader. Throws, naming the file, where it breaks a house rule: one entry point
 * `main`, group 0 only, storage bindings numbered from 0, at most one uniform and that one last.
 * @param {string} file @param {string} code @returns {KernelSource}
 */
export function reflect(file, code) {
  /** @param {boolean} holds @param {string} rule @returns {asserts holds} */
  const check = (holds, rule) => {
    if (!holds) throw new Error(`hyperloom: ${file}: ${rule}`);
  };
  const text = declarations(code);
  const [shader, interpreter] = parse(file, text);

  const [entry] = shader.entry.compute;
  check(
    shader.entry.compute.length === 1 && entry?.name === "main",
    "needs one compute entry point, main",
  );
  check(shader.getBindGroups().length <= 1, "binds outside group 0");
  const resources = (shader.getBindGroups()[0] ?? []).filter((r) => r !== undefined);
  check(
    resources.every((r, i) => r.binding === i),
    "binding numbers must run 0, 1, 2, … without a gap",
  );

  const bindings = shader.storage
    .map(({ name, binding, access }) => {
      const type = new RegExp(`var\\s*<\\s*storage[^>]*>\\s*${name}\\s*:\\s*([^;]+);`).exec(
        text,
      )?.[1];
      check(type !== undefined, `cannot read the type of ${name}`);
      check(access === "read" || access === "read_write", `${name} has access ${access}`);
      return {
        name,
        binding,
        access: /** @type {"read" | "read_write"} */ (access),
        type: longType(type.trim()),
      };
    })
    .sort((a, b) => a.binding - b.binding);

  const [block] = shader.uniforms;
  check(
    shader.uniforms.length <= 1,
    `has ${shader.uniforms.length} uniforms; put them into one struct`,
  );
  check(
    bindings.length + shader.uniforms.length === resources.length,
    "binds something that is neither storage nor uniform",
  );
  check(
    !block || block.binding === bindings.length,
    "the uniform must have the last binding number",
  );
  const fields = block?.members?.map(({ name, offset, type }) => {
    const full = longType(type.getTypeName());
    check(
      UNIFORM_TYPES.includes(full),
      `uniform field ${name} has type ${full}; use one of ${UNIFORM_TYPES.join(", ")}`,
    );
    return /** @type {const} */ ([name, { offset, type: /** @type {UniformType} */ (full) }]);
  });
  check(!block || fields !== undefined, `uniform ${block?.name} must be a struct`);

  const overrides = shader.overrides.map(({ name }) => {
    const value = interpreter.getVariableValue(name);
    check(typeof value === "number" && Number.isFinite(value), `override ${name} needs a default`);
    return /** @type {const} */ ([name, value]);
  });

  const size = /@workgroup_size\s*\(([^)]*)\)/.exec(text)?.[1];
  check(size !== undefined, "has no @workgroup_size");
  const workgroupSize = size
    .split(",")
    .map((text) => text.trim())
    .filter(Boolean)
    .map((text) => {
      if (/^\d+u?$/.test(text)) return Number.parseInt(text, 10);
      check(
        overrides.some(([name]) => name === text),
        `workgroup size ${text} is neither a number nor an override`,
      );
      return text;
    });

  return {
    name: basename(file, ".wgsl"),
    code,
    entryPoint: "main",
    bindings,
    uniforms:
      block && fields
        ? {
            binding: block.binding,
            size: Math.ceil(block.size / 16) * 16,
            fields: Object.fromEntries(fields),
          }
        : null,
    overrides: Object.fromEntries(overrides),
    workgroupSize: [...workgroupSize, 1, 1].slice(0, 3),
  };
}
