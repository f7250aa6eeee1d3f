import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { aptInstall } from "../../src/cli/browser";

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

const env = {
  ...process.env,
  // On Linux wgpu would fall back to OpenGL, which has not even the default limits.
  ...(process.platform === "linux" ? { DENO_WEBGPU_BACKEND: "vulkan" } : {}),
  DENO_NO_UPDATE_CHECK: "1",
  NO_COLOR: "1",
};

/** Whether Deno finds an adapter: naga.ts, given no file, looks for one and ends with 3 otherwise. */
const hasAdapter = (): boolean =>
  spawnSync("npx", ["deno", "run", "-A", "--no-config", "--no-lock", "test/node/naga.ts"], { env })
    .status !== 3;

/** Runs the GPU tests of vitest.deno.config.ts in Deno, whose adapter here is Mesa's lavapipe. */
function runDeno(): { results: Report["testResults"][number]["assertionResults"]; log: string } {
  const folder = mkdtempSync(join(tmpdir(), "hyperloom-deno-"));
  const file = join(folder, "report.json");
  try {
    const vitest = ["node_modules/vitest/vitest.mjs", "run", "--pool=forks"];
    const config = ["--config", "test/vitest.deno.config.ts"];
    const report = ["--reporter=json", `--outputFile=${file}`];
    const { stdout, stderr } = spawnSync(
      "npx",
      ["deno", "run", "-A", "--no-lock", ...vitest, ...config, ...report],
      { encoding: "utf8", env },
    );
    const log = `${stdout}\n${stderr}`;
    const { testResults } = JSON.parse(readFileSync(file, "utf8")) as Report;
    return { results: testResults.flatMap((r) => r.assertionResults), log };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("in Deno", () => {
  if (!hasAdapter()) aptInstall("mesa-vulkan-drivers");
  const { results, log } = runDeno();
  test("the tests ran", () => {
    expect(results.length, log.slice(-4000)).toBeGreaterThan(0);
  });
  for (const { fullName, status, failureMessages } of results) {
    test(fullName, () => {
      expect(status, failureMessages?.join("\n")).toBe("passed");
    });
  }
});
