/** "Take it with you": this run as code, as terminal commands and as files. */
import { element, problem } from "./frame";

/** A file to download. */
export interface TakenFile {
  readonly label: string;
  /** Asked for at the click. */
  readonly name: () => string;
  readonly bytes: () => Promise<Uint8Array<ArrayBuffer>>;
}

/** A text to copy. */
export interface Copied {
  /** What to know before, "" for nothing. */
  readonly says?: () => string;
  readonly text: () => string;
}

/** What there is to take. */
export interface Taken {
  /** The run as a program that imports hyperloom. */
  readonly code: () => string;
  /** The run as a line for a terminal, and what may follow it there. */
  readonly commands: readonly Copied[];
  /** The address of this experiment. */
  readonly link: () => string;
  readonly files: readonly TakenFile[];
}

/** Saves bytes under a name. */
export function download(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  // The download begins in a task of its own.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Copies a text at the click of a button, which says whether it could. */
export async function copy(button: HTMLButtonElement, text: string): Promise<void> {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => {
    button.textContent = label;
  }, 1500);
}

/** A text in the page with its button, and a function that makes it anew. */
function mountCopied({ says = () => "", text }: Copied): { parts: Element[]; fill: () => void } {
  const note = document.createElement("p");
  const copied = document.createElement("div");
  copied.className = "copied";
  const pre = document.createElement("pre");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.onclick = () => void copy(button, text());
  copied.append(pre, button);
  const fill = (): void => {
    note.textContent = says();
    note.hidden = note.textContent === "";
    pre.textContent = text();
  };
  return { parts: [note, copied], fill };
}

/** Fills `#take`; texts are made anew when it is opened, so that they say the present settings. */
export function mountTake(taken: Taken): void {
  const parent = element<HTMLDetailsElement>("take");
  parent.innerHTML = `<summary>Take it with you</summary>
    <p class="row"></p><h3>In a terminal</h3><h3>As code</h3>`;
  const [row, terminal, code] = parent.querySelectorAll("p, h3");
  const button = (label: string, click: (self: HTMLButtonElement) => Promise<void>): void => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.onclick = () => {
      click(made).catch((error: Error) => problem(`${label}: ${error.message}.`));
    };
    row?.append(made);
  };
  button("Copy the link", (self) => copy(self, taken.link()));
  for (const { label, name, bytes } of taken.files) {
    button(label, async () => download(name(), await bytes()));
  }
  const commands = taken.commands.map(mountCopied);
  const program = mountCopied({ text: taken.code });
  terminal?.after(...commands.flatMap(({ parts }) => parts));
  code?.after(...program.parts);
  const fill = (): void => {
    for (const each of [...commands, program]) each.fill();
  };
  parent.addEventListener("toggle", fill);
  fill();
}
