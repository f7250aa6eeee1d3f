/** Weighs the built pages and fails beyond what a page may weigh. */
import { gzipSync } from "node:zlib";

/** KB of 1,024 bytes, gzipped: HTML, styles and scripts of a page with those of its workers. */
const MOST = 150;

/** @typedef {import("vite").Rollup.OutputBundle} Bundle */

/** Files that a file asks for, by the names that stand in its text. @param {Bundle} bundle @param {string} name @param {Set<string>} found */
function follow(bundle, name, found) {
  if (found.has(name)) return;
  found.add(name);
  const file = bundle[name];
  if (!file) return;
  const text = textOf(file);
  for (const other of Object.keys(bundle)) {
    // Scripts name each other without their folder.
    if (text.includes(other.slice(other.lastIndexOf("/") + 1))) follow(bundle, other, found);
  }
}

/** @param {Bundle[string]} file */
function textOf(file) {
  if (file.type === "chunk") return file.code;
  return typeof file.source === "string" ? file.source : new TextDecoder().decode(file.source);
}

/**
 * Prints the gzipped weight of every page after a build. The build fails where a page is too heavy.
 * @returns {import("vite").Plugin}
 */
export function pageWeights() {
  return {
    name: "page-weights",
    apply: "build",
    enforce: "post",
    writeBundle(_, bundle) {
      const pages = Object.keys(bundle).filter((name) => name.endsWith(".html"));
      /** @type {string[]} */
      const heavy = [];
      for (const page of pages) {
        const files = new Set(/** @type {string[]} */ ([]));
        // Links from page to page are no part of a page.
        const others = Object.fromEntries(
          Object.entries(bundle).filter(([name]) => !pages.includes(name) || name === page),
        );
        follow(others, page, files);
        const bytes = [...files].reduce((n, name) => {
          const file = others[name];
          return file ? n + gzipSync(textOf(file), { level: 9 }).length : n;
        }, 0);
        const kilobytes = bytes / 1024;
        this.info(`${page}: ${kilobytes.toFixed(1)} KB gzipped in ${files.size} files`);
        if (kilobytes > MOST) heavy.push(`${page} weighs ${kilobytes.toFixed(1)} KB`);
      }
      if (heavy.length > 0) {
        this.error(`${heavy.join(", ")}; a page may weigh ${MOST} KB gzipped`);
      }
    },
  };
}
