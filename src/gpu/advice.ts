import { type Host, hostOf } from "./host";

// The step to take where there is no device, in the browser or runtime at hand. Versions as of the
// end of 2026; where a browser is new enough already, its switch is named instead.

const ANYWHERE =
  "use Chrome or Edge 113+, Safari 26+, Firefox 141+, Deno 2, or Node with the npm package webgpu";
/** Chrome's software adapter, whatever the machine. */
const SWIFTSHADER = "--enable-unsafe-webgpu --use-webgpu-adapter=swiftshader";

/** A host as messages name it: `Chrome 156 on Linux`. */
export function hostName({ name, version, system }: Host): string {
  return `${name}${Number.isNaN(version) ? "" : ` ${version}`}${system && ` on ${system}`}`;
}

function scheme({ name }: Host): string {
  return name === "Edge" ? "edge" : "chrome";
}

/** What to do where a host has no WebGPU at all. */
export function adviceNoWebGpu(host: Host = hostOf()): string {
  const { name, version, system } = host;
  if (name === "Chrome" || name === "Edge") {
    const first = system === "Android" ? 121 : system === "Linux" ? 144 : 113;
    if (version < first)
      return `update it, WebGPU comes with ${name} ${first} on ${system || "this system"}`;
    if (system === "Android")
      return "it needs Android 12 and a GPU of ARM, Qualcomm or Imagination";
    return `switch ${scheme(host)}://flags/#enable-unsafe-webgpu on and start ${name} again`;
  }
  if (name === "Firefox") {
    const first = system === "Windows" ? 141 : system === "macOS" ? 145 : Number.POSITIVE_INFINITY;
    if (version < first && first < Number.POSITIVE_INFINITY) {
      return `update it, WebGPU comes with Firefox ${first} on ${system}`;
    }
    return "set dom.webgpu.enabled to true in about:config and reload, or use Firefox Nightly or Chrome";
  }
  if (name === "Safari") {
    if (system === "iOS") return "update to iOS or iPadOS 26, whose Safari 26 has it";
    return version < 26
      ? "update to macOS 26, whose Safari 26 has it, or use Chrome"
      : "switch WebGPU on in Settings, Feature Flags, or use Chrome";
  }
  if (name === "Deno") return "type: deno upgrade (before Deno 2: deno run --unstable-webgpu)";
  if (name === "Node") return "type: npm install webgpu";
  return ANYWHERE;
}

/** What to do where pages have no WebGPU because they came by an insecure way. @param origin Of the page. */
export function adviceInsecure(origin: string | undefined, host: Host = hostOf()): string {
  const flag = "flags/#unsafely-treat-insecure-origin-as-secure";
  const chromium = host.name === "Chrome" || host.name === "Edge";
  return (
    "serve it over https or from http://localhost" +
    (chromium ? `, or list ${origin ?? "its origin"} in ${scheme(host)}://${flag}` : "")
  );
}

/** What to do where WebGPU finds no adapter of the kind wanted. */
export function adviceNoAdapter(
  wanted: "auto" | "gpu" | "software",
  host: Host = hostOf(),
): string {
  const { name, system } = host;
  if (name === "Chrome" || name === "Edge") {
    if (wanted === "software") return `start ${name} with ${SWIFTSHADER}`;
    const look = `${scheme(host)}://gpu tells what was found`;
    const software = wanted === "gpu" ? "" : `; without a GPU start ${name} with ${SWIFTSHADER}`;
    if (system === "Linux") {
      const flags = "--enable-unsafe-webgpu --enable-features=Vulkan";
      return `install the GPU's Vulkan driver and start ${name} with ${flags} (${look})${software}`;
    }
    if (system === "Android")
      return "it needs Android 12 and a GPU of ARM, Qualcomm or Imagination";
    return (
      "update the GPU driver, switch graphics acceleration on in " +
      `${scheme(host)}://settings/system (${look}); after crashes of the GPU reload the page by hand${software}`
    );
  }
  if (wanted === "software" && name !== "Node" && name !== "Deno") {
    return `there is one in Chrome, started with ${SWIFTSHADER}`;
  }
  if (name === "Firefox")
    return "update the GPU driver; about:support, Graphics, tells what was found";
  if (name === "Safari")
    return "switch WebGPU on in Settings, Feature Flags, and start Safari again";
  if (system === "Linux" && name === "Deno") {
    return wanted === "gpu"
      ? "install the GPU's Vulkan driver"
      : "install a Vulkan driver; Mesa's works without a GPU: apt-get install mesa-vulkan-drivers";
  }
  if (system === "Linux" && name === "Node") {
    const software =
      "without a GPU set VK_ICD_FILENAMES to vk_swiftshader_icd.json, which lies beside the program of " +
      "an installed Chrome or Chromium";
    return wanted === "gpu"
      ? "install the GPU's Vulkan driver"
      : `install the GPU's Vulkan driver; ${software}`;
  }
  return "update the GPU driver";
}

/** What to do where an adapter does not allow what is needed. */
export function adviceMissingLimit(host: Host = hostOf()): string {
  const { name, system } = host;
  if ((name === "Chrome" || name === "Edge") && system === "Windows") {
    const flag = `${scheme(host)}://flags/#force-high-performance-gpu`;
    return `update the GPU driver, or of two GPUs take the larger one by ${flag}`;
  }
  return "update the GPU driver, or use another GPU or less of it";
}
