/**
 * Counter-based random numbers, equal bit for bit on every engine and on the GPU.
 *
 * Generator: Philox-4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. A block is four u32 words, a pure function of a key (k0, k1) and a counter
 * (c0, c1, c2, c3). Ten rounds, the key moved on by (0x9e3779b9, 0xbb67ae85) between rounds:
 *
 *   a = 0xd2511f53 * c0, b = 0xcd9e8d57 * c2   (64-bit products)
 *   (c0, c1, c2, c3) <- (hi(b) ^ c1 ^ k0, lo(b), hi(a) ^ c3 ^ k1, lo(a))
 *
 * Who uses which counters under one key:
 *   (lo, hi, 0, 0)           `words`: block number lo + 2^32 hi; holds words 4 block to 4 block + 3
 *   (lo, hi, 0, 1)           `fold` by the integer lo + 2^32 hi
 *   (bytes, bytes, n, 2)     `fold` by a name, 8 UTF-8 bytes at a time (little-endian, zeros at the
 *                            end), n = bytes of the whole name; each block under the last one's key
 * so the random numbers of a key and the keys made from it never meet.
 */

/** A generator's key (k0, k1): two u32, the identity of one independent stream of words. */
export type Key = readonly [number, number];

/** A 64-bit block number as (low u32, high u32). */
export type Counter = readonly [number, number];

const TWO32 = 4294967296;

/** The high u32 of a u32 product, by 16-bit halves in integers alone: no partial sum reaches 2^32. */
function high(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const mid = Math.imul(ah, bl) + (Math.imul(al, bl) >>> 16);
  const low = Math.imul(al, bh) + (mid & 0xffff);
  return (Math.imul(ah, bh) + (mid >>> 16) + (low >>> 16)) | 0;
}

/**
 * One Philox-4x32-10 block: writes four words to `out[at .. at + 3]`.
 * Known answers: key and counter all 0 give 6627e8d5 e169c58d bc57ac4c 9b00dbd8, all bits 1 give
 * 408f276d 41c83b0e a20bc7c6 6d5451fd.
 */
export function philox(
  [k0, k1]: Key,
  counter: readonly [number, number, number, number],
  out: Uint32Array,
  at = 0,
): void {
  let [c0, c1, c2, c3] = counter;
  for (let round = 0; round < 10; round++) {
    const c0Next = high(0xcd9e8d57, c2) ^ c1 ^ k0;
    const c2Next = high(0xd2511f53, c0) ^ c3 ^ k1;
    c1 = Math.imul(0xcd9e8d57, c2);
    c3 = Math.imul(0xd2511f53, c0);
    c0 = c0Next;
    c2 = c2Next;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}

function pair(value: number, what: string): [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`hyperloom: ${what} is ${value}; give an integer from 0 to 2^53 - 1`);
  }
  return [value >>> 0, Math.floor(value / TWO32)];
}

/**
 * The key of a seed: (seed mod 2^32, seed div 2^32).
 * @throws RangeError unless `seed` is an integer from 0 to 2^53 - 1.
 */
export function key(seed: number): Key {
  return pair(seed, "the seed");
}

/**
 * An independent key made from a key and an integer (0 to 2^53 - 1) or a name, such as a
 * parameter's path: the first two words of the block described at the top of this file.
 * @throws RangeError for an integer out of range.
 */
export function fold(from: Key, data: number | string): Key {
  const out = new Uint32Array(4);
  if (typeof data === "number") {
    const [lo, hi] = pair(data, "the number folded into a key");
    philox(from, [lo, hi, 0, 1], out);
    return [out[0] as number, out[1] as number];
  }
  const name = new TextEncoder().encode(data);
  const padded = new Uint8Array(Math.max(8, Math.ceil(name.length / 8) * 8));
  padded.set(name);
  const view = new DataView(padded.buffer);
  let folded = from;
  for (let at = 0; at < padded.length; at += 8) {
    philox(folded, [view.getUint32(at, true), view.getUint32(at + 4, true), name.length, 2], out);
    folded = [out[0] as number, out[1] as number];
  }
  return folded;
}

/**
 * The first `n` u32 words of a key from block `counter` on: word w is entry w mod 4 of
 * philox(key, (lo, hi, 0, 0)) with lo + 2^32 hi = counter + w div 4 (mod 2^64).
 */
export function words(from: Key, counter: Counter, n: number): Uint32Array {
  const out = new Uint32Array(Math.ceil(n / 4) * 4);
  let lo = counter[0] >>> 0;
  let hi = counter[1] >>> 0;
  for (let at = 0; at < n; at += 4) {
    philox(from, [lo, hi, 0, 0], out, at);
    lo = (lo + 1) >>> 0;
    if (lo === 0) hi = (hi + 1) >>> 0;
  }
  return out.subarray(0, n);
}

/** Two words as a multiple of 2^-53 in [0, 1): upper 27 bits of `a`, then upper 26 of `b`. */
export function uniform53(a: number, b: number): number {
  return ((a >>> 5) * 67108864 + (b >>> 6)) / 9007199254740992;
}

/** Reads the words of a key one after another, from word 0. */
export class WordStream {
  readonly #key: Key;
  readonly #block = new Uint32Array(4);
  #next = 0;

