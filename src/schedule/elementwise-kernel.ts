import type { Dispatch } from "../gpu/dispatch";
import type { KernelSource, StorageBinding } from "../gpu/kernel-source";
import type { Tensor } from "../graph/node";
import { broadcastStrides, equal, type Shape, size } from "../graph/shape";

/**
 * The one place where WGSL is written by the program: the body of a chain of elementwise ops, as a
 * kernel of its own or as the epilogue of the kernel that makes its input.
 */

// NaN is told by its bits: x != x may be folded away, min/max/clamp drop it.
const PRELUDE: Readonly<Record<string, string>> = {
  is_nan: "fn is_nan(x: T) -> B { return (bitcast<U>(x) & U(0x7fffffffu)) > U(0x7f800000u); }",
  safe_max: "fn safe_max(a: T, b: T) -> T { return select(select(b, a, a >= b), a, is_nan(a)); }",
  safe_min: "fn safe_min(a: T, b: T) -> T { return select(select(b, a, a <= b), a, is_nan(a)); }",
  // tanh is NaN beyond |x| = 89 on one adapter; it rounds to 1 from 9.02 on.
  safe_tanh:
    "fn safe_tanh(x: T) -> T { return select(tanh(clamp(x, T(-10.0), T(10.0))), x, is_nan(x)); }",
  safe_sigmoid:
    "fn safe_sigmoid(x: T) -> T { let e = exp(-abs(x)); return select(select(T(1.0), e, x < T(0.0)) / (T(1.0) + e), x, is_nan(x)); }",
  // One adapter makes numbers of the exponential and the logarithm of NaN.
  safe_exp: "fn safe_exp(x: T) -> T { return select(exp(x), x, is_nan(x)); }",
  safe_log: "fn safe_log(x: T) -> T { return select(log(x), x, is_nan(x)); }",
  // log(1 + e) loses e below 2^-24: there it is e itself.
  safe_softplus:
    "fn safe_softplus(x: T) -> T { let e = exp(-abs(x)); return select(x, T(0.0), x < T(0.0)) + select(log(T(1.0) + e), e, e < T(1e-4)); }",
  // Constant expressions must be finite, so these go through a variable.
  infinity: "fn infinity() -> T { var bits = 0x7f800000u; return T(bitcast<f32>(bits)); }",
  not_a_number: "fn not_a_number() -> T { var bits = 0x7fc00000u; return T(bitcast<f32>(bits)); }",
};
/** The functions of the prelude that a body calls, and those that these call, which stand before. */
function prelude(body: string): string {
  return Object.entries(PRELUDE).reduceRight(
    (text, [name, code]) => ((body + text).includes(`${name}(`) ? `${code}\n${text}` : text),
    "",
  );
}

/** A chain of elementwise nodes: tensors from outside, in binding order, and the values made. */
export interface Chain {
  readonly inputs: readonly Tensor[];
  /** In topological order; the last one's output is the chain's. */
  readonly steps: readonly Tensor[];
}

/** `let v0 = …;` lines of a chain; `load` gives the expression of an outside tensor. */
function chainBody(
  chain: Chain,
  load: ReadonlyMap<Tensor, string>,
): { lines: string; result: string } {
  const names = new Map(load);
  const lines: string[] = [];
  for (const [k, value] of chain.steps.entries()) {
    const { op, attrs, inputs } = value.node;
    const args = inputs.map((x) => names.get(x) ?? "");
    const text = op.expression?.(attrs, args) ?? "";
    // A literal is written where it is used.
    if (inputs.length === 0) names.set(value, text);
    else {
      lines.push(`  let v${k} = ${text};`);
      names.set(value, `v${k}`);
    }
  }
  const last = chain.steps[chain.steps.length - 1] as Tensor;
  return { lines: lines.join("\n"), result: names.get(last) ?? "" };
}

