/** Curves over steps, in the page's colours, with a cursor that follows the film. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Point } from "./film";
import { onTheme } from "./frame";
import { runningMean } from "./mean";

/** One curve of a plot. */
export interface Curve {
  /** Its name among a point's values. */
  readonly name: string;
  readonly label: string;
  /** A custom property of the style sheet, "--orange" for instance. */
  readonly colour: string;
  /** Draw each step thin and the running mean thick; default true. */
  readonly smooth?: boolean;
}

/** How a plot looks. */
export interface CurvesOptions {
  readonly curves: readonly Curve[];
  /** Logarithmic values; default false. */
  readonly log?: boolean;
  /** The least and the greatest value shown. */
  readonly range?: readonly [number, number];
  /** Steps that the running mean looks back; default 10. */
  readonly mean?: number;
  readonly height?: number;
  /** How a value is written; default three digits. */
  readonly format?: (value: number) => string;
}

/** A plot in the page. */
export interface Curves {
  /** Shows these points; `steps`: the whole run, so that the axis stays. */
  set(points: readonly Point[], steps: number): void;
  /** Marks a step, null for none. */
  cursor(step: number | null): void;
}

const colour = (property: string): string => {
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

const MOST_POINTS = 1000;

/** The powers of ten within a range: a line each, without those between. */
function decades(_: uPlot, __: number, least: number, most: number): number[] {
  const [from, to] = [Math.ceil(Math.log10(least)), Math.floor(Math.log10(most))];
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, k) => 10 ** (from + k));
}

/** Draws curves into an element, which should be labelled by a caption. */
export function createCurves(parent: HTMLElement, options: CurvesOptions): Curves {
  const { curves, log = false, range, mean = 10, height = 150 } = options;
  const format = options.format ?? ((value: number): string => `${Number(value.toPrecision(3))}`);
  let points: readonly Point[] = [];
  let steps = 1;
  let marked: number | null = null;
  let plot: uPlot | null = null;
  let drawing = false;

  const data = (): uPlot.AlignedData => {
    // More than a point or two a pixel is not seen.
    const each = Math.ceil(points.length / MOST_POINTS);
    const seen = <T>(list: readonly T[]): T[] =>
      each > 1 ? list.filter((_, k) => k % each === 0 || k === list.length - 1) : [...list];
    const columns = curves.flatMap(({ name, smooth = true }) => {
      const all = points.map(({ values }) => values[name] ?? Number.NaN);
      return smooth ? [seen(all), seen(runningMean(all, mean))] : [seen(all)];
    });
    return [seen(points.map(({ step }) => step)), ...columns];
  };

  const markCursor = (self: uPlot): void => {
    if (marked === null) return;
    const { ctx, bbox } = self;
    const x = Math.round(self.valToPos(marked, "x", true));
    ctx.save();
    ctx.strokeStyle = colour("--ink");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  };

  const build = (): void => {
    plot?.destroy();
    const [soft, line] = [colour("--soft"), colour("--line")];
    const series = curves.flatMap(({ label, colour: property, smooth = true }): uPlot.Series[] => {
      const stroke = colour(property);
      const thick = { label, stroke, width: 2, points: { show: false } };
      const thin = {
        label: `${label}, each`,
        stroke,
        width: 1,
        alpha: 0.3,
        points: { show: false },
      };
      return smooth ? [thin, thick] : [thick];
    });
    const axis = {
      stroke: soft,
      font: "11px system-ui, sans-serif",
      grid: { stroke: line, width: 1 },
      ticks: { show: false },
    };
    plot = new uPlot(
      {
        width: Math.max(120, parent.clientWidth),
        height,
        legend: { show: false },
        cursor: { show: false },
        padding: [6, 14, 0, 0],
        scales: {
          x: { time: false, range: () => [0, Math.max(1, steps)] },
          y: { ...(log && { distr: 3 as const }), ...(range && { range: () => [...range] }) },
        },
        axes: [
          { ...axis, size: 24, grid: { show: false }, space: 60 },
          {
            ...axis,
            size: 44,
            space: 28,
            ...(log && { splits: decades }),
            values: (_, all) => all.map((v) => (v === null ? "" : format(v))),
          },
        ],
        series: [{}, ...series],
        hooks: { draw: [markCursor] },
      },
      data(),
      parent,
    );
  };

  build();
  onTheme(build);
  new ResizeObserver(() => {
    const width = Math.max(120, parent.clientWidth);
    if (plot && plot.width !== width) plot.setSize({ width, height });
  }).observe(parent);
  return {
    set(next, whole) {
      [points, steps] = [next, whole];
      if (drawing) return;
      // Steps may come faster than frames.
      drawing = true;
      requestAnimationFrame(() => {
        drawing = false;
        plot?.setData(data());
      });
    },
    cursor(step) {
      if (marked === step) return;
      marked = step;
      plot?.redraw(false);
    },
  };
}
