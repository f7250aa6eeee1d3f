import { defineBrowserProvider } from "@vitest/browser";
import puppeteer, { type Browser } from "puppeteer-core";
import { type AdapterChoice, chromeFlags, ensureBrowser } from "../src/cli/browser.ts";

/** Vitest's browser provider: pages of one headless Chrome, with WebGPU switched on. */
export const chrome = (adapter: AdapterChoice) =>
  defineBrowserProvider({
    name: "puppeteer",
    supportedBrowser: ["chrome"],
    providerFactory: () => {
      // Here and not in openPage: an installation takes longer than Vitest waits for a page.
      const executablePath = ensureBrowser();
      let browser: Browser | undefined;
      return {
        name: "puppeteer",
        supportsParallelism: false,
        getCommandsContext: () => ({}),
        openPage: async (_sessionId, url) => {
          browser ??= await puppeteer.launch({
            executablePath,
            args: chromeFlags(adapter),
            // A test may block the page for minutes on a software adapter.
            protocolTimeout: 0,
          });
          const page = await browser.newPage();
          await page.goto(url, { timeout: 0 });
        },
        close: async () => {
          await browser?.close();
          browser = undefined;
        },
      };
    },
  });
