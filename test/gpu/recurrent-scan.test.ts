import { describe, test } from "vitest";
import type { Tensor } from "../../src/graph/node";
import { key, uniform } from "../../src/graph/random";
import { size } from "../../src/graph/shape";
import { rebuild, type Tree } from "../../src/graph/tree";
import { hyperCell } from "../../src/hyper/hyper-cell";
import { hyperLstm } from "../../src/hyper/hyper-lstm";
import { hyperRnn } from "../../src/hyper/hyper-rnn";
import { type Cell, stack } from "../../src/nn/cell";
import { type ParamSpec, specs } from "../../src/nn/module";
import { isTensor, keysOfSteps, overSequence, tensorsOf } from "../../src/nn/sequence";
import { gru, lstm, rnn } from "../../src/nn/recurrent";
import { fill } from "../../src/ops/elementwise";
import { concat, slice } from "../../src/ops/layout";
import { placeholder } from "../../src/ops/sources";
import { compile, type Program } from "../../src/schedule/executable";
import { pullBack } from "../../src/schedule/gradient";
import type { ScanOptions } from "../../src/schedule/scan";
import { expectClose, testDevice } from "./check-case";
import { unrolled } from "./unrolled";

const [T, B] = [5, 3];
const sizes = { inputs: 5, units: 6 };
const hyper = { ...sizes, hyperUnits: 4, nz: 2 };

const cells: Readonly<Record<string, () => Cell>> = {
  rnn: () => rnn(sizes),
  gru: () => gru(sizes),
  lstm: () => lstm({ ...sizes, recurrentKeep: 0.7 }),
  "ln-lstm": () => lstm({ ...sizes, layerNorm: true }),
  "hyperrnn, scaling": () => hyperRnn({ ...hyper, form: "scaling" }),
  "hyperrnn, full": () => hyperRnn({ ...hyper, form: "full" }),
  hyperlstm: () => hyperLstm({ ...hyper, layerNorm: false }),
  "ln-hyperlstm": () => hyperLstm({ ...hyper, recurrentKeep: 0.7, hyperRecurrentKeep: 0.8 }),
  "ln-hyperlstm, previous": () => hyperLstm({ ...hyper, source: "previous" }),
  "hyper gru": () => hyperCell(gru(sizes), lstm({ ...sizes, units: 4 }), { nz: 2 }),
  stack: () => stack([lstm(sizes), hyperLstm({ ...hyper, inputs: 6 })]),
};

/** How the sequence is run; "halves" in two calls, the second from the first's states. */
type Way = ScanOptions | "unrolled" | "halves";

/** Outputs, final states and all gradients of a cell over T steps. */
function program(cell: Cell, way: Way): Program {
  const leafs = specs(cell.params);
  const parameters = leafs.map(({ path, value }) => placeholder(path, value.shape));
  const params = rebuild(cell.params, isSpec, parameters);
  const state = rebuild(
    cell.state,
    isSpec,
    specs(cell.state).map(({ path, value }) => placeholder(`state ${path}`, [B, ...value.shape])),
  ) as Tree<Tensor>;
  const xs = placeholder("x", [T, B, sizes.inputs]);
  const random = placeholder("key", [4], "u32");
  const over = (from: Tree<Tensor>, x: Tensor, options: ScanOptions) =>
    overSequence(cell, { train: true, key: random }, params, from as never, x, undefined, options);
  let outputs: Tensor;
  let after: readonly Tensor[];
  if (way === "unrolled") {
    const made = unrolled(
      (states, [x, k]) => {
        const context = { train: true, key: k as Tensor };
        const now = rebuild(state, isTensor, states) as never;
        const applied = cell.apply(context, params, now, x as Tensor);
        return { states: tensorsOf(applied.state as Tree<Tensor>), outputs: [applied.outputs] };
      },
      tensorsOf(state),
      [xs, keysOfSteps(random, T)],
    );
    [outputs, after] = [made.outputs[0] as Tensor, made.states];
  } else if (way === "halves") {
    const first = over(state, slice(xs, [0, 0, 0], [2, B, sizes.inputs]), {});
    const second = over(first.state as never, slice(xs, [2, 0, 0], [T, B, sizes.inputs]), {});
    outputs = concat([first.outputs, second.outputs], 0);
    after = tensorsOf(second.state as Tree<Tensor>);
  } else {
    const made = over(state, xs, way);
    [outputs, after] = [made.outputs, tensorsOf(made.state as Tree<Tensor>)];
  }
  const results = [outputs, ...after];
  const cots = results.map((y, k) => placeholder(`cot ${k}`, y.shape));
  const wrt = [...parameters, ...tensorsOf(state), xs];
  const named: Record<string, Tensor> = {};
  for (const [k, y] of results.entries()) named[`y${k}`] = y;
  for (const [k, d] of pullBack(results, cots, wrt).entries()) {
    named[`d ${k}`] = d ?? fill(0, wrt[k]?.shape ?? []);
  }
  const inputs: Record<string, Tensor> = { x: xs, key: random };
  for (const [k, p] of parameters.entries()) inputs[leafs[k]?.path as string] = p;
  for (const [k, s] of tensorsOf(state).entries())
    inputs[`state ${specs(cell.state)[k]?.path}`] = s;
  for (const [k, c] of cots.entries()) inputs[`cot ${k}`] = c;
  return { inputs, outputs: named };
}

const isSpec = (x: unknown): x is ParamSpec => Array.isArray((x as { shape?: unknown }).shape);

async function results(made: Program) {
  const device = await testDevice();
  const host = Object.fromEntries(
    Object.entries(made.inputs).map(([name, { shape, dtype }], k) => [
      name,
      dtype === "u32"
        ? Uint32Array.of(7, 8, 9, 0)
        : Float32Array.from(uniform(key(k), size(shape)), (u) => 1.2 * u - 0.6),
    ]),
  );
  const executable = await compile(device, made, { poison: true });
  const outputs = await executable.run(host);
  executable.dispose();
  return outputs;
}

// Sums over T·B are ordered differently; layer norms over four units amplify roundings.
const TOLERANCE = 2e-5;

describe("every cell over a sequence: outputs, states and all gradients", () => {
  for (const [name, make] of Object.entries(cells)) {
    test(name, async () => {
      const cell = make();
      const want = await results(program(cell, "unrolled"));
      const ways: Readonly<Record<string, Way>> = {
        scan: {},
        chunked: { chunk: 2 },
        recomputed: { recompute: true },
        "two halves": "halves",
      };
      for (const [way, options] of Object.entries(ways)) {
        // Half a sequence counts its own steps: its masks are others.
        if (options === "halves" && /lstm$/.test(name)) continue;
        const got = await results(program(cell, options));
        for (const [y, values] of Object.entries(want)) {
          expectClose(
            got[y] as Float32Array,
            values as Float32Array,
            TOLERANCE,
            `${name}, ${way}: ${y}`,
          );
        }
      }
    });
  }
});
