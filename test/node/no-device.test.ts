import { afterEach, describe, expect, test, vi } from "vitest";
import { findAdapter } from "../../src/gpu/adapter";
import {
  adviceInsecure,
  adviceMissingLimit,
  adviceNoAdapter,
  adviceNoWebGpu,
  hostName,
} from "../../src/gpu/advice";
import { requestDevice } from "../../src/gpu/device";
import { type NoDeviceCause, NoDeviceError } from "../../src/gpu/errors";
import { type Host, hostOf } from "../../src/gpu/host";

afterEach(() => vi.unstubAllGlobals());

const agents = {
  chromeLinux:
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36",
  edgeWindows:
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0",
  chromeAndroid:
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
  firefoxMac:
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
  firefoxLinux: "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
  safariMac:
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
  chromeIphone:
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.0.0 Mobile/15E148 Safari/604.1",
  chromeOs:
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
} as const;

const page = (userAgent: string, maxTouchPoints = 0): Host =>
  hostOf({ navigator: { userAgent, maxTouchPoints } });

test.each([
  ["Chrome 156 on Linux", page(agents.chromeLinux)],
  ["Edge 150 on Windows", page(agents.edgeWindows)],
  ["Chrome 119 on Android", page(agents.chromeAndroid)],
  ["Chrome 140 on ChromeOS", page(agents.chromeOs)],
  ["Firefox 140 on macOS", page(agents.firefoxMac)],
  ["Safari 18 on macOS", page(agents.safariMac)],
  ["Safari 18 on iOS", page(agents.safariMac, 5)],
  ["Safari on iOS", page(agents.chromeIphone)],
  ["this runtime", page("Something/1.0")],
  ["this runtime", hostOf({})],
  ["Node 20 on macOS", hostOf({ process: { platform: "darwin", versions: { node: "20.19.0" } } })],
  [
    "Deno 2 on Linux",
    hostOf({
      Deno: { version: { deno: "2.9.6" }, build: { os: "linux" } },
      process: { versions: { node: "24.0.0" } },
    }),
  ],
  ["Bun 1", hostOf({ Bun: { version: "1.2.3" } })],
])("a host is %s", (name, host) => {
  expect(hostName(host)).toBe(name);
});

const node = (system: Host["system"]): Host => ({ name: "Node", version: 22, system });
const deno = (system: Host["system"]): Host => ({ name: "Deno", version: 2, system });

test.each([
  [page(agents.chromeLinux), "chrome://flags/#enable-unsafe-webgpu"],
  [{ ...page(agents.chromeLinux), version: 140 }, "WebGPU comes with Chrome 144 on Linux"],
  [page(agents.edgeWindows), "edge://flags/#enable-unsafe-webgpu"],
  [page(agents.chromeAndroid), "WebGPU comes with Chrome 121 on Android"],
  [{ ...page(agents.chromeAndroid), version: 140 }, "needs Android 12"],
  [page(agents.firefoxMac), "WebGPU comes with Firefox 145 on macOS"],
  [page(agents.firefoxLinux), "dom.webgpu.enabled"],
  [page(agents.safariMac), "update to macOS 26"],
  [{ ...page(agents.safariMac), version: 26 }, "Feature Flags"],
  [page(agents.chromeIphone), "iOS or iPadOS 26"],
  [node("Linux"), "npm install webgpu"],
  [deno("Linux"), "deno upgrade"],
  [hostOf({}), "Chrome or Edge 113+, Safari 26+, Firefox 141+, Deno 2, or Node"],
])("without WebGPU, %o is told %s", (host, step) => {
  expect(adviceNoWebGpu(host)).toContain(step);
});

test.each([
  [
    page(agents.chromeLinux),
    "auto",
    "--enable-unsafe-webgpu --enable-features=Vulkan (chrome://gpu",
  ],
  [page(agents.chromeLinux), "auto", "--use-webgpu-adapter=swiftshader"],
  [
    page(agents.chromeLinux),
    "software",
    "start Chrome with --enable-unsafe-webgpu --use-webgpu-adapter",
  ],
  [page(agents.edgeWindows), "auto", "edge://settings/system (edge://gpu"],
  [page(agents.chromeAndroid), "auto", "needs Android 12"],
  [page(agents.firefoxMac), "auto", "about:support"],
  [page(agents.safariMac), "auto", "Feature Flags"],
  [page(agents.safariMac), "software", "there is one in Chrome"],
  [node("Linux"), "auto", "VK_ICD_FILENAMES"],
  [node("Windows"), "auto", "update the GPU driver"],
  [deno("Linux"), "auto", "apt-get install mesa-vulkan-drivers"],
  [hostOf({}), "gpu", "update the GPU driver"],
] as const)("without an adapter, %o that wants %s is told %s", (host, wanted, step) => {
  expect(adviceNoAdapter(wanted, host)).toContain(step);
});

test("whoever wants a GPU is not sent to software", () => {
  for (const host of [
    page(agents.chromeLinux),
    page(agents.edgeWindows),
    node("Linux"),
    deno("Linux"),
  ]) {
    expect(adviceNoAdapter("gpu", host)).not.toMatch(/swiftshader|mesa/);
  }
});

