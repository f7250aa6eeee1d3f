/**
 * A shader as the built library carries it: without comments and spaces, and with its declarations as
 * lists, of which `shipped` of src/gpu/shipped.ts makes both text and reflection again. What a page
 * would otherwise hold twice, as WGSL and as a record, it holds once.
 */

/** @typedef {import("../src/gpu/kernel-source").KernelSource} KernelSource */

const TOKEN =
  /0[xX][\da-fA-F]+[iu]?|(?:\d|\.\d)(?:[eE][+-]|[\w.])*|\w+|->|&&|\|\||<<=?|>>=|[<>=!+\-*/%&|^]=|\+\+|--|\S/g;
const WORD = /\w/;
const OPERATOR = /[-+&|<>=!*/]/;

/**
 * WGSL without comments and with no more spaces than it needs: between words, and between operators
 * that would become another one. A line is a declaration of the module, for compilers' messages.
 * @param {string} code
 */
export function dense(code) {
  const text = code
    .replace(/\/\/.*$/gm, "")
    .replace(/\bvec([234])<([fiu])32>/g, "vec$1$2")
    .replace(/\bmat([234]x[234])<f32>/g, "mat$1f");
  let out = "";
  let end = 0;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const first = /** @type {string} */ (token[0]);
    if (/^[)}\]]$/.test(token) && out.endsWith(",")) out = out.slice(0, -1);
    const last = out.at(-1) ?? "";
    const apart = [WORD, OPERATOR].some((kind) => kind.test(last) && kind.test(first));
    if (index > end && apart) out += " ";
    out += token;
    end = index + token.length;
    depth += Number(token === "{") - Number(token === "}");
    if (depth === 0 && /^[;}]$/.test(token)) out += "\n";
  }
  return out.trim();
}

/**
 * What `shipped` makes a kernel of, and its twin for subgroups where the text has lines for one: their
 * bodies are one, with `#line#line of the twin#` where they differ.
 * @param {KernelSource} kernel @returns {import("../src/gpu/shipped").Shipped}
 */
export function ship({ name, code, bindings, uniforms, overrides }) {
  const text = code.replace(/^(.*?)\/\/ subgroups: (.*)$/gm, "#$1#$2#").replace(/\/\/.*$/gm, "");
  const pieces = {
    override: /\boverride\s+([^;]+);/g,
    struct: /\bstruct\s+Params\s*\{([^}]*)\}/g,
    binding: /@group\s*\(0\)\s*@binding\s*\(\d+\)\s*var\s*<[^>]*>\s*(\w+)\s*:[^;]+;/g,
  };
  const body = Object.values(pieces).reduce((rest, piece) => rest.replace(piece, ""), text);
  const variable = [...text.matchAll(pieces.binding)]
    .map(([, bound]) => bound)
    .find((bound) => bindings.every((b) => b.name !== bound));
  const fields = Object.entries(uniforms?.fields ?? {}).map(
    ([field, { type }]) => `${field}:${type}`,
  );
  const constants = [...text.matchAll(pieces.override)].map(([, constant = ""]) => dense(constant));
  if (
    constants.length !== Object.keys(overrides).length ||
    (uniforms !== null) !== Boolean(variable)
  ) {
    throw new Error(`hyperloom: ${name}.wgsl: cannot tell its overrides and its uniform apart`);
  }
  return [
    name,
    constants.join(" "),
    bindings
      .map(
        ({ name, access, type }) =>
          `${name}${access === "read" ? "" : "!"}:${type.replaceAll(" ", "")}`,
      )
      .join(" "),
    variable ? [variable, ...fields].join(" ") : "",
    dense(body),
  ];
}
