/** Which kernels are measured together, and under which heading of the table they stand. */

/** Whole steps and the pairs of the Wide ResNet, which take minutes, are left to the terminal. */
const REST = "(?!.*(?:training step|inference|wrn))";

/** A few of each kind: under a minute on a software adapter. */
const SHORT = [
  "matmul-naive M512 N512 K512",
  "matmul M512 N512 K512",
  "matmul M32 N1024 K256",
  "contraction tiles12 in64 out64 f3 d64",
  "contraction-gradient tiles12 in64 out64 f3 d64",
  "conv2d N32 C16 H14 W14 O16 f7",
  "conv2d-dx N32 C16 H14 W14 O16 f7",
  "conv2d-dk N32 C16 H14 W14 O16 f7",
  "lstm-cell B32 H256",
  "ln-hyper-lstm-cell B32 H256",
  "ln-hyper-lstm-cell-gradient B32 H256",
  "layer-norm B1024 H256",
  "softmax-cross-entropy B1024 V50",
  "batch-norm N32 C16 H32 W32",
  "max-pool N32 C16 H28 W28",
  "adam n13248",
  "add n65536",
];

/** A heading, and the beginnings or ends of names that stand under it. */
interface Family {
  readonly heading: string;
  readonly pattern: string;
}

const FAMILIES = {
  products: { heading: "Matrix products", pattern: "matmul" },
  generation: { heading: "Making kernels from z", pattern: "contraction" },
  convolutions: { heading: "Convolutions", pattern: "conv2d" },
  cells: { heading: "Recurrent cells", pattern: "hyper-scale|[a-z-]*-cell" },
  passes: {
    heading: "Passes over data",
    pattern: "(?!matmul|contraction|conv2d|hyper-scale|[a-z-]*-cell)",
  },
} as const satisfies Readonly<Record<string, Family>>;

/** The sets, the first by default: what the link calls it, and what the page does. */
export const SETS = {
  short: "a short list",
  products: "matrix products",
  generation: "making kernels",
  convolutions: "convolutions",
  cells: "recurrent cells",
  passes: "passes over data",
  all: "all",
} as const;
/** A set's name in the link. */
export type KernelSet = keyof typeof SETS;
/** The sets' names. */
export const SET_NAMES = Object.keys(SETS) as [KernelSet, ...KernelSet[]];

/** The names of a set's kernels as a regular expression, which `bench --filter` takes as well. */
export function patternOf(set: KernelSet): string {
  if (set === "short") return `^(?:${SHORT.join("|")})$`;
  return `^${REST}${set === "all" ? "" : `(?:${FAMILIES[set].pattern})`}`;
}

/** Names under their headings, in the order of the bench. */
export function underHeadings(names: readonly string[]): { heading: string; names: string[] }[] {
  return Object.values(FAMILIES)
    .map(({ heading, pattern }) => {
      const own = new RegExp(`^(?:${pattern})`);
      return { heading, names: names.filter((name) => own.test(name)) };
    })
    .filter(({ names: found }) => found.length > 0);
}
