/** The pad to draw a digit on, sample digits for the keyboard, and the bars that answer. */
import { generateDigits } from "hyperloom/data";
import { element, onTheme, percent } from "../shell/frame";
import { CLASSES, SIDE } from "./network";
import { imageOf, type Stroke, trace } from "./strokes";

/** Canvas pixels of the pad, a multiple of 28, and of its pen. */
const SIZE = 280;
const PEN = 22;

/** The pad. */
export interface Pad {
  /** What is on it, [28, 28] of 0 to 1; null if nothing is. */
  readonly image: Float32Array | null;
  /** Puts the next sample of a class on it. */
  sample(label: number): void;
  /** Shows the answer, ten shares; null: none. */
  answer(shares: Float32Array | null): void;
}

/** Digits drawn by the library, of each class some. */
function samples(): Float32Array[][] {
  const { images, labels } = generateDigits({ count: 120, seed: 2 });
  const classes: Float32Array[][] = Array.from({ length: CLASSES }, () => []);
  for (const [k, label] of labels.entries()) {
    const bytes = images.subarray(k * SIDE * SIDE, (k + 1) * SIDE * SIDE);
    classes[label]?.push(Float32Array.from(bytes, (byte) => byte / 255));
  }
  return classes;
}

/** Fills `#pad`, `#samples` and `#answer`. @param onChange Called with every stroke and sample. */
export function createPad(onChange: () => void): Pad {
  element("pad").innerHTML = `
    <div class="sheet">
      <canvas id="sheet" width="${SIZE}" height="${SIZE}" role="img" tabindex="-1"
        aria-label="A pad to draw a digit on, with mouse, finger or pen"></canvas>
      <span class="hint" aria-hidden="true">Draw a digit here</span>
    </div>`;
  const canvas = element<HTMLCanvasElement>("sheet");
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2d context");
  const row = element("samples");
  let strokes: Stroke[] = [];
  let image: Float32Array | null = null;
  let drawing = false;
  // The answer is spoken where it was asked for, not with every snapshot.
  let ask = false;
  let digits: Float32Array[][] | null = null;
  const taken = new Map<number, number>();

  const paint = (): void => {
    const { color } = getComputedStyle(canvas);
    context.clearRect(0, 0, SIZE, SIZE);
    if (strokes.length > 0) {
      context.strokeStyle = color;
      context.lineWidth = PEN;
      trace(context, strokes, 1, 0, 0);
    } else if (image) {
      const cell = SIZE / SIDE;
      context.fillStyle = color;
      for (const [k, ink] of image.entries()) {
        context.globalAlpha = ink;
        context.fillRect((k % SIDE) * cell, Math.floor(k / SIDE) * cell, cell, cell);
      }
      context.globalAlpha = 1;
    }
    element("pad").classList.toggle("drawn", strokes.length > 0);
  };
  const changed = (): void => {
    paint();
    onChange();
  };
  const clear = (): void => {
    strokes = [];
    image = null;
    changed();
  };

  const put = (event: PointerEvent): void => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const x = (SIZE * (event.clientX - left)) / width;
    const y = (SIZE * (event.clientY - top)) / height;
    strokes.at(-1)?.push(x, y);
  };
  canvas.onpointerdown = (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    strokes.push([]);
    put(event);
    image = imageOf(strokes);
    changed();
  };
  canvas.onpointermove = (event) => {
    if (!drawing) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) put(each);
    image = imageOf(strokes);
    changed();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (!drawing) return;
    drawing = false;
    ask = true;
    onChange();
  };

  const button = (text: string, label: string, click: () => void): void => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.onclick = click;
    row.append(made);
  };
  const sample = (k: number): void => {
    digits ??= samples();
    const own = digits[k] ?? [];
    const next = (taken.get(k) ?? -1) + 1;
    taken.set(k, next);
    strokes = [];
    image = own[next % own.length] ?? null;
    changed();
  };
  for (let k = 0; k < CLASSES; k++) {
    button(`${k}`, `Put a sample ${k} on the pad`, () => {
      ask = true;
      sample(k);
    });
  }
  button("Clear", "Clear the pad", clear);
  onTheme(paint);

  const bars = element("answer");
  bars.innerHTML = `<div class="bars" aria-hidden="true">${Array.from(
    { length: CLASSES },
    (_, k) => `<div class="bar"><i></i><b>${k}</b></div>`,
  ).join("")}</div><p id="says"></p>
    <p id="heard" class="unseen" role="status"></p>`;
  const fills = [...bars.querySelectorAll<HTMLElement>(".bar")];
  paint();
  return {
    get image() {
      return image;
    },
    sample,
    answer(shares) {
      const best = shares ? shares.indexOf(Math.max(...shares)) : -1;
      for (const [k, bar] of fills.entries()) {
        bar.style.setProperty("--share", `${shares?.[k] ?? 0}`);
        bar.classList.toggle("best", k === best);
      }
      const says = element("says");
      const text = shares ? `Reads ${best}, ${percent(shares[best] ?? 0)}` : "";
      if (says.textContent !== text) says.textContent = text;
      if (ask) element("heard").textContent = text;
      ask = false;
    },
  };
}
