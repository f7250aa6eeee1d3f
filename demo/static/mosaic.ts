/** The generated kernels as a picture, and the weight that the pointer or the arrow keys are at. */
import { drawMatrix } from "../shell/colours";
import { element, show } from "../shell/frame";
import { CHANNELS, F } from "./network";

/** Full colour at this weight: six standard deviations of the kernel before training. */
export const FULL = 0.3;

/** Weights of the picture's side, in kernels of F × F, and of its side with the gaps, each a weight wide. */
const SIDE = CHANNELS * F;
const WIDE = CHANNELS * (F + 1) - 1;

const LABEL =
  "Weights of the generated kernels: arrow keys go from one to the next, with Shift from kernel to kernel";

type Place = readonly [row: number, column: number];

/** The mosaic. */
export interface Mosaic {
  /** Shows the matrix K [112, 112]. */
  draw(matrix: Float32Array): void;
}

/** What a place is called. */
function named([row, column]: Place): string {
  const [input, output] = [row, column].map((at) => Math.floor(at / F) + 1);
  return `Input ${input}, output ${output}, row ${(row % F) + 1}, column ${(column % F) + 1}`;
}

/** Fills `#mosaic`: its canvas is `#kernels`, `#weight` says the weight, `#heard-weight` speaks it, `#mark` frames it. */
export function createMosaic(): Mosaic {
  const [parent, mark] = [element("mosaic"), element("mark")];
  const canvas = element<HTMLCanvasElement>("kernels");
  parent.tabIndex = 0;
  // Screen readers keep arrow keys to themselves in anything that is no application.
  parent.setAttribute("role", "application");
  parent.setAttribute("aria-label", LABEL);
  let matrix: Float32Array = new Float32Array(SIDE * SIDE);
  let place: Place = [0, 0];
  let pointed = false;

  const say = (): void => {
    // The keyboard's place is shown while it is there, the pointer's before it.
    const here = pointed || document.activeElement === parent;
    const [row, column] = place;
    const value = matrix[row * SIDE + column] ?? 0;
    show("weight", here ? `${named(place)}: ${value.toFixed(3).replace("-", "−")}` : "");
    mark.hidden = !here;
    const [top, left] = place.map((at) => `${(100 * (at + Math.floor(at / F))) / WIDE}%`);
    Object.assign(mark.style, { top, left });
  };
  /** It is spoken where it was asked for, not with every snapshot. */
  const speak = (): void => {
    say();
    show("heard-weight", element("weight").textContent ?? "");
  };

  canvas.onpointermove = ({ offsetX, offsetY }) => {
    const [row, column] = [offsetY, offsetX].map((at) => (at * WIDE) / canvas.clientWidth) as [
      number,
      number,
    ];
    const [down, across] = [row, column].map((at) => Math.floor(at % (F + 1))) as [number, number];
    pointed = down < F && across < F;
    if (pointed) {
      const first = (at: number): number => F * Math.floor(at / (F + 1));
      place = [first(row) + down, first(column) + across];
    }
    say();
  };
  canvas.onpointerleave = () => {
    pointed = false;
    say();
  };
  parent.onfocus = speak;
  parent.onblur = say;
  parent.onkeydown = (event) => {
    const step = event.shiftKey ? F : 1;
    const moves: Readonly<Record<string, Place>> = {
      ArrowUp: [-step, 0],
      ArrowDown: [step, 0],
      ArrowLeft: [0, -step],
      ArrowRight: [0, step],
      Home: [0, -SIDE],
      End: [0, SIDE],
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const within = (at: number): number => Math.max(0, Math.min(SIDE - 1, at));
    place = [within(place[0] + move[0]), within(place[1] + move[1])];
    speak();
  };

  return {
    draw(next) {
      matrix = next;
      drawMatrix(canvas, matrix, { rows: SIDE, columns: SIDE, full: FULL, tile: [F, F] });
      say();
    },
  };
}
