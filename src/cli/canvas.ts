import { GLYPH_ROWS, lineWidth, setLine } from "./bitmap-font";

/** Red, green and blue from 0 to 255. */
export type Colour = readonly [number, number, number];

/** How a line of words is set. */
export interface TextStyle {
  readonly colour?: Colour;
  /** Which end of the line, or its middle, stands at x; default "left". */
  readonly align?: "left" | "right" | "center";
  readonly bold?: boolean;
  /** Screen pixels of a pixel of the font; default 1. */
  readonly size?: number;
}

/** The height of a line's capitals and digits, in pixels of the font. */
export const CAPITALS = 9;

/** A picture to draw rectangles, pixels and words into. */
export class Canvas {
  /** [height, width, 3]. */
  readonly pixels: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
    background: Colour,
  ) {
    this.pixels = new Uint8Array(3 * width * height);
    this.rectangle(0, 0, width, height, background);
  }

  /** Fills a rectangle; what is outside of the picture is left out. */
  rectangle(x: number, y: number, width: number, height: number, [r, g, b]: Colour): void {
    const [left, right] = [Math.max(0, x), Math.min(this.width, x + width)];
    const [top, bottom] = [Math.max(0, y), Math.min(this.height, y + height)];
    for (let row = top; row < bottom; row++) {
      for (let at = 3 * (row * this.width + left); at < 3 * (row * this.width + right); at += 3) {
        this.pixels[at] = r;
        this.pixels[at + 1] = g;
        this.pixels[at + 2] = b;
      }
    }
  }

  /** The outline of a rectangle, one pixel outside of it. */
  frame(x: number, y: number, width: number, height: number, colour: Colour): void {
    this.rectangle(x - 1, y - 1, width + 2, 1, colour);
    this.rectangle(x - 1, y + height, width + 2, 1, colour);
    this.rectangle(x - 1, y, 1, height, colour);
    this.rectangle(x + width, y, 1, height, colour);
  }

  /** A line of words; y is the top of its capitals. */
  text(x: number, y: number, words: string, style: TextStyle = {}): void {
    const { colour = [34, 38, 46], align = "left", bold = false, size = 1 } = style;
    const width = textWidth(words, style);
    const shift = { left: 0, right: width, center: Math.round(width / 2) }[align];
    for (const { glyph, x: offset } of setLine(words)) {
      for (const [r, row] of glyph.rows.entries()) {
        for (let c = 0; c < row.length; c++) {
          if (row[c] !== "#") continue;
          const at = x - shift + size * offset + size * c;
          this.rectangle(at, y + size * r, size + (bold ? 1 : 0), size, colour);
        }
      }
    }
  }

  /** The picture as a PNG. */
  async png(): Promise<Uint8Array> {
    const { encode } = await import("fast-png");
    const { width, height, pixels } = this;
    return encode({ width, height, data: pixels, channels: 3, depth: 8 });
  }
}

/** The width of a line of words as it is drawn. */
export function textWidth(words: string, { size = 1, bold = false }: TextStyle = {}): number {
  return size * lineWidth(words) + (bold ? 1 : 0);
}

/** The height of a line of words from its capitals' top to its descenders' end. */
export const LINE_HEIGHT = GLYPH_ROWS;
