/** The box of the text: the tales at first, or whatever the visitor pastes. */

import { embeddedText } from "../../src/data/embedded-text";
import { element, show, whole } from "../shell/frame";
import { type CheckedText, checkText, LEAST } from "./text";

/** The box in the page. */
export interface TextBox {
  /** The text to learn. @throws Error where it cannot be learned, with what to do. */
  take(): string;
  /** What was found in it; null before the tales are made. */
  readonly checked: CheckedText | null;
  readonly text: string;
  /** What checkpoints call it. */
  readonly source: string;
}

/** Fills `#text-box`. @param onChange Called with every change; `own`: by the visitor. */
export function mountText(onChange: (own: boolean) => void): TextBox {
  element("text-box").innerHTML = `<h2 id="text-head">The text</h2>
    <textarea id="text" rows="7" spellcheck="false" autocomplete="off" aria-labelledby="text-head"
      aria-describedby="text-facts"></textarea>
    <p class="row"><span id="text-facts" class="small" role="status"></span>
      <button id="tales" type="button" class="quiet" hidden>Back to the tales</button></p>
    <p class="small">Tales that a grammar made; paste any text of ${whole(LEAST)} characters or more in
      their place. It stays in this page: nothing is sent, and the link does not have it.</p>`;
  const area = element<HTMLTextAreaElement>("text");
  const back = element<HTMLButtonElement>("tales");
  let tales = "";
  let checked: CheckedText | null = null;

  const look = (own: boolean): void => {
    checked = checkText(area.value);
    const { characters, symbols, fault } = checked;
    const facts = `${whole(characters)} characters, ${whole(symbols.size)} of them different.`;
    show("text-facts", fault || facts);
    area.setAttribute("aria-invalid", `${fault !== ""}`);
    back.hidden = tales === "" || area.value === tales;
    onChange(own);
  };

  const make = (): void => {
    if (tales !== "") return;
    tales = embeddedText({ length: 100_000, seed: 0 });
    // What the visitor, or the browser going back, has put there is left alone.
    if (area.value === "") area.value = tales;
    look(area.value !== tales);
  };

  area.oninput = () => look(true);
  back.onclick = () => {
    area.value = tales;
    look(true);
  };
  // They take some 30 ms to make, which the first picture of the page does not wait for.
  requestAnimationFrame(() => setTimeout(make));
  return {
    take() {
      make();
      const { fault } = checked as CheckedText;
      if (fault) throw new Error(fault.replace(/\.$/, ""));
      return area.value;
    },
    get checked() {
      return checked;
    },
    get text() {
      return area.value;
    },
    get source() {
      return area.value === tales ? "generated tales" : "a pasted text";
    },
  };
}
