/** Rows and columns, in this order. */
export type Pair = readonly [number, number];

/** All sizes of one convolution y = x ∗ kernel, whichever of the three tensors is to be made. */
export interface ConvGeometry {
  readonly samples: number;
  readonly channelsIn: number;
  readonly channelsOut: number;
  /** Of x. */
  readonly image: Pair;
  /** Of y. */
  readonly result: Pair;
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Zeros above and to the left. */
  readonly pad: Pair;
  /** Whether each sample has a kernel of its own. */
  readonly perSample: boolean;
}

/** A pair by axis: 0 for rows, 1 for columns. */
export const pairs = (f: (axis: 0 | 1) => number): Pair => [f(0), f(1)];

/** Rows times columns. */
export const area = ([h, w]: Pair): number => h * w;

/** Elements of one kernel. */
export function kernelElements(g: ConvGeometry): number {
  return g.channelsOut * g.channelsIn * area(g.kernel);
}

/** Floating-point operations of y, of dx and of dkernel alike, borders counted in full. */
export function flopsOf(g: ConvGeometry): number {
  return 2 * g.samples * area(g.result) * kernelElements(g);
}
