/** What a page gives to take along, run as its visitor would: commands in a terminal, programs in Node. */
import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Page } from "puppeteer-core";
import { ensureBrowser, softwareVulkanIcd } from "../../src/cli/browser";
import type { StartEvent, StepEvent } from "../../src/train/events";
import { testAdapter } from "../test-adapter";
import { eventsOf, type Terminal } from "./terminal";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The texts that a page gives at this moment: its commands, and its program at the end. */
export function takenTexts(page: Page): Promise<string[]> {
  return page.$eval("#take", (take) => {
    take.dispatchEvent(new Event("toggle"));
    return [...take.querySelectorAll("pre")].map((pre) => pre.textContent ?? "");
  });
}

/** Runs a program in a folder, where it finds hyperloom and webgpu. @returns What it prints. */
export async function runProgram(folder: string, text: string): Promise<string> {
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  symlinkSync(root, join(modules, "hyperloom"));
  symlinkSync(join(root, "node_modules/webgpu"), join(modules, "webgpu"));
  writeFileSync(join(folder, "taken.mjs"), text);
  const icd = process.env.VK_ICD_FILENAMES ?? softwareVulkanIcd(ensureBrowser());
  const named = icd && testAdapter !== "gpu" ? { VK_ICD_FILENAMES: icd } : {};
  const { stdout } = await promisify(execFile)(process.execPath, ["taken.mjs"], {
    cwd: folder,
    env: { ...process.env, XDG_RUNTIME_DIR: tmpdir(), ...named },
    timeout: 200_000,
  });
  return stdout;
}

/** Runs a line that trains, without quotes in it, in a terminal: how it starts, and its losses. */
export function runCommand(
  terminal: Terminal,
  line: string,
): { start: StartEvent; losses: number[] } {
  const [npx, name, ...args] = line.split(" ");
  if (npx !== "npx" || name !== "hyperloom") throw new Error(`no command of hyperloom: ${line}`);
  const { status, stdout, stderr } = terminal.hyperloom(...args, "--json", "-");
  if (status !== 0) throw new Error(`${line} ends with ${status}: ${stderr}`);
  const events = eventsOf(stdout);
  const start = events.find((event): event is StartEvent => event.event === "start");
  if (!start) throw new Error(`${line} did not start: ${stderr}`);
  const steps = events.filter((event): event is StepEvent => event.event === "step");
  return { start, losses: steps.map(({ loss }) => loss) };
}
