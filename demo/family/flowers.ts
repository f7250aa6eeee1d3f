/** The family that is learned: flowers, each said by three numbers and drawn by a formula. */

/** What the three numbers of a condition are, with the bounds that training draws them from. */
export const CONDITION = [
  { name: "petals", label: "Petals", from: 3, to: 7, step: 0.01, unit: "" },
  { name: "depth", label: "Depth", from: 0.1, to: 0.6, step: 0.005, unit: "" },
  { name: "turn", label: "Turn", from: -45, to: 45, step: 0.5, unit: "°" },
] as const;

/** One flower: how many petals, how deep the valleys between them, turned by how many degrees. */
export interface Flower {
  readonly petals: number;
  readonly depth: number;
  readonly turn: number;
}

/** Radii in a picture from −1 to 1: the flower's mean one, and the eye's. */
export const RADIUS = 0.55;
/** See `RADIUS`. */
export const EYE = 0.14;
/** How fast a picture goes from −1 to 1 at an edge. */
export const EDGE = 6;

/** The numbers of a flower, each brought from its bounds to −1 … 1: what the generator reads. */
export function conditionOf(flower: Flower): number[] {
  return CONDITION.map(({ name, from, to }) => (2 * (flower[name] - from)) / (to - from) - 1);
}

/** The flower of three numbers from −1 to 1, the inverse of `conditionOf`. */
export function flowerOf(condition: ArrayLike<number>): Flower {
  const values = CONDITION.map(({ name, from, to }, k) => {
    return [name, from + ((to - from) * ((condition[k] ?? 0) + 1)) / 2] as const;
  });
  return Object.fromEntries(values) as unknown as Flower;
}

/**
 * The picture of a flower at a point: 1 inside, −1 outside and in its eye, smooth between. A number
 * of petals between two whole ones is the mix of both outlines.
 * @param x From −1 (left) to 1. @param y From −1 (bottom) to 1.
 */
export function flowerAt({ petals, depth, turn }: Flower, x: number, y: number): number {
  const r = Math.hypot(x, y);
  const angle = Math.atan2(y, x) - Math.PI / 2 + (turn * Math.PI) / 180;
  const least = Math.floor(petals);
  const share = petals - least;
  const wave = (1 - share) * Math.cos(least * angle) + share * Math.cos((least + 1) * angle);
  const outline = RADIUS * (1 + depth * wave);
  return Math.tanh(EDGE * (outline - r)) * Math.tanh(EDGE * (r - EYE));
}

/** The points of a picture of side × side pixels, x and y of each, row by row from the top. */
export function pixels(side: number): Float32Array {
  const points = new Float32Array(2 * side * side);
  const middle = (k: number): number => (2 * k + 1) / side - 1;
  for (let k = 0; k < side * side; k++) {
    points[2 * k] = middle(k % side);
    points[2 * k + 1] = -middle(Math.floor(k / side));
  }
  return points;
}

/** A flower at each of some points, given as x and y in turn. */
export function flowerPicture(flower: Flower, points: Float32Array): Float32Array {
  return Float32Array.from({ length: points.length / 2 }, (_, k) =>
    flowerAt(flower, points[2 * k] as number, points[2 * k + 1] as number),
  );
}
