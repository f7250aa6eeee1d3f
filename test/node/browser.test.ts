import { existsSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { chromeFlags, ensureBrowser, findBrowser, softwareVulkanIcd } from "../../src/cli/browser";

afterEach(() => vi.unstubAllEnvs());

test("CHROME_BIN comes first, and is an error where it cannot be run", () => {
  vi.stubEnv("CHROME_BIN", process.execPath);
  expect(findBrowser()).toBe(process.execPath);
  vi.stubEnv("CHROME_BIN", "/no/such/chrome");
  expect(() => findBrowser()).toThrow(/hyperloom: CHROME_BIN is \/no\/such\/chrome.*unset it/);
});

test("without a browser, and forbidden to install one, the line to type is in the message", () => {
  vi.stubEnv("CHROME_BIN", "");
  vi.stubEnv("PATH", "/no/such/folder");
  vi.stubEnv("HYPERLOOM_NO_INSTALL", "1");
  if (process.platform === "linux") expect(() => ensureBrowser()).toThrow(/no Chrome.*type: /);
});

test("the browser that the tests run in ships a software Vulkan driver", () => {
  const manifest = softwareVulkanIcd(ensureBrowser());
  expect(manifest !== null && existsSync(manifest)).toBe(true);
});

test("only the software adapter is forced", () => {
  expect(chromeFlags("software")).toContain("--use-webgpu-adapter=swiftshader");
  expect(chromeFlags("auto").join(" ")).not.toContain("swiftshader");
});
