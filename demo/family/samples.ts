/** What a step learns from: random flowers, and random points of each. */
import { CONDITION, conditionOf, type Flower, flowerAt, flowerOf } from "./flowers";
import type { Sizes } from "./network";

/** Random numbers from 0 to 1, the same for the same start: a counter that is hashed. */
export function random(start: number): () => number {
  let counter = start >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let x = counter ^ (counter >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** The random numbers of a step: other ones for every seed and step, whatever came before. */
function randomOf(seed: number, step: number): () => number {
  return random(Math.floor(random(seed)() * 2 ** 32) + Math.imul(step + 1, 0x85ebca6b));
}

/** Inputs of a training step. */
export interface Batch {
  /** Conditions, each with its points behind it: [B, 3 + 2P]. */
  readonly x: Float32Array<ArrayBuffer>;
  /** The flowers at the points: [B, P]. */
  readonly target: Float32Array<ArrayBuffer>;
}

/** The batch of a step, which follows from seed and step alone, so that a run can go on. */
export function batchAt({ batch, points }: Sizes, seed: number, step: number): Batch {
  const next = randomOf(seed, step);
  const side = (): number => 2 * next() - 1;
  const length = CONDITION.length + 2 * points;
  const x = new Float32Array(batch * length);
  const target = new Float32Array(batch * points);
  for (let b = 0; b < batch; b++) {
    const row = x.subarray(b * length, (b + 1) * length);
    for (let k = 0; k < length; k++) row[k] = side();
    const flower = flowerOf(row);
    for (let p = 0; p < points; p++) {
      const at = CONDITION.length + 2 * p;
      target[b * points + p] = flowerAt(flower, row[at] as number, row[at + 1] as number);
    }
  }
  return { x, target };
}

/** Conditions of a square grid, [side², 3]: petals from left to right, depth from top to bottom. */
export function gridConditions(side: number, turn: number): Float32Array<ArrayBuffer> {
  const all = new Float32Array(side * side * CONDITION.length);
  const place = (k: number): number => (2 * k) / (side - 1) - 1;
  const [, , third = 0] = conditionOf({ petals: 0, depth: 0, turn } satisfies Flower);
  for (let k = 0; k < side * side; k++) {
    all.set([place(k % side), place(Math.floor(k / side)), third], k * CONDITION.length);
  }
  return all;
}

/** Conditions at random, [count, 3], of a run's own test. */
export function testConditions(count: number, seed: number): Float32Array<ArrayBuffer> {
  // No step has this number.
  const next = randomOf(seed, -2);
  return Float32Array.from({ length: count * CONDITION.length }, () => 2 * next() - 1);
}
