/**
 * Says in the built library that making its constants has no effect beside them, so that a bundler
 * drops those that a page does not use. In source files `sideEffects` of package.json says so for each
 * module; built, many modules are one.
 */
import ts from "typescript";

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

/**
 * A chunk of the library whose constants are made in functions marked as pure.
 * @param {string} name @param {string} code
 * @throws Error where a chunk does something else than to declare, import and export.
 */
export function pureConstants(name, code) {
  const source = ts.createSourceFile(name, code, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  let marked = "";
  let end = 0;
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const { initializer } of statement.declarationList.declarations) {
        if (!initializer || !mayAct(initializer)) continue;
        const [from, to] = [initializer.getStart(), initializer.getEnd()];
        const text = code.slice(from, to);
        const body = ts.isObjectLiteralExpression(initializer) ? `(${text})` : text;
        // A shader is marked already, without a function around it.
        if (/@__PURE__ \*\/\s*$/.test(code.slice(end, from))) continue;
        marked += `${code.slice(end, from)}/* @__PURE__ */ (() => ${body})()`;
        end = to;
      }
    } else if (
      !ts.isFunctionDeclaration(statement) &&
      !ts.isClassDeclaration(statement) &&
      !ts.isImportDeclaration(statement) &&
      !ts.isExportDeclaration(statement)
    ) {
      const text = statement.getText().slice(0, 80);
      throw new Error(`hyperloom: dist/${name} acts when it is imported: ${text}`);
    }
  }
  return marked + code.slice(end);
}
