/** The one diverging scale of all pictures: orange positive, blue negative, nothing at zero. */

const ORANGE = [224, 112, 16] as const;
const BLUE = [32, 112, 224] as const;

/** Red, green, blue and opacity, 0 to 255, of a value in −1 to 1 (beyond: the ends). */
export function diverging(value: number): readonly [number, number, number, number] {
  const [r, g, b] = value > 0 ? ORANGE : BLUE;
  return [r, g, b, 255 * Math.min(1, Math.abs(value))];
}

/** How a matrix is laid out on a canvas. */
export interface MatrixLayout {
  readonly rows: number;
  readonly columns: number;
  /** The value of full colour. */
  readonly full: number;
  /** Canvas pixels of a weight; default 4. */
  readonly cell?: number;
  /** Rows and columns of a tile, between which there is a gap; default: no gaps. */
  readonly tile?: readonly [rows: number, columns: number];
  /** Canvas pixels between two tiles; default `cell`. */
  readonly gap?: number;
}

/** Row or column at each pixel, −1 in a gap. */
function places(count: number, tile: number, cell: number, gap: number): Int32Array {
  const tiles = Math.ceil(count / tile);
  const size = count * cell + (tiles - 1) * gap;
  const pitch = tile * cell + gap;
  return Int32Array.from({ length: size }, (_, p) => {
    const inside = Math.floor((p % pitch) / cell);
    return inside < tile ? Math.floor(p / pitch) * tile + inside : -1;
  });
}

/** Draws a row-major matrix; the canvas gets the size that the layout asks for. */
export function drawMatrix(
  canvas: HTMLCanvasElement,
  matrix: Float32Array,
  layout: MatrixLayout,
): void {
  const { rows, columns, full, cell = 4, tile = [rows, columns], gap = cell } = layout;
  const down = places(rows, tile[0], cell, gap);
  const across = places(columns, tile[1], cell, gap);
  const [width, height] = [across.length, down.length];
  // Setting a size clears the canvas, also to the size it has.
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const image = new ImageData(width, height);
  const { data } = image;
  for (let y = 0; y < height; y++) {
    const row = down[y] as number;
    if (row < 0) continue;
    for (let x = 0; x < width; x++) {
      const column = across[x] as number;
      if (column < 0) continue;
      const value = (matrix[row * columns + column] as number) / full;
      const at = 4 * (y * width + x);
      const [r, g, b] = value > 0 ? ORANGE : BLUE;
      data[at] = r;
      data[at + 1] = g;
      data[at + 2] = b;
      data[at + 3] = 255 * Math.min(1, Math.abs(value));
    }
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}
