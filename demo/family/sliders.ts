/** One slider for each number of the condition, and a walk through all of them. */
import { element } from "../shell/frame";
import { CONDITION, type Flower } from "./flowers";

/** The sliders. */
export interface Sliders {
  readonly flower: Flower;
  /** Moves them and ends the walk; what is left out stays. */
  set(flower: Partial<Flower>): void;
}

/** A flower's numbers, each made from its bounds. */
function eachNumber(make: (bounds: (typeof CONDITION)[number]) => number): Flower {
  const values = CONDITION.map((bounds) => [bounds.name, make(bounds)] as const);
  return Object.fromEntries(values) as unknown as Flower;
}

/** Seconds of one way through each number's bounds and back: none is a multiple of another. */
const PERIODS = { petals: 23, depth: 11, turn: 17 } as const;

const written = (value: number, step: number, unit: string): string =>
  `${value.toFixed(step < 0.1 ? 2 : 1)}${unit}`.replace("-", "−");

/**
 * Fills `#sliders`.
 * @param start The flower at first. @param onMove Called with every move of any kind.
 * @param onRest Called where a move has ended.
 */
export function createSliders(start: Flower, onMove: () => void, onRest: () => void): Sliders {
  const parent = element("sliders");
  const rows = CONDITION.map(({ name, label, from, to, step }) => {
    const range = `min="${from}" max="${to}" step="${step}"`;
    return `<label>${label}<input id="set-${name}" type="range" ${range} /><output></output></label>`;
  });
  parent.innerHTML = `${rows.join("")}<button id="wander" type="button">Wander</button>`;
  const inputs = CONDITION.map(({ name }) => element<HTMLInputElement>(`set-${name}`));
  const outputs = [...parent.querySelectorAll("output")];
  const button = element<HTMLButtonElement>("wander");
  let flower = start;
  let walking = false;
  let last = 0;
  // The time of each number's own walk, so that it begins where its slider is.
  let times: Flower = PERIODS;

  const say = (): void => {
    for (const [k, { name, step, unit }] of CONDITION.entries()) {
      const [input, output] = [inputs[k], outputs[k]];
      if (!input || !output) continue;
      const text = written(flower[name], step, unit);
      input.value = `${flower[name]}`;
      input.setAttribute("aria-valuetext", text);
      output.textContent = text;
    }
  };

  const walk = (now: number): void => {
    if (!walking) return;
    const passed = Math.min(100, now - last) / 1000;
    last = now;
    times = eachNumber(({ name }) => times[name] + passed);
    flower = eachNumber(({ name, from, to }) => {
      const share = (1 - Math.cos((2 * Math.PI * times[name]) / PERIODS[name])) / 2;
      return from + share * (to - from);
    });
    say();
    onMove();
    requestAnimationFrame(walk);
  };

  const setWalking = (next: boolean): void => {
    if (walking === next) return;
    walking = next;
    button.textContent = next ? "Stay" : "Wander";
    if (!next) {
      onRest();
      return;
    }
    times = eachNumber(({ name, from, to }) => {
      const share = (flower[name] - from) / (to - from);
      return (Math.acos(1 - 2 * share) / (2 * Math.PI)) * PERIODS[name];
    });
    last = performance.now();
    requestAnimationFrame(walk);
  };

  button.onclick = () => setWalking(!walking);
  for (const [k, { name }] of CONDITION.entries()) {
    const input = inputs[k] as HTMLInputElement;
    input.oninput = () => {
      setWalking(false);
      flower = { ...flower, [name]: Number(input.value) };
      say();
      onMove();
    };
    input.onchange = onRest;
  }
  say();
  return {
    get flower() {
      return flower;
    },
    set(moved) {
      setWalking(false);
      flower = { ...flower, ...moved };
      say();
      onMove();
    },
  };
}
