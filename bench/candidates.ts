import type { Target, Variant } from "../src/gpu/dispatch";
import { kernelCase } from "./kernels";
import type { NamedCase } from "./kernel-case";

/** Shapes of one class, and the kernels that may be chosen for it. */
export interface TuningClass {
  readonly op: string;
  readonly shape: string;
  readonly cases: readonly NamedCase[];
  /** Besides the choice of the library's own table. */
  readonly candidates: readonly Variant[];
}

type Adapter = Target["adapter"];
type Overrides = NonNullable<Variant["overrides"]>;

/** Blocks up to each size, from which each shape takes what fits it. */
const UP_TO: readonly (readonly number[])[] = [[4], [4, 8], [4, 8, 16]];
const blocks = (more: Overrides = {}): Overrides[] =>
  UP_TO.flatMap((ROWS) => UP_TO.map((COLS) => ({ ROWS, COLS, ...more })));

/** Kernels and overrides by op, and by class of adapter where both would only cost time. */
function choices(
  adapter: Adapter,
): Readonly<Record<string, readonly (readonly [string, Overrides])[]>> {
  const lanes = adapter === "software" ? [8] : [32, 64, 128];
  const tiles = [
    { ROWS: 2, COLUMNS: 8, DEPTH: 1 },
    { ROWS: 2, COLUMNS: 4, DEPTH: 2 },
    { ROWS: 2, COLUMNS: 8, DEPTH: 2 },
    { ROWS: 1, COLUMNS: 8, DEPTH: 2 },
  ];
  return {
    matmul: [
      ...blocks().map((overrides) => ["register", overrides] as const),
      ...blocks().map((overrides) => ["quad", overrides] as const),
      ["tile", { THREADS: 8 }],
      ["tile", { THREADS: 16 }],
      ["small", {}],
      ["small", { ROWS: 2, COLS: 4 }],
      ["small", { ROWS: 1, COLS: 1 }],
      ["small", { LANES_N: 16, LANES_K: 4 }],
      ["small", { LANES_N: 32, LANES_K: 8 }],
    ],
    conv2d: [
      ...tiles.map((overrides) => ["direct", overrides] as const),
      ...tiles.map((overrides) => ["quad", overrides] as const),
      ["tile", { THREADS_M: 4, THREADS_N: 16 }],
      ["tile", { THREADS_M: 4, THREADS_N: 32 }],
      ["tile", { THREADS_M: 8, THREADS_N: 16 }],
      ["tile", { THREADS_M: 8, THREADS_N: 32 }],
      ["tile", { THREADS_M: 16, THREADS_N: 16 }],
    ],
    contraction: [
      ...lanes.flatMap((LANES) =>
        blocks({ LANES }).map((overrides) => ["block", overrides] as const),
      ),
      ...blocks().map((overrides) => ["quad", overrides] as const),
      ...lanes.map((LANES) => ["single", { LANES }] as const),
    ],
  };
}

const convolutions = (...shape: number[]): [string, number[]][] =>
  ["conv2d", "conv2d-dx", "conv2d-dk"].map((op) => [op, shape]);

/** Shapes of the library's models for each class; "" for both classes of adapter. */
const SHAPES: Readonly<
  Record<
    string,
    Readonly<Record<string, Readonly<Partial<Record<Adapter | "", readonly [string, number[]][]>>>>>
  >
> = {
  matmul: {
    huge: {
      software: [["matmul", [512, 512, 512]]],
      gpu: [
        ["matmul", [1024, 1024, 1024]],
        ["matmul", [4096, 4096, 4096]],
      ],
    },
    large: {
      software: [
        ["matmul", [32, 1024, 256]],
        ["matmul-at", [256, 1024, 128]],
      ],
      gpu: [
        ["matmul", [512, 512, 512]],
        ["matmul", [32, 1024, 256]],
      ],
    },
    vectors: {
      software: [
        ["matmul-batched", [12, 32, 16, 64]],
        ["matmul", [32, 256, 64]],
      ],
    },
    thin: { "": [["matmul", [32, 10, 784]]] },
  },
  conv2d: {
    few: { "": convolutions(32, 16, 16, 16, 16, 3) },
    some: { "": convolutions(32, 32, 16, 16, 32, 3) },
    many: { "": convolutions(32, 64, 8, 8, 64, 3) },
  },
  contraction: {
    wide: { "": [["contraction", [12, 64, 64, 3, 64]]] },
    narrow: { "": [["contraction", [4, 16, 16, 3, 64]]] },
    tiny: { "": [["contraction", [1, 16, 16, 7, 4]]] },
    gradient: {
      "": [
        ["contraction-gradient", [12, 64, 64, 3, 64]],
        ["contraction-gradient", [4, 16, 16, 3, 64]],
      ],
    },
    "tiny-gradient": { "": [["contraction-gradient", [1, 16, 16, 7, 4]]] },
  },
};

/** All that there is to be tuned for a class of adapter, and of these what `pattern` matches. */
export function tuningClasses(adapter: Adapter, pattern = /(?:)/): TuningClass[] {
  const kernels = choices(adapter);
  return Object.entries(SHAPES).flatMap(([op, classes]) =>
    Object.entries(classes).flatMap(([shape, byAdapter]) => {
      const shapes = byAdapter[adapter] ?? byAdapter[""];
      if (!shapes || !pattern.test(`${op} ${shape}`)) return [];
      const candidates = (kernels[op] ?? []).map(([kernel, overrides]) => ({
        op,
        adapter,
        shape,
        kernel,
        overrides,
      }));
      return [
        { op, shape, cases: shapes.map(([name, sizes]) => kernelCase(name, sizes)), candidates },
      ];
    }),
  );
}
