/** From a drawn line to an image as MNIST has them: 20 pixels high or wide, centre of mass in the middle. */
import { SIDE } from "./network";

/** A line of the pen: x, y, x, y, … in any unit. */
export type Stroke = number[];

/** MNIST's box, and the pen's width in pixels of the image. */
const BOX = 20;
const PEN = 2.4;

/** Scale and shift that bring strokes into the box, without their centre of mass. */
export function boxed(strokes: readonly Stroke[]): { scale: number; x: number; y: number } {
  const all = strokes.flat();
  const xs = all.filter((_, k) => k % 2 === 0);
  const ys = all.filter((_, k) => k % 2 === 1);
  const [left, right, top, bottom] = [
    Math.min(...xs),
    Math.max(...xs),
    Math.min(...ys),
    Math.max(...ys),
  ];
  // A dot has no size: it is not blown up beyond the pen's.
  const size = Math.max(right - left, bottom - top, 1e-3);
  const scale = Math.min((BOX - PEN) / size, (BOX - PEN) / 8);
  const middle = SIDE / 2;
  return {
    scale,
    x: middle - (scale * (left + right)) / 2,
    y: middle - (scale * (top + bottom)) / 2,
  };
}

/** The centre of mass of an image [28, 28], in pixels from its corner; the middle if it is empty. */
export function centreOfMass(image: Float32Array): readonly [number, number] {
  let [mass, x, y] = [0, 0, 0];
  for (const [k, ink] of image.entries()) {
    mass += ink;
    x += ink * ((k % SIDE) + 0.5);
    y += ink * (Math.floor(k / SIDE) + 0.5);
  }
  return mass > 0 ? [x / mass, y / mass] : [SIDE / 2, SIDE / 2];
}

/** Draws strokes with round ends; the context's scale is the caller's. */
export function trace(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  strokes: readonly Stroke[],
  scale: number,
  dx: number,
  dy: number,
): void {
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  for (const stroke of strokes) {
    for (let k = 0; k < stroke.length; k += 2) {
      const x = scale * (stroke[k] ?? 0) + dx;
      const y = scale * (stroke[k + 1] ?? 0) + dy;
      if (k === 0) context.moveTo(x, y);
      // A line of no length is drawn as a dot.
      context.lineTo(x, y);
    }
  }
  context.stroke();
}

/** Strokes as pixels [28, 28], 0 to 1. */
export function imageOf(strokes: readonly Stroke[]): Float32Array {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no 2d context");
  context.lineWidth = PEN;
  const render = (scale: number, x: number, y: number): Float32Array => {
    context.clearRect(0, 0, SIDE, SIDE);
    trace(context, strokes, scale, x, y);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    return Float32Array.from({ length: SIDE * SIDE }, (_, k) => (data[4 * k + 3] ?? 0) / 255);
  };
  const { scale, x, y } = boxed(strokes);
  const [mx, my] = centreOfMass(render(scale, x, y));
  return render(scale, x + SIDE / 2 - mx, y + SIDE / 2 - my);
}
