/** A run on this page as a report of the terminal's bench, and what to type for the same run there. */
import { type BenchReport, significant } from "../../bench/report";
import type { Measurement } from "../../bench/measurement";
import { version } from "../../package.json";
import { type KernelSet, patternOf } from "./kernels";

/** What is measured: a set of kernels, and how many samples of each. */
export interface Choice {
  readonly kernels: KernelSet;
  readonly repeat: number;
}

/** Browsers by what their user agents say; those that also say they are others come first. */
const BROWSERS = [
  ["edge", /Edg\/([\d.]+)/],
  ["firefox", /Firefox\/([\d.]+)/],
  ["chrome", /Chrome\/([\d.]+)/],
  ["safari", /Version\/([\d.]+).* Safari\//],
] as const;

/** Versions as the bench names them: of hyperloom, and of the runtime by its name. */
export function versionsIn(userAgent: string): Record<string, string> {
  for (const [runtime, pattern] of BROWSERS) {
    const [, found] = pattern.exec(userAgent) ?? [];
    if (found !== undefined) return { hyperloom: version, runtime, [runtime]: found };
  }
  return { hyperloom: version, runtime: "browser" };
}

/** The line for a terminal that measures the same kernels. */
export function command({ kernels, repeat }: Choice): string {
  return `npx hyperloom bench --filter '${patternOf(kernels)}' --repeat ${repeat} --runtime chrome`;
}

/** The report that the terminal's `bench --json` would write; browsers do not tell the CPU. */
export function reportOf(
  measured: Measurement,
  adapter: BenchReport["adapter"],
  choice: Choice,
): BenchReport {
  return {
    event: "done",
    command: command(choice).replace("npx ", ""),
    date: new Date().toISOString(),
    machine: {
      cpu: "unknown CPU",
      cores: navigator.hardwareConcurrency,
      system: navigator.platform || "unknown system",
    },
    adapter,
    versions: versionsIn(navigator.userAgent),
    ...measured,
    steps: [],
  };
}

/** What came of a run, in a sentence that begins with `done`. */
export function summary({ clock, roof, kernels }: Measurement, done: string, seconds: number) {
  const best = (prefix: RegExp): string =>
    significant(Math.max(0, ...roof.flatMap((row) => (prefix.test(row.name) ? row.value : []))));
  const shares = kernels.flatMap(({ percent }) => percent ?? []).sort((a, b) => a - b);
  const middle = significant(shares[shares.length >> 1] ?? 0);
  return (
    `${done} ${kernels.length} kernels in ${seconds.toFixed(0)} s by ${clock}: the roof is ` +
    `${best(/^fma/)} GFLOP/s and ${best(/^storage (read|copy)/)} GB/s, and half of the kernels ` +
    `reach ${middle} % of theirs or more.`
  );
}

/** A program that times a product by the library's own functions, in a page, in Node or in Deno. */
export function program(): string {
  return `import { compile, matmul, placeholder, requestDevice } from "hyperloom";

const n = 512;
const [a, b] = [placeholder("a", [n, n]), placeholder("b", [n, n])];
const device = await requestDevice();
const product = await compile(device, { inputs: { a, b }, outputs: { y: matmul(a, b) } });
const ones = new Float32Array(n * n).fill(1);
const { y } = await product.run({ a: ones, b: ones });
console.log(\`each element is \${y[0]}\`);
for (const { kernel, milliseconds } of await product.profile({ a: ones, b: ones })) {
  const rate = (2 * n ** 3) / milliseconds / 1e6;
  console.log(\`\${kernel}: \${milliseconds.toFixed(2)} ms, \${rate.toFixed(1)} GFLOP/s\`);
}
product.dispose();
device.dispose();
`;
}
