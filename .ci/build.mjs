/**
 * Builds dist/: the browser library (index.js, gpu.js, data.js, train.js and what these
 * share, shaders inlined), its types, and the terminal program (cli.js and the chunks that it loads when needed).
 * Checks the package as npm will see it, and prints what each part weighs.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, esmExternalRequirePlugin } from "vite";
import { declareAll, wgsl } from "../shaders/plugin.mjs";
import { markForBundlers } from "./bundlers.mjs";
import { weighPages } from "./sizes.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

/** Options of both bundles. @type {import("vite").InlineConfig} */
const shared = { root, configFile: false, logLevel: "warn", publicDir: false, plugins: [wgsl()] };

async function library() {
  await build({
    ...shared,
    plugins: [
      wgsl(),
      {
        name: "hyperloom:marks",
        renderChunk: (code, { fileName }) => markForBundlers(fileName, code),
      },
    ],
    build: {
      outDir: dist,
      emptyOutDir: false,
      target: "es2022",
      minify: false,
      lib: {
        entry: {
          index: join(root, "src/index.ts"),
          gpu: join(root, "src/gpu/index.ts"),
          data: join(root, "src/data/index.ts"),
          train: join(root, "src/train/index.ts"),
        },
        formats: ["es"],
        fileName: (_, name) => `${name}.js`,
      },
      rolldownOptions: {
        // Marking takes most of this build, which is short.
        checks: { pluginTimings: false },
        output: {
          chunkFileNames: "shared/[name].js",
          // Texts that are alike, side by side: a page that takes them in so compresses better.
          // What reads them is apart: hyperloom/gpu needs it too, and no shaders.
          codeSplitting: {
            groups: [
              { name: "kernel", test: /gpu.(kernel-source|shipped)\.ts$/, priority: 1 },
              { name: "shaders", test: /\.wgsl$/ },
            ],
          },
        },
      },
    },
  });
}

/** The terminal program, and the script of the page in which it works when it runs in Chrome. */
async function terminal() {
  await build({
    ...shared,
    // The conditions of Node, not of a page, for the packages that are bundled.
    resolve: {
      conditions: ["node", "module", "import", "default"],
      mainFields: ["module", "main"],
    },
    build: {
      outDir: dist,
      emptyOutDir: false,
      target: "node20",
      lib: {
        entry: { cli: join(root, "src/cli/main.ts"), page: join(root, "src/cli/page.ts") },
        formats: ["es"],
        fileName: (_, name) => `${name}.js`,
      },
      rolldownOptions: {
        platform: "node",
        external: ["webgpu", "puppeteer-core"],
        // The page shares chunks and has nothing to require with: what CommonJS packages require is
        // imported where it is used.
        plugins: [esmExternalRequirePlugin({ external: [/^node:/, ...builtinModules] })],
        treeshake: { moduleSideEffects: [{ external: true, sideEffects: false }] },
        output: {
          // A second copy of the library, beside the packages that are bundled: npm has to carry
          // them. The library itself stays readable, for whoever debugs a page of theirs.
          minify: true,
          banner: ({ name }) => (name === "cli" ? "#!/usr/bin/env node" : ""),
          chunkFileNames: "cli/[name].js",
        },
      },
    },
  });
  chmodSync(join(dist, "cli.js"), 0o755);
}

/** Type declarations, with the file extensions that Node's and Deno's resolution ask for. */
function types() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const run = spawnSync(process.execPath, [tsc, "-p", "src/tsconfig.types.json"], {
    cwd: root,
    stdio: "inherit",
  });
  if (run.status !== 0) throw new Error("hyperloom: the type declarations do not compile");
  for (const file of built(".d.ts")) {
    const text = readFileSync(file, "utf8");
    if (/\.wgsl["']/.test(text)) {
      throw new Error(
        `hyperloom: ${relative(root, file)} leaks a shader's type; annotate the export`,
      );
    }
    const withExtension = text.replace(
      /((?:from|import)\s*\(?\s*")(\.{1,2}(?:\/[^"]+)?)(")/g,
      (_, before, path, after) => {
        const folder = existsSync(join(dirname(file), path, "index.d.ts"));
        return `${before}${path}${folder ? "/index.js" : ".js"}${after}`;
      },
    );
    // What most people compile for does not have it yet.
    const disposable = /\[Symbol\.dispose\]/.test(text)
      ? '/// <reference lib="esnext.disposable" />\n'
      : "";
    writeFileSync(file, disposable + withExtension);
  }
}

/** Paths of the built files that end so. @param {string} end @returns {string[]} */
function built(end) {
  const files = readdirSync(dist, { recursive: true, encoding: "utf8" });
  return files
    .filter((name) => name.endsWith(end))
    .map((name) => join(dist, name))
    .sort();
}

/** One line of the size table. @param {string} name @param {string[]} files */
function weigh(name, files) {
  const texts = files.map((file) => readFileSync(file));
  /** @param {number} bytes */
  const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(10);
  const sum = texts.reduce((total, text) => total + text.length, 0);
  const zipped = texts.reduce((total, text) => total + gzipSync(text).length, 0);
  console.log(`dist/${name.padEnd(16)} ${kilobytes(sum)} ${kilobytes(zipped)} gz`);
}

rmSync(dist, { recursive: true, force: true });
declareAll();
await library();
await terminal();
types();
const entries = ["index.js", "gpu.js", "data.js", "train.js", "cli.js", "page.js"];
const chunks = built(".js").map((file) => relative(dist, file));
for (const name of new Set([...entries, ...chunks])) weigh(name, [join(dist, name)]);
weigh("**/*.d.ts", built(".d.ts"));
await weighPages();
