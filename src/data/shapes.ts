import { cos, fold, type Key, key, sin, WordStream, words } from "../graph/random";

/**
 * Coloured shapes and textures, drawn: the data set of colour images that needs no download.
 *
 * An image is one figure, of random place, size, turn, stretch and softness, on a background; both
 * have a random colour with a random slope across the image. A shape is filled; a texture fills a
 * disc or a square that says nothing about its class. Specks of any colour lie over both, and each
 * pixel is noisy. Every class looks the same mirrored left and right, so that flips may be drawn.
 * Only + - * / sqrt and this library's sin and cos are used: bytes are equal everywhere.
 */

/** What a label stands for: six shapes, four textures. */
export const shapeNames = [
  "disc",
  "ring",
  "square",
  "triangle",
  "cross",
  "star",
  "horizontal stripes",
  "vertical stripes",
  "diagonal stripes",
  "checker",
] as const;

/** Side of an image in pixels. */
const SIDE = 32;
const AREA = SIDE * SIDE;
const MIDDLE = (SIDE - 1) / 2;

/**
 * How far samples differ; lengths in pixels, colours of 255. Chosen so that neither pixels nor
 * colours do: trained on 10,000, a linear classifier reaches 14 % on unseen images, the nearest of
 * 10,000 neighbours 22 %, and three 3 x 3 convolutions of 16, 32 and 32 channels, each with a
 * pooling, 68 % after two epochs and 90 % after eight.
 */
const SIZE = [8.5, 13.5] as const; // of a shape, about its centre to its tips
const PATCH = [9, 13] as const; // of a texture
const STRETCH = [0.85, 1.18] as const;
const OUTSIDE = 1.5; // how far a figure may leave the image
const TILT = 0.2; // radians of stripes to their direction
const PERIOD = [4, 7] as const; // of stripes
const SOFT = [0.8, 2] as const; // from full colour to none
const COLOUR = [24, 232] as const;
const CONTRAST = 90; // least distance of figure to background in RGB
const SLOPE = 1.5; // of a channel, from pixel to pixel
const SPECKS = [2, 5] as const; // how many
const SPECK = [0.7, 1.9] as const; // their radius
const NOISE = 40; // the width of its uniform distribution

/** Distance of a point to a figure's border, negative inside; the figure's centre is the origin. */
type Distance = (x: number, y: number) => number;

const disc =
  (radius: number): Distance =>
  (x, y) =>
    Math.sqrt(x * x + y * y) - radius;

const box =
  (width: number, height: number): Distance =>
  (x, y) =>
    Math.max(Math.abs(x) - width, Math.abs(y) - height);

/**
 * Between `sides` lines at equal distance around the origin: the points that lie beyond none of
 * them, or beyond at most one, which adds the tips of a star.
 */
function lines(sides: number, apart: number, beyond: 0 | 1): Distance {
  const angles = Array.from({ length: sides }, (_, i) => (2 * Math.PI * i) / sides);
  const [nx, ny] = [angles.map(cos), angles.map(sin)];
  return (x, y) => {
    let most = -Infinity;
    let second = -Infinity;
    for (let i = 0; i < sides; i++) {
      const over = (nx[i] as number) * x + (ny[i] as number) * y - apart;
      if (over > most) {
        second = most;
        most = over;
      } else if (over > second) second = over;
    }
    return beyond === 0 ? most : second;
  };
}

/** Bars of half a period across x, `phase` in periods. */
const stripes =
  (period: number, phase: number): Distance =>
  (x) => {
    const t = x / period + phase;
    return (Math.abs(t - Math.floor(t) - 0.5) - 0.25) * period;
  };

/** A figure turned by `angle`, stretched along one of its axes as it is shrunk along the other. */
const turned = (angle: number, stretch: number, figure: Distance): Distance => {
  const [c, s] = [cos(angle), sin(angle)];
  return (x, y) => figure((c * x + s * y) * stretch, (c * y - s * x) / stretch);
};

/** A shape of one of the first six classes, its tips about `size` from the origin. */
function shape(label: number, size: number, random: WordStream): Distance {
  switch (label) {
    case 0:
      return disc(0.85 * size);
    case 1: {
      const [outer, inner] = [disc(0.95 * size), disc(random.between(0.45, 0.65) * size)];
      return (x, y) => Math.max(outer(x, y), -inner(x, y));
    }
    case 2:
      return box(0.75 * size, 0.75 * size);
    case 3:
      return lines(3, 0.55 * size, 0);
    case 4: {
      const thin = random.between(0.2, 0.32) * size;
      const [across, along] = [box(0.95 * size, thin), box(thin, 0.95 * size)];
      return (x, y) => Math.min(across(x, y), along(x, y));
    }
    default:
      return lines(5, 0.38 * size, 1);
  }
}

/** A texture of one of the last four classes. */
function texture(label: number, random: WordStream): Distance {
  const bars = () => stripes(random.between(...PERIOD), random.between(0, 1));
  if (label === 9) {
    const [columns, rows] = [bars(), bars()];
    const checker: Distance = (x, y) => {
      const [a, b] = [columns(x, 0), rows(y, 0)];
      return Math.max(Math.min(a, b), -Math.max(a, b)); // inside one of the two
    };
    return turned(random.between(0, 6.28), 1, checker);
  }
  const eighths = label === 6 ? 2 : label === 7 ? 0 : 1 + 2 * random.below(2);
  const angle = (eighths * Math.PI) / 4 + random.between(-TILT, TILT);
  return turned(angle, 1, bars());
}

