/** A text that a model writes, tinted by how much each character changed the weights. */
import { GATES, KINDS } from "./sizes";

/** Which numbers the tint shows: all, or one kind: scales of h W_h, of x W_x, biases. */
export type Shown = "all" | 0 | 1 | 2;

/** Names of the gates in the order of the numbers. */
export const GATE_NAMES = ["input", "forget", "candidate", "output"] as const;

const CHANGES = KINDS * GATES;
/** Characters after which the state is one of this text. */
const FIRST = 12;

/** A text in the page. */
export interface SampleView {
  /** A new text begins; the old one fades until it is overwritten. */
  begin(): void;
  /** One character more. */
  add(character: string, changes: Float32Array | null): void;
  /** Nothing comes for now: the strongest tint is that of this text. */
  settle(): void;
  /** A whole text at once; `changes` [length, 3, 4]. */
  show(characters: readonly string[], changes: Float32Array | null): void;
  /** Tints by other numbers. */
  tint(shown: Shown): void;
}

/** A character that is looked at. */
export interface Picked {
  readonly at: number;
  readonly character: string;
  /** ‖d_t − d_{t−1}‖ [3, 4], by kind and gate. */
  readonly changes: Float32Array;
  /** The norm over all of them. */
  readonly total: number;
}

/** How a view looks. */
export interface SampleViewOptions {
  /** What it is, for screen readers. */
  readonly label: string;
  /** Where characters have changes: told of the one under the pointer or the keyboard. */
  readonly onPick?: (picked: Picked) => void;
}

const named: Readonly<Record<string, string>> = { " ": "space", "\n": "end of line" };
/** A character as it is spoken of. */
export const nameOf = (character: string): string => named[character] ?? `“${character}”`;

/** One value a gate, then the norm of all. */
function valuesOf(changes: Float32Array, from: number, shown: Shown): number[] {
  const gates = Array.from({ length: GATES }, (_, gate) => {
    const of = (kind: number): number => changes[from + kind * GATES + gate] ?? 0;
    return shown === "all" ? Math.hypot(of(0), of(1), of(2)) : of(shown);
  });
  return [...gates, Math.hypot(...gates)];
}

/** All but the largest two per cent stay below it. */
function fullOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(0.98 * (sorted.length - 1))] || 1;
}

/** Makes an element one that shows a text. */
export function createSampleView(parent: HTMLElement, options: SampleViewOptions): SampleView {
  const { label, onPick } = options;
  parent.classList.add("written");
  const cells: HTMLElement[] = [];
  const characters: string[] = [];
  let changes: Float32Array[] = [];
  let shown: Shown = "all";
  // The value of the strongest tint of each strip, and of the whole character.
  let full: number[] = new Array<number>(GATES + 1).fill(0);
  let written = 0;
  let picked = -1;
  let chosen = false;

  const paint = (at: number): void => {
    const [cell, own] = [cells[at], changes[at]];
    if (!cell) return;
    if (!own) {
      cell.removeAttribute("style");
      return;
    }
    const shares = valuesOf(own, 0, shown).map((x, k) => Math.min(1, x / (full[k] || 1)));
    const [i, f, g, o, all] = shares.map((share) => share.toFixed(3));
    cell.style.cssText = `--i:${i};--f:${f};--g:${g};--o:${o};--all:${all}`;
  };

  const put = (at: number, character: string, own: Float32Array | null): void => {
    let cell = cells[at];
    if (!cell) {
      cell = document.createElement("b");
      cells.push(cell);
      parent.append(cell);
    }
    const glyph = character === "\n" ? "↵" : character;
    if (cell.textContent !== glyph) cell.textContent = glyph;
    cell.className = character === "\n" ? "end" : "";
    characters[at] = character;
    if (own) changes[at] = own;
    else delete changes[at];
  };

  const pick = (at: number): void => {
    const own = changes[at];
    if (!own || !onPick) return;
    cells[picked]?.classList.remove("picked");
    cells[at]?.classList.add("picked");
    picked = at;
    // A slider has a value: it is one from the first character on.
    parent.tabIndex = 0;
    parent.setAttribute("role", "slider");
    const character = characters[at] ?? "";
    const total = valuesOf(own, 0, "all")[GATES] ?? 0;
    onPick({ at, character, changes: own, total });
    parent.setAttribute("aria-valuemin", "1");
    parent.setAttribute("aria-valuemax", `${Math.max(1, written)}`);
    parent.setAttribute("aria-valuenow", `${at + 1}`);
    const gates = valuesOf(own, 0, "all").map((x) => x.toFixed(2));
    const byGate = GATE_NAMES.map((gate, k) => `${gate} ${gates[k]}`).join(", ");
    parent.setAttribute(
      "aria-valuetext",
      `${nameOf(character)}: change ${gates[GATES]}; ${byGate}`,
    );
  };

  const pickStrongest = (): void => {
    // At first all changes, since the state comes from zero.
    const totals = changes.map((own, at) =>
      at < FIRST ? 0 : (valuesOf(own, 0, shown)[GATES] ?? 0),
    );
    pick(chosen && picked < written ? picked : totals.indexOf(Math.max(...totals)));
  };

  const settle = (): void => {
    for (const cell of cells.splice(written)) cell.remove();
    characters.length = written;
    changes = changes.slice(0, written);
    const all = changes.map((own) => valuesOf(own, 0, shown));
    full = full.map((_, k) => fullOf(all.map((values) => values[k] ?? 0)));
    for (const at of cells.keys()) {
      cells[at]?.classList.remove("old");
      paint(at);
    }
    if (changes.length > 0) pickStrongest();
    parent.setAttribute("aria-label", `${label}: ${characters.join("")}`);
  };

  parent.setAttribute("role", "img");
  parent.setAttribute("aria-label", label);
  if (onPick) {
    parent.onpointerover = ({ target }) => {
      const at = cells.indexOf(target as HTMLElement);
      if (at < 0) return;
      chosen = true;
      pick(at);
    };
    parent.onkeydown = (event) => {
      const moves: Readonly<Record<string, number>> = {
        ArrowRight: picked + 1,
        ArrowLeft: picked - 1,
        Home: 0,
        End: written - 1,
      };
      const to = moves[event.key];
      if (to === undefined) return;
      event.preventDefault();
      chosen = true;
      pick(Math.max(0, Math.min(written - 1, to)));
    };
  }

  return {
    begin() {
      written = 0;
      for (const cell of cells) cell.classList.add("old");
    },
    add(character, own) {
      if (own) {
        const values = valuesOf(own, 0, shown);
        full = full.map((x, k) => Math.max(x, values[k] ?? 0));
      }
      put(written, character, own);
      paint(written);
      written++;
    },
    settle,
    show(all, own) {
      for (const [at, character] of all.entries()) {
        put(at, character, own?.slice(at * CHANGES, (at + 1) * CHANGES) ?? null);
      }
      written = all.length;
      settle();
    },
    tint(next) {
      shown = next;
      settle();
    },
  };
}
