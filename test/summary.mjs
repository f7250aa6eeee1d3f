/**
 * What `npm test` says at its end, from the reports of its runs.
 *
 * @typedef {object} Test
 * @property {string} file from the root
 * @property {string} fullName
 * @property {string} status
 * @property {{ ranOn?: string }} [meta]
 *
 * @typedef {object} Report
 * @property {string} name the runtime, or "others"
 * @property {number} status the exit status of its run
 * @property {boolean} [partial] whether it leaves whole files out
 * @property {readonly Test[]} tests
 */

/** The most names that a difference shows. */
const MOST_NAMES = 5;

/**
 * One line for each runtime whose GPU tests are not those of the first one, names in both directions;
 * a partial run is held against the same files, and reports of other tests are left out.
 * @param {readonly Report[]} reports
 * @returns {string[]}
 */
export function differences(reports) {
  const [all, ...rest] = reports.filter(({ name }) => name !== "others");
  if (!all) return [];
  return rest.flatMap((other) => {
    const files = new Set(other.tests.map(({ file }) => file));
    const tests = all.tests.filter(({ file }) => !other.partial || files.has(file));
    const [only, missing] = [beyond(other, all), beyond({ ...all, tests }, other)];
    if (only.length + missing.length === 0) return [];
    const parts = [
      [`only in ${other.name}`, only],
      [`only in ${all.name}`, missing],
    ].flatMap(([where, names]) =>
      names?.length ? [`${names.length} ${where}: ${show(names)}`] : [],
    );
    return [`the tests of ${all.name} and ${other.name} differ: ${parts.join("; ")}`];
  });
}

/** Names of tests, with how often each comes, that one report has beyond another. @param {Report} a @param {Report} b */
function beyond(a, b) {
  /** @type {Map<string, number>} */
  const left = new Map();
  for (const test of b.tests) left.set(nameOf(test), (left.get(nameOf(test)) ?? 0) + 1);
  return a.tests.map(nameOf).filter((name) => {
    const n = left.get(name) ?? 0;
    left.set(name, n - 1);
    return n <= 0;
  });
}

/** @param {Test} test */
const nameOf = ({ file, fullName }) => `${file}: ${fullName}`;

/** @param {string | readonly string[]} names */
const show = (names) =>
  [...names.slice(0, MOST_NAMES), ...(names.length > MOST_NAMES ? ["…"] : [])].join(", ");

/**
 * A line and the counts of each part of a report. A run that ends badly without a failed test (a
 * crash, a file that does not load, an error outside of tests) counts as one failure. Of a whole run
 * each test that was skipped is a failure, and so is a part without tests: what a runtime cannot do
 * is a test of its refusal.
 * @param {Report} report
 * @param {boolean} [whole] whether no test was left out on purpose
 * @returns {{ line: string, passed: number, failed: number }[]}
 */
export function summarise({ name, status, tests }, whole = true) {
  const on = tests.find(({ meta }) => meta?.ranOn)?.meta?.ranOn ?? name;
  /** @type {readonly (readonly [string, readonly Test[]])[]} */
  const parts =
    name === "others"
      ? [
          ["terminal, page and reader tests, Node", tests.filter(({ file }) => !isPackage(file))],
          ["package tests, everywhere", tests.filter(({ file }) => isPackage(file))],
        ]
      : [[`gpu tests, ${on}`, tests]];
  const broken = status !== 0 && !tests.some((test) => test.status === "failed") ? 1 : 0;
  return parts.map(([what, some], k) => {
    const count = (/** @type {string} */ s) => some.filter((test) => test.status === s).length;
    const extra = k === 0 ? broken : 0;
    const skipped = whole ? some.length - count("passed") - count("failed") : 0;
    const none = whole && some.length === 0 ? 1 : 0;
    const passed = count("passed");
    const failed = count("failed") + extra + skipped + none;
    const ended = [
      ...(extra > 0 ? [`its run ended with status ${status}`] : []),
      ...(skipped > 0 ? [`${skipped} skipped`] : []),
      ...(none > 0 ? ["no test ran"] : []),
    ].join(", ");
    const line = `${what}: ${passed} passed, ${failed} failed${ended && ` (${ended})`}`;
    return { line, passed, failed };
  });
}

/** @param {string} file */
const isPackage = (file) => /^test[\\/]package[\\/]/.test(file);