test("an insecure page is told its own address; Chromium has a list of those to trust", () => {
  const origin = "http://10.0.0.5:8000";
  expect(adviceInsecure(origin, page(agents.chromeLinux))).toBe(
    "serve it over https or from http://localhost, or list http://10.0.0.5:8000 in " +
      "chrome://flags/#unsafely-treat-insecure-origin-as-secure",
  );
  expect(adviceInsecure(origin, page(agents.safariMac))).not.toContain("flags");
});

test("a limit that lacks may be another GPU's", () => {
  expect(adviceMissingLimit(page(agents.edgeWindows))).toContain(
    "edge://flags/#force-high-performance-gpu",
  );
  expect(adviceMissingLimit(node("Linux"))).toContain("another GPU");
});

/** A GPU whose adapter is as told. */
function fakeGpu(
  info: Partial<GPUAdapterInfo> | null,
  limits: Partial<Record<keyof GPUSupportedLimits, number>> = {},
  refusal = "no more devices",
): GPU {
  const adapter = info && {
    info: { vendor: "", architecture: "", device: "", description: "", ...info },
    features: new Set(),
    limits: {
      maxBufferSize: 2 ** 28,
      maxStorageBufferBindingSize: 2 ** 27,
      maxStorageBuffersPerShaderStage: 8,
      maxComputeWorkgroupStorageSize: 16_384,
      maxComputeInvocationsPerWorkgroup: 256,
      ...limits,
    },
    requestDevice: () => Promise.reject(new Error(refusal)),
  };
  return { requestAdapter: async () => adapter } as unknown as GPU;
}

async function refusal(
  work: Promise<unknown>,
): Promise<{ reason: NoDeviceCause; message: string }> {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NoDeviceError);
  return error as NoDeviceError;
}

describe("requestDevice", () => {
  const chrome = page(agents.chromeLinux);

  test("says no-webgpu, with host and step", async () => {
    vi.stubGlobal("navigator", {});
    const { reason, message } = await refusal(findAdapter({}, page(agents.firefoxMac)));
    expect(reason).toBe("no-webgpu");
    expect(message).toBe(
      "hyperloom: Firefox 140 on macOS has no WebGPU here; update it, WebGPU comes with Firefox 145 on macOS",
    );
  });

  test("says insecure-context, with the address", async () => {
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("isSecureContext", false);
    vi.stubGlobal("location", { origin: "http://10.0.0.5:8000" });
    const { reason, message } = await refusal(findAdapter({}, page(agents.safariMac)));
    expect(reason).toBe("insecure-context");
    expect(message).toBe(
      "hyperloom: Safari 18 on macOS gives WebGPU to secure contexts alone, and this page " +
        "(http://10.0.0.5:8000) is none; serve it over https or from http://localhost",
    );
  });

  test("says no-adapter, with host and step", async () => {
    const { reason, message } = await refusal(findAdapter({ gpu: fakeGpu(null) }, chrome));
    expect(reason).toBe("no-adapter");
    expect(message).toContain(
      "WebGPU found no adapter in Chrome 156 on Linux; install the GPU's Vulkan",
    );
    const software = findAdapter(
      { gpu: fakeGpu({ description: "RTX" }), adapter: "software" },
      chrome,
    );
    expect((await refusal(software)).message).toContain("found no software adapter in Chrome 156");
  });

  test("names the software adapter: refused where a GPU is wanted, else warned of", async () => {
    const gpu = fakeGpu({ description: "SwiftShader Device (Subzero)" });
    const { reason, message } = await refusal(requestDevice({ gpu, adapter: "gpu" }));
    expect(reason).toBe("no-adapter");
    expect(message).toContain("only the software adapter SwiftShader Device (Subzero) is here");
    const warnings: string[] = [];
    await findAdapter({ gpu, onWarning: (warning) => warnings.push(warning) }, chrome);
    expect(warnings).toEqual([
      "software adapter (SwiftShader Device (Subzero)): everything works, slowly",
    ]);
  });

  test("says missing-limit, with both numbers, of its own needs and of the caller's", async () => {
    const small = fakeGpu({ device: "compat" }, { maxStorageBuffersPerShaderStage: 4 });
    const own = await refusal(requestDevice({ gpu: small }));
    expect(own.reason).toBe("missing-limit");
    expect(own.message).toContain(
      "maxStorageBuffersPerShaderStage is 4 on the adapter compat, 8 needed; update the GPU driver",
    );
    const gpu = fakeGpu({ device: "mine" });
    const wanted = await refusal(
      requestDevice({ gpu, requiredLimits: { maxBufferSize: 2 ** 30 } }),
    );
    expect(wanted.reason).toBe("missing-limit");
    expect(wanted.message).toContain(
      "maxBufferSize is 268435456 on the adapter mine, 1073741824 needed",
    );
    const unknown = await refusal(requestDevice({ gpu, requiredLimits: { maxDreams: 1 } }));
    expect(unknown.message).toContain(
      "maxDreams is unknown on the adapter mine, 1 needed; there is none of this name",
    );
  });

  test("says that an adapter gives no device", async () => {
    const { reason, message } = await refusal(requestDevice({ gpu: fakeGpu({ device: "worn" }) }));
    expect(reason).toBe("no-adapter");
    expect(message).toBe("hyperloom: the adapter worn gives no device: no more devices");
  });
});
