/** A storage binding of a shader, in group 0. */
export interface StorageBinding<B extends string = string> {
  readonly name: B;
  readonly binding: number;
  readonly access: "read" | "read_write";
  /** WGSL store type, such as `array<f32>` or `array<vec4<f32>>`. */
  readonly type: string;
}

/** The types that a field of a shader's uniform struct may have. */
export type UniformType = "u32" | "i32" | "f32" | "vec4<u32>" | "vec4<i32>" | "vec4<f32>";

/** Where each field of a shader's only uniform struct lies; offsets and size in bytes. */
export interface UniformLayout<U extends string = string> {
  readonly binding: number;
  readonly size: number;
  readonly fields: Readonly<Record<U, { readonly offset: number; readonly type: UniformType }>>;
}

/** Where the fields of a uniform struct lie: scalars at multiples of 4 bytes, vec4s of 16. */
export function layoutOf(
  members: readonly (readonly [name: string, type: UniformType])[],
): Omit<UniformLayout, "binding"> {
  let end = 0;
  const fields = members.map(([name, type]) => {
    const bytes = type.startsWith("vec4") ? 16 : 4;
    const offset = Math.ceil(end / bytes) * bytes;
    end = offset + bytes;
    return [name, { offset, type }] as const;
  });
  return { size: Math.ceil(end / 16) * 16, fields: Object.fromEntries(fields) };
}

/**
 * A shader file as reflected at build time: its text and the names it binds. `B`, `U` and `O` are
 * the literal names of storage bindings, uniform fields and overrides, so that a wrong name is a
 * type error at the dispatch that uses it.
 */
export interface KernelSource<
  B extends string = string,
  U extends string = string,
  O extends string = string,
> {
  /** File name without `.wgsl`. */
  readonly name: string;
  readonly code: string;
  readonly entryPoint: string;
  /** Storage bindings in the order of their numbers. */
  readonly bindings: readonly StorageBinding<B>[];
  readonly uniforms: UniformLayout<U> | null;
  /** Default of each override; booleans as 0 or 1. */
  readonly overrides: Readonly<Record<O, number>>;
  /** Threads in x, y, z: a number, or the name of the override that sets it. */
  readonly workgroupSize: readonly (number | O)[];
}
