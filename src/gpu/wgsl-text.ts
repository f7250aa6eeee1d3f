import {
  type KernelSource,
  layoutOf,
  type StorageBinding,
  type UniformLayout,
  type UniformType,
} from "./kernel-source";

// A reader of a shader's module-scope declarations: bindings, the uniform's layout, overrides, entry
// points. All else is for the runtime's own compiler to judge.

const UNIFORM_TYPES: readonly string[] = [
  "u32",
  "i32",
  "f32",
  "vec4<u32>",
  "vec4<i32>",
  "vec4<f32>",
];
const SCALARS: Readonly<Record<string, string>> = { f: "f32", i: "i32", u: "u32", h: "f16" };

/** How a shader's text is taken. */
export interface KernelOptions {
  /** What messages call it; default "shader". */
  readonly name?: string;
  /** Which of several `@compute` functions; default the only one. */
  readonly entryPoint?: string;
}

/** Comments made blank, so that offsets stay; block comments nest. */
function withoutComments(code: string): string {
  let depth = 0;
  return code.replace(/\/\*|\*\/|\/\/[^\n]*|[\s\S]/g, (part) => {
    if (part.startsWith("//") && depth === 0) return " ".repeat(part.length);
    if (part === "/*") depth++;
    const inside = depth > 0;
    if (part === "*/" && depth > 0) depth--;
    return inside ? part.replace(/[^\n]/g, " ") : part;
  });
}

/** Declarations of the module, function bodies left out. */
function declarations(text: string): string {
  let kept = "";
  let end = 0;
  for (const { index } of text.matchAll(/\bfn\s/g)) {
    const open = text.indexOf("{", index);
    if (index < end || open < 0) continue;
    kept += `${text.slice(end, open)}{}`;
    end = open;
    for (let depth = 0; end < text.length; ) {
      if (text[end] === "{") depth++;
      if (text[end] === "}") depth--;
      end++;
      if (depth === 0) break;
    }
  }
  return kept + text.slice(end);
}

/** A constant expression of numbers, known names, + - * / and parentheses; null for any other. */
function evaluate(expression: string, names: ReadonlyMap<string, number>): number | null {
  const tokens =
    expression.match(/0[xX][\da-fA-F]+[iu]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?|\w+|\S/g) ??
    [];
  // Of integers the quotient is one; a number with a point or an f makes it none.
  const whole = !tokens.some(
    (token) => /^\d.*[.f]|^\d+[eE]|^\./.test(token) && !/^0x/i.test(token),
  );
  let at = 0;
  const atom = (): number => {
    const token = tokens[at++] ?? "";
    if (token === "-") return -atom();
    if (token === "(") {
      const inner = sum();
      return tokens[at++] === ")" ? inner : Number.NaN;
    }
    if (token === "true" || token === "false") return Number(token === "true");
    if (/^0x/i.test(token)) return Number.parseInt(token, 16);
    if (/^[\d.]/.test(token)) return Number.parseFloat(token);
    return names.get(token) ?? Number.NaN;
  };
  const product = (): number => {
    let value = atom();
    while (tokens[at] === "*" || tokens[at] === "/") {
      const times = tokens[at++] === "*";
      const other = atom();
      const quotient = value / other;
      value = times ? value * other : whole ? Math.trunc(quotient) : quotient;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") {
      value += tokens[at++] === "+" ? product() : -product();
    }
    return value;
  };
  const value = sum();
  return at === tokens.length && Number.isFinite(value) ? value : null;
}

/**
 * A kernel from WGSL text, for a shader that no build step has seen: the names and numbers of its
 * storage bindings, the layout of its uniform (a struct of u32, i32, f32 and their vec4s, or one such
 * value), and the defaults of its overrides. What it reads it takes by WGSL's own names; errors
 * inside functions show when the kernel is compiled.
 * @throws Error naming the declaration that cannot be: no or several entry points, a group other
 *   than 0, a second uniform, textures and samplers, a uniform field of another type.
 */