/** Axes of `to` merged where `from` strides through them as if they were one. */
function collapse(from: Shape, to: Shape): { length: number; stride: number }[] {
  const axes: { length: number; stride: number }[] = [];
  for (const [i, stride] of broadcastStrides(from, to).entries()) {
    const length = to[i] ?? 1;
    if (length === 1) continue;
    const outer = axes[axes.length - 1];
    if (outer && (outer.stride === stride * length || (outer.stride === 0 && stride === 0))) {
      outer.length *= length;
      outer.stride = stride;
    } else axes.push({ length, stride });
  }
  return axes;
}

/** The index in an operand of element `i` of the output, as a WGSL expression. */
function indexExpression(axes: readonly { length: number; stride: number }[], i: string): string {
  const terms: string[] = [];
  let inner = axes.reduce((n, a) => n * a.length, 1);
  for (const [k, { length, stride }] of axes.entries()) {
    inner /= length;
    if (stride === 0) continue;
    let t = inner === 1 ? i : `${i} / ${inner}u`;
    if (k > 0) t = `(${t}) % ${length}u`;
    terms.push(stride === 1 ? `(${t})` : `(${t}) * ${stride}u`);
  }
  return terms.length > 0 ? terms.join(" + ") : "0u";
}

/**
 * A kernel for a chain: four elements an invocation. An operand of the output's own shape is read
 * as vec4; one that repeats along the inner axes once; any other lane by lane.
 */
export function elementwiseKernel(chain: Chain): { kernel: KernelSource; invocations: number } {
  const result = chain.steps[chain.steps.length - 1] as Tensor;
  const n = size(result.shape);
  const load = new Map<Tensor, string>();
  const declarations: string[] = [];
  const loads: string[] = [];
  const bindings: StorageBinding[] = [];
  for (const [k, x] of chain.inputs.entries()) {
    const { dtype: type } = x;
    const axes = collapse(x.shape, result.shape);
    const inner = axes[axes.length - 1];
    const whole = equal(x.shape, result.shape) || (axes.length === 1 && inner?.stride === 1);
    const scalar = axes.every((a) => a.stride === 0);
    const store = whole && !scalar ? `vec4<${type}>` : type;
    declarations.push(`@group(0) @binding(${k}) var<storage, read> x${k}: array<${store}>;`);
    bindings.push({ name: `x${k}`, binding: k, access: "read", type: `array<${store}>` });
    if (scalar) loads.push(`  let a${k} = vec4<${type}>(x${k}[0]);`);
    else if (whole) loads.push(`  let a${k} = x${k}[q];`);
    else if (inner?.stride === 0 && inner.length % 4 === 0) {
      loads.push(`  let a${k} = vec4<${type}>(x${k}[${indexExpression(axes, "i")}]);`);
    } else {
      const lanes = ["i", "(i + 1u)", "(i + 2u)", "(i + 3u)"];
      const parts = lanes.map((lane) => `x${k}[${indexExpression(axes, lane)}]`);
      loads.push(`  let a${k} = vec4<${type}>(${parts.join(", ")});`);
    }
    load.set(x, `a${k}`);
  }
  const y = chain.inputs.length;
  const { dtype: out } = result;
  declarations.push(`@group(0) @binding(${y}) var<storage, read_write> y: array<vec4<${out}>>;`);
  bindings.push({ name: "y", binding: y, access: "read_write", type: `array<vec4<${out}>>` });
  const body = chainBody(chain, load);
  const mask =
    n % 4 === 0 ? "" : `  let live = vec4<u32>(i, i + 1u, i + 2u, i + 3u) < vec4<u32>(${n}u);\n`;
  // The length of y is not written down, so that chains of all sizes share one kernel.
  const stored = mask ? `select(vec4<${out}>(), ${body.result}, live)` : body.result;
  const vectors = Math.ceil(n / 4);
  const code = `alias T = vec4<f32>;
alias B = vec4<bool>;
alias U = vec4<u32>;
alias I = vec4<i32>;
${declarations.join("\n")}
${prelude(body.lines + body.result)}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) w: vec3<u32>, @builtin(num_workgroups) g: vec3<u32>, @builtin(local_invocation_index) l: u32) {
  let q = (w.x + w.y * g.x) * 64u + l;
  if (q >= arrayLength(&y)) { return; }
  let i = q * 4u;
${loads.join("\n")}
${body.lines}
${mask}  y[q] = ${stored};
}
`;
  const name =
    chain.steps
      .map((s) => s.node.op.name)
      .filter((s) => s !== "fill")
      .join("+") || "fill";
  return {
    kernel: {
      name,
      code,
      entryPoint: "main",
      bindings,
      uniforms: null,
      overrides: {},
      workgroupSize: [64],
    },
    invocations: vectors,
  };
}

