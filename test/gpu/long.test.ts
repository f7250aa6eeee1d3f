import { describe, expect, test } from "vitest";
import { key, uniform } from "../../src/graph/random";
import { mul } from "../../src/ops/elementwise";
import { matmul } from "../../src/ops/matmul";
import { sum } from "../../src/ops/reduce";
import { gather } from "../../src/ops/gather";
import { meanSoftmaxCrossEntropy, softmax } from "../../src/ops/softmax-cross-entropy";
import { placeholder } from "../../src/ops/sources";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { deviceAs, expectClose } from "./check-case";

// One adapter silently ends every loop after 65,535 trips: sums around and beyond that length are
// compared with f64 on every runtime.
const lengths = [65_535, 65_536, 65_537, 200_000];

const draw = (seed: number, n: number): Float32Array =>
  Float32Array.from(uniform(key(seed), n), (x) => 2 * x - 0.5);

for (const adapter of ["software", "gpu"] as const) {
  describe(`long sums with the kernels for ${adapter} adapters`, () => {
    for (const K of lengths) {
      test(`sum of ${K} terms, alone and in rows`, async () => {
        const device = await deviceAs(adapter);
        const x = placeholder("x", [2, K]);
        const y = { all: sum(x), rows: sum(x, [1]), columns: sum(x, [0]) };
        const run = await compile(device, { inputs: { x }, outputs: y }, { poison: true });
        const data = draw(1, 2 * K);
        const got = await run.run({ x: data });
        run.dispose();
        const rows = [0, 1].map((r) =>
          data.subarray(r * K, (r + 1) * K).reduce((s, v) => s + v, 0),
        );
        expectClose(got.all as Float32Array, [(rows[0] ?? 0) + (rows[1] ?? 0)], 1e-5, "all");
        expectClose(got.rows as Float32Array, rows, 1e-5, "rows");
        expect(got.columns?.[K - 1]).toBeCloseTo((data[K - 1] ?? 0) + (data[2 * K - 1] ?? 0), 5);
      });

      test(`matmul over K = ${K}`, async () => {
        const device = await deviceAs(adapter);
        const a = placeholder("a", [3, K]);
        const b = placeholder("b", [K, 2]);
        const y = matmul(a, b);
        const run = await compile(device, { inputs: { a, b }, outputs: { y } }, { poison: true });
        const A = draw(2, 3 * K);
        const B = draw(3, 2 * K);
        const got = await run.run({ a: A, b: B });
        run.dispose();
        const want = Float64Array.from({ length: 6 }, (_, i) => {
          let s = 0;
          for (let k = 0; k < K; k++) {
            s += (A[Math.floor(i / 2) * K + k] ?? 0) * (B[k * 2 + (i % 2)] ?? 0);
          }
          return s;
        });
        expectClose(got.y as Float32Array, want, 1e-5, "y");
      });
    }

    test("softmax and cross-entropy over 16,384 classes", async () => {
      const device = await deviceAs(adapter);
      const V = 16_384;
      const logits = placeholder("logits", [2, V]);
      const labels = placeholder("labels", [2], "u32");
      const weight = placeholder("weight", [2]);
      const { loss } = meanSoftmaxCrossEntropy(logits, labels, weight);
      const [dlogits] = gradient(loss, [logits]);
      const y = softmax(logits);
      const outputs = { loss, y, dlogits: dlogits as typeof logits };
      const run = await compile(device, { inputs: { logits, labels, weight }, outputs });
      const x = draw(5, 2 * V);
      const at = Uint32Array.of(V - 1, 7);
      const got = await run.run({ logits: x, labels: at, weight: Float32Array.of(1, 1) });
      run.dispose();
      const want = new Float64Array(2 * V);
      let mean = 0;
      for (const r of [0, 1]) {
        const row = x.subarray(r * V, (r + 1) * V);
        const total = row.reduce((s, v) => s + Math.exp(v), 0);
        for (const [k, v] of row.entries()) want[r * V + k] = Math.exp(v) / total;
        mean -= Math.log(want[r * V + (at[r] as number)] as number) / 2;
      }
      expectClose(got.loss as Float32Array, [mean], 1e-5, "loss");
      expectClose(got.y as Float32Array, want, 2e-5, "softmax");
      const d = want.map((p, i) => (p - Number(i % V === at[Math.floor(i / V)])) / 2);
      expectClose(got.dlogits as Float32Array, d, 1e-5, "dlogits");
    });

    test("gradient of an embedding looked up 70,000 times", async () => {
      const device = await deviceAs(adapter);
      const n = 70_000;
      const table = placeholder("table", [3, 2]);
      const indices = placeholder("indices", [n], "u32");
      const weight = placeholder("weight", [n, 1]);
      const [dtable] = gradient(sum(mul(gather(table, indices), weight)), [table]);
      const run = await compile(device, {
        inputs: { indices, weight },
        outputs: { dtable: dtable as typeof table },
      });
      const w = draw(4, n);
      const got = await run.run({ indices: Uint32Array.from(w, (_, i) => i % 3), weight: w });
      run.dispose();
      const want = new Float64Array(6);
      for (const [i, v] of w.entries()) {
        want[2 * (i % 3)] = (want[2 * (i % 3)] ?? 0) + v;
        want[2 * (i % 3) + 1] = (want[2 * (i % 3) + 1] ?? 0) + v;
      }
      expectClose(got.dtable as Float32Array, want, 1e-5, "dtable");
    });
  });
}
