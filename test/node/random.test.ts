import { expect, test } from "vitest";
import {
  cos,
  fold,
  type Key,
  key,
  log,
  normal,
  permutation,
  philox,
  sin,
  uniform,
  uniform53,
  WordStream,
  words,
} from "../../src/graph/random";

const hex = (w: Uint32Array) => [...w].map((x) => x.toString(16).padStart(8, "0")).join(" ");

test("philox gives the published known answers", () => {
  const out = new Uint32Array(4);
  const ones = 0xffffffff;
  philox([0, 0], [0, 0, 0, 0], out);
  expect(hex(out)).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  philox([ones, ones], [ones, ones, ones, ones], out);
  expect(hex(out)).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
  // The digits of pi, the third vector of the authors' test set.
  philox([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], out);
  expect(hex(out)).toBe("d16cfe09 94fdcceb 5001e420 24126ea1");
});

test("words count blocks in 64 bits and agree with the stream", () => {
  const k = key(7);
  const all = words(k, [0, 0], 23);
  expect(hex(words(k, [2, 0], 9))).toBe(hex(all.subarray(8, 17)));
  const stream = new WordStream(k);
  expect(hex(Uint32Array.from({ length: 23 }, () => stream.word()))).toBe(hex(all));
  const carried = words(k, [0xffffffff, 4], 8);
  expect(hex(carried.subarray(4))).toBe(hex(words(k, [0, 5], 4)));
});

test("a fold is a new key for each number and name, and never the key's own words", () => {
  const k = key(1);
  const names = ["", "a", "b", "a\0", "conv1/kernel", "conv1/kernel/", "conv2/kernel", "é", 0, 1];
  const keys = [...names, 2 ** 32, 2 ** 53 - 1].map((n) => fold(k, n).join());
  keys.push(hex(words(k, [0, 0], 2)), k.join(), fold(fold(k, "a"), "b").join());
  expect(new Set(keys).size).toBe(keys.length);
  expect(fold(k, "conv1/kernel")).toEqual(fold(k, "conv1/kernel"));
  expect(key(2 ** 32 + 5)).toEqual([5, 1]);
  for (const bad of [-1, 0.5, 2 ** 53, Number.NaN]) {
    expect(() => key(bad)).toThrow(RangeError);
    expect(() => fold(k, bad)).toThrow(RangeError);
  }
});

test("log, sin and cos are Math's to 1e-14, relative", () => {
  const u = uniform(key(3), 20000);
  const wrong: [number, number][] = [];
  const close = (mine: number, theirs: number) => {
    if (!(Math.abs(mine - theirs) <= 1e-14 * Math.abs(theirs))) wrong.push([mine, theirs]);
  };
  for (const v of u) {
    close(log(1 - v), Math.log(1 - v));
    close(log(1 + v * 1e-6), Math.log(1 + v * 1e-6));
    close(log(10 ** (600 * v - 300)), Math.log(10 ** (600 * v - 300)));
    for (const x of [7 * v, -7 * v, 1e4 * (v - 0.5)]) {
      close(sin(x), Math.sin(x));
      close(cos(x), Math.cos(x));
    }
  }
  for (let q = -9; q < 9; q++) {
    close(sin((q * Math.PI) / 2), Math.sin((q * Math.PI) / 2));
    close(cos((q * Math.PI) / 2), Math.cos((q * Math.PI) / 2));
  }
  close(log(Number.MIN_VALUE), Math.log(Number.MIN_VALUE));
  expect(wrong).toEqual([]);
  expect(log(1)).toBe(0);
  for (const bad of [0, -1, Infinity, Number.NaN]) expect(() => log(bad)).toThrow(RangeError);
  for (const bad of [2e6, Infinity, Number.NaN]) expect(() => sin(bad)).toThrow(RangeError);
});

test("uniform and normal have their moments, keep their prefix and their exact values", () => {
  const n = 200000;
  const u = uniform(key(5), n);
  const z = normal(key(6), n + 1, 2);
  const mean = (x: ArrayLike<number>, power: number) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += (x[i] as number) ** power;
    return sum / x.length;
  };
  // Five standard errors each.
  expect(Math.abs(mean(u, 1) - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
  expect(Math.abs(mean(u, 2) - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / n));
  expect(Math.abs(mean(z, 1) / 2)).toBeLessThan(5 / Math.sqrt(n));
  expect(Math.abs(mean(z, 2) / 4 - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
  expect(Math.abs(mean(z, 3) / 8)).toBeLessThan(5 * Math.sqrt(15 / n));
  expect(Math.abs(mean(z, 4) / 16 - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
  expect(normal(key(6), 7, 2)).toEqual(z.slice(0, 7));
  expect(uniform53(0, 0)).toBe(0);
  expect(uniform53(0xffffffff, 0xffffffff)).toBe(1 - 2 ** -53);
  // Neighbouring keys are not correlated.
  const other = normal(fold(key(6), 1), n + 1);
  let dot = 0;
  for (let i = 0; i < n; i++) dot += (z[i] as number) * (other[i] as number);
  expect(Math.abs(dot / 2 / n)).toBeLessThan(5 / Math.sqrt(n));
});

test("permutations and integers are uniform", () => {
  const orders = new Map<string, number>();
  const trials = 24000;
  for (let i = 0; i < trials; i++) {
    const order = permutation(fold(key(8), i), 4).join("");
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  expect(orders.size).toBe(24);
  let chi2 = 0;
  for (const count of orders.values()) chi2 += (count - trials / 24) ** 2 / (trials / 24);
  expect(chi2).toBeLessThan(64); // 23 degrees of freedom: p < 1e-5
  expect([...permutation(key(9), 1000)].sort((a, b) => a - b)).toEqual(
    Array.from({ length: 1000 }, (_, i) => i),
  );
  // A bound of 3 * 2^30: `word % bound` alone would put half of all draws below 2^30.
  let low = 0;
  const first = (from: Key, bound: number) => new WordStream(from).below(bound);
  for (let i = 0; i < 4000; i++) if (first([i, 1], 3 * 2 ** 30) < 2 ** 30) low++;
  expect(low).toBeGreaterThan(1200);
  expect(low).toBeLessThan(1467);
  expect(first(key(0), 1)).toBe(0);
  expect(first(key(0), 2 ** 32)).toBe(0x6627e8d5);
  for (const bad of [0, -1, 1.5, 2 ** 33]) expect(() => first(key(0), bad)).toThrow(RangeError);
});
