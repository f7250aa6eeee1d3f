/**
 * What the built library says to bundlers, beyond its source. Making its constants has no effect
 * beside them, so those that a page does not use are dropped: in source files `sideEffects` of
 * package.json says so for each module; built, many modules are one. And the gradient of an op, which
 * stands in its record beside the rest, is left out where `__HYPERLOOM_INFERENCE__` is defined as true.
 * What the tables of variants say of their measurements is for readers of the source.
 */
import ts from "typescript";

const INFERENCE = 'typeof __HYPERLOOM_INFERENCE__ !== "undefined" && __HYPERLOOM_INFERENCE__';

/** Whether evaluating an expression may do something, as far as a bundler can tell. @param {ts.Node} node @returns {boolean} */
function mayAct(node) {
  if (ts.isFunctionLike(node) || ts.isClassLike(node)) return false;
  return (
    ts.isCallExpression(node) ||
    ts.isNewExpression(node) ||
    ts.isSpreadElement(node) ||
    ts.isSpreadAssignment(node) ||
    ts.isPropertyAccessExpression(node) ||
    ts.isElementAccessExpression(node) ||
    ts.isTemplateExpression(node) ||
    (ts.forEachChild(node, (child) => mayAct(child) || undefined) ?? false)
  );
}

/** @typedef {{ at: number, remove: number, text: string }} Edit */

/** Marks the constants of a chunk. @param {ts.Statement} statement @returns {Edit[]} */
function pureConstants(statement) {
  if (!ts.isVariableStatement(statement)) return [];
  return statement.declarationList.declarations.flatMap(({ initializer }) => {
    // A shader is marked already, without a function around it.
    if (!initializer || !mayAct(initializer) || /@__PURE__/.test(leading(initializer))) return [];
    const [open, close] = ts.isObjectLiteralExpression(initializer) ? ["(", ")"] : ["", ""];
    return [
      { at: initializer.getStart(), remove: 0, text: `/* @__PURE__ */ (() => ${open}` },
      { at: initializer.getEnd(), remove: 0, text: `${close})()` },
    ];
  });
}

/** Comments and spaces before a node. @param {ts.Node} node */
const leading = (node) => node.getFullText().slice(0, node.getLeadingTriviaWidth());

/** Makes the gradients of op records depend on the flag. @param {ts.Node} node @returns {Edit[]} */
function gradients(node) {
  /** @type {Edit[]} */
  const found = [];
  if (ts.isObjectLiteralExpression(node)) {
    const named = new Map(node.properties.map((property) => [property.name?.getText(), property]));
    const rule = named.get("gradient");
    if (rule && named.has("shape") && named.has("dispatch")) {
      const name = /** @type {ts.PropertyName} */ (rule.name);
      const text = `gradient: ${INFERENCE} ? undefined : `;
      // `gradient: rule`, `gradient(node, dy) {…}` or `gradient`.
      const end = ts.isPropertyAssignment(rule) ? rule.initializer.getStart() : name.getEnd();
      const rest = ts.isPropertyAssignment(rule)
        ? ""
        : ts.isMethodDeclaration(rule)
          ? "function"
          : "gradient";
      const at = rule.getStart();
      found.push({ at, remove: end - at, text: text + rest });
    }
  }
  ts.forEachChild(node, (child) => void found.push(...gradients(child)));
  return found;
}

/** Leaves out the `measured` of a table's rows, which nothing reads that runs. @param {ts.Node} node @returns {Edit[]} */
function measurements(node) {
  if (ts.isPropertyAssignment(node) && node.name.getText() === "measured") {
    if (!ts.isStringLiteralLike(node.initializer)) return [];
    const at = node.getFullStart();
    const comma = /^\s*,/.exec(node.getSourceFile().text.slice(node.getEnd()))?.[0] ?? "";
    return [{ at, remove: node.getEnd() - at + comma.length, text: "" }];
  }
  /** @type {Edit[]} */
  const found = [];
  ts.forEachChild(node, (child) => void found.push(...measurements(child)));
  return found;
}

/**
 * A chunk of the library with these marks.
 * @param {string} name @param {string} code
 * @throws Error where a chunk does something else than to declare, import and export.
 */
export function markForBundlers(name, code) {
  const source = ts.createSourceFile(name, code, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  const edits = source.statements.flatMap((statement) => {
    if (
      !ts.isVariableStatement(statement) &&
      !ts.isFunctionDeclaration(statement) &&
      !ts.isClassDeclaration(statement) &&
      !ts.isImportDeclaration(statement) &&
      !ts.isExportDeclaration(statement)
    ) {
      const text = statement.getText().slice(0, 80);
      throw new Error(`hyperloom: dist/${name} acts when it is imported: ${text}`);
    }
    return [...pureConstants(statement), ...gradients(statement), ...measurements(statement)];
  });
  let marked = code;
  // From the end, so that places stay what they were.
  for (const { at, remove, text } of edits.sort((a, b) => b.at - a.at)) {
    marked = marked.slice(0, at) + text + marked.slice(at + remove);
  }
  return marked;
}
