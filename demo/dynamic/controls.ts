/** The controls of what is written: prompt, temperature, more; and the numbers of one character. */
import { element, enable, show } from "../shell/frame";
import { GATE_NAMES, nameOf, type Picked, type Shown } from "./sample-view";
import { GATES } from "./sizes";

/** What the visitor wants. */
export interface DeskUse {
  /** The prompt or the temperature has changed. */
  wish(): void;
  /** The temperature has come to rest: browsers let a page change its address only now and then. */
  rest(): void;
  /** More of both samples, or others. */
  write(anew: boolean): void;
  tint(shown: Shown): void;
}

/** The controls. */
export interface Controls {
  prompt: string;
  readonly temperature: number;
  /** Whether there is a run that rests and can be asked. */
  canWrite(can: boolean): void;
}

const TINTS: readonly (readonly [Shown, string])[] = [
  ["all", "all generated weights"],
  [0, "scales of W_h"],
  [1, "scales of W_x"],
  [2, "biases"],
];

/** Fills `#desk`. @param prompt Read at first. @param temperature Of the link. */
export function mountDesk(use: DeskUse, prompt: string, temperature: number): Controls {
  const tints = TINTS.map(([value, name]) => `<option value="${value}">${name}</option>`).join("");
  element("desk").innerHTML = `
    <label class="line">Prompt<input id="prompt" type="text" maxlength="200" autocomplete="off"
      spellcheck="false" /></label>
    <label class="line">Temperature<input id="temperature" type="range" min="0" max="2" step="0.05" />
      <output id="warmth" for="temperature"></output></label>
    <p class="row"><button id="more" type="button">Write more</button>
      <button id="anew" type="button">Write anew</button>
      <label class="row">Tint <select id="tint">${tints}</select></label></p>
    <p id="desk-note" class="small"></p>`;
  const input = element<HTMLInputElement>("prompt");
  const slider = element<HTMLInputElement>("temperature");
  const buttons = ["more", "anew"].map((id) => element<HTMLButtonElement>(id));
  const tint = element<HTMLSelectElement>("tint");
  input.value = prompt;
  slider.value = `${temperature}`;
  const say = (): void => show("warmth", Number(slider.value).toFixed(2));
  say();
  input.oninput = () => use.wish();
  slider.oninput = () => {
    say();
    use.wish();
  };
  slider.onchange = () => use.rest();
  for (const button of buttons) button.onclick = () => use.write(button.id === "anew");
  tint.onchange = () => {
    use.tint(tint.value === "all" ? "all" : (Number(tint.value) as Shown));
  };
  return {
    get prompt() {
      return input.value;
    },
    set prompt(text) {
      input.value = text;
    },
    get temperature() {
      return Number(slider.value);
    },
    canWrite(can) {
      for (const button of buttons) enable(button, can);
    },
  };
}

/** Makes a table that shows one character's numbers. @returns What to call with each. */
export function createPickedTable(table: HTMLElement): (picked: Picked) => void {
  const heads = GATE_NAMES.map((gate) => `<th scope="col">${gate}</th>`).join("");
  table.innerHTML = `<caption></caption><thead><tr><th scope="col">Change of</th>${heads}</tr></thead>
    <tbody></tbody>`;
  const caption = table.querySelector("caption") as HTMLElement;
  const body = table.querySelector("tbody") as HTMLElement;
  const names = ["scales of <i>W<sub>h</sub></i>", "scales of <i>W<sub>x</sub></i>", "biases"];
  return ({ at, character, changes, total }) => {
    caption.textContent = `${nameOf(character)}, character ${at + 1}: ‖Δd‖ = ${total.toFixed(3)}`;
    const rows = names.map((name, kind) => {
      const numbers = Array.from(changes.subarray(kind * GATES, (kind + 1) * GATES));
      const cells = numbers.map((x) => `<td>${x.toFixed(3)}</td>`).join("");
      return `<tr><th scope="row">${name}</th>${cells}</tr>`;
    });
    body.innerHTML = rows.join("");
  };
}
