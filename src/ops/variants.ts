import { VariantError } from "../gpu/errors";
import type { Target, Variant } from "../gpu/dispatch";

/** What `Variant` says, with the measurement behind it. */
export interface MeasuredVariant extends Variant {
  readonly adapter: Target["adapter"];
  readonly measured: string;
}

/**
 * The choice of a heavy kernel as data: the first row for an adapter's class and a shape's class
 * names file and overrides. Rows that the caller gave with the device come before these.
 */
export interface VariantTable {
  readonly op: keyof typeof VARIANT_KERNELS;
  readonly rows: readonly Omit<MeasuredVariant, "op">[];
}

/** What a row chose: allowed values of each override, ascending; all that the kernel has where it names none. */
export interface Choice<K extends string> {
  readonly kernel: K;
  readonly overrides: Readonly<Record<string, readonly number[]>>;
  /** Whether a row named values of this override. */
  readonly names: (override: string) => boolean;
}

/**
 * The ops with variants, their classes of shapes, and each kernel's overrides with the values that
 * they may have.
 */
export const VARIANT_KERNELS = {
  matmul: {
    shapes: ["huge", "large", "vectors", "thin"],
    kernels: {
      register: { ROWS: [4, 8, 16], COLS: [4, 8, 16] },
      quad: { ROWS: [4, 8, 16], COLS: [4, 8, 16] },
      tile: { THREADS: [8, 16] },
      small: { ROWS: [1, 2, 3, 4], COLS: [1, 2, 3, 4], LANES_N: powers(64), LANES_K: powers(64) },
    },
  },
  conv2d: {
    shapes: ["few", "some", "many"],
    kernels: {
      direct: { ROWS: [1, 2, 3], COLUMNS: [4, 8], DEPTH: [1, 2] },
      quad: { ROWS: [1, 2, 3], COLUMNS: [4, 8], DEPTH: [1, 2] },
      tile: { THREADS_M: [4, 8, 16], THREADS_N: [16, 32] },
    },
  },
  contraction: {
    shapes: ["wide", "narrow", "tiny", "gradient", "tiny-gradient"],
    kernels: {
      single: { LANES: powers(256) },
      block: { ROWS: [4, 8, 16], COLS: [4, 8, 16], LANES: powers(256) },
      quad: { ROWS: [4, 8, 16], COLS: [4, 8, 16] },
    },
  },
} as const;

/** Kernels that need a feature of the device. */
const FEATURES: Readonly<Record<string, GPUFeatureName>> = {
  "matmul quad": "subgroups",
  "contraction quad": "subgroups",
  "conv2d quad": "subgroups",
};

/** Threads of a workgroup are the product of two overrides: at most 256 on every device. */
const THREADS: Readonly<Record<string, readonly [string, string]>> = {
  "matmul small": ["LANES_N", "LANES_K"],
  "conv2d tile": ["THREADS_M", "THREADS_N"],
};
const MOST_THREADS = 256;

function powers(most: number): readonly number[] {
  return Array.from({ length: Math.log2(most) + 1 }, (_, k) => 2 ** k);
}

interface Description {
  readonly shapes: readonly string[];
  readonly kernels: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
}

const described: ReadonlyMap<string, Description> = new Map(Object.entries(VARIANT_KERNELS));

const list = (values: number | readonly number[]): readonly number[] => [values].flat();

function expectOne(what: string, given: string, known: Iterable<string>): void {
  const names = [...known];
  if (!names.includes(given)) {
    throw new VariantError(`${what} ${given} is not known; take one of ${names.join(", ")}`);
  }
}

function expectThreads(
  { op, kernel, overrides = {} }: Variant,
  ranges: Readonly<Record<string, readonly number[]>>,
): void {
  const factors = THREADS[`${op} ${kernel}`];
  if (!factors) return;
  // Lanes that are not named are fitted to those that are.
  const threads = factors.map((name) => {
    const values = overrides[name] ?? (name.startsWith("LANES") ? 1 : (ranges[name] ?? 1));
    return Math.max(...list(values));
  });
  expectWorkgroup(`${op}: kernel ${kernel}`, factors, threads);
}

/** @throws VariantError where a workgroup would be larger than every device allows. */
export function expectWorkgroup(
  kernel: string,
  factors: readonly string[],
  threads: readonly number[],
): void {
  const product = threads.reduce((a, b) => a * b);
  if (product > MOST_THREADS) {
    throw new VariantError(
      `${kernel}: ${factors.join(" · ")} is ${product}, at most ${MOST_THREADS} can be`,
    );
  }
}

/**
 * Checks rows that a caller gave.
 * @throws VariantError for an op, class, kernel, override or value that is not there, and for more
 * threads in a workgroup than every device has.
 */
export function checkVariants(rows: readonly Variant[]): void {
  for (const row of rows) {
    const { op, adapter, shape, kernel, overrides = {} } = row;
    expectOne("op", op, described.keys());
    const { shapes, kernels } = described.get(op) as Description;
    if (adapter !== undefined) expectOne(`${op}: adapter class`, adapter, ["software", "gpu"]);
    if (shape !== undefined) expectOne(`${op}: shape class`, shape, shapes);
    expectOne(`${op}: kernel`, kernel, Object.keys(kernels));
    const ranges = kernels[kernel] as Description["kernels"][string];
    for (const [name, values] of Object.entries(overrides)) {
      expectOne(`${op}: override of kernel ${kernel}`, name, Object.keys(ranges));
      const allowed = ranges[name] as readonly number[];
      const wrong = list(values).find((v) => !allowed.includes(v));
      if (wrong !== undefined || list(values).length === 0) {
        throw new VariantError(
          `${op}: kernel ${kernel}: override ${name} is ${JSON.stringify(wrong) ?? "empty"}, must be one of ${allowed.join(", ")}`,
        );
      }
    }
    expectThreads(row, ranges);
  }
}

/**
 * Kernel and overrides for a shape of class `shape`: the caller's first row that fits, else the
 * table's.
 * @throws VariantError where a row of the caller's is wrong, or needs a feature that the device lacks.
 */
export function pick<K extends string>(
  { op, rows }: VariantTable,
  shape: string,
  { adapter, features, variants = [] }: Pick<Target, "adapter" | "features" | "variants">,
): Choice<K> {
  checkVariants(variants);
  const lacking = ({ kernel }: Pick<Variant, "kernel">): GPUFeatureName | undefined => {
    const feature = FEATURES[`${op} ${kernel}`];
    return feature === undefined || features.has(feature) ? undefined : feature;
  };
  const fits = (v: Omit<Variant, "op">): boolean =>
    (v.adapter ?? adapter) === adapter && (v.shape ?? shape) === shape;
  const row =
    variants.find((v) => v.op === op && fits(v)) ?? rows.find((v) => fits(v) && !lacking(v));
  if (!row) throw new Error(`internal: ${op} has no variant for ${adapter} and ${shape}`);
  const { kernel, overrides = {} } = row;
  const feature = lacking(row);
  if (feature) {
    throw new VariantError(
      `${op}: kernel ${kernel} needs the feature ${feature}, which this device does not have`,
    );
  }
  const all = (described.get(op) as Description).kernels[kernel];
  const given = Object.entries(overrides).map(([name, values]) => [
    name,
    [...list(values)].sort((a, b) => a - b),
  ]);
  return {
    kernel: kernel as K,
    overrides: { ...all, ...Object.fromEntries(given) },
    names: (override) => override in overrides,
  };
}
