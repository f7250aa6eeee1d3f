import { basename } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { ShaderSpec } from "../../bench/user-shader";
import { kernelSource } from "../gpu/wgsl-text";
import { UsageError } from "./errors";
import { fileText } from "./file-text";
import { positiveNumber } from "./options";

/** Flags of `bench --wgsl`. */
export interface ShaderFlags {
  readonly wgsl?: string;
  readonly bind?: Readonly<Record<string, number>>;
  readonly set?: Readonly<Record<string, readonly number[]>>;
  readonly grid?: readonly number[];
  readonly flops?: number;
  readonly entry?: string;
}

/** Adds the flags of `bench --wgsl`. */
export function addShaderFlags(command: Command): Command {
  return command
    .option("--wgsl <file>", "a shader of your own, bindings in group 0")
    .option("--entry <name>", "of --wgsl: which of several @compute functions")
    .option("--bind <name=bytes>", "of --wgsl: size of a storage binding (default: 4 MiB)", bind)
    .option(
      "--set <name=value>",
      "of --wgsl: an override, or a field of the uniform struct (a vec4: a,b,c,d)",
      set,
    )
    .option(
      "--grid <x,y,z>",
      "of --wgsl: workgroups (default: an invocation for every 4 bytes of the largest binding)",
      grid,
    )
    .option("--flops <n>", "of --wgsl: floating-point operations of one run", positiveNumber);
}

const assignment = (text: string, form: string): [string, string] => {
  const found = /^(\w+)=(\S+)$/.exec(text);
  if (!found) throw new InvalidArgumentError(`Give ${form}.`);
  return [found[1] as string, found[2] as string];
};

function bind(text: string, before: Readonly<Record<string, number>> = {}) {
  const [name, size] = assignment(text, "a name and bytes, such as x=1048576");
  if (!/^\d+$/.test(size)) throw new InvalidArgumentError("Give bytes, such as x=1048576.");
  return { ...before, [name]: Number(size) };
}

function set(text: string, before: Readonly<Record<string, readonly number[]>> = {}) {
  const [name, values] = assignment(text, "a name and a value, such as n=1024");
  const numbers = values.split(",").map(Number);
  if (!numbers.every(Number.isFinite)) throw new InvalidArgumentError("Give numbers.");
  return { ...before, [name]: numbers };
}

function grid(text: string): number[] {
  const sizes = text.split(",").map(Number);
  if (sizes.length > 3 || !sizes.every((n) => Number.isSafeInteger(n) && n > 0))
    throw new InvalidArgumentError("Give up to three whole numbers from 1, such as 1024,1,1.");
  return [...sizes, 1, 1].slice(0, 3);
}

/**
 * The shader that the flags name; undefined where they name none.
 * @throws UsageError where there is no such file, a flag has no shader to belong to, or
 *   a declaration of it cannot be.
 */
export function shaderSpec(flags: ShaderFlags): ShaderSpec | undefined {
  const { wgsl: file, bind: bytes = {}, set: values = {}, grid: sizes, flops = 0 } = flags;
  const { entry: entryPoint } = flags;
  if (file === undefined) {
    const alone = (["bind", "set", "grid", "flops", "entry"] as const).find((name) => flags[name]);
    if (alone) throw new UsageError(`--${alone} belongs to --wgsl FILE`);
    return undefined;
  }
  const code = fileText("--wgsl", file);
  const name = basename(file, ".wgsl");
  let kernel: ShaderSpec["kernel"];
  try {
    kernel = kernelSource(code, { name, ...(entryPoint && { entryPoint }) });
  } catch (error) {
    const reason = (error as Error).message.replace(/^hyperloom: /, "");
    throw new UsageError(reason.replace("name one as entryPoint", "name one with --entry"));
  }
  return {
    file,
    kernel,
    bytes,
    values,
    flops,
    ...(sizes && { grid: sizes as unknown as NonNullable<ShaderSpec["grid"]> }),
  };
}
