/** "Take it with you": this run as code, as one terminal command and as files. */
import { element, problem } from "./frame";

/** A file to download. */
export interface TakenFile {
  readonly label: string;
  /** Asked for at the click. */
  readonly name: () => string;
  readonly bytes: () => Promise<Uint8Array<ArrayBuffer>>;
}

/** What there is to take. */
export interface Taken {
  /** The run as a program that imports hyperloom. */
  readonly code: () => string;
  /** The run as a line for a terminal. */
  readonly command: () => string;
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

/** Fills `#take`; texts are made anew when it is opened, so that they say the present settings. */
export function mountTake(taken: Taken): void {
  const parent = element<HTMLDetailsElement>("take");
  parent.innerHTML = `<summary>Take it with you</summary>
    <p class="row"></p>
    <h3>In a terminal</h3><div class="copied"><pre></pre><button type="button">Copy</button></div>
    <h3>As code</h3><div class="copied"><pre></pre><button type="button">Copy</button></div>`;
  const row = parent.querySelector(".row");
  const texts = [taken.command, taken.code] as const;
  const blocks = [...parent.querySelectorAll(".copied")];
  const fill = (): void => {
    for (const [k, text] of texts.entries()) {
      const pre = blocks[k]?.querySelector("pre");
      if (pre) pre.textContent = text();
    }
  };
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
  for (const [k, block] of blocks.entries()) {
    const own = block.querySelector("button");
    if (own) own.onclick = () => void copy(own, texts[k]?.() ?? "");
  }
  parent.addEventListener("toggle", fill);
  fill();
}
