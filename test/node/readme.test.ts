/** The README's examples, as printed, in the browser. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wgsl } from "../../shaders/plugin.mjs";
import { openSite, type Site, settled, text } from "./demo-site";

const root = fileURLToPath(new URL("../..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
let site: Site;

/** The first block of the README in a language that has some text in it. */
function block(language: string, having: string): string {
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const found = blocks.find(([, kind, text]) => kind === language && text?.includes(having))?.[2];
  if (!found) throw new Error(`README.md has no ${language} block with ${having}`);
  return found;
}

// x y is learnt through the README's op: the values of the gate and of what it lets through.
const SWIGLU_LEARNS = `
  import * as hl from "hyperloom";
  const [value, gate, out] = [hl.dense(2, 8), hl.dense(2, 8), hl.dense(8, 1)];
  const params = { value: value.params, gate: gate.params, out: out.params };
  const net = hl.module("gated", params, (context, p, x) => {
    const [v, g] = [value.apply(context, p.value, {}, x), gate.apply(context, p.gate, {}, x)];
    return out.apply(context, p.out, {}, swiglu(v.outputs, g.outputs)).outputs;
  }, [2]);
  const points = Array.from({ length: 64 }, (_, i) => [(i % 8) / 4 - 1, (i >> 3) / 4 - 1]);
  const data = {
    x: new Float32Array(points.flat()),
    target: Float32Array.from(points, ([a, b]) => a * b),
  };
  const program = hl.trainStep(net, hl.meanSquaredError, hl.adam({ lr: 1e-2 }), { batch: 64 });
  const step = await hl.compile(await hl.requestDevice(), program, { seed: 1 });
  for (let t = 0; t <= 150; t++) {
    const { loss } = await step.run(data);
    if (t % 150 === 0) log.append("step " + t + ": loss " + loss[0].toFixed(4) + "\\n");
  }`;

/** The library as a package and the README's examples, smaller than in print for software adapters. */
async function examples(folder: string): Promise<void> {
  await build({
    root,
    configFile: false,
    logLevel: "error",
    plugins: [wgsl()],
    build: {
      outDir: join(folder, "readme/node_modules/hyperloom/dist"),
      lib: {
        entry: { index: "src/index.ts", data: "src/data/index.ts" },
        formats: ["es"],
        fileName: (_, name) => `${name}.js`,
      },
    },
  });
  const page = block("html", "hyperCnn").replaceAll("batch: 32", "batch: 8").replace("100", "30");
  writeFileSync(join(folder, "readme/page.html"), page);
  const imports = '{ "imports": { "hyperloom": "./node_modules/hyperloom/dist/index.js" } }';
  const own = `<script type="importmap">${imports}</script><pre id="log"></pre>
    <script type="module">${block("js", "charbonnier").replaceAll("console.log(", "log.append(")}</script>`;
  writeFileSync(join(folder, "readme/own.html"), own);
  const op = `<script type="importmap">${imports}</script><pre id="log"></pre>
    <script type="module">${block("js", "swigluOp")}${SWIGLU_LEARNS}</script>`;
  writeFileSync(join(folder, "readme/op.html"), op);
}

beforeAll(async () => {
  site = await openSite(examples);
});
afterAll(async () => {
  await site?.close();
});

describe("the README", () => {
  test("its page trains", async () => {
    const opened = await site.open("readme/page.html");
    const { page, faults } = opened;
    await settled(opened, "log", /step 30: .* right/);
    const losses = [...(await text(page, "log")).matchAll(/loss ([\d.]+)/g)].map((m) =>
      Number(m[1]),
    );
    const mean = (some: number[]): number => some.reduce((a, b) => a + b) / some.length;
    expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)) - 0.1);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("its module and loss of one's own learn", async () => {
    const opened = await site.open("readme/own.html");
    const { page, faults } = opened;
    await settled(opened, "log", /step 300: /);
    const losses = [...(await text(page, "log")).matchAll(/loss ([\d.]+)/g)].map((m) =>
      Number(m[1]),
    );
    expect(losses).toHaveLength(4);
    expect(losses[3]).toBeLessThan(0.2 * (losses[0] as number));
    expect(faults).toEqual([]);
    await page.close();
  });

  test("its op of one's own, with its gradient, is learnt through", async () => {
    const opened = await site.open("readme/op.html");
    const { page, faults } = opened;
    await settled(opened, "log", /step 150: /);
    const [first = 0, last = 0] = [...(await text(page, "log")).matchAll(/loss ([\d.]+)/g)].map(
      (m) => Number(m[1]),
    );
    expect(last).toBeLessThan(0.1 * first);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("it lists every op", () => {
    const files = Object.values(
      import.meta.glob<Record<string, unknown>>("../../src/ops/*.ts", { eager: true }),
    );
    const ops = files.flatMap(Object.keys).filter((name) => name.endsWith("Op"));
    expect(ops.length).toBeGreaterThan(50);
    expect(ops.filter((name) => !readme.includes(`\`${name.slice(0, -2)}\``))).toEqual([]);
  });
});
