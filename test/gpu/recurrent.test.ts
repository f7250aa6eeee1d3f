import { expect, test } from "vitest";
import { hyperCell } from "../../src/hyper/hyper-cell";
import { type HyperLstmOptions, hyperLstm } from "../../src/hyper/hyper-lstm";
import { hyperRnn } from "../../src/hyper/hyper-rnn";
import type { Cell, GatedCell } from "../../src/nn/cell";
import { gru, type LstmOptions, lstm, rnn } from "../../src/nn/recurrent";
import { checkCase, testDevice } from "./check-case";
import { cellCase, type SampleOracle } from "./recurrent-case";
import { type CellSpec, fullStep, hyperStep, type StepState, step } from "./recurrent-oracle";

const sizes = { inputs: 5, units: 7 };
const specOf = (
  { name, gates }: GatedCell,
  { forgetBias = 1, eps = 1e-5 }: Pick<LstmOptions, "forgetBias" | "eps"> = {},
): CellSpec => ({ cell: name.replace("ln-", "") as CellSpec["cell"], gates, forgetBias, eps });
const numbers = (state: StepState): Record<string, readonly number[]> => ({ ...state });
const asState = (state: Readonly<Record<string, readonly number[]>>): StepState =>
  state as unknown as StepState;

const plainOracle =
  (cell: GatedCell, options?: Partial<LstmOptions>): SampleOracle =>
  (p, state, x, mask) =>
    numbers(step(specOf(cell, options), p, asState(state), x, mask));

const hyperOracle =
  (main: CellSpec, hyper: CellSpec, source: "fresh" | "previous" = "fresh"): SampleOracle =>
  (p, state, x, mask) => {
    const inner = { h: state["hyper.h"], ...(state["hyper.c"] && { c: state["hyper.c"] }) };
    const made = hyperStep(main, hyper, p, asState(state), inner as StepState, x, source, mask);
    return merged(made);
  };

const merged = ({ state, inner }: { state: StepState; inner: StepState }) => ({
  ...numbers(state),
  ...Object.fromEntries(Object.entries(inner).map(([name, v]) => [`hyper.${name}`, v as number[]])),
});

const lstms: readonly (Omit<LstmOptions, "inputs" | "units"> & { what: string; units?: number })[] =
  [
    { what: "default" },
    { what: "no forget bias", forgetBias: 0 },
    { what: "layer norm", layerNorm: true },
    {
      what: "layer norm with bias, eps 0.1, order ogif",
      layerNorm: true,
      bias: true,
      eps: 0.1,
      gates: "ogif",
    },
    { what: "order igfo, forget bias -0.5", gates: "igfo", forgetBias: -0.5 },
    { what: "one unit", units: 1 },
  ];

test("rnn, gru and lstm of all variants: step and gradients as by their equations in f64", async () => {
  const device = await testDevice();
  for (const cell of [rnn(sizes), gru(sizes)]) {
    await checkCase(device, cellCase(cell.name, cell, plainOracle(cell)));
  }
  for (const { what, ...options } of lstms) {
    const cell = lstm({ ...sizes, ...options });
    await checkCase(device, cellCase(`lstm: ${what}`, cell, plainOracle(cell, options)));
  }
});

test("symbols are one-hot vectors", async () => {
  const device = await testDevice();
  const symbols = [4, 0, 4, 2];
  const plain = [rnn(sizes), gru(sizes), lstm(sizes)];
  for (const cell of plain) {
    await checkCase(device, cellCase(cell.name, cell, plainOracle(cell), { symbols }));
  }
  const options = { ...sizes, hyperUnits: 3, nz: 2 };
  const [main, hyper] = [lstmSpec({ layerNorm: true }), lstmSpec({ layerNorm: true })];
  await checkCase(
    device,
    cellCase("hyperLstm", hyperLstm(options), hyperOracle(main, hyper), { symbols }),
  );
  const full = hyperRnn({ ...options, form: "full" });
  await checkCase(device, cellCase("hyperRnn, full", full, fullOracle, { symbols }));
});

function lstmSpec(options: Omit<LstmOptions, "inputs" | "units">): CellSpec {
  return specOf(lstm({ ...sizes, ...options }), options);
}

const fullOracle: SampleOracle = (p, state, x) =>
  merged(fullStep(p, asState(state), { h: [...(state["hyper.h"] ?? [])] }, x));

