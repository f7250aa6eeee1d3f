import { spawnSync } from "node:child_process";
import { arch, cpus, homedir, platform, totalmem } from "node:os";
import type { Command } from "commander";
import { version } from "../../package.json";
import type { AdapterChoice } from "./browser";
import type { JobEvent } from "./job";
import type { GlobalOptions } from "./options";
import { bytes, Output } from "./output";
import { type RuntimeChoice, runJob } from "./runtimes";
import { LIMITS, type Probe } from "./training-jobs";

/** Adds the command `doctor`. */
export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .description("what this machine has: runtimes, adapters, features, limits; and what is missing")
    .action((_own: unknown, command: Command) => doctor(command.optsWithGlobals<GlobalOptions>()));
}

interface Finding extends JobEvent {
  readonly event: "runtime";
  readonly runtime: string;
  /** One for each kind of adapter that it gives, the best first. */
  readonly probes: readonly Probe[];
  /** What is missing, with the line to type. */
  readonly missing?: string;
}

async function doctor({ runtime, adapter, json }: GlobalOptions): Promise<void> {
  const output = new Output(json);
  const wanted: readonly RuntimeChoice[] =
    runtime === "auto" ? ["node", "chrome", "deno"] : [runtime];
  const machine = {
    hyperloom: version,
    node: process.versions.node,
    system: `${platform()} ${arch()}`,
    cpu: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}`,
    memory: bytes(totalmem()),
  };
  output.event({ event: "start", command: "doctor", ...machine });
  for (const [name, value] of Object.entries(machine)) output.say(`${name.padEnd(10)} ${value}`);
  const findings: Finding[] = [];
  for (const name of wanted) {
    const finding = await look(name, adapter);
    findings.push(finding);
    output.event(finding);
    for (const line of lines(finding)) output.say(line);
  }
  const works = findings.some(({ probes }) => probes.length > 0);
  output.say();
  output.say("To paste into a report:");
  output.say();
  output.say(withoutHome(markdown(machine, findings)));
  output.event({ event: "done", works });
  output.close();
  if (!works) process.exitCode = 1;
}

/** Tries a runtime with the adapter asked for; with auto also with its software adapter. */
async function look(runtime: RuntimeChoice, adapter: AdapterChoice): Promise<Finding> {
  const probes: Probe[] = [];
  try {
    const best = await probe(runtime, adapter);
    probes.push(best);
    if (adapter === "auto" && !best.adapter.software) {
      const software = await probe(runtime, "software").catch(() => null);
      if (software) probes.push(software);
    }
    return { event: "runtime", runtime, probes };
  } catch (error) {
    const missing = (error as Error).message.replace("hyperloom: ", "");
    return { event: "runtime", runtime, probes, missing };
  }
}

/** Run by Deno: prints what `Probe` holds. */
const DENO_PROBE = `
const adapter = await navigator.gpu?.requestAdapter();
if (!adapter) Deno.exit(3);
const { vendor, architecture, device, description } = adapter.info;
const software = /swiftshader|llvmpipe|lavapipe/i.test(device + description);
const limits = {};
for (const name of ${JSON.stringify(LIMITS)}) limits[name] = adapter.limits[name];
console.log(JSON.stringify({ adapter: { vendor, architecture, device, description, software },
  features: [...adapter.features].sort(), limits }));`;

async function probe(runtime: RuntimeChoice, adapter: AdapterChoice): Promise<Probe> {
  if (runtime !== "deno") return runJob("probe", {}, { runtime, adapter });
  const { status, stdout, error } = spawnSync("deno", ["eval", DENO_PROBE], { encoding: "utf8" });
  if (error) throw new Error("not installed; type: npm install deno");
  if (status !== 0) {
    const fix =
      platform() === "linux"
        ? "type: apt-get install mesa-vulkan-drivers"
        : "update the GPU driver";
    throw new Error(`Deno finds no adapter; ${fix}`);
  }
  return JSON.parse(stdout) as Probe;
}

function title({ adapter }: Probe): string {
  const { vendor, architecture, device, description, software } = adapter;
  const name =
    description || [vendor, architecture, device].filter(Boolean).join(" ") || "unnamed adapter";
  return `${name} (${software ? "software" : "GPU"})`;
}

/** Features of use to compute shaders, and how many more there are. */
function features({ features: all }: Probe): string {
  const own = all.filter((name) => /shader|subgroup|timestamp|matrix|core|compat/.test(name));
  return `${own.join(", ") || "none for compute"}; ${all.length - own.length} for graphics`;
}

function lines({ runtime, probes, missing }: Finding): string[] {
  if (missing !== undefined) return ["", `${runtime.padEnd(10)} ${missing}`];
  return probes.flatMap((found) => [
    "",
    `${runtime.padEnd(10)} ${title(found)}`,
    `           features: ${features(found)}`,
    ...Object.entries(found.limits).map(
      ([name, value]) => `           ${name}: ${name.includes("Size") ? bytes(value) : value}`,
    ),
  ]);
}

function markdown(machine: Readonly<Record<string, string>>, findings: readonly Finding[]): string {
  const facts = Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`);
  const rows = findings.flatMap(({ runtime, probes, missing }) =>
    missing === undefined
      ? probes.map((found) => {
          const { maxBufferSize = 0, maxStorageBufferBindingSize = 0 } = found.limits;
          return `| ${runtime} | ${title(found)} | ${bytes(maxBufferSize)} / ${bytes(maxStorageBufferBindingSize)} | ${features(found)} |`;
        })
      : [`| ${runtime} | none: ${missing} | | |`],
  );
  return [
    "### hyperloom doctor",
    ...facts,
    "",
    "| runtime | adapter | buffer / binding | features |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** A report is for others: it has no home folder in it. */
function withoutHome(report: string): string {
  const home = homedir();
  return home.length > 1 ? report.replaceAll(home, "~") : report;
}
