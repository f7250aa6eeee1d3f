/**
 * The reader of this folder: turns `import { matmulTile } from "…/shaders/matmul_tile.wgsl"` into a
 * frozen `KernelSource`, reflected at build time, and writes the git-ignored `matmul_tile.d.wgsl.ts`
 * beside the shader. Plain JavaScript, because Node 20 runs it as it is, in Vite and from scripts.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { reflect } from "./reflect.mjs";
import { ship } from "./ship.mjs";

/** @typedef {import("../src/gpu/kernel-source").KernelSource} KernelSource */

const FOLDER = dirname(fileURLToPath(import.meta.url));
const SHIPPED = fileURLToPath(new URL("../src/gpu/shipped.ts", import.meta.url));

/** The name under which a shader file is imported: `matmul_tile.wgsl` gives `matmulTile`. @param {string} file */
export function exportName(file) {
  return basename(file, ".wgsl").replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
}

const FOR_SUBGROUPS = /^( *)(?:[^\n]*?)\/\/ subgroups: /gm;

/**
 * A shader, and where it has lines that say `// subgroups: …` its twin, in which these stand in place
 * of what is before the comment. The twin asks for the feature `subgroups`.
 * @param {string} file @param {string} code @returns {readonly KernelSource[]}
 */
export function readShader(file, code = readFileSync(file, "utf8")) {
  const portable = reflect(file, code);
  const twin = code.replace(FOR_SUBGROUPS, "$1");
  if (twin === code) return [portable];
  return [portable, { ...reflect(file, twin), name: `${portable.name}_subgroups` }];
}

/** Writes the type declaration of one shader beside it, where it has changed. @param {string} file @param {readonly KernelSource[]} kernels */
function declare(file, kernels) {
  /** @param {string[]} names */
  const union = (names) => names.map((name) => JSON.stringify(name)).join(" | ") || "never";
  const declarations = kernels.map(
    (kernel) => `
export declare const ${exportName(kernel.name)}: KernelSource<
  ${union(kernel.bindings.map((b) => b.name))},
  ${union(Object.keys(kernel.uniforms?.fields ?? {}))},
  ${union(Object.keys(kernel.overrides))}
>;
`,
  );
  const text = `// Written by shaders/plugin.mjs from ${basename(file)}.
import type { KernelSource } from "../src/gpu/kernel-source";
${declarations.join("")}`;
  const target = file.replace(/\.wgsl$/, ".d.wgsl.ts");
  if (!existsSync(target) || readFileSync(target, "utf8") !== text) writeFileSync(target, text);
}

/** Paths of all shader files, sorted. */
export function shaderFiles() {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".wgsl"))
    .sort()
    .map((name) => join(FOLDER, name));
}

/** Writes all declarations and removes those whose shader is gone; returns the number of shaders. */
export function declareAll() {
  const files = shaderFiles();
  for (const name of readdirSync(FOLDER)) {
    const shader = join(FOLDER, name.replace(/\.d\.wgsl\.ts$/, ".wgsl"));
    if (name.endsWith(".d.wgsl.ts") && !files.includes(shader)) rmSync(join(FOLDER, name));
  }
  for (const file of files) declare(file, readShader(file));
  return files.length;
}

/** The Vite plugin. Builds carry shaders as `ship` writes them. @returns {import("vite").Plugin} */
export function wgsl() {
  let production = false;
  return {
    name: "hyperloom:wgsl",
    enforce: "pre",
    configResolved(config) {
      production = config.command === "build";
    },
    load: {
      filter: { id: /\.wgsl$/ },
      handler(id) {
        const kernels = readShader(id);
        declare(id, kernels);
        const lines = kernels.map((kernel, k) => {
          const made = production
            ? `shipped(text${k > 0 ? ", true" : ""})`
            : `Object.freeze(${JSON.stringify(kernel)})`;
          return `export const ${exportName(kernel.name)} = /* @__PURE__ */ ${made};\n`;
        });
        if (production) {
          const text = JSON.stringify(ship(/** @type {KernelSource} */ (kernels[0])));
          lines.unshift(
            `import { shipped } from ${JSON.stringify(SHIPPED)};\nconst text = ${text};\n`,
          );
        }
        return {
          code: lines.join(""),
          map: null,
          moduleType: "js",
        };
      },
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(`${declareAll()} shader declarations written`);
}
