import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { linear } from "../../src/ops/generate";
import { conv2d } from "../../src/ops/conv2d";
import { mul } from "../../src/ops/elementwise";
import { matmul } from "../../src/ops/matmul";
import { globalAveragePool, maxPool2d } from "../../src/ops/pool";
import { sum } from "../../src/ops/reduce";
import { placeholder } from "../../src/ops/sources";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { deviceAs, expectClose } from "./check-case";

// One adapter ends the loops of an invocation after 65,535 trips, all of them together: sizes at which
// nested loops, or one after another, once came to more.

const draw = (seed: number, n: number): Float32Array =>
  Float32Array.from(uniform(key(seed), n), (x) => 2 * x - 0.5);

for (const adapter of ["software", "gpu"] as const) {
  describe(`nested loops of the kernels for ${adapter} adapters`, () => {
    test("a sum over 1,024 items of products over 512 terms", async () => {
      const device = await deviceAs(adapter);
      const [items, M, K, N] = [1024, 32, 2, 512] as const;
      // dw[m, k] = sum over items and n of dy[item, m, n] x[item, k, n].
      const w = placeholder("w", [M, K]);
      const x = placeholder("x", [items, K, N]);
      const cot = placeholder("cot", [M, 1]);
      const [dw] = gradient(sum(mul(matmul(w, x), cot)), [w]);
      const run = await compile(device, { inputs: { x, cot }, outputs: { dw: dw as Tensor } });
      const X = draw(1, items * K * N);
      const C = draw(2, M);
      const got = await run.run({ x: X, cot: C });
      run.dispose();
      const rows = [0, 0];
      for (const [i, v] of X.entries())
        rows[Math.floor(i / N) % K] = (rows[Math.floor(i / N) % K] ?? 0) + v;
      const want = Float64Array.from({ length: M * K }, (_, i) => {
        return (C[Math.floor(i / K)] ?? 0) * (rows[i % K] ?? 0);
      });
      expectClose(got.dw as Float32Array, want, 1e-5, "dw");
    });

    for (const inner of [1, 2, 3]) {
      test(`sums of 16,384 runs of ${inner}`, async () => {
        const device = await deviceAs(adapter);
        const [runs, outputs] = [16_384, 16] as const;
        const x = placeholder("x", [runs, outputs, inner]);
        const run = await compile(device, { inputs: { x }, outputs: { y: sum(x, [0, 2]) } });
        const X = draw(11, runs * outputs * inner);
        const got = await run.run({ x: X });
        run.dispose();
        const want = new Float64Array(outputs);
        for (const [i, v] of X.entries()) {
          const o = Math.floor(i / inner) % outputs;
          want[o] = (want[o] ?? 0) + v;
        }
        expectClose(got.y as Float32Array, want, 1e-5, "y");
      });
    }

    test("convolution of 6,000 channels, and its input gradient for as many", async () => {
      const device = await deviceAs(adapter);
      const [C, f] = [6000, 3] as const;
      const x = placeholder("x", [1, C, f, f]);
      const k = placeholder("k", [2, C, f, f]);
      const back = placeholder("back", [C, 2, f, f]);
      const y = conv2d(x, k);
      const z = placeholder("z", [1, 2, f, f]);
      const [dz] = gradient(sum(conv2d(z, back)), [z]);
      const run = await compile(
        device,
        { inputs: { x, k, back }, outputs: { y, dz: dz as Tensor } },
        { poison: true },
      );
      const X = draw(3, C * 9);
      const K = draw(4, 2 * C * 9);
      const B = draw(5, C * 18);
      const got = await run.run({ x: X, k: K, back: B });
      run.dispose();
      const want = [0, 1].map((o) => X.reduce((s, v, i) => s + v * (K[o * C * 9 + i] ?? 0), 0));
      expectClose(got.y as Float32Array, want, 1e-5, "y");
      const dwant = new Float64Array(18);
      for (const [i, v] of B.entries()) dwant[i % 18] = (dwant[i % 18] ?? 0) + v;
      expectClose(got.dz as Float32Array, dwant, 1e-5, "dz");
    });

    test("convolution of a row of 140,000 pixels", async () => {
      const device = await deviceAs(adapter);
      // Three rows, since kernels of 3 × 3 are compiled for other tests.
      const W = 140_000;
      const x = placeholder("x", [1, 1, 3, W]);
      const k = placeholder("k", [1, 1, 3, 3]);
      const y = conv2d(x, k);
      const [dk] = gradient(sum(y), [k]);
      const run = await compile(device, { inputs: { x, k }, outputs: { y, dk: dk as Tensor } });
      const X = draw(6, 3 * W);
      const K = Float32Array.of(1, -2, 0.5, 3, -1, 2, -0.5, 1, -3);
      const got = await run.run({ x: X, k: K });
      run.dispose();
      const taps = Array.from(K, (value, t) => ({ value, at: Math.floor(t / 3) * W + (t % 3) }));
      const want = Float64Array.from({ length: W - 2 }, (_, i) =>
        taps.reduce((sum, { value, at }) => sum + value * (X[at + i] ?? 0), 0),
      );
      expectClose(got.y as Float32Array, want, 1e-6, "y");
      const sums = taps.map(({ at }) => X.subarray(at, at + W - 2).reduce((t, v) => t + v, 0));
      expectClose(got.dk as Float32Array, sums, 1e-5, "dk");
    });

    test("global average of 300 × 300 and its gradient", async () => {
      const device = await deviceAs(adapter);
      const x = placeholder("x", [2, 1, 300, 300]);
      const weight = placeholder("weight", [2, 1]);
      const y = globalAveragePool(x);
      const [dx] = gradient(sum(mul(y, weight)), [x]);
      const run = await compile(device, {
        inputs: { x, weight },
        outputs: { y, dx: dx as Tensor },
      });
      const X = draw(7, 180_000);
      const got = await run.run({ x: X, weight: Float32Array.of(1, -3) });
      run.dispose();
      const want = [0, 1].map(
        (n) => X.subarray(n * 90_000, (n + 1) * 90_000).reduce((s, v) => s + v, 0) / 90_000,
      );
      expectClose(got.y as Float32Array, want, 1e-5, "y");
      const d = Float64Array.from(X, (_, i) => (i < 90_000 ? 1 : -3) / 90_000);
      expectClose(got.dx as Float32Array, d, 1e-6, "dx");
    });

    test("maximum of windows of 17 × 16 at every pixel, ties and NaN included", async () => {
      const device = await deviceAs(adapter);
      const [H, W, h, w] = [37, 41, 17, 16] as const;
      const x = placeholder("x", [1, 1, H, W]);
      const y = maxPool2d(x, { size: [h, w], stride: 1 });
      const [dx] = gradient(sum(y), [x]);
      const run = await compile(device, { inputs: { x }, outputs: { y, dx: dx as Tensor } });
      // Tenths, so that many are equal, and a NaN that the windows of one corner see.
      const X = draw(8, H * W).map((v) => Math.round(10 * v));
      X[2 * W + 3] = Number.NaN;
      const got = await run.run({ x: X });
      run.dispose();
      const want = new Float64Array((H - h + 1) * (W - w + 1));
      const dwant = new Float64Array(H * W);
      for (let i = 0; i <= H - h; i++) {
        for (let j = 0; j <= W - w; j++) {
          let best = i * W + j;
          for (let r = 0; r < h; r++) {
            for (let s = 0; s < w; s++) {
              const at = (i + r) * W + j + s;
              const [v, b] = [X[at] as number, X[best] as number];
              if (v > b || Number.isNaN(v)) best = at;
            }
          }
          want[i * (W - w + 1) + j] = X[best] as number;
          dwant[best] = (dwant[best] ?? 0) + 1;
        }
      }
      expect(want.filter(Number.isNaN).length).toBeGreaterThan(0);
      expectClose(got.y as Float32Array, want, 0, "y");
      expectClose(got.dx as Float32Array, dwant, 0, "dx");
    });

    test("a dense layer of 270,000 inputs", async () => {
      const device = await deviceAs(adapter);
      const K = 270_000;
      const [x, W, b] = [placeholder("x", [1, K]), placeholder("W", [2, K]), placeholder("b", [2])];
      const run = await compile(device, { inputs: { x, W, b }, outputs: { y: linear(x, W, b) } });
      const X = draw(9, K);
      const M = draw(10, 2 * K);
      const got = await run.run({ x: X, W: M, b: Float32Array.of(1, 2) });
      run.dispose();
      const want = [0, 1].map((o) => o + 1 + X.reduce((s, v, i) => s + v * (M[o * K + i] ?? 0), 0));
      expectClose(got.y as Float32Array, want, 1e-5, "y");
    });
  });
}

describe("what no splitting reaches is refused", () => {
  test("windows along one axis that overlap 300 times", () => {
    const x = placeholder("x", [1, 1, 1, 1000]);
    const y = maxPool2d(x, { size: [1, 300], stride: 1 });
    expect(() => gradient(sum(y), [x])).toThrow(/max_pool2d_gradient: windows \[1, 300\].*steps/);
  });
});
