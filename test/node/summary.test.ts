import { expect, test } from "vitest";
import { differences, type Report, summarise } from "../summary.mjs";

/** A report of passed tests, but for those that are marked. */
function report(name: string, tests: readonly string[], status = 0): Report {
  return {
    name,
    status,
    tests: tests.map((test) => ({
      file: test.startsWith("package") ? "test/package/a.test.ts" : "test/gpu/a.test.ts",
      fullName: test.replace("!", ""),
      status: test.endsWith("!") ? "failed" : "passed",
      meta: test === "adapter" ? { ranOn: `${name} 1: SwiftShader` } : {},
    })),
  };
}

test("runtimes with the same tests do not differ, in whatever order, failed or not", () => {
  const reports = [report("Chrome", ["a", "b"]), report("Node", ["b!", "a"]), report("others", [])];
  expect(differences(reports)).toEqual([]);
  expect(differences([report("Chrome", ["a"])])).toEqual([]);
  expect(differences([])).toEqual([]);
});

test("a test that one runtime lacks, has more or has twice is named, with both runtimes", () => {
  const chrome = report("Chrome", ["a", "b"]);
  expect(differences([chrome, report("Node", ["a"]), report("Deno", ["b", "a", "c"])])).toEqual([
    "the tests of Chrome and Node differ: 1 only in Chrome: test/gpu/a.test.ts: b",
    "the tests of Chrome and Deno differ: 1 only in Deno: test/gpu/a.test.ts: c",
  ]);
  expect(differences([chrome, report("Node", ["a", "b", "b"])])).toEqual([
    "the tests of Chrome and Node differ: 1 only in Node: test/gpu/a.test.ts: b",
  ]);
  const many = ["a", "b", "1", "2", "3", "4", "5", "6"];
  const [line] = differences([chrome, report("Deno", many)]);
  expect(line).toMatch(/differ: 6 only in Deno: .*a\.test\.ts: 5, …$/);
});

test("files that a partial run leaves out are no difference, tests of its files are", () => {
  const chrome = report("Chrome", ["a", "b"]);
  const long = { ...chrome.tests[0], file: "test/gpu/long.test.ts", fullName: "c" };
  const first = { ...chrome, tests: [...chrome.tests, long as Report["tests"][number]] };
  const [deno, lavapipe] = [report("Deno", ["a", "b"]), report("lavapipe", ["a"])];
  expect(differences([first, { ...deno, partial: true }])).toEqual([]);
  expect(differences([first, { ...lavapipe, partial: true }])).toEqual([
    "the tests of Chrome and lavapipe differ: 1 only in Chrome: test/gpu/a.test.ts: b",
  ]);
  expect(differences([first, deno])).toHaveLength(1);
});

test("a runtime's line has its adapter and its counts", () => {
  expect(summarise(report("Deno", ["adapter", "a", "b!"], 1))).toEqual([
    { line: "gpu tests, Deno 1: SwiftShader: 2 passed, 1 failed", passed: 2, failed: 1 },
  ]);
});

test("a run that ends badly without a failed test counts as a failure", () => {
  const [crashed] = summarise(report("Node", ["a"], 139));
  expect(crashed).toEqual({
    line: "gpu tests, Node: 1 passed, 1 failed (its run ended with status 139)",
    passed: 1,
    failed: 1,
  });
});

test("of a whole run a skipped test is a failure, and so is a part without tests", () => {
  const skipped = report("Deno", ["a", "b"]);
  const [a, b] = skipped.tests as [Report["tests"][number], Report["tests"][number]];
  const partly = { ...skipped, tests: [a, { ...b, status: "skipped" }] };
  expect(summarise(partly)).toEqual([
    { line: "gpu tests, Deno: 1 passed, 1 failed (1 skipped)", passed: 1, failed: 1 },
  ]);
  expect(summarise(partly, false)).toMatchObject([{ passed: 1, failed: 0 }]);
  expect(summarise(report("Node", []))).toMatchObject([
    { line: "gpu tests, Node: 0 passed, 1 failed (no test ran)" },
  ]);
  expect(summarise(report("Node", []), false)).toMatchObject([{ passed: 0, failed: 0 }]);
});

test("the tests of the package are counted apart from the others", () => {
  expect(summarise(report("others", ["a", "package b!", "package c"], 1))).toMatchObject([
    { passed: 1, failed: 0 },
    { line: "package tests, everywhere: 1 passed, 1 failed", passed: 1, failed: 1 },
  ]);
});
