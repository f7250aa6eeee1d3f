import type { Shape } from "../graph/shape";
import { LINE_HEIGHT, textWidth } from "./canvas";

/** Pixels of the picture across, and around it. */
export const WIDTH = 1248;
export const MARGIN = 24;
const INNER = WIDTH - 2 * MARGIN;
const COLUMN_GAP = 24;
// Three columns are 384 wide: 3×3 kernels of 16, 32, 64 or 128 channels fill one exactly.
const MOST_COLUMNS = 3;
const LARGEST_WEIGHT = 8;
const CAPTION = LINE_HEIGHT + 6;

/** What the layout needs to know of a kernel [C_out, C_in, f, f]. */
export interface Sized {
  readonly path: string;
  readonly shape: Shape;
}

/** Where a kernel's matrix of C_in·f rows and C_out·f columns is drawn, its caption above it. */
export interface MosaicPlace {
  readonly x: number;
  readonly y: number;
  /** Screen pixels of a weight. */
  readonly scale: number;
  /** Channels that there is room for: all of them up to 384/f, else the first. */
  readonly outputs: number;
  readonly inputs: number;
  readonly width: number;
  readonly height: number;
  /** The width of its column, which the caption has. */
  readonly column: number;
}

/** Where heat map and bars are, side by side, a layer a row. */
export interface TablePlace {
  /** The top of headings, and of the first row. */
  readonly y: number;
  readonly top: number;
  readonly row: number;
  /** Every so many rows have room for a label, and so many columns of the heat map for a number. */
  readonly labelled: number;
  readonly numbered: number;
  readonly path: number;
  /** The heat map's left edge; its cells are as wide as rows are high. Null where there is none. */
  readonly heat: number | null;
  readonly bars: { readonly x: number; readonly width: number };
}

/** The picture as rectangles. */
export interface WeightsLayout {
  readonly height: number;
  /** The top of the heading above the kernels. */
  readonly y: number;
  readonly mosaics: readonly MosaicPlace[];
  readonly table: TablePlace;
}

/** The part of the network that a layer is in: `group1` of `group1.block1.conv1.kernel`. */
export function groupOf(path: string): string {
  return path.split(".")[0] as string;
}

/** A layer's name: its kernel's path without `.kernel`. */
export function layerName(path: string): string {
  return path.replace(/\.kernel$/, "");
}

/** Kernels in lines of at most three: a group of three or more begins a line and ends one. */
export function mosaicLines<T extends Sized>(kernels: readonly T[]): T[][] {
  const apart = (path: string): boolean =>
    kernels.filter((kernel) => groupOf(kernel.path) === groupOf(path)).length >= MOST_COLUMNS;
  const lines: T[][] = [];
  for (const kernel of kernels) {
    const { path } = kernel;
    const line = lines.at(-1);
    const before = line?.at(-1)?.path ?? path;
    const parted = groupOf(before) !== groupOf(path) && (apart(before) || apart(path));
    if (!line || parted || line.length === MOST_COLUMNS) lines.push([kernel]);
    else line.push(kernel);
  }
  return lines;
}

/** The places of kernels in lines below y, and where they end. */
function placeMosaics(kernels: readonly Sized[], from: number) {
  const lines = mosaicLines(kernels);
  const columns = kernels.length > 2 ? MOST_COLUMNS : 2;
  const column = Math.floor((INNER - (columns - 1) * COLUMN_GAP) / columns);
  const mosaics: MosaicPlace[] = [];
  let y = from;
  for (const line of lines) {
    let tallest = 0;
    for (const [k, { shape }] of line.entries()) {
      const [O = 1, I = 1, f = 1] = shape;
      const fits = Math.floor(column / (Math.max(O, I) * f));
      const scale = Math.max(1, Math.min(LARGEST_WEIGHT, fits));
      const most = Math.max(1, Math.floor(column / (scale * f)));
      const [outputs, inputs] = [Math.min(O, most), Math.min(I, most)];
      const [width, height] = [outputs * f * scale, inputs * f * scale];
      const x = MARGIN + k * (column + COLUMN_GAP);
      mosaics.push({ x, y: y + CAPTION, scale, outputs, inputs, width, height, column });
      tallest = Math.max(tallest, height);
    }
    y += CAPTION + tallest + 18;
  }
  return { mosaics, end: y };
}

/** The words above heat map and bars, and what is said of them. */
export const HEADINGS = {
  heat: "Similarity of the embeddings",
  heatNote: "mean cosine of tiles at equal positions; full sharing: 1",
  bars: "Standard deviation of the kernels",
  barsNote: "bar: as it is, blue if generated; line: He's √(2/fan-in)",
} as const;

/** Pixels to the right of the heat map for the colour scale and its numbers. */
export const SCALE_WIDTH = 54;
const NUMBER = 26;
/** Pixels for the ratios to the right of the bars. */
export const RATIO = 46;
const LARGEST_ROW = 24;
const MOST_HEAT = 540;
const MOST_ROWS = 900;

function placeTable(
  layers: readonly Sized[],
  generated: number,
  from: { readonly left: number; readonly y: number },
): TablePlace {
  const { left, y } = from;
  const room = generated > 0 ? MOST_HEAT / generated : MOST_ROWS / layers.length;
  const row = Math.min(LARGEST_ROW, Math.max(4, Math.floor(room)));
  const path = left + NUMBER;
  const names = layers.map((layer) => textWidth(layerName(layer.path)));
  const x = path + Math.max(...names) + 16;
  const words = [textWidth(HEADINGS.heat, { bold: true }), textWidth(HEADINGS.heatNote)];
  const heatWidth = Math.max(generated * row + SCALE_WIDTH, ...words);
  const bars = generated > 0 ? x + heatWidth + 32 : x;
  return {
    y,
    top: y + 58,
    row,
    labelled: Math.ceil((LINE_HEIGHT + 1) / row),
    numbered: Math.ceil(20 / row),
    path,
    heat: generated > 0 ? x : null,
    bars: { x: bars, width: MARGIN + INNER - RATIO - bars },
  };
}

/**
 * Lays out the picture of a model's weights.
 * @param chosen Kernels that are drawn.
 * @param layers All kernels of the network.
 * @param compared Number of generated layers whose embeddings are compared; 0: none are.
 */
export function layoutWeights(
  chosen: readonly Sized[],
  layers: readonly Sized[],
  compared: number,
): WeightsLayout {
  const y = MARGIN + 54;
  const { mosaics, end } = placeMosaics(chosen, y + 42);
  // Beside a kernel alone there is room for bars.
  const beside = chosen.length === 1 && compared === 0;
  const from = beside ? { left: (WIDTH + COLUMN_GAP) / 2, y } : { left: MARGIN, y: end + 14 };
  const table = placeTable(layers, compared, from);
  const height = Math.max(end, table.top + table.row * layers.length) + MARGIN;
  return { height, y, mosaics, table };
}

/** Round numbers from 0 to at most `most`, about `n` of them. */
export function ticks(most: number, n = 5): number[] {
  const rough = most / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const count = Math.floor(most / step + 1e-9);
  // Multiples of a decimal fraction gather an error in their last place.
  return Array.from({ length: count + 1 }, (_, k) => Number((k * step).toPrecision(6)));
}
