import type { ScaleChange } from "../train/sampler";
import { colour } from "./charts";

/** What a trace knows of one symbol: its character, and the changes by layer and gate. */
export interface TracedSymbol {
  readonly character: string;
  /** ‖d_t − d_{t−1}‖ of the scales of h W_h, of x W_x and of the biases, each by gate; by layer. */
  readonly changes: Readonly<Record<string, Readonly<Record<"h" | "x" | "b", GateNumbers>>>>;
}

type GateNumbers = Readonly<Record<string, number>>;

/**
 * What was traced, by character. The first character has no changes: there is nothing before it.
 * @param gates One letter a gate, in the order of the model's.
 */
export function tracedSymbols(
  characters: readonly string[],
  changes: readonly (readonly ScaleChange[])[],
  gates: string,
): TracedSymbol[] {
  const byGate = (values: readonly number[], first: boolean): GateNumbers =>
    Object.fromEntries([...gates].map((gate, k) => [gate, first ? 0 : (values[k] ?? 0)]));
  return changes.map((layers, t) => ({
    character: characters[t] ?? "",
    changes: Object.fromEntries(
      layers.map(({ path, h, x, b }) => [
        path,
        { h: byGate(h, t === 0), x: byGate(x, t === 0), b: byGate(b, t === 0) },
      ]),
    ),
  }));
}

const COLUMNS = 72;
const [CELL, ROW, LEFT, GAP] = [10, 18, 64, 12] as const;

const escapes: Readonly<Record<string, string>> = {
  "<": "&lt;",
  "&": "&amp;",
  "\n": "↵",
  "\t": "→",
  " ": "\u00a0",
};
const shown = (character: string): string =>
  escapes[character] ?? (character < " " ? "·" : character);

/** All but the largest two per cent stay below it. */
function scaleOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(0.98 * (sorted.length - 1))] || 1;
}

/**
 * The text as a strip of coloured characters, once for each gate: the redder, the more the scales of
 * h W_h changed when the character was read (the paper's figures 4 and 7). Each gate has a scale of
 * its own.
 */
export function traceSvg(trace: readonly TracedSymbol[], title: string): string {
  const layers = Object.keys(trace[0]?.changes ?? {});
  const strips = layers.flatMap((layer) =>
    Object.keys(trace[0]?.changes[layer]?.h ?? {}).map((gate) => {
      const values = trace.map(({ changes }) => changes[layer]?.h[gate] ?? 0);
      const name = layers.length > 1 ? `${layer.replace(/\.?d$/, "")} ${gate}` : gate;
      return { name, values, scale: scaleOf(values) };
    }),
  );
  const lines = Math.ceil(trace.length / COLUMNS);
  const block = strips.length * ROW + GAP;
  const [width, height] = [LEFT + COLUMNS * CELL + GAP, 2 * ROW + GAP + lines * block];
  const parts: string[] = [];
  for (const [t, { character }] of trace.entries()) {
    const x = LEFT + (t % COLUMNS) * CELL;
    const top = 2 * ROW + Math.floor(t / COLUMNS) * block;
    for (const [k, { name, values, scale }] of strips.entries()) {
      const y = top + k * ROW;
      const share = Math.min(1, (values[t] ?? 0) / scale);
      const [r, g, b] = colour(share);
      const fill = share > 0.7 ? ' fill="white"' : "";
      if (t % COLUMNS === 0) parts.push(`<text x="8" y="${y + 13}" fill="#666">${name}</text>`);
      parts.push(
        `<rect x="${x}" y="${y}" width="${CELL}" height="${ROW - 2}" fill="rgb(${r},${g},${b})"/>` +
          `<text x="${x + 1}" y="${y + 13}"${fill}>${shown(character)}</text>`,
      );
    }
  }
  const caption = title.replace(/[<&]/g, (c) => escapes[c] ?? c);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">\n` +
    `<rect width="${width}" height="${height}" fill="white"/>\n` +
    `<text x="8" y="20" font-family="system-ui, sans-serif">${caption}</text>\n` +
    `${parts.join("\n")}\n</svg>\n`
  );
}
