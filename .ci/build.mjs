/**
 * Builds dist/: the browser library (index.js, shaders inlined), its types, and the terminal
 * program (cli.js and the chunks that it loads when needed). Prints what each weighs.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { declareAll, wgsl } from "../shaders/plugin.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

/** Options of both bundles. @type {import("vite").InlineConfig} */
const shared = { root, configFile: false, logLevel: "warn", publicDir: false, plugins: [wgsl()] };

async function library() {
  await build({
    ...shared,
    build: {
      outDir: dist,
      emptyOutDir: false,
      target: "es2022",
      minify: false,
      lib: { entry: join(root, "src/index.ts"), formats: ["es"], fileName: () => "index.js" },
    },
  });
}

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
      minify: false,
      lib: { entry: join(root, "src/cli/main.ts"), formats: ["es"], fileName: () => "cli.js" },
      rolldownOptions: {
        platform: "node",
        external: [/^node:/, ...builtinModules, "webgpu", "puppeteer-core"],
        output: { banner: "#!/usr/bin/env node", chunkFileNames: "cli/[name].js" },
      },
    },
  });
  chmodSync(join(dist, "cli.js"), 0o755);
}

/** The script of the page in which the terminal program works when it runs in Chrome. */
async function page() {
  await build({
    ...shared,
    build: {
      outDir: dist,
      emptyOutDir: false,
      target: "es2022",
      minify: false,
      lib: { entry: join(root, "src/cli/page.ts"), formats: ["es"], fileName: () => "page.js" },
    },
  });
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
    writeFileSync(file, withExtension);
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
await page();
types();
weigh("index.js", [join(dist, "index.js")]);
weigh("cli.js", [join(dist, "cli.js")]);
weigh("page.js", [join(dist, "page.js")]);
const chunks = built(".js").filter(
  (file) => !["index.js", "cli.js", "page.js"].includes(relative(dist, file)),
);
for (const file of chunks) weigh(relative(dist, file), [file]);
weigh("**/*.d.ts", built(".d.ts"));