export function kernelSource(code: string, options: KernelOptions = {}): KernelSource {
  const { name = "shader" } = options;
  const refuse = (what: string): never => {
    throw new Error(`hyperloom: kernel ${name}: ${what}`);
  };
  const text = declarations(withoutComments(code));
  const aliases = new Map<string, string>();
  for (const [, alias, type] of text.matchAll(/\balias\s+(\w+)\s*=\s*([^;]+);/g)) {
    aliases.set(alias as string, (type as string).trim());
  }
  const fullType = (type: string): string =>
    type
      .trim()
      .replace(/\w+/g, (word) => aliases.get(word) ?? word)
      .replace(/\bvec([234])([fiuh])\b/g, (_, n, t) => `vec${n}<${SCALARS[t as string]}>`);

  const constants = new Map<string, number>();
  for (const [, constant, value] of text.matchAll(/\bconst\s+(\w+)[^=;]*=\s*([^;]+);/g)) {
    const known = evaluate(value as string, constants);
    if (known !== null) constants.set(constant as string, known);
  }
  const overrides: Record<string, number> = {};
  for (const [all, override, value] of text.matchAll(
    /(?:@id[^;]*?)?\boverride\s+(\w+)[^=;]*(?:=\s*([^;]+))?;/g,
  )) {
    if (all.startsWith("@id"))
      refuse(`override ${override} has an @id; drop it, names are used here`);
    const known = evaluate(value ?? "", constants);
    if (known === null) {
      refuse(`override ${override} needs a default made of numbers, earlier constants and + - * /`);
    }
    overrides[override as string] = known as number;
    constants.set(override as string, known as number);
  }

  const bindings: StorageBinding[] = [];
  let uniforms: UniformLayout | null = null;
  const variable = /((?:@\w+\s*\([^)]*\)\s*)+)var\s*(?:<([^>]*)>)?\s*(\w+)\s*:\s*([^;]+);/g;
  for (const [, attributes = "", space = "", bound = "", type = ""] of text.matchAll(variable)) {
    const number = (attribute: string): number =>
      evaluate(
        new RegExp(`@${attribute}\\s*\\(([^)]*)\\)`).exec(attributes)?.[1] ?? "",
        constants,
      ) ?? refuse(`${bound} needs a number as its @${attribute}`);
    if (number("group") !== 0) refuse(`${bound} is in group ${number("group")}; use group 0`);
    const binding = number("binding");
    const [kind, access = "read"] = space.split(",").map((word) => word.trim());
    if (kind === "storage" && (access === "read" || access === "read_write")) {
      bindings.push({ name: bound, binding, access, type: fullType(type) });
    } else if (kind === "uniform") {
      if (uniforms) refuse(`${bound} is a second uniform; put all fields into one struct`);
      uniforms = { binding, ...uniformFields(text, bound, fullType(type), fullType, refuse) };
    } else {
      refuse(`${bound} is neither var<storage, read>, var<storage, read_write> nor var<uniform>`);
    }
  }
  bindings.sort((a, b) => a.binding - b.binding);

  const entry =
    /((?:@\w+\s*(?:\([^)]*\))?\s*)*@compute\b(?:\s*@\w+\s*(?:\([^)]*\))?)*)\s*fn\s+(\w+)/g;
  const entries = [...text.matchAll(entry)].map(([, attributes = "", entryPoint = ""]) => ({
    attributes,
    entryPoint,
  }));
  const wanted = options.entryPoint ?? (entries.length === 1 ? entries[0]?.entryPoint : undefined);
  const found =
    entries.find(({ entryPoint }) => entryPoint === wanted) ??
    refuse(
      entries.length === 0
        ? "it has no @compute function"
        : `it has the @compute functions ${entries.map((e) => e.entryPoint).join(", ")}` +
            `${wanted === undefined ? "" : `, not ${wanted}`}; name one as entryPoint`,
    );
  const size = /@workgroup_size\s*\(([^)]*)\)/.exec(found.attributes)?.[1];
  const threads = (size ?? refuse(`${found.entryPoint} has no @workgroup_size`))
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean)
    .map((word) =>
      word in overrides
        ? word
        : (evaluate(word, constants) ?? refuse(`workgroup size ${word} is no constant`)),
    );
  const workgroupSize = [...threads, 1, 1].slice(0, 3);
  const { entryPoint } = found;
  return Object.freeze({ name, code, entryPoint, bindings, uniforms, overrides, workgroupSize });
}

/** The fields of a uniform, which may be a struct or one value. */
function uniformFields(
  text: string,
  bound: string,
  type: string,
  fullType: (type: string) => string,
  refuse: (what: string) => never,
): Omit<UniformLayout, "binding"> {
  const body = new RegExp(`\\bstruct\\s+${type}\\s*\\{([^}]*)\\}`).exec(text)?.[1];
  const members = body === undefined ? [`${bound}: ${type}`] : splitMembers(body);
  const read = members.map((member): [string, UniformType] => {
    const [, field, given] = /^(\w+)\s*:\s*(.+)$/s.exec(member) ?? [];
    if (field === undefined || given === undefined) {
      return refuse(`uniform ${bound}: cannot read the field "${member}"; write it as name: type`);
    }
    const full = fullType(given);
    if (!UNIFORM_TYPES.includes(full)) {
      return refuse(
        `uniform field ${field} has type ${full}; use one of ${UNIFORM_TYPES.join(", ")}`,
      );
    }
    return [field, full as UniformType];
  });
  return layoutOf(read);
}

/** The members of a struct, split at commas outside of < >. */
function splitMembers(body: string): string[] {
  const members = [""];
  let depth = 0;
  for (const letter of body) {
    if (letter === "<") depth++;
    if (letter === ">") depth--;
    if (letter === "," && depth === 0) members.push("");
    else members[members.length - 1] += letter;
  }
  return members.map((member) => member.trim()).filter(Boolean);
}
