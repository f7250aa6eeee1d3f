/** What runs this code, and on what; as far as it tells. */
export interface Host {
  readonly name:
    | "Chrome"
    | "Edge"
    | "Firefox"
    | "Safari"
    | "Node"
    | "Deno"
    | "Bun"
    | "this runtime";
  /** Major version; NaN where it is not known. */
  readonly version: number;
  readonly system: "Windows" | "macOS" | "Linux" | "Android" | "iOS" | "ChromeOS" | "";
}

/** What of the global scope tells the host. */
export interface HostScope {
  readonly navigator?:
    | { readonly userAgent?: string; readonly maxTouchPoints?: number }
    | undefined;
  readonly process?: {
    readonly platform?: string;
    readonly versions?: { readonly node?: string | undefined };
  };
  readonly Deno?: {
    readonly version: { readonly deno: string };
    readonly build: { readonly os: string };
  };
  readonly Bun?: { readonly version: string };
}

const SYSTEMS: Readonly<Record<string, Host["system"]>> = {
  win32: "Windows",
  windows: "Windows",
  darwin: "macOS",
  linux: "Linux",
  android: "Android",
};

/** Tokens of user agents, the more special first: Edge says Chrome, and Chrome says Safari. */
const BROWSERS: readonly (readonly [Host["name"], RegExp])[] = [
  ["Edge", /\bEdgA?\/(\d+)/],
  ["Firefox", /\bFirefox\/(\d+)/],
  ["Chrome", /\b(?:Headless)?Chrom(?:e|ium)\/(\d+)/],
  ["Safari", /\bVersion\/(\d+).*Safari\//],
];

/** The host that a global scope is of: browsers by their user agent, others by what they define. */
export function hostOf(scope: HostScope = globalThis as HostScope): Host {
  const { Deno, Bun, process, navigator } = scope;
  const system = SYSTEMS[Deno?.build.os ?? process?.platform ?? ""] ?? "";
  if (Deno) return { name: "Deno", version: Number.parseInt(Deno.version.deno, 10), system };
  if (Bun) return { name: "Bun", version: Number.parseInt(Bun.version, 10), system };
  if (process?.versions?.node) {
    return { name: "Node", version: Number.parseInt(process.versions.node, 10), system };
  }
  const agent = navigator?.userAgent ?? "";
  const on = systemOf(agent, navigator?.maxTouchPoints ?? 0);
  // Every browser of iOS has Safari's engine, whatever it calls itself.
  if (on === "iOS") {
    return { name: "Safari", version: Number(/\bVersion\/(\d+)/.exec(agent)?.[1]), system: on };
  }
  for (const [name, pattern] of BROWSERS) {
    const version = pattern.exec(agent)?.[1];
    if (version !== undefined) return { name, version: Number(version), system: on };
  }
  return { name: "this runtime", version: Number.NaN, system: on };
}

function systemOf(agent: string, touchPoints: number): Host["system"] {
  if (/iPhone|iPad|iPod/.test(agent)) return "iOS";
  // iPads call themselves Macs, which have no touch screen.
  if (/Macintosh/.test(agent)) return touchPoints > 1 ? "iOS" : "macOS";
  if (/Android/.test(agent)) return "Android";
  if (/Windows/.test(agent)) return "Windows";
  if (/CrOS/.test(agent)) return "ChromeOS";
  return /Linux|X11/.test(agent) ? "Linux" : "";
}
