/**
 * What the library weighs in a page: dist/ bundled, tree-shaken and minified by Vite as a page of
 * its user's would be, then gzipped. A weight beyond its bound ends the build.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What is weighed, and how many bytes (KB of 1,024) it may come to. */
const WEIGHED = [
  {
    name: "HyperLSTM inference page",
    entry: join(root, "test/package/sites/inference.js"),
    inference: true,
    bound: 40 * 1024,
  },
  {
    name: "the same, with gradients",
    entry: join(root, "test/package/sites/inference.js"),
    bound: 46 * 1024,
  },
  { name: "all of hyperloom/gpu", all: ["hyperloom/gpu"], bound: 11 * 1024 },
  { name: "all of hyperloom/data", all: ["hyperloom/data"], bound: 11 * 1024 },
  { name: "all of hyperloom/train", all: ["hyperloom/train"], bound: 80 * 1024 },
  { name: "all of hyperloom", all: ["hyperloom"], bound: 90 * 1024 },
  {
    name: "all entries together",
    all: ["hyperloom", "hyperloom/gpu", "hyperloom/data", "hyperloom/train"],
    bound: 107 * 1024,
  },
];

/**
 * The scripts of a page that Vite builds from an entry.
 * @param {string} entry @param {string} code @param {boolean} inference
 */
async function bundle(entry, code, inference) {
  const virtual = "\0weighed";
  const built = await build({
    root,
    configFile: false,
    logLevel: "warn",
    publicDir: false,
    define: inference ? { __HYPERLOOM_INFERENCE__: "true" } : {},
    resolve: {
      alias: [
        { find: /^hyperloom\/(.*)$/, replacement: `${join(root, "dist")}/$1.js` },
        { find: /^hyperloom$/, replacement: join(root, "dist/index.js") },
      ],
    },
    plugins: [
      {
        name: "hyperloom:weighed",
        resolveId: (id) => (id === "weighed" ? virtual : null),
        load: (id) => (id === virtual ? code : null),
      },
    ],
    build: {
      write: false,
      target: "es2022",
      rolldownOptions: { input: entry, preserveEntrySignatures: "strict" },
    },
  });
  const outputs = Array.isArray(built) ? built : [built];
  return outputs.flatMap((made) =>
    "output" in made ? made.output.flatMap((o) => (o.type === "chunk" ? [o.code] : [])) : [],
  );
}

/** Prints each weight beside its bound. @throws Error naming those that are beyond. */
export async function weighPages() {
  const beyond = [];
  for (const { name, entry, all, inference = false, bound } of WEIGHED) {
    const code = (all ?? []).map((from) => `export * from "${from}";`).join("\n");
    const scripts = await bundle(entry ?? "weighed", code, inference);
    const bytes = scripts.reduce((total, text) => total + gzipSync(text).length, 0);
    const [is, most] = [bytes, bound].map((n) => `${(n / 1024).toFixed(1)} KB`);
    console.log(`${name.padEnd(26)} ${is?.padStart(9)} gz of ${most}`);
    if (bytes > bound) beyond.push(`${name} weighs ${is} gzipped, ${most} are allowed`);
  }
  if (beyond.length > 0) throw new Error(`hyperloom: ${beyond.join("; ")}: see .ci/sizes.mjs`);
}
