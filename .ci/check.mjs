/**
 * Three checks that the linter cannot make: no promise is dropped, whatever declares its type (in
 * GPU code a lost `await` is the bug to fear, and Biome does not see the types of GPUDevice);
 * imports, of types too, run downwards through the layers of src/ only; and what the package exports
 * is documented.
 */
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A folder of src/ may import from itself and from folders of lower rank. @type {Record<string, number>} */
const RANK = {
  gpu: 0,
  graph: 1,
  data: 2,
  io: 2,
  ops: 2,
  schedule: 3,
  nn: 4,
  optim: 4,
  hyper: 5,
  train: 6,
  cli: 7,
};

const { config } = ts.readConfigFile(resolve(root, "tsconfig.json"), ts.sys.readFile);
const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
const program = ts.createProgram(fileNames, options);
const checker = program.getTypeChecker();

/** @type {string[]} */
const faults = [];

/** @param {ts.SourceFile} source @param {ts.Node} node @param {string} fault */
function report(source, node, fault) {
  const { line, character } = source.getLineAndCharacterOfPosition(node.getStart(source));
  faults.push(`${relative(root, source.fileName)}:${line + 1}:${character + 1} ${fault}`);
}

/** The layer of a file of src/, else null. @param {string} file */
function layer(file) {
  const [top, folder, ...rest] = relative(root, file).split(/[\\/]/);
  return top === "src" && folder !== undefined && rest.length > 0 ? folder : null;
}

/** @param {ts.SourceFile} source @param {ts.ImportDeclaration | ts.ExportDeclaration} node */
function checkImport(source, node) {
  const path = node.moduleSpecifier;
  if (!path || !ts.isStringLiteral(path) || !path.text.startsWith(".")) return;
  const from = layer(source.fileName);
  const to = layer(resolve(dirname(source.fileName), path.text));
  if (from === null || to === null || from === to) return;
  const [above, below] = [RANK[from], RANK[to]];
  if (above === undefined || below === undefined) {
    report(
      source,
      node,
      `${above === undefined ? from : to} has no place among the layers; see .ci/check.mjs`,
    );
  } else if (below >= above) {
    report(source, node, `src/${from} must not import from src/${to}`);
  }
}

/** Whether a statement takes care of its promise: void, an assignment, `.catch(f)`, `.then(f, g)`. @param {ts.Expression} node */
function handled(node) {
  if (ts.isVoidExpression(node)) return true;
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
  }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  const method = node.expression.name.text;
  return (
    (method === "catch" && node.arguments.length === 1) ||
    (method === "then" && node.arguments.length === 2)
  );
}

/** @param {ts.SourceFile} source @param {ts.ExpressionStatement} node */
function checkPromise(source, node) {
  const type = checker.getTypeAtLocation(node.expression);
  if (type.flags & ts.TypeFlags.Any || handled(node.expression)) return;
  const then = checker.getPropertyOfType(checker.getNonNullableType(type), "then");
  if (then) report(source, node, "promise is neither awaited, nor handled, nor marked with void");
}

for (const source of program.getSourceFiles()) {
  if (source.isDeclarationFile || source.fileName.includes("/node_modules/")) continue;
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isExpressionStatement(node)) checkPromise(source, node);
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) checkImport(source, node);
    ts.forEachChild(node, visit);
  };
  visit(source);
}

/** What people import: all of it is documented. */
const SURFACES = ["src", "src/gpu", "src/data", "src/train"].map((folder) => `${folder}/index.ts`);

for (const file of SURFACES) {
  const source = program.getSourceFile(resolve(root, file));
  const surface = source && checker.getSymbolAtLocation(source);
  if (!surface) throw new Error(`${file} exports nothing`);
  for (const exported of checker.getExportsOfModule(surface)) {
    const alias = exported.flags & ts.SymbolFlags.Alias;
    const symbol = alias ? checker.getAliasedSymbol(exported) : exported;
    const [declaration] = symbol.declarations ?? [];
    const lines = symbol.getDocumentationComment(checker).length + symbol.getJsDocTags().length;
    if (declaration && lines === 0) {
      report(
        declaration.getSourceFile(),
        declaration,
        `${exported.name} is exported, not documented`,
      );
    }
  }
}

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
