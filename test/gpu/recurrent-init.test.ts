import { expect, test } from "vitest";
import type { Device } from "../../src/gpu/device";
import type { Tensor } from "../../src/graph/node";
import { size } from "../../src/graph/shape";
import { type HyperLstmOptions, hyperLstm } from "../../src/hyper/hyper-lstm";
import { zeroState } from "../../src/nn/cell";
import { languageModel } from "../../src/nn/language-model";
import { crossEntropy } from "../../src/nn/losses";
import { bindSlab, slabsOf } from "../../src/nn/slabs";
import { gru, lstm } from "../../src/nn/recurrent";
import { overSequence } from "../../src/nn/sequence";
import { SCALARS } from "../../src/ops/optimizer-updates";
import { constant, placeholder, read } from "../../src/ops/sources";
import { reshape } from "../../src/ops/views";
import { adam } from "../../src/optim/optimizer";
import { compile } from "../../src/schedule/executable";
import { gradient } from "../../src/schedule/gradient";
import { Variables } from "../../src/schedule/variables";
import { momentVariables } from "../../src/train/programs";
import { testDevice } from "./check-case";

type Named = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;

function named(
  entries: readonly { name: string; shape: readonly number[]; offset: number }[],
  slab: Float32Array,
): Named {
  return new Map(
    entries.map(({ name, shape, offset }) => [
      name,
      { shape, data: slab.slice(offset, offset + size(shape)) },
    ]),
  );
}

function initial(module: Parameters<typeof slabsOf>[0], seed = 3): Named {
  const { variable } = slabsOf(module).parameters;
  return named(variable.entries, variable.initial(seed) as Float32Array);
}

/** Σ over the shorter axis of the deviations from orthonormality of a block of columns. */
function deviation(
  { shape, data }: { shape: readonly number[]; data: Float32Array },
  block: number,
  blocks: number,
): number {
  const [rows = 1, all = 1] = shape;
  const columns = all / blocks;
  const value = (i: number, j: number): number => data[i * all + block * columns + j] as number;
  const [count, length] = rows <= columns ? [rows, columns] : [columns, rows];
  const of = (v: number, k: number): number => (rows <= columns ? value(v, k) : value(k, v));
  let worst = 0;
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < count; b++) {
      let dot = 0;
      for (let k = 0; k < length; k++) dot += of(a, k) * of(b, k);
      worst = Math.max(worst, Math.abs(dot - (a === b ? 1 : 0)));
    }
  }
  return worst;
}

test("main matrices are orthogonal by gate; norms start at scale 1 and shift 0", () => {
  const cells = [
    [lstm({ inputs: 5, units: 16, layerNorm: true }), 4],
    [gru({ inputs: 40, units: 16 }), 3],
  ] as const;
  for (const [cell, gates] of cells) {
    const values = initial(cell);
    for (const name of ["W_h", "W_x"]) {
      for (let k = 0; k < gates; k++) {
        const matrix = values.get(name);
        expect(matrix && deviation(matrix, k, gates), `${cell.name} ${name} ${k}`).toBeLessThan(
          1e-6,
        );
      }
    }
  }
  const norm = initial(cells[0][0]).get("norm")?.data as Float32Array;
  expect([...norm]).toEqual([...new Array(80).fill(1), ...new Array(80).fill(0)]);
});

const options = { inputs: 11, units: 24, hyperUnits: 8, nz: 4 };

test("the paper's init is that of appendix A.2.3", () => {
  const values = initial(hyperLstm({ ...options, init: "paper" }));
  const data = (name: string): number[] => Array.from(values.get(name)?.data ?? []);
  const [projection, scale] = [4 * 8 * 4, 4 * 4 * 24];
  expect(data("W_z").slice(0, 2 * projection)).toEqual(new Array(2 * projection).fill(0));
  const small = data("W_z").slice(2 * projection);
  const std = Math.sqrt(small.reduce((s, x) => s + x * x, 0) / small.length);
  expect(std).toBeGreaterThan(0.008);
  expect(std).toBeLessThan(0.012);
  expect(data("b_z")).toEqual(new Array(2 * 4 * 4).fill(1));
  expect(data("D").slice(0, 2 * scale)).toEqual(new Array(2 * scale).fill(Math.fround(0.1 / 4)));
  expect(data("D").slice(2 * scale)).toEqual(new Array(scale).fill(0));
  for (const name of ["b_0", "hyper.b"])
    expect(
      data(name).every((x) => x === 0),
      name,
    ).toBe(true);
  for (let k = 0; k < 4; k++) {
    for (const name of ["W_h", "W_x", "hyper.W_hh"]) {
      const matrix = values.get(name);
      expect(matrix && deviation(matrix, k, 4), name).toBeLessThan(1e-6);
    }
    // The rows of h and of x in W_x̂ [H + X, 4Ĥ] below each other: Ĥ orthonormal columns.
    const [h, x] = [values.get("hyper.W_xh"), values.get("hyper.W_xx")];
    const joined = Float32Array.from([...(h?.data ?? []), ...(x?.data ?? [])]);
    expect(deviation({ shape: [35, 32], data: joined }, k, 4)).toBeLessThan(1e-6);
  }
});

