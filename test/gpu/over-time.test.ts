import { describe, expect, test } from "vitest";
import { listed, apply, type Op, type Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { type DType, type Shape, show, size } from "../../src/graph/shape";
import {
  contractionGradientAOp,
  contractionGradientWOp,
  contractionOp,
  plainRows,
} from "../../src/ops/contraction";
import { dropoutMaskOp, dropoutOp } from "../../src/ops/dropout";
import { gatherOp, scatterAddOp } from "../../src/ops/gather";
import { broadcastToOp, concatOp, padOp, slice, sliceOp, transposeOp } from "../../src/ops/layout";
import { type MatmulAttrs, matmulOp, matmulPairOp } from "../../src/ops/matmul";
import { mixtureDensityGradientOp, mixtureDensityOp } from "../../src/ops/mixture-density";
import { maxOp, minOp, sumOp } from "../../src/ops/reduce";
import {
  softmaxCrossEntropyGradientOp,
  softmaxCrossEntropyOp,
  softmaxGradientOp,
  softmaxOp,
} from "../../src/ops/softmax-cross-entropy";
import { type HostArray, placeholder } from "../../src/ops/sources";
import { reshape } from "../../src/ops/views";
import { compile } from "../../src/schedule/executable";
import { expectClose, testDevice } from "./check-case";

const T = 3;

/** An input of one time step; `at` gives the tensor itself where it is no placeholder. */
interface StepInput {
  readonly shape: Shape;
  readonly stacked?: boolean;
  readonly dtype?: DType;
  /** Integers below this, for indices and labels. */
  readonly below?: number;
  readonly at?: Tensor;
}

interface TimeCase {
  readonly name: string;
  readonly inputs: readonly StepInput[];
  /** Whether there is a rule for the sum, and for the stack. */
  readonly sums: boolean;
  readonly stacks: boolean;
  /** Largest error relative to the largest element; moved elements are equal. */
  readonly tolerance: number;
  readonly step: (x: readonly Tensor[]) => readonly Tensor[];
  readonly overTime: (
    x: readonly Tensor[],
    stacked: readonly boolean[],
  ) => readonly Tensor[] | null;
  readonly sum: (x: readonly Tensor[], stacked: readonly boolean[]) => Tensor | null;
}

const of = (...shape: number[]): StepInput => ({ shape });
const each = (...shape: number[]): StepInput => ({ shape, stacked: true });
const indices = (below: number, ...shape: number[]): StepInput => ({
  shape,
  stacked: true,
  dtype: "u32",
  below,
});

function timeCase<A>(
  op: Op<A>,
  attrs: A,
  inputs: readonly StepInput[],
  { sums = false, stacks = true, tolerance = 2e-6 } = {},
): TimeCase {
  return {
    name: `${op.name} of ${inputs.map(({ shape, stacked }) => `${stacked ? "T × " : ""}${show(shape)}`).join(", ")} ${JSON.stringify(attrs)}`,
    inputs,
    sums,
    stacks,
    tolerance,
    step: (x) => apply(op, attrs, ...x),
    overTime: (x, stacked) => op.overTime?.(attrs, listed(x), listed(stacked), T) ?? null,
    sum: (x, stacked) => op.sumOverTime?.(attrs, listed(x), listed(stacked), T) ?? null,
  };
}

function atStep(x: Tensor, t: number): Tensor {
  const begin = x.shape.map((_, k) => (k === 0 ? t : 0));
  const end = x.shape.map((n, k) => (k === 0 ? t + 1 : n));
  return reshape(slice(x, begin, end), x.shape.slice(1));
}

function values({ shape, stacked, dtype = "f32", below = 2 }: StepInput, seed: number): HostArray {
  const u = uniform(key(seed), (stacked ? T : 1) * size(shape));
  if (dtype === "f32") return Float32Array.from(u, (v) => 2 * v - 1);
  return Uint32Array.from(u, (v) => Math.floor(v * below));
}

async function check(c: TimeCase): Promise<void> {
  const stacked = c.inputs.map((x) => x.stacked === true);
  const given = c.inputs.map(
    ({ shape, dtype = "f32", at }, k) =>
      at ?? placeholder(`x${k}`, stacked[k] ? [T, ...shape] : shape, dtype),
  );
  const made = c.overTime(given, stacked);
  const total = c.sum(given, stacked);
  expect(made !== null, "overTime has an answer").toBe(c.stacks);
  expect(total !== null, "sumOverTime has an answer").toBe(c.sums);

  const outputs: Record<string, Tensor> = {};
  const steps = Array.from({ length: T }, (_, t) =>
    c.step(given.map((x, k) => (stacked[k] ? atStep(x, t) : x))),
  );
  for (const [t, of] of steps.entries()) {
    for (const [k, y] of of.entries()) outputs[`step ${t} ${k}`] = y;
  }
  for (const [k, y] of made?.entries() ?? []) outputs[`made ${k}`] = y;
  if (total) outputs.total = total;

  const inputs: Record<string, Tensor> = {};
  const host: Record<string, HostArray> = {};
  for (const [k, x] of c.inputs.entries()) {
    if (x.at) continue;
    inputs[`x${k}`] = given[k] as Tensor;
    host[`x${k}`] = values(x, 500 + k);
  }
  const executable = await compile(await testDevice(), { inputs, outputs }, { poison: true });
  const got = await executable.run(host);
  executable.dispose();

  const [first = []] = steps;
  for (const [k, y] of made?.entries() ?? []) {
    const one = first[k] as Tensor;
    expect(y.shape, `output ${k}: shape`).toEqual([T, ...one.shape]);
    expect(y.dtype, `output ${k}: dtype`).toBe(one.dtype);
    const want = steps.flatMap((_, t) => [...(got[`step ${t} ${k}`] as HostArray)]);
    expectClose(got[`made ${k}`] as HostArray, want, c.tolerance, `output ${k}`);
  }
  if (total) {
    expect(total.shape, "sum: shape").toEqual(first[0]?.shape);
    const want = new Float64Array(size(total.shape));
    for (let t = 0; t < T; t++) {
      for (const [i, v] of (got[`step ${t} 0`] as HostArray).entries()) {
        want[i] = (want[i] as number) + v;
      }
    }
    // T sums more than one step has.
    expectClose(got.total as HostArray, want, c.tolerance + 1e-6, "sum");
  }
}

const product = (more: Partial<MatmulAttrs> = {}): MatmulAttrs => ({
  transposeA: false,
  transposeB: false,
  sumBatch: false,
  ...more,
});

// exp and log of the adapters are good to about 1e-6.
const EXP = { tolerance: 1e-5 };
const MOVED = { tolerance: 0 };

// A linear map of 5 rows from 7 to 6 numbers.
const plain = plainRows(5, 6);
const table: StepInput = { shape: [5, 4], at: plain.tiles };
const ofWeights = { ...plain.attrs, w: [1, 6, 7], b: [1, 6] };

const words = indices(2 ** 32, 4);
const placement = { shape: [2, 3], begin: [1, 2], step: [1, -1] };

const cases: readonly TimeCase[] = [
  timeCase(matmulOp, product(), [each(5, 7), of(7, 6)]),
  timeCase(matmulOp, product({ transposeB: true }), [of(5, 8), each(12, 8)]),
  timeCase(matmulOp, product({ transposeA: true }), [each(7, 5), each(7, 6)], { sums: true }),
  timeCase(matmulOp, product(), [each(5, 7), each(7, 6)], { sums: true }),
  timeCase(matmulOp, product({ transposeA: true, transposeB: true }), [each(8, 4), each(12, 8)], {
    sums: true,
  }),
  // Batches: T stays the outermost axis, whichever operand has more axes.
  timeCase(matmulOp, product(), [each(5, 7), of(2, 7, 6)]),
  timeCase(matmulOp, product(), [each(2, 5, 7), each(7, 6)]),
  timeCase(matmulOp, product(), [each(1, 7), each(4, 2, 7, 3)]),
  timeCase(matmulOp, product(), [of(2, 1, 5, 7), each(3, 7, 6)]),
  timeCase(
    matmulOp,
    product({ transposeA: true, sumBatch: true }),
    [each(2, 7, 5), each(2, 7, 6)],
    {
      sums: true,
      stacks: false,
    },
  ),
  timeCase(matmulOp, product({ sumBatch: true }), [each(2, 5, 7), of(2, 7, 6)], { stacks: false }),
  ...[false, true].flatMap((transposeB) => {
    const [w, v] = transposeB ? [of(6, 8), of(6, 4)] : [of(8, 6), of(4, 6)];
    return [
      timeCase(matmulPairOp, { transposeB }, [each(5, 8), w, each(5, 4), v]),
      timeCase(matmulPairOp, { transposeB }, [each(5, 8), w, of(5, 4), v]),
      timeCase(matmulPairOp, { transposeB }, [of(5, 8), w, each(5, 4), { ...v, stacked: true }]),
    ];
  }),
  timeCase(sumOp, { axes: [1] }, [each(4, 5)], { sums: true }),
  timeCase(sumOp, { axes: [0, 2] }, [each(4, 5, 6)], { sums: true }),
  timeCase(sumOp, { axes: [0, 1] }, [each(3, 5)], { sums: true }),
  // With T in front, more alternations than one kernel walks.
  timeCase(sumOp, { axes: [0, 2, 4] }, [each(3, 2, 3, 2, 3)], { sums: true }),
  timeCase(maxOp, { axes: [0, 2, 4] }, [each(3, 2, 3, 2, 3)], MOVED),
  timeCase(maxOp, { axes: [1] }, [each(4, 5)], MOVED),
  timeCase(minOp, { axes: [0] }, [each(4, 5)], MOVED),
  timeCase(transposeOp, { permutation: [2, 0, 1] }, [each(2, 3, 5)], MOVED),
  timeCase(sliceOp, placement, [each(4, 6)], MOVED),
  timeCase(padOp, { ...placement, shape: [4, 5], begin: [1, 3], value: 2.5 }, [each(2, 3)], MOVED),
  timeCase(broadcastToOp, { shape: [4, 2, 3] }, [each(2, 1)], MOVED),
  timeCase(broadcastToOp, { shape: [4, 3] }, [each(4, 1)], MOVED),
  timeCase(concatOp, { axis: 1 }, [each(2, 3), of(2, 5), each(2, 1)], MOVED),
  timeCase(gatherOp, null, [of(9, 5), indices(9, 2, 4)], MOVED),
  timeCase(gatherOp, null, [of(9, 8), indices(9, 7)], MOVED),
  timeCase(gatherOp, null, [each(9, 5), indices(9, 4)], { stacks: false }),
  timeCase(scatterAddOp, { shape: [6, 5] }, [each(2, 4, 5), indices(6, 2, 4)], {
    sums: true,
    stacks: false,
  }),
  timeCase(scatterAddOp, { shape: [6, 5] }, [of(4, 5), indices(6, 4)], { stacks: false }),
  timeCase(softmaxOp, { log: false }, [each(4, 7)], EXP),
  timeCase(softmaxOp, { log: true }, [each(7)], EXP),
  timeCase(softmaxGradientOp, { log: false }, [each(4, 7), each(4, 7)], EXP),
  timeCase(softmaxGradientOp, { log: true }, [each(4, 7), of(4, 7)], EXP),
  timeCase(softmaxCrossEntropyOp, null, [each(5, 7), indices(7, 5), each(5)], EXP),
  timeCase(softmaxCrossEntropyOp, null, [each(5, 7), indices(7, 5), of(5)], EXP),
  ...[null, 0.5].map((factor) =>
    timeCase(
      softmaxCrossEntropyGradientOp,
      { mean: false, factor },
      [each(5, 7), indices(7, 5), of(5), each(5, 2), ...(factor === null ? [each(5)] : [])],
      EXP,
    ),
  ),
  timeCase(
    softmaxCrossEntropyGradientOp,
    { mean: true, factor: 1 },
    [each(5, 7), indices(7, 5), of(5), each(5, 2), each()],
    { stacks: false },
  ),
  timeCase(mixtureDensityOp, null, [each(5, 13), each(5, 3)], EXP),
  timeCase(mixtureDensityOp, null, [each(5, 13), of(5, 3)], EXP),
  timeCase(
    mixtureDensityGradientOp,
    null,
    [each(5, 13), each(5, 3), each(5, 2), each(5, 4), each(5)],
    EXP,
  ),
  timeCase(dropoutMaskOp, { keep: 0.5, site: 3, shape: [3, 7] }, [words], MOVED),
  timeCase(dropoutMaskOp, { keep: 0.25, site: 3, shape: [8] }, [words], MOVED),
  timeCase(dropoutOp, { keep: 0.5, site: 3 }, [each(3, 7), words]),
  timeCase(dropoutOp, { keep: 0.5, site: 3 }, [of(3, 7), words]),
  timeCase(dropoutOp, { keep: 0.5, site: 3 }, [each(3, 7), { ...words, stacked: false }]),
  timeCase(contractionOp, plain.attrs, [each(5, 1, 7), of(1, 6, 7), of(1, 6), table]),
  timeCase(contractionOp, plain.attrs, [each(5, 1, 7), each(1, 6, 7), of(1, 6), table], {
    stacks: false,
  }),
  timeCase(
    contractionOp,
    { ...plain.attrs, plain: false },
    [each(5, 1, 7), of(1, 6, 7), of(1, 6), table],
    { stacks: false },
  ),
  timeCase(contractionGradientAOp, { ...plain.attrs, a: [5, 1, 7] }, [
    each(30),
    of(1, 6, 7),
    table,
  ]),
  timeCase(contractionGradientWOp, ofWeights, [each(30), each(5, 1, 7), table], { sums: true }),
  timeCase(contractionGradientWOp, ofWeights, [each(30), of(5, 1, 7), table]),
];

describe("an op over all time steps at once equals the op at each step", () => {
  test.each(cases.map((c) => [c.name, c] as const))("%s", async (_, c) => {
    expect.hasAssertions();
    await check(c);
  });
});
