import type { SafeTensor } from "../io/safetensors";
import { Canvas, type Colour, CAPITALS } from "./canvas";
import { colour, scaleOf } from "./charts";
import type { LayerReport, WeightsReport } from "./weights-job";
import {
  groupOf,
  HEADINGS,
  layerName,
  layoutWeights,
  MARGIN,
  type MosaicPlace,
  RATIO,
  type TablePlace,
  ticks,
  WIDTH,
} from "./weights-layout";

const PAPER: Colour = [255, 255, 255];
const QUIET: Colour = [108, 115, 127];
const EDGE: Colour = [170, 176, 186];
const HAIR: Colour = [229, 231, 235];
const BETWEEN: Colour = [112, 118, 130];
const GENERATED: Colour = [74, 128, 184];
const DIRECT: Colour = [160, 168, 180];
const MARK: Colour = [200, 84, 20];

/** What is drawn. */
export interface WeightsPicture extends WeightsReport {
  readonly title: string;
  /** A second line, in small. */
  readonly note: string;
  /** Kernels drawn whole, by path, in their order. */
  readonly kernels: ReadonlyMap<string, SafeTensor>;
}

/**
 * A model's weights as one PNG: kernels as the paper's matrices, below them the similarity of the
 * embeddings, and the kernels' standard deviations against He's, a layer a row.
 */
export async function weightsPicture(picture: WeightsPicture): Promise<Uint8Array> {
  const { title, note, kernels, layers } = picture;
  // One layer alone is like nothing else.
  const similarity = (picture.similarity?.length ?? 0) > 1 ? picture.similarity : null;
  const chosen = [...kernels].map(([path, tensor]) => ({ path, ...tensor }));
  const layout = layoutWeights(chosen, layers, similarity?.length ?? 0);
  const canvas = new Canvas(WIDTH, layout.height, PAPER);
  canvas.text(MARGIN, MARGIN, title, { size: 2 });
  canvas.text(MARGIN, MARGIN + 28, note, { colour: QUIET });
  canvas.text(MARGIN, layout.y, "Kernels", { bold: true });
  const words =
    "inputs down, outputs across; blue negative, red positive, up to the value beside the shape";
  canvas.text(MARGIN, layout.y + 17, words, { colour: QUIET });
  for (const [k, place] of layout.mosaics.entries()) {
    const kernel = chosen[k];
    if (kernel) drawMosaic(canvas, place, kernel);
  }
  drawLabels(canvas, layout.table, layers);
  if (similarity) drawSimilarity(canvas, layout.table, layers, similarity);
  drawBars(canvas, layout.table, layers);
  return canvas.png();
}

function drawMosaic(
  canvas: Canvas,
  place: MosaicPlace,
  { path, shape, data }: SafeTensor & { readonly path: string },
): void {
  const [O = 1, I = 1, f = 1] = shape;
  const { x, y, scale, outputs, inputs, width, height, column } = place;
  const values = data as Float32Array;
  const range = scaleOf(values);
  const part = outputs < O || inputs < I ? `first ${outputs}×${inputs} of ` : "";
  canvas.text(x, y - 17, layerName(path), { bold: true });
  const right = x + Math.max(width, Math.min(column, 300));
  const shown = `${part}${shape.join("×")}   ±${range.toPrecision(2)}`;
  canvas.text(right, y - 17, shown, { colour: QUIET, align: "right" });
  for (let i = 0; i < inputs; i++) {
    for (let o = 0; o < outputs; o++) {
      for (let at = 0; at < f * f; at++) {
        const value = (values[(o * I + i) * f * f + at] ?? 0) / range;
        const [r, c] = [Math.floor(at / f), at % f];
        const [left, top] = [x + (o * f + c) * scale, y + (i * f + r) * scale];
        canvas.rectangle(left, top, scale, scale, colour(value));
      }
    }
  }
  canvas.frame(x, y, width, height, EDGE);
  // Lines between kernels where a weight is wide enough to lose a pixel.
  if (scale < 4) return;
  for (let o = 1; o < outputs; o++) canvas.rectangle(x + o * f * scale, y, 1, height, BETWEEN);
  for (let i = 1; i < inputs; i++) canvas.rectangle(x, y + i * f * scale, width, 1, BETWEEN);
}

