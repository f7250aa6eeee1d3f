import { fold, key, uniform } from "../src/graph/random";
import type { Tensor } from "../src/graph/node";
import { type Shape, size } from "../src/graph/shape";
import { dtypeOf, type HostArray, placeholder } from "../src/ops/sources";

/** What a kernel has to do. */
export interface Work {
  /** Floating-point operations of the mathematics; 0 where they are not what counts. */
  readonly flops: number;
  /** Bytes that must be moved at least: each input read once, each output written once. */
  readonly bytes: number;
  /** What there is to say of it. */
  readonly note?: string;
}

/** One op at one shape, as the bench runs it. */
export interface KernelCase extends Work {
  /** A graph of this one op. */
  readonly outputs: readonly [Tensor, ...Tensor[]];
  /** Values of the placeholders by name, drawn when they are first asked for. */
  readonly inputs: () => Readonly<Record<string, HostArray>>;
  /** The ops whose dispatches are timed, where others have to run before; default: all. */
  readonly timed?: readonly string[];
  /** Compares values of the outputs with f64; says what is wrong, or null. */
  readonly wrong: (got: readonly HostArray[]) => string | null;
}

/** A case by name, its data not made yet. */
export interface NamedCase {
  readonly name: string;
  /** The case of the same run that its rate is compared with. */
  readonly against?: string;
  readonly make: () => KernelCase;
}

/** Makes a case of the sizes that `--shape` gives. */
export type Make = (...shape: number[]) => KernelCase;

/** Kernels by name, each with the meaning of its sizes. */
export type KernelTable = Readonly<
  Record<string, { readonly axes: readonly string[]; readonly make: Make }>
>;

/** The axes of images. */
export const image: readonly string[] = ["N", "C", "H", "W"];

/** Reads a tensor by its indices; 0 outside of it. */
export type Reader = (...index: readonly number[]) => number;

/** Numbers uniform in [low, high), the same for a name. */
export function drawn(name: string, shape: Shape, low = -1, high = 1): Float32Array<ArrayBuffer> {
  const draws = uniform(fold(key(1), name), size(shape));
  return Float32Array.from(draws, (u) => low + (high - low) * u);
}

/** Whole numbers below `limit`. */
export function drawnBelow(limit: number, name: string, shape: Shape): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(uniform(fold(key(1), name), size(shape)), (u) => Math.floor(u * limit));
}

/** Placeholders with values, and readers of them. */
export class Inputs {
  readonly #values = new Map<string, () => HostArray>();
  bytes = 0;

  /** All values by name. */
  readonly values = (): Record<string, HostArray> =>
    Object.fromEntries([...this.#values].map(([name, values]) => [name, values()]));

  /** A tensor of the values given, by default uniform in [-1, 1). */
  tensor(name: string, shape: Shape, given?: HostArray): [Tensor, Reader] {
    let made = given;
    const values = (): HostArray => {
      made ??= drawn(name, shape);
      return made;
    };
    this.#values.set(name, values);
    this.bytes += 4 * size(shape);
    const reader: Reader = (...index) => {
      let at = 0;
      for (const [axis, i] of index.entries()) {
        const length = shape[axis] as number;
        if (i < 0 || i >= length) return 0;
        at = at * length + i;
      }
      return values()[at] as number;
    };
    return [placeholder(name, shape, given ? dtypeOf(given) : "f32"), reader];
  }

  /**
   * The case with these inputs. `expected` takes the indices of an element of the first output, and
   * gives the terms in f64 whose sum it is.
   */
  case(
    outputs: KernelCase["outputs"],
    flops: number,
    expected: (...index: number[]) => readonly number[],
  ): KernelCase {
    const bytes = outputs.reduce((n, y) => n + 4 * size(y.shape), this.bytes);
    const terms = (i: number) => expected(...unravel(i, outputs[0].shape));
    const wrong = ([got]: readonly HostArray[]) => wrongSum(got as HostArray, terms);
    return { outputs, inputs: this.values, flops, bytes, wrong };
  }
}

/** The indices of element `i`. */
export function unravel(i: number, shape: Shape): number[] {
  const index: number[] = [];
  let rest = i;
  for (const length of [...shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index;
}

/** A term for every combination of indices below `counts`. */
export function terms(counts: Shape, term: Reader): number[] {
  return Array.from({ length: size(counts) }, (_, i) => term(...unravel(i, counts)));
}

// Each of these is a sum of up to some 10⁵ terms in f64.
const SAMPLES = 64;
// Errors of f32 sums grow like 6e-8 · sqrt(terms), software adapters' log is good to 2e-5; a wrong
// index is of the size of a term.
const TOLERANCE = 3e-5;

/** Compares the first, the last and 64 random elements with f64; returns what is wrong, or null. */
function wrongSum(got: HostArray, expected: (i: number) => readonly number[]): string | null {
  const picks = Array.from(uniform(key(3), SAMPLES), (u) => Math.floor(u * got.length));
  for (const i of [0, got.length - 1, ...picks]) {
    const sums = expected(i);
    const value = sums.reduce((s, x) => s + x, 0);
    const allowed = TOLERANCE * sums.reduce((s, x) => s + Math.abs(x), 0);
    if (!(Math.abs((got[i] as number) - value) <= allowed)) {
      return `element ${i} is ${got[i]}, expected ${value} within ${allowed.toPrecision(2)}`;
    }
  }
  return null;
}
