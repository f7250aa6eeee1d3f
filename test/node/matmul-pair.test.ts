import { expect, test } from "vitest";
import type { Target } from "../../src/gpu/dispatch";
import type { Tensor } from "../../src/graph/node";
import { add, mul, tanh } from "../../src/ops/elementwise";
import { matmulPair } from "../../src/ops/matmul";
import { placeholder } from "../../src/ops/sources";
import { plan } from "../../src/schedule/plan";

const limits = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxStorageBuffersPerShaderStage: 8,
};

const operands = (m: number, k: number, k2: number, n: number) =>
  [
    placeholder("a", [m, k]),
    placeholder("b", [n, k]),
    placeholder("a2", [m, k2]),
    placeholder("b2", [n, k2]),
  ] as const;

// Aligned, unaligned, tiny, long sums that a plain product would split.
const sizes = [
  [32, 256, 128, 1024],
  [32, 250, 3, 1000],
  [1, 4, 4, 4],
  [4, 8192, 8192, 8],
] as const;

for (const adapter of ["software", "gpu"] as const) {
  test.each(sizes)(
    `one dispatch with its epilogue for ${adapter} adapters: %i %i %i %i`,
    (...s) => {
      const target: Target = { adapter, limits, features: new Set() };
      const [m, , , n] = s;
      const y = matmulPair(...operands(...s), { transposeB: true });
      const chain = tanh(add(mul(y, placeholder("d", [m, n])), placeholder("bias", [n])));
      const { dispatches } = plan([chain], target);
      expect(dispatches.map(({ label }) => label)).toEqual(["matmul_pair+mul+add+tanh"]);
    },
  );
}

const x = (...shape: number[]) => placeholder("x", shape);

test.each<[string, readonly [Tensor, Tensor, Tensor, Tensor]]>([
  ["make M and N equal", [x(2, 4), x(4, 3), x(3, 4), x(4, 3)]],
  ["K is 4 and 5", [x(2, 4), x(5, 3), x(2, 4), x(4, 3)]],
  ["K + K2 is 16400", [x(2, 16_000), x(16_000, 3), x(2, 400), x(400, 3)]],
  ["must have rank 2", [x(1, 2, 4), x(4, 3), x(2, 4), x(4, 3)]],
])("what does not fit is refused: %s", (message, given) => {
  expect(() => matmulPair(...given)).toThrow(message);
});
