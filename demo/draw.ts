/** Full colour at this weight: three standard deviations of the kernel before training. */
const FULL = 0.15;
/** Screen pixels of a weight, and between two kernels. */
const CELL = 4;
const GAP = 4;
const ORANGE = [224, 112, 16] as const;
const BLUE = [32, 112, 224] as const;

/**
 * The matrix K of 16·f rows and columns as 16 × 16 kernels of f × f: positive weights orange,
 * negative ones blue, small ones faint, so that it suits a bright page and a dark one.
 */
export function drawKernels(canvas: HTMLCanvasElement, matrix: Float32Array): void {
  const columns = Math.sqrt(matrix.length);
  const f = columns / 16;
  const tile = f * CELL + GAP;
  const side = 16 * tile - GAP;
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  // Row or column of the matrix at a screen pixel; NaN in a gap.
  const at = Array.from({ length: side }, (_, p) => {
    const inside = Math.floor((p % tile) / CELL);
    return inside < f ? Math.floor(p / tile) * f + inside : Number.NaN;
  });
  for (const [y, row] of at.entries()) {
    for (const [x, column] of at.entries()) {
      const weight = matrix[row * columns + column] ?? 0;
      const strength = Math.min(1, Math.abs(weight) / FULL);
      image.data.set([...(weight > 0 ? ORANGE : BLUE), 255 * strength], 4 * (y * side + x));
    }
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/** Sizes of the curve's SVG, and the losses at its top and bottom. */
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [320, 170, 34, 18];
const [MOST, LEAST] = [4, 0.01];

function height(loss: number): number {
  const share = Math.log(Math.min(MOST, Math.max(LEAST, loss)) / LEAST) / Math.log(MOST / LEAST);
  return 6 + (1 - share) * (HEIGHT - BOTTOM - 6);
}

/** Loss by step on a logarithmic scale: every step, and the running mean over about ten. */
export function drawLoss(svg: SVGElement, losses: readonly number[], steps: number): void {
  let mean = losses[0] ?? 0;
  const path = (values: readonly number[]): string =>
    values
      .map((loss, t) => {
        const x = LEFT + ((WIDTH - LEFT) * (t + 1)) / steps;
        return `${t === 0 ? "M" : "L"}${x.toFixed(1)} ${height(loss).toFixed(1)}`;
      })
      .join("");
  const means = losses.map((loss) => {
    mean += (loss - mean) / 10;
    return mean;
  });
  const lines = [1, 0.1, 0.01].map((loss) => {
    const y = height(loss);
    return (
      `<path class="grid" d="M${LEFT} ${y}H${WIDTH}"/>` +
      `<text x="${LEFT - 5}" y="${y + 4}" text-anchor="end">${loss}</text>`
    );
  });
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.innerHTML =
    `${lines.join("")}<text x="${LEFT}" y="${HEIGHT - 2}">step 1</text>` +
    `<text x="${WIDTH}" y="${HEIGHT - 2}" text-anchor="end">${steps}</text>` +
    `<path class="each" d="${path(losses)}"/><path class="mean" d="${path(means)}"/>`;
}