/** A figure of a class, and about how far it reaches from its centre. */
function figure(label: number, random: WordStream): { distance: Distance; size: number } {
  const [smallest, largest] = label < 6 ? SIZE : PATCH;
  const size = random.between(smallest, largest);
  const angle = random.between(0, 6.28);
  const stretch = random.between(...STRETCH);
  if (label < 6) return { distance: turned(angle, stretch, shape(label, size, random)), size };
  const within = turned(angle, stretch, shape(2 * random.below(2), size, random));
  const inside = texture(label, random);
  return { distance: (x, y) => Math.max(within(x, y), inside(x, y)), size };
}

/** Red, green and blue in the middle of the image, then their slopes along x and along y. */
function colour(random: WordStream): Float64Array {
  const nine = new Float64Array(9);
  for (let i = 0; i < 9; i++) {
    nine[i] = i < 3 ? random.between(...COLOUR) : random.between(-SLOPE, SLOPE);
  }
  return nine;
}

/** A colour at least CONTRAST away from another. */
function contrasting(other: Float64Array, random: WordStream): Float64Array {
  for (;;) {
    const drawn = colour(random);
    let square = 0;
    for (let c = 0; c < 3; c++) {
      const difference = (drawn[c] as number) - (other[c] as number);
      square += difference * difference;
    }
    if (square >= CONTRAST * CONTRAST) return drawn;
  }
}

/** Where a figure is painted: its centre, how far it reaches at most, and how soft its border is. */
interface Place {
  readonly x: number;
  readonly y: number;
  readonly reach: number;
  readonly soft: number;
}

/** Paints a figure over f64 [3, 32, 32]. */
function paint(canvas: Float64Array, distance: Distance, place: Place, colour: Float64Array): void {
  const { x: cx, y: cy, reach, soft } = place;
  const x0 = Math.max(0, Math.ceil(cx - reach));
  const x1 = Math.min(SIDE - 1, Math.floor(cx + reach));
  const y1 = Math.min(SIDE - 1, Math.floor(cy + reach));
  for (let y = Math.max(0, Math.ceil(cy - reach)); y <= y1; y++) {
    for (let x = x0; x <= x1; x++) {
      const cover = Math.min(1, 0.5 - distance(x - cx, y - cy) / soft);
      if (cover <= 0) continue;
      for (let c = 0; c < 3; c++) {
        const at = c * AREA + y * SIDE + x;
        const alongX = (colour[3 + c] as number) * (x - MIDDLE);
        const value = (colour[c] as number) + alongX + (colour[6 + c] as number) * (y - MIDDLE);
        canvas[at] = (1 - cover) * (canvas[at] as number) + cover * value;
      }
    }
  }
}

/** Draws sample `index` of a seed's key into u8 [3, 32, 32] and returns its label. */
function sample(from: Key, index: number, image: Uint8Array, canvas: Float64Array): number {
  const own = fold(from, index);
  const random = new WordStream(own);
  const label = random.below(10);
  const background = colour(random);
  paint(canvas, () => -SIDE, { x: MIDDLE, y: MIDDLE, reach: SIDE, soft: 1 }, background);

  const { distance, size } = figure(label, random);
  const shift = MIDDLE - size + OUTSIDE;
  const place = () => MIDDLE + random.between(-shift, shift);
  const soft = random.between(...SOFT);
  const foreground = contrasting(background, random);
  paint(canvas, distance, { x: place(), y: place(), reach: SIDE, soft }, foreground);

  const [fewest, most] = SPECKS;
  for (let left = fewest + random.below(most - fewest + 1); left > 0; left--) {
    const radius = random.between(...SPECK);
    const [x, y] = [random.between(0, SIDE), random.between(0, SIDE)];
    paint(canvas, disc(radius), { x, y, reach: radius + 1, soft: 1 }, colour(random));
  }

  // One word has the noise of a pixel's three channels, ten bits each.
  const noise = words(fold(own, "noise"), [0, 0], AREA);
  for (let i = 0; i < AREA; i++) {
    const word = noise[i] as number;
    for (let c = 0; c < 3; c++) {
      const grain = NOISE * (((word >>> (10 * c)) & 1023) / 1024 - 0.5);
      const value = Math.floor((canvas[c * AREA + i] as number) + grain + 0.5);
      image[c * AREA + i] = Math.max(0, Math.min(255, value));
    }
  }
  return label;
}

/** Which shapes to draw. */
export interface ShapesOptions {
  readonly count: number;
  readonly seed: number;
  /** Number of the first sample; default 0. */
  readonly from?: number;
}

/**
 * Draws `count` images of coloured shapes: images u8 [count, 3, 32, 32] (red, green, blue) and labels
 * u8 [count], indices of `shapeNames`. Sample i, counted from `from`, depends on nothing but
 * (seed, i).
 */
export function generateShapes(options: ShapesOptions): { images: Uint8Array; labels: Uint8Array } {
  const { count, seed, from = 0 } = options;
  const samples = fold(key(seed), "shapes");
  const images = new Uint8Array(count * 3 * AREA);
  const labels = new Uint8Array(count);
  const canvas = new Float64Array(3 * AREA);
  for (let i = 0; i < count; i++) {
    labels[i] = sample(
      samples,
      from + i,
      images.subarray(i * 3 * AREA, (i + 1) * 3 * AREA),
      canvas,
    );
  }
  return { images, labels };
}
