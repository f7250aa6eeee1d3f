import type { PlotOptions } from "@observablehq/plot";
import type { SafeTensor } from "../io/safetensors";
import type { EvalEvent, StepEvent } from "../train/events";
import { Canvas } from "./canvas";
import { measured } from "./output";

// Points beyond this number only make the file larger.
const MOST_POINTS = 1500;

type Plot = typeof import("@observablehq/plot");

/** Draws a plot as SVG, with a library that is loaded when there is one to draw. */
async function svgOf(options: (plot: Plot) => PlotOptions): Promise<string> {
  const [{ parseHTML }, plot] = await Promise.all([
    import("linkedom"),
    import("@observablehq/plot"),
  ]);
  const svg = plot.plot({
    document: parseHTML("<!doctype html><html><body></body></html>").document,
    width: 760,
    height: 400,
    marginLeft: 52,
    marginRight: 40,
    marginBottom: 42,
    style: { background: "white", fontFamily: "system-ui, sans-serif", fontSize: "12px" },
    ...options(plot),
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return `${svg.outerHTML}\n`;
}

/** The loss curve of a run as SVG: each step, their running mean, and the validation losses. */
export function lossCurve(
  title: string,
  steps: readonly StepEvent[],
  evaluations: readonly EvalEvent[],
): Promise<string> {
  const each = Math.ceil(steps.length / MOST_POINTS);
  const shown = steps.filter((_, k) => k % each === 0);
  const validation = evaluations.filter(({ split }) => split === "validation");
  const window = Math.max(1, Math.round(shown.length / 25));
  const mean = { k: window, anchor: "middle", strict: false } as const;
  const position = { x: "step", y: "loss" } as const;
  const label = (event: EvalEvent): string => `validation ${measured(event)}`;
  const losses = shown.map(({ loss }) => loss);
  const wide = Math.max(...losses) > 8 * Math.min(...losses);
  return svgOf((plot) => ({
    x: {
      label: "step",
      tickFormat: (step: number) => (Number.isInteger(step) ? `${step}` : ""),
      ticks: 8,
    },
    y: {
      type: wide ? "log" : "linear",
      label: "loss, nats",
      tickFormat: "~g",
      ticks: 6,
      grid: true,
    },
    marks: [
      plot.dot(shown, { ...position, r: 1.5, fill: "#9bb8d3" }),
      plot.line(shown, plot.windowY(mean, { ...position, stroke: "#1f5c99", strokeWidth: 2 })),
      plot.dot(validation, { ...position, r: 4, fill: "#c8442f", stroke: "white" }),
      plot.text(validation.slice(-1), {
        ...position,
        text: label,
        dx: -8,
        dy: -12,
        textAnchor: "end",
        fill: "#c8442f",
        stroke: "white",
        strokeWidth: 3,
      }),
      plot.text([title], { frameAnchor: "top-right", text: (t: string) => t, fontWeight: "bold" }),
    ],
  }));
}

// Norms below it are drawn at it: a logarithm has no 0.
const LEAST_NORM = 1e-12;

/** Norms of gradients by how many steps they go back, one line a model, as SVG. */
export function gradientCurves(
  curves: readonly { readonly label: string; readonly norms: readonly number[] }[],
): Promise<string> {
  const points = curves.flatMap(({ label, norms }) =>
    norms.map((norm, k) => ({ label, k, norm: Math.max(norm, LEAST_NORM) })),
  );
  const position = { x: "k", y: "norm", stroke: "label" } as const;
  const ends = curves.map(({ norms }) => norms.length - 1);
  return svgOf((plot) => ({
    marginRight: 170,
    x: { label: "steps back, k", labelAnchor: "center", ticks: 8 },
    y: { type: "log", label: "‖∂L_T/∂h_(T−k)‖", tickFormat: "~e", ticks: 6, grid: true },
    color: { range: ["#1f5c99", "#c8442f", "#3c8d4f", "#b7791f", "#6b4fa0", "#55606e", "#a8327e"] },
    marks: [
      plot.line(points, { ...position, strokeWidth: 2 }),
      plot.text(
        points.filter(({ k }) => ends.includes(k)),
        plot.selectLast({
          x: "k",
          y: "norm",
          z: "label",
          text: "label",
          fill: "label",
          dx: 6,
          textAnchor: "start",
        }),
      ),
    ],
  }));
}

/** A colour for a value in [-1, 1]: blue, white, red; its parts from 0 to 255. */
export function colour(value: number): readonly [number, number, number] {
  const v = Math.max(-1, Math.min(1, value));
  const [r, g, b] = v < 0 ? [33, 102, 172] : [178, 24, 43];
  const mix = (full: number): number => Math.round(255 + (full - 255) * Math.abs(v) ** 0.8);
  return [mix(r), mix(g), mix(b)];
}

/** The value that all but the largest half per cent stay below in magnitude. */
export function scaleOf(values: Float32Array): number {
  const sorted = values.map(Math.abs).sort();
  return sorted[Math.floor(0.995 * (sorted.length - 1))] || 1;
}

const WIDTH = 720;
const MARGIN = 12;

/**
 * Convolution kernels [C_out, C_in, f, f] as one PNG, layer under layer: each as the paper's matrix
 * K of C_in·f rows and C_out·f columns, hairlines between its f×f kernels, scaled to its own range.
 */
export function kernelPicture(kernels: readonly SafeTensor[]): Promise<Uint8Array> {
  const layers = kernels.map(({ shape, data }) => {
    const [O = 1, I = 1, R = 1, C = 1] = shape;
    const scale = Math.max(1, Math.floor(WIDTH / (O * C)));
    const [across, down] = [C * scale + 1, R * scale + 1];
    return { O, I, R, C, scale, across, down, data: data as Float32Array };
  });
  const width = 2 * MARGIN + Math.max(...layers.map(({ O, across }) => O * across));
  const height = MARGIN + layers.reduce((y, { I, down }) => y + I * down + MARGIN, 0);
  const canvas = new Canvas(width, height, [255, 255, 255]);
  let top = MARGIN;
  for (const { O, I, R, C, scale, across, down, data } of layers) {
    const range = scaleOf(data);
    canvas.rectangle(MARGIN, top, O * across, I * down, [120, 120, 120]);
    for (const [at, value] of data.entries()) {
      const [c, r] = [at % C, Math.floor(at / C) % R];
      const [i, o] = [Math.floor(at / (C * R)) % I, Math.floor(at / (C * R * I))];
      const [x, y] = [MARGIN + o * across + c * scale, top + i * down + r * scale];
      canvas.rectangle(x, y, scale, scale, colour(value / range));
    }
    top += I * down + MARGIN;
  }
  return canvas.png();
}
