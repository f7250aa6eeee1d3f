import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** Which adapter a run wants: the best there is, a real GPU or nothing, or the software one. */
export type AdapterChoice = "auto" | "gpu" | "software";

const COMMANDS = [
  "google-chrome-stable",
  "google-chrome",
  "chromium",
  "chromium-browser",
  "microsoft-edge-stable",
  "microsoft-edge",
];

const aptGet = (name: string) => `apt-get update && apt-get install -y ${name}`;

/** The Chrome, Chromium or Edge that is installed where each system puts it, else null. */
function installedBrowser(): string | null {
  const { platform, env } = process;
  let candidates: string[];
  if (platform === "darwin") {
    candidates = ["Google Chrome", "Chromium", "Microsoft Edge"].flatMap((name) => {
      const path = `Applications/${name}.app/Contents/MacOS/${name}`;
      return [`/${path}`, join(env.HOME ?? "/", path)];
    });
  } else if (platform === "win32") {
    const roots = [env.PROGRAMFILES, env["PROGRAMFILES(X86)"], env.LOCALAPPDATA];
    candidates = [
      "Google\\Chrome\\Application\\chrome.exe",
      "Microsoft\\Edge\\Application\\msedge.exe",
    ].flatMap((path) => roots.flatMap((root) => (root === undefined ? [] : [join(root, path)])));
  } else {
    const folders = (env.PATH ?? "").split(delimiter);
    candidates = COMMANDS.flatMap((name) => folders.map((folder) => join(folder, name)));
  }
  return candidates.find(executable) ?? null;
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Installs a package with apt-get on Debian or Ubuntu as root, after printing the command on
 * stderr. Returns false elsewhere, where `HYPERLOOM_NO_INSTALL=1` forbids it, and where it fails.
 */
export function aptInstall(name: string): boolean {
  if (process.env.HYPERLOOM_NO_INSTALL === "1" || process.getuid?.() !== 0) return false;
  if (!existsSync("/etc/os-release") || !existsSync("/usr/bin/apt-get")) return false;
  const system = readFileSync("/etc/os-release", "utf8");
  if (!/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(system)) return false;
  console.error(`hyperloom: installing what is missing: ${aptGet(name)}`);
  const { status } = spawnSync("sh", ["-c", aptGet(name)], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    // The package manager's chatter must not reach a stdout that carries --json.
    stdio: ["ignore", process.stderr, "inherit"],
  });
  return status === 0;
}

/** The line to type on this system to get a browser. */
function installLine(): string {
  if (process.platform === "darwin") return "brew install --cask google-chrome";
  if (process.platform === "win32") return "winget install Google.Chrome";
  if (existsSync("/usr/bin/apt-get")) return `sudo sh -c '${aptGet("chromium")}'`;
  if (existsSync("/usr/bin/dnf")) return "sudo dnf install -y chromium";
  if (existsSync("/usr/bin/pacman")) return "sudo pacman -S --noconfirm chromium";
  return "CHROME_BIN=/path/to/chrome, after installing Chrome from https://www.google.com/chrome";
}

/**
 * Path of a browser: `CHROME_BIN`, else an installed Chrome, Chromium or Edge, else null. Throws
 * where `CHROME_BIN` names something that cannot be run.
 */
export function findBrowser(): string | null {
  const named = process.env.CHROME_BIN;
  if (!named) return installedBrowser();
  if (executable(named)) return named;
  throw new Error(
    `hyperloom: CHROME_BIN is ${named}, which is no program that can be run; correct it or unset it`,
  );
}

/**
 * As `findBrowser`, but on Debian or Ubuntu as root it installs Chromium first, after printing the
 * command on stderr (`HYPERLOOM_NO_INSTALL=1` forbids it). Throws with the one line to type where
 * there is no browser in the end.
 */
export function ensureBrowser(): string {
  const found = findBrowser();
  if (found !== null) return found;
  const installed = aptInstall("chromium") ? installedBrowser() : null;
  if (installed !== null) return installed;
  throw new Error(`hyperloom: no Chrome, Chromium or Edge found; type: ${installLine()}`);
}

/**
 * Path of the Vulkan driver manifest of the SwiftShader that ships beside a browser, else null.
 * Dawn in Node runs on it through `VK_ICD_FILENAMES` where the machine has no Vulkan driver.
 */
export function softwareVulkanIcd(browser: string): string | null {
  const folder = dirname(realpathSync(browser));
  const folders = [folder];
  if (process.platform === "darwin") {
    const frameworks = join(folder, "..", "Frameworks");
    for (const name of existsSync(frameworks) ? readdirSync(frameworks) : []) {
      folders.push(join(frameworks, name, "Versions", "Current", "Libraries"));
    }
  } else if (process.platform === "win32") {
    // Beside the program lies one folder per version.
    for (const name of readdirSync(folder)) if (/^\d/.test(name)) folders.push(join(folder, name));
  } else {
    // /usr/bin/chromium is a script on Debian; the program lies in a folder of its own.
    folders.push("/usr/lib/chromium", "/usr/lib/chromium-browser", "/usr/lib64/chromium-browser");
    folders.push("/snap/chromium/current/usr/lib/chromium-browser");
    folders.push("/opt/google/chrome", "/opt/microsoft/msedge");
  }
  return folders.map((path) => join(path, "vk_swiftshader_icd.json")).find(existsSync) ?? null;
}

/** Command-line switches that give a headless Chrome the chosen WebGPU adapter and no network of its own. */
export function chromeFlags(adapter: AdapterChoice): string[] {
  return [
    // Chrome refuses its sandbox to root, and root is who runs CI and containers.
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    ...(adapter === "software" ? ["--use-webgpu-adapter=swiftshader"] : []),
    // Without it Chrome on Linux does not offer a real GPU to WebGPU.
    ...(adapter !== "software" && process.platform === "linux" ? ["--enable-features=Vulkan"] : []),
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
  ];
}
