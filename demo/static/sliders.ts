/** One slider for each number of the embedding z. */
import { element, enable } from "../shell/frame";

/** The sliders. */
export interface Sliders {
  /** The embedding that the visitor chose; null: the learned one. */
  readonly chosen: Float32Array | null;
  /** Shows the learned embedding, where none was chosen. */
  learned(z: Float32Array): void;
  /** Forgets what was chosen. */
  release(): void;
}

/** Values reach this far at least. */
const REACH = 3;

/** Fills `#sliders`. @param onChange Called with every move, and with the way back. */
export function createSliders(onChange: () => void): Sliders {
  const parent = element("sliders");
  parent.innerHTML = `<div class="z"></div>
    <button id="back" type="button">Back to the learned z</button>`;
  const list = parent.querySelector(".z") as HTMLElement;
  const back = element<HTMLButtonElement>("back");
  enable(back, false);
  let inputs: HTMLInputElement[] = [];
  let outputs: HTMLElement[] = [];
  let chosen: Float32Array | null = null;
  let learnt = new Float32Array();

  const say = (z: Float32Array): void => {
    for (const [k, value] of z.entries()) {
      const [input, output] = [inputs[k], outputs[k]];
      if (!input || !output) continue;
      const most = Math.max(REACH, Math.ceil(Math.abs(value)));
      if (Number(input.max) < most) [input.min, input.max] = [`${-most}`, `${most}`];
      input.value = value.toFixed(2);
      output.textContent = value.toFixed(2).replace("-", "−");
    }
  };

  const build = (nz: number): void => {
    list.replaceChildren();
    [inputs, outputs] = [[], []];
    for (let k = 0; k < nz; k++) {
      const label = document.createElement("label");
      label.innerHTML = `<i>z<sub>${k + 1}</sub></i>
        <input type="range" min="${-REACH}" max="${REACH}" step="0.01" value="0" />
        <span></span>`;
      const input = label.querySelector("input") as HTMLInputElement;
      input.oninput = () => {
        chosen = Float32Array.from(inputs, (each, at) =>
          each === input || chosen ? Number(each.value) : (learnt[at] ?? 0),
        );
        enable(back, true);
        say(chosen);
        onChange();
      };
      inputs.push(input);
      outputs.push(label.querySelector("span") as HTMLElement);
      list.append(label);
    }
  };

  const release = (): void => {
    chosen = null;
    enable(back, false);
    say(learnt);
  };
  back.onclick = () => {
    release();
    onChange();
  };
  return {
    get chosen() {
      return chosen;
    },
    learned(z) {
      if (z.length !== inputs.length) {
        chosen = null;
        enable(back, false);
        build(z.length);
      }
      learnt = z.slice();
      if (!chosen) say(learnt);
    },
    release,
  };
}
