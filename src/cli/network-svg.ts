import { Graph, layout } from "@dagrejs/dagre";
import { size } from "../graph/shape";
import type { Box, BoxKind, Network } from "./network";
import { count } from "./output";

/** Fill and edge of each kind of box. */
const COLOURS: Readonly<Record<BoxKind, readonly [string, string]>> = {
  input: ["#f4f4f5", "#8a8f98"],
  output: ["#f4f4f5", "#8a8f98"],
  embedding: ["#fdf0d9", "#c98a1b"],
  generator: ["#fbe3dd", "#c8442f"],
  kernel: ["#f7cfc4", "#a92c17"],
  layer: ["#e1ecf7", "#2f6ca8"],
};

const NAMES: readonly (readonly [BoxKind, string])[] = [
  ["embedding", "embedding"],
  ["generator", "generator"],
  ["kernel", "generated kernel"],
  ["layer", "main network"],
];

const LINE = 17;
const PADDING = 12;
const FONT = 'font-family="system-ui, sans-serif"';

function text(x: number, y: number, size: number, words: string, more = ""): string {
  const safe = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${size}" text-anchor="middle" ${more}>${safe}</text>`;
}

/** A smooth path: straight to the first midpoint, then bent around each inner point. */
function curve(points: readonly { readonly x: number; readonly y: number }[]): string {
  const at = ({ x, y }: { x: number; y: number }): string => `${x.toFixed(1)} ${y.toFixed(1)}`;
  const [first, ...rest] = points;
  const last = rest.at(-1);
  if (!first || !last) return "";
  const bends = rest.slice(0, -1).map((p, k) => {
    const next = rest[k + 1] ?? last;
    const end = next === last ? last : { x: (p.x + next.x) / 2, y: (p.y + next.y) / 2 };
    return `Q${at(p)} ${at(end)}`;
  });
  return `M${at(first)}${bends.join("") || `L${at(last)}`}`;
}

/** The lines of a box: its title, and each weight with its shape and number of elements. */
function linesOf({ kind, title, weights, macs }: Box): string[] {
  const made = kind === "kernel" ? "generated weights" : "";
  const rows = weights.map(({ name, shape }) =>
    `${name} ${shape.join("×")} = ${count(size(shape))} ${made}`.trim(),
  );
  return [title, ...rows, ...(macs > 0 ? [`${count(macs)} multiply-adds`] : [])];
}

/**
 * Draws a network as SVG: embeddings, generator, generated kernels and main network, each with
 * shapes and counts.
 * @param caption One line beneath the picture.
 */
export function networkSvg(network: Network, caption: string): string {
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", ranksep: 38, nodesep: 36, marginx: 24, marginy: 24 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [k, box] of network.boxes.entries()) {
    const lines = linesOf(box);
    const width = Math.max(130, ...lines.map((line) => line.length * 7 + 2 * PADDING));
    graph.setNode(`${k}`, { width, height: lines.length * LINE + 2 * PADDING - 4 });
  }
  for (const { from, to, shape } of network.arrows) {
    const label = { width: shape.join("×").length * 7 + 10, height: LINE, labelpos: "r" };
    graph.setEdge(`${from}`, `${to}`, shape.length > 0 ? label : {});
  }
  layout(graph);

  const arrows = network.arrows.map(({ from, to, shape }) => {
    const {
      points = [],
      x = 0,
      y = 0,
    } = graph.edge(`${from}`, `${to}`) as {
      points?: { x: number; y: number }[];
      x?: number;
      y?: number;
    };
    const words =
      shape.length > 0
        ? text(
            x,
            y + 4,
            12,
            shape.join("×"),
            'fill="#555" stroke="white" stroke-width="4" paint-order="stroke"',
          )
        : "";
    const line = `<path d="${curve(points)}" fill="none" stroke="#777" stroke-width="1.4" marker-end="url(#tip)"/>`;
    return line + words;
  });
  const boxes = network.boxes.map((box, k) => {
    const { x = 0, y = 0, width = 0, height = 0 } = graph.node(`${k}`);
    const [fill, edge] = COLOURS[box.kind];
    const top = y - height / 2;
    const rect =
      `<rect x="${(x - width / 2).toFixed(1)}" y="${top.toFixed(1)}" width="${width}" height="${height}" ` +
      `rx="7" fill="${fill}" stroke="${edge}" stroke-width="1.4"/>`;
    const lines = linesOf(box).map((line, row) =>
      text(
        x,
        top + PADDING + LINE * row + 9,
        row === 0 ? 14 : 12,
        line,
        row === 0 ? 'font-weight="600"' : 'fill="#444"',
      ),
    );
    return rect + lines.join("");
  });

  const { width: drawn = 0, height: tall = 0 } = graph.graph();
  const kinds = new Set(network.boxes.map(({ kind }) => kind));
  const shown = NAMES.filter(([kind]) => kinds.has(kind));
  const width = Math.max(drawn, 150 * shown.length + 20, caption.length * 7 + 40);
  const legend = shown.map(([kind, name], k) => {
    const [fill, edge] = COLOURS[kind];
    const x = width / 2 - 75 * shown.length + 150 * k + 10;
    return (
      `<rect x="${x}" y="${tall + 4}" width="14" height="14" rx="3" fill="${fill}" stroke="${edge}"/>` +
      `<text x="${x + 20}" y="${tall + 16}" font-size="12">${name}</text>`
    );
  });
  const shift = (width - drawn) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${tall + 62}" ` +
      `viewBox="0 0 ${width} ${tall + 62}" ${FONT}>`,
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">' +
      '<path d="M0 0L10 5L0 10z" fill="#777"/></marker></defs>',
    '<rect width="100%" height="100%" fill="white"/>',
    `<g transform="translate(${shift} 0)">`,
    ...arrows,
    ...boxes,
    "</g>",
    ...legend,
    text(width / 2, tall + 46, 13, caption, 'font-weight="600"'),
    "</svg>",
    "",
  ].join("\n");
}
