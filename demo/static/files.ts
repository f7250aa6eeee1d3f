/** Files that the visitor gives: MNIST's four, or a checkpoint, dropped on the page or chosen. */
import { type MnistFiles, type MnistName, mnistNames } from "hyperloom/data";
import { element } from "../shell/frame";

/** What to do with files. */
export interface FileUse {
  /** A checkpoint was given. */
  checkpoint(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<void>;
  /** All of MNIST's files are there. */
  mnist(files: MnistFiles): Promise<void>;
  /** What is still missing, or what is no file of use here. */
  say(text: string): void;
}

/** The one of MNIST's files that a name stands for: with .gz or without, a dot for the dash. */
export function mnistName(file: string): MnistName | undefined {
  const plain = file.toLowerCase().replace(/\.gz$/, "").replace(".idx", "-idx");
  return mnistNames.find((name) => name === plain);
}

/** Takes files from `#files` (an input) and from anywhere on the page. */
export function takeFiles(use: FileUse): void {
  const found = new Map<MnistName, Uint8Array<ArrayBuffer>>();
  const take = async (files: readonly File[]): Promise<void> => {
    let given = false;
    for (const file of files) {
      const name = mnistName(file.name);
      if (!name && !file.name.endsWith(".safetensors")) {
        const wanted = `${mnistNames.join(", ")} (plain or .gz), or a checkpoint.safetensors`;
        use.say(`${file.name} is no file for this page; it takes ${wanted}.`);
        return;
      }
      const bytes = new Uint8Array(await file.arrayBuffer());
      if (!name) return use.checkpoint(bytes, file.name);
      found.set(name, bytes);
      given = true;
    }
    const missing = mnistNames.filter((name) => !found.has(name));
    if (missing.length > 0) {
      if (given) use.say(`Still missing of MNIST: ${missing.join(", ")}.`);
      return;
    }
    const all = Object.fromEntries(found) as MnistFiles;
    // A second set begins anew; a damaged file is given again with the others.
    found.clear();
    await use.mnist(all);
  };
  const input = element<HTMLInputElement>("files");
  input.onchange = async () => {
    const files = [...(input.files ?? [])];
    // So that the same file can be given again.
    input.value = "";
    await take(files);
  };
  const body = document.body;
  body.ondragover = (event) => {
    event.preventDefault();
    body.classList.add("over");
  };
  body.ondragleave = (event) => {
    if (event.relatedTarget === null) body.classList.remove("over");
  };
  body.ondrop = async (event) => {
    event.preventDefault();
    body.classList.remove("over");
    await take([...(event.dataTransfer?.files ?? [])]);
  };
}
