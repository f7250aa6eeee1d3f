/** Results to stand beside the visitor's: those shipped with the page, and files of `bench --json`. */
import { adapterName, type BenchReport, parseReport } from "../../bench/report";
import { element, problem, show } from "../shell/frame";

/** Adapters whose results lie beside the page, by the word in the link; "none" for none. */
export const SHIPPED = { swiftshader: "SwiftShader", lavapipe: "lavapipe" } as const;
/** What the link may say. */
export const BESIDE = ["swiftshader", "lavapipe", "none"] as const;
/** One of them. */
export type Beside = (typeof BESIDE)[number];

/** The stored results of an adapter. @throws Error where the site lacks its file. */
async function storedReport(name: keyof typeof SHIPPED): Promise<BenchReport> {
  const file = `bench-${name}.jsonl`;
  const response = await fetch(`./${file}`);
  if (!response.ok) throw new Error(`the site has no ${file} (${response.status})`);
  return parseReport(await response.text(), file);
}

/** Where and when a report came about, in a line. */
function originOf({ adapter, machine, versions, date }: BenchReport): string {
  const { runtime = "" } = versions;
  const where = [runtime, versions[runtime]].filter(Boolean).join(" ");
  const on = `${machine.cores} × ${machine.cpu}`;
  return `${adapterName(adapter)}, ${where}, ${on}, ${date.slice(0, 10)}`;
}

/**
 * Fills `#beside` and listens to it and to `#file`.
 * @param chosen What the link says. @param choose Told of a stored adapter that the visitor chose.
 * @param place Told of the report that stands beside from now on, or of none.
 */
export async function mountBeside(
  chosen: Beside,
  choose: (name: Beside) => void,
  place: (report: BenchReport | null) => void,
): Promise<void> {
  const select = element<HTMLSelectElement>("beside");
  const opened = new Map<string, BenchReport>();
  const told = (found: BenchReport | null): void => {
    show("origin", found ? `Beside: ${originOf(found)}.` : "");
    place(found);
  };
  const put = async (name: Beside): Promise<void> => {
    try {
      told(name === "none" ? null : await storedReport(name));
    } catch (error) {
      problem(`No results stand beside: ${(error as Error).message}.`);
      told(null);
    }
  };
  for (const name of BESIDE) select.add(new Option(name === "none" ? name : SHIPPED[name], name));
  select.value = chosen;
  select.onchange = () => {
    const found = opened.get(select.value);
    if (found) return told(found);
    choose(select.value as Beside);
    return void put(select.value as Beside);
  };
  const input = element<HTMLInputElement>("file");
  input.onchange = async () => {
    const [file] = input.files ?? [];
    if (!file) return;
    try {
      const found = parseReport(await file.text(), file.name);
      if (!opened.has(file.name)) select.add(new Option(file.name, file.name));
      opened.set(file.name, found);
      select.value = file.name;
      problem("");
      told(found);
    } catch (error) {
      problem(`${(error as Error).message.replace("hyperloom: ", "")}.`);
    }
    input.value = "";
  };
  await put(chosen);
}
