import { globals } from "webgpu";
import { processGpu } from "../src/cli/runtimes";
import { testAdapter } from "./test-adapter";

/**
 * Gives Node what pages and Deno have: WebGPU's classes and constants, and `navigator.gpu` with an
 * adapter of the kind that `HYPERLOOM_ADAPTER` names. Once a process, which all files share.
 */
async function install(): Promise<void> {
  if ((globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu) return;
  const found = await processGpu(testAdapter, true);
  if (!found)
    throw new Error(`hyperloom: Node finds no adapter (${testAdapter}) for the GPU tests`);
  Object.assign(globalThis, globals);
  // Node 20 has no navigator; later ones have it as a getter.
  const { userAgent } = globalThis.navigator ?? { userAgent: `Node.js/${process.versions.node}` };
  const navigator = { userAgent, gpu: found.gpu };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
}

await install();