/** The middle of a row, for a line of words. */
const wordsAt = ({ top, row }: TablePlace, k: number): number =>
  Math.round(top + k * row + (row - CAPITALS) / 2);

function drawLabels(canvas: Canvas, table: TablePlace, layers: readonly LayerReport[]): void {
  for (const [k, { path }] of layers.entries()) {
    if (k % table.labelled !== 0) continue;
    const y = wordsAt(table, k);
    canvas.text(table.path - 8, y, `${k + 1}`, { colour: QUIET, align: "right" });
    canvas.text(table.path, y, layerName(path));
  }
}

function drawSimilarity(
  canvas: Canvas,
  table: TablePlace,
  layers: readonly LayerReport[],
  similarity: readonly (readonly number[])[],
): void {
  const { y, top, row, numbered } = table;
  const x = table.heat ?? 0;
  canvas.text(x, y, HEADINGS.heat, { bold: true });
  canvas.text(x, y + 17, HEADINGS.heatNote, { colour: QUIET });
  const rows = layers.flatMap(({ generated }, k) => (generated ? [k] : []));
  const above = rows[0] ?? 0;
  const side = row * rows.length;
  for (const [a, values] of similarity.entries()) {
    const down = top + (rows[a] ?? 0) * row;
    for (const [b, value] of values.entries()) {
      canvas.rectangle(x + b * row, down, row, row, colour(value));
    }
    if (a % numbered === 0) {
      const middle = x + Math.round((a + 0.5) * row);
      const number = `${(rows[a] ?? 0) + 1}`;
      canvas.text(middle, top + above * row - 15, number, { colour: QUIET, align: "center" });
    }
  }
  const first = top + above * row;
  canvas.frame(x, first, side, side, EDGE);
  for (let a = 1; a < rows.length; a++) {
    const [before, here] = [layers[rows[a - 1] ?? 0], layers[rows[a] ?? 0]];
    if (!before || !here || groupOf(before.path) === groupOf(here.path)) continue;
    canvas.rectangle(x, first + a * row, side, 1, EDGE);
    canvas.rectangle(x + a * row, first, 1, side, EDGE);
  }
  const height = Math.min(side, 200);
  const left = x + side + 14;
  for (let p = 0; p < height; p++) {
    canvas.rectangle(left, first + p, 12, 1, colour(1 - (2 * p) / (height - 1)));
  }
  canvas.frame(left, first, 12, height, EDGE);
  for (const [k, label] of ["1", "0", "−1"].entries()) {
    const at = first + Math.round((k / 2) * (height - CAPITALS));
    canvas.text(left + 19, at, label, { colour: QUIET });
  }
}

function drawBars(canvas: Canvas, table: TablePlace, layers: readonly LayerReport[]): void {
  const { y, top, row, labelled } = table;
  const { x, width } = table.bars;
  canvas.text(x, y, HEADINGS.bars, { bold: true });
  canvas.text(x, y + 17, HEADINGS.barsNote, { colour: QUIET });
  canvas.text(x + width + RATIO, top - 15, "ratio", { colour: QUIET, align: "right" });
  const most = Math.max(...layers.map(({ std, he }) => Math.max(std, he))) * 1.04 || 1;
  const along = (value: number): number => Math.round((width * value) / most);
  for (const tick of ticks(most)) {
    canvas.rectangle(x + along(tick), top, 1, row * layers.length, HAIR);
    canvas.text(x + along(tick), top - 15, `${tick}`, { colour: QUIET, align: "center" });
  }
  const thick = Math.max(1, Math.round(row * 0.6));
  for (const [k, { std, he, generated }] of layers.entries()) {
    const at = top + k * row;
    const inset = Math.round((row - thick) / 2);
    canvas.rectangle(x, at + inset, along(std), thick, generated ? GENERATED : DIRECT);
    canvas.rectangle(x + along(he) - 1, at + 1, 2, row - 2, MARK);
    if (k % labelled !== 0) continue;
    const ratio = (std / he).toFixed(2);
    canvas.text(x + width + RATIO, wordsAt(table, k), ratio, { align: "right" });
  }
  canvas.rectangle(x, top, 1, row * layers.length, EDGE);
}