test("by default the scales start near 0.1, each embedding component with its own share", () => {
  const values = initial(hyperLstm(options));
  const D = values.get("D")?.data as Float32Array;
  const scale = 4 * 4 * 24;
  for (const x of D.slice(0, 2 * scale)) {
    expect(x).toBeGreaterThanOrEqual(0.05 / 4 - 1e-9);
    expect(x).toBeLessThanOrEqual(0.15 / 4 + 1e-9);
  }
  const mean = D.slice(0, 2 * scale).reduce((s, x) => s + x, 0) / (2 * scale);
  // Uniform numbers of a range 0.1/4: five standard errors of their mean.
  const error = 0.1 / 4 / Math.sqrt(12 * 2 * scale);
  expect(Math.abs(mean - 0.1 / 4)).toBeLessThan(5 * error);
  expect(D.slice(2 * scale).every((x) => x === 0)).toBe(true);
  expect(values.get("W_z")?.data.every((x) => x !== 0)).toBe(true);
});

/** Parameters after a few steps of Adam on given symbols. */
async function trained(device: Device, init: "paper" | "broken", steps: number): Promise<Named> {
  const [T, B, V] = [5, 6, 11];
  const cell: HyperLstmOptions = { ...options, init };
  const model = languageModel(hyperLstm(cell), V);
  const { parameters } = slabsOf(model);
  const { tensor, values } = bindSlab(model.params, parameters);
  const symbols = (from: number): Uint32Array =>
    Uint32Array.from({ length: T * B }, (_, i) => ((i + from) * (i + 3)) % V);
  const xs = constant(symbols(0), [T, B]);
  const context = { train: true, key: null };
  const { outputs } = overSequence(model, context, values, zeroState(model, B), xs);
  const { loss } = crossEntropy.apply(reshape(outputs, [T * B, V]), {
    labels: constant(symbols(1), [T * B]),
    weight: constant(new Float32Array(T * B).fill(1), [T * B]),
  });
  const optimizer = adam({ lr: 0.01 });
  const scalars = placeholder("scalars", [SCALARS]);
  const moments = momentVariables(parameters.variable, optimizer);
  const [g] = gradient(loss, [tensor as Tensor]);
  const updated = optimizer.update(tensor as Tensor, g as Tensor, moments.map(read), scalars);
  const updates = new Map([
    [parameters.variable, updated.parameters],
    ...moments.map((moment, k) => [moment, updated.moments[k] as Tensor] as const),
  ]);
  const variables = new Variables(device, 3);
  const feeds = [{ tensor: scalars, values: optimizer.scalars }];
  const program = { inputs: {}, outputs: { loss }, updates, feeds };
  const executable = await compile(device, program, { variables });
  const losses: number[] = [];
  for (let t = 0; t < steps; t++) losses.push((await executable.run()).loss?.[0] as number);
  expect(losses[steps - 1]).toBeLessThan(losses[0] as number);
  const [slab] = await variables.read([parameters.variable]);
  executable.dispose();
  variables.dispose();
  return named(parameters.variable.entries, slab as Float32Array);
}

/** How many rows of a matrix are independent, to 1e-4 of the longest: Gram-Schmidt with pivots. */
function rank(rows: number[][]): number {
  const left = rows.map((row) => [...row]);
  const norm = (row: readonly number[]): number => Math.sqrt(row.reduce((s, x) => s + x * x, 0));
  const largest = Math.max(...left.map(norm));
  for (let found = 0; ; found++) {
    const pivot = left.reduce((best, row) => (norm(row) > norm(best) ? row : best));
    const length = norm(pivot);
    if (found === rows.length || length <= 1e-4 * largest) return found;
    const unit = pivot.map((x) => x / length);
    for (const row of left) {
      const dot = row.reduce((s, x, i) => s + x * (unit[i] as number), 0);
      for (const i of row.keys()) row[i] = (row[i] as number) - dot * (unit[i] as number);
    }
  }
}

/** Ranks of the maps from ĥ to d of the scales of h and x, one a gate: W_z D. */
function ranks(values: Named, prefix = ""): number[] {
  const [W_z, D] = [values.get(`${prefix}W_z`), values.get(`${prefix}D`)];
  const [, , hyperUnits = 1, nz = 1] = W_z?.shape ?? [];
  const units = D?.shape[3] as number;
  return Array.from({ length: 8 }, (_, k) =>
    rank(
      Array.from({ length: hyperUnits }, (_, i) =>
        Array.from({ length: units }, (_, j) => {
          let sum = 0;
          for (let n = 0; n < nz; n++) {
            const w = W_z?.data[(k * hyperUnits + i) * nz + n] as number;
            sum += w * (D?.data[(k * nz + n) * units + j] as number);
          }
          return sum;
        }),
      ),
    ),
  );
}

test("the map from ĥ to d has rank 1 a gate under the paper's init, however long trained, N_z under ours", async () => {
  const device = await testDevice();
  expect(ranks(initial(hyperLstm({ ...options, init: "paper" })))).toEqual(new Array(8).fill(0));
  expect(ranks(initial(hyperLstm(options)))).toEqual(new Array(8).fill(4));
  expect(ranks(await trained(device, "paper", 8), "cell.")).toEqual(new Array(8).fill(1));
  expect(ranks(await trained(device, "broken", 8), "cell.")).toEqual(new Array(8).fill(4));
});
