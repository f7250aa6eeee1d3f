import { expect, test } from "vitest";
import { type HyperLstmOptions, hyperLstm } from "../../src/hyper/hyper-lstm";
import { hyperRnn } from "../../src/hyper/hyper-rnn";
import { type Cell, stack } from "../../src/nn/cell";
import { languageModel } from "../../src/nn/language-model";
import { gru, type LstmOptions, lstm, rnn } from "../../src/nn/recurrent";
import { countParameters } from "../../src/nn/slabs";

// Layers of one kind and the layer that reads them out.
function count(V: number, X: number, layers: number, make: (inputs: number) => Cell): number {
  const first = make(X);
  const cells = Array.from({ length: layers }, (_, k) => (k === 0 ? first : make(first.units)));
  return countParameters(languageModel(layers === 1 ? first : stack(cells), V).params);
}
const plain =
  (options: Omit<LstmOptions, "inputs">) =>
  (inputs: number): Cell =>
    lstm({ inputs, ...options });
const hyper =
  (options: Omit<HyperLstmOptions, "inputs">) =>
  (inputs: number): Cell =>
    hyperLstm({ inputs, ...options });

test("character-level Penn Treebank, 50 symbols: the paper's counts", () => {
  const ptb = (make: (inputs: number) => Cell, layers = 1) => count(50, 50, layers, make);
  expect(ptb(plain({ units: 1000 }))).toBe(4_254_050);
  expect(ptb(plain({ units: 1250 }))).toBe(6_567_550);
  expect(ptb(plain({ units: 1000 }), 2)).toBe(12_258_050);
  expect(ptb(plain({ units: 1000, layerNorm: true }))).toBe(4_260_050);
  const paper = { units: 1000, hyperUnits: 128, nz: 4 };
  expect(ptb(hyper({ ...paper, layerNorm: false }))).toBe(4_911_874);
  expect(ptb(hyper(paper))).toBe(4_923_154);
  expect(ptb(hyper({ ...paper, nz: 16 }), 2)).toBe(14_407_714);
  // The paper prints 5.06M, which its own formula does not give.
  expect(ptb(hyper({ ...paper, nz: 16 }))).toBe(5_085_682);
});

test("enwik8, 205 bytes: the paper's counts", () => {
  const enwik8 = (make: (inputs: number) => Cell) => count(205, 205, 1, make);
  expect(enwik8(plain({ units: 1800 }))).toBe(14_812_405);
  expect(enwik8(plain({ units: 2000 }))).toBe(18_058_205);
  expect(enwik8(plain({ units: 1800, layerNorm: true }))).toBe(14_823_205);
  const paper = { units: 1800, hyperUnits: 256, nz: 64 };
  expect(enwik8(hyper({ ...paper, layerNorm: false }))).toBe(18_708_213);
  expect(enwik8(hyper({ units: 2048, hyperUnits: 512, nz: 64 }))).toBe(26_541_773);
  // The paper prints 18.78M, which its own formula does not give.
  expect(enwik8(hyper(paper))).toBe(18_728_773);
});

test("IAM handwriting, 3 inputs and a mixture of 20: the paper's counts", () => {
  const iam = (make: (inputs: number) => Cell, layers = 1) => count(121, 3, layers, make);
  expect(iam(plain({ units: 900 }))).toBe(3_363_421);
  expect(iam(plain({ units: 1000 }))).toBe(4_137_121);
  expect(iam(plain({ units: 400 }), 3)).toBe(3_258_121);
  expect(iam(plain({ units: 650 }), 2)).toBe(5_161_771);
  const paper = { units: 900, hyperUnits: 128, nz: 4 };
  expect(iam(hyper({ ...paper, layerNorm: false }))).toBe(3_941_181);
  expect(iam(hyper(paper))).toBe(3_951_461);
});

test("the other cells have what their equations say", () => {
  const [inputs, units, hyperUnits, nz] = [5, 7, 3, 2];
  const cell = (of: Cell): number => countParameters(of.params);
  expect(cell(rnn({ inputs, units }))).toBe(7 * (5 + 7) + 7);
  expect(cell(gru({ inputs, units }))).toBe(3 * (7 * (5 + 7) + 7));
  const small = 3 * (3 + 7 + 5) + 3 + 3 * 3 * 2 + 2 * 2;
  const scaling = cell(rnn({ inputs, units })) + small + 3 * 2 * 7;
  expect(cell(hyperRnn({ inputs, units, hyperUnits, nz }))).toBe(scaling);
  const full = 2 * 7 * (5 + 7) + 2 * 7 + 7 + small;
  expect(cell(hyperRnn({ inputs, units, hyperUnits, nz, form: "full" }))).toBe(full);
  // Layer norm in one cell only: 10 numbers a unit.
  const options = { inputs, units, hyperUnits, nz };
  const both = cell(hyperLstm(options));
  expect(cell(hyperLstm({ ...options, layerNorm: false, hyperLayerNorm: true }))).toBe(both - 70);
  expect(cell(hyperLstm({ ...options, hyperLayerNorm: false }))).toBe(both - 30);
});
