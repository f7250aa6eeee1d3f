import { aptInstall, ensureBrowser } from "../src/cli/browser";
import { processGpu, vulkanDrivers } from "../src/cli/runtimes";
import { testAdapter } from "./test-adapter";

// For test/run.mjs. Found while this module is loaded: what loads it ends with that.

/** Why the GPU tests cannot run in Chrome; null where they can. A missing one is installed first. */
export const withoutChrome = reason(() => {
  ensureBrowser();
  return null;
});

/** Why they cannot run in this Node; null where they can. */
export const withoutNode = await processGpu(testAdapter, true).then(
  (found) => (found ? null : `no adapter (${testAdapter})`),
  (error: Error) => error.message,
);

/** Settings of the environment under which the Vulkan loader looks for drivers, the best first. */
export const drivers = vulkanDrivers(testAdapter);

/** Installs Mesa's software adapter for Deno where that is allowed; whether it did. */
export const installDrivers = (): boolean => aptInstall("mesa-vulkan-drivers");

function reason(look: () => string | null): string | null {
  try {
    return look();
  } catch (error) {
    return (error as Error).message;
  }
}