const EPILOGUE = /fn epilogue\(([^)]*)\)[^}]*\}/;

/** Whether a kernel declares the hook that `withEpilogue` fills. */
export function hasEpilogue(kernel: KernelSource): boolean {
  return EPILOGUE.test(kernel.code);
}

/**
 * The index in a row that a product of shape [groups, M, N] repeats, by the hook's own names; null for
 * any other operand. No size is in it, so that kernels are shared.
 */
function rowIndex(
  axes: ReturnType<typeof collapse>,
  { groups, m, n }: Dispatch<unknown>["uniforms"],
): string | null {
  const [column, row, item, ...more] = [...axes].reverse();
  if (column?.stride !== 1 || column.length !== n || more.length > 0) return null;
  const repeated = (row?.stride ?? 0) === 0;
  if (repeated && (item?.stride ?? 0) === 0) return groups === 1 ? "row + column" : "column";
  const ofItems = row?.length === m && item?.length === groups && item?.stride === n;
  return repeated && ofItems ? "row + column" : null;
}

/**
 * The kernel of a dispatch whose stored values go through a chain. `made` is the tensor that the kernel
 * computes (f32, of the chain's output shape); the chain's other inputs become bindings `e0`, `e1`.
 */
export function withEpilogue(
  { kernel, uniforms }: Pick<Dispatch<unknown>, "kernel" | "uniforms">,
  made: Tensor,
  chain: Chain,
): Pick<Dispatch<unknown>, "kernel" | "uniforms"> {
  const parameters = EPILOGUE.exec(kernel.code)?.[1] ?? "";
  const result = chain.steps[chain.steps.length - 1] as Tensor;
  const used = Math.max(
    -1,
    ...kernel.bindings.map((b) => b.binding),
    kernel.uniforms?.binding ?? -1,
  );
  const load = new Map<Tensor, string>([[made, "x"]]);
  const bindings = [...kernel.bindings];
  let declarations = "";
  const extra = chain.inputs.filter((t) => t !== made);
  // The hook of some kernels tells row and column.
  const byRow = /\bcolumn\b/.test(parameters);
  const whole =
    byRow && extra.length > 0 && extra.every((x) => size(x.shape) === size(result.shape));
  for (const [k, x] of extra.entries()) {
    const { dtype: type } = x;
    const binding = used + 1 + k;
    declarations += `@group(0) @binding(${binding}) var<storage, read> e${k}: array<${type}>;\n`;
    bindings.push({ name: `e${k}`, binding, access: "read", type: `array<${type}>` });
    const axes = collapse(x.shape, result.shape);
    const own = whole ? "row + column" : byRow ? rowIndex(axes, uniforms) : null;
    load.set(x, `e${k}[${own ?? indexExpression(axes, "i")}]`);
  }
  const body = chainBody(chain, load);
  // The kernel may have functions of the prelude's names.
  const own = (text: string): string =>
    text.replaceAll(/\b(is_nan|safe_\w+|infinity|not_a_number)\(/g, "epilogue_$1(");
  const text = `${declarations}alias T = f32;
alias B = bool;
alias U = u32;
alias I = i32;
${own(prelude(body.lines + body.result))}
fn epilogue(${parameters}) -> f32 {
${own(body.lines)}
  return ${own(body.result)};
}`;
  const ops = chain.steps.map((s) => s.node.op.name).filter((s) => s !== "fill");
  const filled = {
    ...kernel,
    name: `${kernel.name}+${ops.join("+")}`,
    code: kernel.code.replace(EPILOGUE, () => text),
    bindings,
  };
  return { kernel: filled, uniforms: whole ? { ...uniforms, whole: 1 } : uniforms };
}