  constructor(from: Key) {
    this.#key = from;
  }

  /** The next u32 word. */
  word(): number {
    const entry = this.#next % 4;
    if (entry === 0) {
      const block = this.#next / 4;
      philox(this.#key, [block >>> 0, Math.floor(block / TWO32), 0, 0], this.#block);
    }
    this.#next++;
    return this.#block[entry] as number;
  }

  /** The next f64 in [a, b), from one word. */
  between(a: number, b: number): number {
    return a + ((b - a) * this.word()) / TWO32;
  }

  /**
   * The next integer in [0, bound), without bias: words at or above the largest multiple of
   * `bound` are passed over.
   * @throws RangeError unless `bound` is an integer from 1 to 2^32.
   */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > TWO32) {
      throw new RangeError(`hyperloom: a random integer below ${bound}; give 1 to 2^32`);
    }
    const limit = TWO32 - (TWO32 % bound);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % bound;
  }
}

/** `n` f64 in [0, 1); number i is made from words 2i and 2i + 1. */
export function uniform(from: Key, n: number): Float64Array {
  const w = words(from, [0, 0], 2 * n);
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++) out[i] = uniform53(w[2 * i] as number, w[2 * i + 1] as number);
  return out;
}

/**
 * `n` normal f64 of mean 0 and the given standard deviation (Box and Muller 1958): numbers 2b and
 * 2b + 1 are r cos(t) and r sin(t), r = sqrt(-2 log(1 - u)), t = 2 pi v, with u and v from block b.
 */
export function normal(from: Key, n: number, std = 1): Float64Array {
  const out = new Float64Array(n);
  const w = words(from, [0, 0], Math.ceil(n / 2) * 4);
  for (let i = 0; i < n; i += 2) {
    const u = uniform53(w[2 * i] as number, w[2 * i + 1] as number);
    const v = uniform53(w[2 * i + 2] as number, w[2 * i + 3] as number);
    const r = std * Math.sqrt(-2 * log(1 - u));
    const { q, rest } = quarters(2 * Math.PI * v);
    out[i] = r * shifted(rest, q + 1);
    if (i + 1 < n) out[i + 1] = r * shifted(rest, q);
  }
  return out;
}

/** A uniform permutation of 0 .. n - 1 (Fisher and Yates, from the end, unbiased integers). */
export function permutation(from: Key, n: number): Uint32Array {
  const stream = new WordStream(from);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = stream.below(i + 1);
    const swap = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swap;
  }
  return order;
}

// Math.log, Math.sin and Math.cos differ in the last bit between engines. These three use nothing
// but + - * / on f64, which IEEE 754 fixes, so that initial values and digits are equal everywhere.

/** ln 2 and pi / 2 cut into parts whose first ones have 33 bits: small multiples are exact. */
const LN2 = [0.6931471804855391, 7.440617110012397e-11] as const;
const HALF_PI = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21] as const;

/**
 * The natural logarithm of a positive finite x, to about 1e-16 relative: x = m 2^k with m in
 * [sqrt 1/2, sqrt 2), log m = 2 artanh((m - 1) / (m + 1)) by its series.
 */
export function log(x: number): number {
  if (!(x > 0 && x < Infinity)) {
    throw new RangeError(`hyperloom: log(${x}); give a positive finite number`);
  }
  let m = x;
  let k = 0;
  while (m < Math.SQRT1_2) {
    m *= 2;
    k--;
  }
  while (m >= Math.SQRT2) {
    m /= 2;
    k++;
  }
  const s = (m - 1) / (m + 1);
  const s2 = s * s;
  let tail = 0;
  for (let j = 23; j >= 3; j -= 2) tail = s2 * (tail + 1 / j);
  return k * LN2[0] + (2 * s + (2 * s * tail + k * LN2[1]));
}

/** Taylor series about 0, from the power `first` (0: cos, 1: sin) on, for |x| <= pi / 4. */
function series(x: number, first: 0 | 1): number {
  let sum = 0;
  for (let j = 18 + first; j > first; j -= 2) sum = (-x * x * (1 + sum)) / (j * (j - 1));
  return (first ? x : 1) * (1 + sum);
}

/** x as q pi / 2 and a rest of magnitude at most pi / 4. */
function quarters(x: number): { q: number; rest: number } {
  if (!(Math.abs(x) <= 1e6)) {
    throw new RangeError(`hyperloom: sin or cos of ${x}; give a number of magnitude at most 1e6`);
  }
  const q = Math.floor(x / (Math.PI / 2) + 0.5);
  return { q, rest: x - q * HALF_PI[0] - q * HALF_PI[1] - q * HALF_PI[2] };
}

/** sin(rest + q pi / 2). */
function shifted(rest: number, q: number): number {
  const turn = q & 3;
  const value = series(rest, turn % 2 === 0 ? 1 : 0);
  return turn < 2 ? value : -value;
}

/** sin x for |x| <= 1e6 (radians), to about 1e-16 relative to the result near its zeros too. */
export function sin(x: number): number {
  const { q, rest } = quarters(x);
  return shifted(rest, q);
}

/** cos x for |x| <= 1e6 (radians), as `sin`. */
export function cos(x: number): number {
  const { q, rest } = quarters(x);
  return shifted(rest, q + 1);
}
