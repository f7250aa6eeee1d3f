import { describe, expect, test } from "vitest";
import { allCases } from "../cases/all";
import { checkCase, deviceAs } from "./check-case";

// Every case runs with the kernels of both adapter classes, whatever the adapter here is.
for (const adapter of ["software", "gpu"] as const) {
  describe(`kernels for ${adapter} adapters`, () => {
    for (const c of allCases) {
      test(c.name, async () => {
        expect.hasAssertions();
        await checkCase(await deviceAs(adapter), c);
      });
    }
  });
}
