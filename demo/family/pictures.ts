/** Pictures of intensities on canvases: one, or a grid of them with a ring on it. */
import { diverging } from "../shell/colours";

/** The gap between two pictures, as a share of a picture's side. */
const GAP = 0.06;

/** Where pictures lie in a grid, in shares of the canvas's side. */
function places(across: number): { readonly size: number; readonly pitch: number } {
  const size = 1 / (across + (across - 1) * GAP);
  return { size, pitch: size * (1 + GAP) };
}

/** The index of zero among the shades. */
const MIDDLE = 255;
/** Colours of intensities from −1 to 1 as pixels in memory, 511 of them. */
const SHADES = shades();

function shades(): Uint32Array {
  const bytes = new Uint8ClampedArray(4 * (2 * MIDDLE + 1));
  for (let k = 0; k <= 2 * MIDDLE; k++) bytes.set(diverging(k / MIDDLE - 1), 4 * k);
  return new Uint32Array(bytes.buffer);
}

const small = document.createElement("canvas");

/** Intensities −1 … 1 of side × side pixels on a canvas of that size, which is used again. */
function coloured(pixels: Float32Array, side: number): HTMLCanvasElement {
  if (small.width !== side) small.width = small.height = side;
  const image = new ImageData(side, side);
  const words = new Uint32Array(image.data.buffer);
  for (let k = 0; k < words.length; k++) {
    words[k] = SHADES[Math.round(MIDDLE * ((pixels[k] as number) + 1))] as number;
  }
  small.getContext("2d")?.putImageData(image, 0, 0);
  return small;
}

/** What a canvas shows. */
export interface Grid {
  /** Intensities of all pictures, one after the other, row by row. */
  readonly pixels: Float32Array;
  /** Pixels of a picture's side, and pictures of the grid's side. */
  readonly side: number;
  readonly across: number;
  /** A place in the grid to ring, each −1 to 1 from the first picture to the last. */
  readonly ring?: readonly [x: number, y: number];
}

/** Draws pictures smoothly enlarged, with round corners. */
export function drawGrid(canvas: HTMLCanvasElement, { pixels, side, across, ring }: Grid): void {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2d context");
  const whole = canvas.width;
  const size = whole * places(across).size;
  const pitch = whole * places(across).pitch;
  const round = 0.05 * size;
  context.clearRect(0, 0, whole, whole);
  context.imageSmoothingQuality = "high";
  for (let k = 0; k < across * across; k++) {
    const picture = pixels.subarray(k * side * side, (k + 1) * side * side);
    const [x, y] = [(k % across) * pitch, Math.floor(k / across) * pitch];
    context.save();
    context.beginPath();
    context.roundRect(x, y, size, size, round);
    context.clip();
    context.drawImage(coloured(picture, side), x, y, size, size);
    context.restore();
  }
  if (!ring) return;
  const line = 0.008 * whole;
  const corner = ring.map((place) => ((place + 1) / 2) * (across - 1) * pitch + line / 2);
  const [left = 0, top = 0] = corner;
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = line;
  context.beginPath();
  context.roundRect(left, top, size - line, size - line, round);
  context.stroke();
}

/** The place in a grid under a point of its canvas, given in shares of the side: −1 to 1. */
export function placeAt(share: number, across: number): number {
  const { size, pitch } = places(across);
  const index = (share - size / 2) / pitch;
  return Math.max(-1, Math.min(1, (2 * index) / (across - 1) - 1));
}
