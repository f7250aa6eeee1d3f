/** The package as npm packs it, folders in which it is installed without network, and a browser. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer, { type Browser } from "puppeteer-core";
import {
  type AdapterChoice,
  chromeFlags,
  ensureBrowser,
  softwareVulkanIcd,
} from "../../src/cli/browser";

/** This checkout. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

const adapter = (process.env.HYPERLOOM_ADAPTER ?? "auto") as AdapterChoice;
const modules = join(root, "node_modules");

/** What npm says of a tarball; its path. */
export interface Packed {
  readonly filename: string;
  readonly unpackedSize: number;
}

/**
 * Runs a command in a folder, with this process's Node and the programs of this checkout, and returns
 * its stdout. @throws Error with all that it said.
 */
export function run(
  folder: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): string {
  const path = [dirname(process.execPath), process.env.PATH, join(modules, ".bin")];
  const done = spawnSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    // Mesa complains on stderr without a folder of its own.
    env: { ...process.env, PATH: path.join(delimiter), XDG_RUNTIME_DIR: tmpdir(), ...env },
  });
  if (done.status === 0) return done.stdout;
  throw new Error(`${command} ${args.join(" ")}: ${done.error ?? `${done.stdout}${done.stderr}`}`);
}

/** Packs the checkout, whose dist/ is built, into a folder. */
export function pack(folder: string): Packed {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder, root];
  const [{ filename, ...packed }] = JSON.parse(run(folder, "npm", args)) as [Packed];
  return { ...packed, filename: join(folder, filename) };
}

/** Installs a tarball in a folder. */
export function install(folder: string, { filename }: Packed): void {
  run(folder, "npm", ["install", "--offline", "--no-audit", "--no-fund", filename]);
}

/** Makes a package of this checkout's, and its program, one of a folder's too. */
export function lend(folder: string, name: string): void {
  for (const path of [name, `.bin/${name}`]) {
    const target = join(folder, "node_modules", path);
    if (!existsSync(join(modules, path))) continue;
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(modules, path), target);
  }
}

/** What Node finds the software adapter beside Chrome by, where the machine has no other. */
export function drivers(): NodeJS.ProcessEnv {
  const icd = process.env.VK_ICD_FILENAMES ?? softwareVulkanIcd(ensureBrowser());
  return icd && adapter !== "gpu" ? { VK_ICD_FILENAMES: icd } : {};
}

/** A headless Chrome. */
export function launch(): Promise<Browser> {
  return puppeteer.launch({
    executablePath: ensureBrowser(),
    args: chromeFlags(adapter),
    protocolTimeout: 0,
  });
}