const hyperLstms: readonly (Partial<HyperLstmOptions> & { what: string })[] = [
  { what: "layer norm in both cells" },
  { what: "no layer norm", layerNorm: false },
  { what: "layer norm in the main cell", hyperLayerNorm: false, gates: "fogi" },
  { what: "layer norm in the hyper cell", layerNorm: false, hyperLayerNorm: true, eps: 0.01 },
  { what: "weights from the state before", source: "previous", forgetBias: 0 },
  { what: "one component, a hyper cell wider than the main one", nz: 1, hyperUnits: 11 },
];

test("hyperLstm of all variants: step and gradients as by equations 9 to 13 in f64", async () => {
  const device = await testDevice();
  for (const { what, ...options } of hyperLstms) {
    const cell = hyperLstm({ ...sizes, hyperUnits: 3, nz: 2, ...options });
    const { layerNorm = true, hyperLayerNorm = layerNorm, source } = options;
    const main = lstmSpec({ ...options, layerNorm });
    const hyper = lstmSpec({ ...options, layerNorm: hyperLayerNorm });
    await checkCase(device, cellCase(`hyperLstm: ${what}`, cell, hyperOracle(main, hyper, source)));
  }
});

test("hyperRnn in both forms, the full one as by every sample's own weight matrices", async () => {
  const device = await testDevice();
  const options = { ...sizes, hyperUnits: 3, nz: 4 };
  const spec = specOf(rnn(sizes));
  for (const source of ["fresh", "previous"] as const) {
    const cell = hyperRnn({ ...options, source });
    await checkCase(device, cellCase(`scaling, ${source}`, cell, hyperOracle(spec, spec, source)));
  }
  await checkCase(device, cellCase("full", hyperRnn({ ...options, form: "full" }), fullOracle));
});

test("hyperCell makes the scales of any cell generated, by a hyper cell of any kind", async () => {
  const device = await testDevice();
  const small = { inputs: 5, units: 3 };
  const pairs: readonly (readonly [GatedCell, GatedCell])[] = [
    [gru(sizes), gru(small)],
    [gru(sizes), lstm(small)],
    [lstm({ ...sizes, layerNorm: true }), gru(small)],
  ];
  for (const [main, hyper] of pairs) {
    const cell = hyperCell(main, hyper, { nz: 2 });
    const name = `${main.name} scaled by ${hyper.name}`;
    await checkCase(device, cellCase(name, cell, hyperOracle(specOf(main), specOf(hyper))));
  }
});

test("recurrent dropout multiplies tanh(g) of the main cell and nothing else", async () => {
  const device = await testDevice();
  for (const layerNorm of [false, true]) {
    const cell = lstm({ ...sizes, layerNorm, recurrentKeep: 0.5 });
    await checkCase(device, cellCase("lstm", cell, plainOracle(cell), { masked: 7 }));
    const options = { ...sizes, hyperUnits: 3, nz: 2, layerNorm, recurrentKeep: 0.5 };
    const oracle = hyperOracle(lstmSpec({ layerNorm }), lstmSpec({ layerNorm }));
    await checkCase(device, cellCase("hyperLstm", hyperLstm(options), oracle, { masked: 7 }));
  }
});

test("what cannot be is refused with the numbers that disagree", () => {
  const options = { ...sizes, hyperUnits: 3, nz: 2 };
  const refused = (make: () => Cell, message: RegExp) => expect(make).toThrow(message);
  refused(() => rnn({ inputs: 0, units: 4 }), /rnn: inputs is 0, must be a positive integer/);
  refused(() => gru({ inputs: 3, units: 1.5 }), /gru: units is 1.5/);
  refused(() => lstm({ ...sizes, gates: "ifgg" }), /gates is "ifgg"/);
  refused(() => lstm({ ...sizes, recurrentKeep: 0 }), /recurrentKeep is 0/);
  refused(() => lstm({ ...sizes, eps: -1 }), /eps is -1/);
  refused(() => hyperLstm({ ...options, nz: 0 }), /nz is 0/);
  refused(() => hyperLstm({ ...options, init: "papr" as "paper" }), /init is "papr"/);
  refused(() => hyperRnn({ ...options, form: "half" as "full" }), /form is "half"/);
  refused(
    () => hyperCell(gru(sizes), gru({ inputs: 4, units: 3 }), { nz: 2 }),
    /hyper cell takes inputs of 4, the main cell of 5/,
  );
});
