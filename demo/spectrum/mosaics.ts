/** All layers' kernels side by side, and the one that is pointed at, large. */
import { drawMatrix } from "../shell/colours";
import { element, show, whole } from "../shell/frame";
import { CHANNELS, F, KERNEL, type Layer } from "./stops";

/** Full colour of a weight, four standard deviations before training, and of an embedding's number. */
const FULL = 0.5;
const FULL_Z = 2;

const SIDE = CHANNELS * F;
const number = (value: number): string => value.toFixed(2).replace("-", "−");

/** The mosaics. */
export interface Mosaics {
  /** Shows these layers. `shared`: all use one kernel. */
  set(layers: readonly Layer[], shared: boolean): void;
  /** Shows so many empty squares. */
  clear(count: number): void;
}

/** What a layer's kernel comes from, in words. */
function origin({ z }: Layer, shared: boolean): string {
  if (shared) return `No z: all layers use these ${whole(KERNEL)} numbers.`;
  if (!z) return `No z: ${whole(KERNEL)} numbers of its own.`;
  if (z.length <= 4) return `z = (${Array.from(z, number).join(", ")})`;
  const [least, most] = [Math.min(...z), Math.max(...z)];
  return `z has ${z.length} numbers from ${number(least)} to ${number(most)}.`;
}

/** Fills `#layers`; the layer under the pointer, or with the focus, is drawn in `#large`. */
export function createMosaics(): Mosaics {
  const parent = element("layers");
  const [large, zLarge] = [
    element<HTMLCanvasElement>("large"),
    element<HTMLCanvasElement>("layer-z"),
  ];
  let layers: readonly Layer[] = [];
  let isShared = false;
  let pointed = 0;

  const drawZ = (canvas: HTMLCanvasElement, z: Float32Array | null): void => {
    canvas.hidden = !z;
    if (z) drawMatrix(canvas, z, { rows: 1, columns: z.length, full: FULL_Z, cell: 1 });
  };

  const detail = (): void => {
    for (const [j, button] of [...parent.children].entries()) {
      button.classList.toggle("on", j === pointed);
    }
    const layer = layers[pointed];
    if (!layer) return;
    const { matrix, z } = layer;
    drawMatrix(large, matrix, {
      rows: SIDE,
      columns: SIDE,
      full: FULL,
      cell: 6,
      tile: [F, F],
      gap: 3,
    });
    const most = matrix.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
    const says = origin(layer, isShared);
    large.setAttribute(
      "aria-label",
      `Kernel of layer ${pointed + 1}, largest weight ${number(most)}`,
    );
    show("layer-name", `Layer ${pointed + 1}`);
    show("layer-says", says);
    drawZ(zLarge, z);
    zLarge.setAttribute("aria-label", says);
  };

  const build = (count: number): void => {
    parent.classList.toggle("many", count > 20);
    const buttons = Array.from({ length: count }, (_, j) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "layer";
      button.innerHTML = `<canvas class="kernel"></canvas><canvas class="z"></canvas>${j + 1}`;
      const point = (): void => {
        pointed = j;
        detail();
      };
      button.onpointerenter = button.onfocus = button.onclick = point;
      return button;
    });
    parent.replaceChildren(...buttons);
    pointed = Math.min(pointed, count - 1);
  };

  return {
    clear(count) {
      layers = [];
      build(count);
      large.width = large.height = 1;
      zLarge.hidden = true;
      show("layer-says", "");
    },
    set(next, shared) {
      if (next.length !== parent.children.length) build(next.length);
      [layers, isShared] = [next, shared];
      for (const [j, layer] of layers.entries()) {
        const button = parent.children[j] as HTMLElement;
        const [kernel, z] = [...button.querySelectorAll("canvas")];
        const sizes = {
          rows: SIDE,
          columns: SIDE,
          full: FULL,
          cell: 2,
          tile: [F, F],
          gap: 1,
        } as const;
        drawMatrix(kernel as HTMLCanvasElement, layer.matrix, sizes);
        drawZ(z as HTMLCanvasElement, layer.z);
        button.setAttribute("aria-label", `Layer ${j + 1}: ${origin(layer, shared)}`);
      }
      detail();
    },
  };
}
