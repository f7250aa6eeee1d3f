/** Snapshots of a run in order, to be scrubbed like a film, and the file that holds one. */

/** Numbers of a step by name, such as loss and accuracy. */
export type Values = Readonly<Record<string, number>>;
/** Tensors of a snapshot by name; their shapes are the page's to know. */
export type Tensors = Readonly<Record<string, Float32Array>>;

/** One snapshot. */
export interface Frame {
  readonly step: number;
  readonly tensors: Tensors;
}

/** What the curves show of one step. */
export interface Point {
  readonly step: number;
  readonly values: Values;
}

/** Frames that are kept. */
const MOST = 120;

/** A run's snapshots, and its curves. */
export class Film {
  readonly frames: Frame[] = [];
  readonly points: Point[] = [];

  /** @param about What the run was: settings and counts, kept in the file. */
  constructor(readonly about: Readonly<Record<string, number | string>> = {}) {}

  /** The step of the last snapshot; 0 without any. */
  get end(): number {
    return this.frames.at(-1)?.step ?? 0;
  }

  /** Adds a snapshot behind the last; frames at or after its step, of a run that went back, go. */
  record(frame: Frame): void {
    const { frames } = this;
    while ((frames.at(-1)?.step ?? -1) >= frame.step) frames.pop();
    frames.push(frame);
    if (frames.length > MOST) frames.splice(this.#leastMissed(), 1);
  }

  /**
   * The frame between the first and the last whose neighbours are closest on a scale of √step: what is
   * learned early changes the most.
   */
  #leastMissed(): number {
    let [least, at] = [Infinity, 1];
    for (let k = 1; k < this.frames.length - 1; k++) {
      const [before = 0, after = 0] = [this.frames[k - 1]?.step, this.frames[k + 1]?.step];
      const gap = Math.sqrt(after) - Math.sqrt(before);
      if (gap < least) [least, at] = [gap, k];
    }
    return at;
  }

  /** Adds a step's numbers; those of steps at or after it go. */
  point(point: Point): void {
    while ((this.points.at(-1)?.step ?? -1) >= point.step) this.points.pop();
    this.points.push(point);
  }

  /** The snapshot at a step, between two of them their mean by distance. */
  at(step: number): Frame | undefined {
    const { frames } = this;
    const next = frames.findIndex((frame) => frame.step >= step);
    const after = next < 0 ? frames.at(-1) : frames[next];
    const before = next > 0 ? frames[next - 1] : after;
    if (!after || !before || before === after || after.step === step) return after;
    const share = (step - before.step) / (after.step - before.step);
    const tensors = Object.entries(after.tensors).map(([name, b]) => {
      const a = before.tensors[name] as Float32Array;
      return [name, b.map((x, i) => (a[i] ?? 0) + share * (x - (a[i] ?? 0)))] as const;
    });
    return { step, tensors: Object.fromEntries(tensors) };
  }

  /** The numbers of the last step at or before this one. */
  valuesAt(step: number): Point | undefined {
    return this.points.findLast((point) => point.step <= step) ?? this.points[0];
  }
}

/** A film file that cannot be read. */
export class FilmError extends Error {
  override readonly name = "FilmError";
}

const FORMAT = "hyperloom film 1";

interface Header {
  readonly format: string;
  readonly about: Readonly<Record<string, number | string>>;
  readonly steps: readonly number[];
  /** Length and the value of the number 127, by name, in the order of the bytes. */
  readonly tensors: readonly (readonly [name: string, length: number, full: number])[];
  /** Names of the values, then [step, value or null, …] of each point. */
  readonly names: readonly string[];
  readonly points: readonly (readonly (number | null)[])[];
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  transform: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Every k-th point, so that there are at most `most`, and the last. */
function thinned<T>(list: readonly T[], most: number): T[] {
  const each = Math.ceil(list.length / most);
  return list.filter((_, k) => k % each === 0 || k === list.length - 1);
}

/**
 * A film as a file: gzip of the header's length (u32, little-endian), the header (JSON) and the
 * tensors. Each tensor is rounded to 8 bits of one scale in the whole film and stored as differences
 * in time, which are small and so compress well.
 * @param frames How many snapshots it keeps: earlier ones closer, as learning slows down.
 */
export async function writeFilm(film: Film, frames = 8): Promise<Uint8Array<ArrayBuffer>> {
  // The snapshot nearest to each of these steps.
  const wanted = Array.from({ length: frames }, (_, k) => {
    const step = film.end * (k / Math.max(1, frames - 1)) ** 2;
    const away = film.frames.map((frame) => Math.abs(frame.step - step));
    return away.indexOf(Math.min(...away));
  });
  const kept = [...new Set(wanted)].flatMap((k) => film.frames[k] ?? []);
  const [first] = kept;
  if (!first) throw new FilmError("a film without snapshots cannot be written");
  const tensors = Object.entries(first.tensors).map(([name, { length }]) => {
    let full = 0;
    for (const { tensors: own } of kept) {
      for (const x of own[name] ?? []) full = Math.max(full, Math.abs(x));
    }
    return [name, length, Number(full.toPrecision(6))] as const;
  });
  // Some values come later than others: tests now and then.
  const names = [...new Set(film.points.flatMap(({ values }) => Object.keys(values)))];
  const header: Header = {
    format: FORMAT,
    about: film.about,
    steps: kept.map(({ step }) => step),
    tensors,
    names,
    points: thinned(film.points, 250).map(({ step, values }) => [
      step,
      ...names.map((name) => Number((values[name] ?? Number.NaN).toPrecision(4))),
    ]),
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const size = tensors.reduce((n, [, length]) => n + length, 0);
  const bytes = new Uint8Array(4 + json.length + kept.length * size);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, 4);
  let at = 4 + json.length;
  const before = new Int8Array(size);
  for (const { tensors: own } of kept) {
    let k = 0;
    for (const [name, , full] of tensors) {
      for (const x of own[name] ?? []) {
        const level = Math.round((127 * x) / (full || 1));
        bytes[at++] = level - (before[k] ?? 0);
        before[k++] = level;
      }
    }
  }
  return through(bytes, new CompressionStream("gzip"));
}

/** Reads a film file. @throws FilmError for bytes that are none. */
export async function readFilm(file: Uint8Array<ArrayBuffer>): Promise<Film> {
  try {
    const bytes = await through(file, new DecompressionStream("gzip"));
    const length = new DataView(bytes.buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as Header;
    if (header.format !== FORMAT) throw new FilmError(`its format is ${header.format}`);
    const film = new Film(header.about);
    let at = 4 + length;
    const size = header.tensors.reduce((n, [, count]) => n + count, 0);
    if (bytes.length !== at + size * header.steps.length) throw new FilmError("it is cut short");
    const levels = new Int8Array(size);
    for (const step of header.steps) {
      let k = 0;
      const tensors = header.tensors.map(([name, count, full]) => {
        const values = new Float32Array(count);
        for (let i = 0; i < count; i++, k++) {
          levels[k] = (levels[k] ?? 0) + (bytes[at++] ?? 0);
          values[i] = ((levels[k] ?? 0) * full) / 127;
        }
        return [name, values] as const;
      });
      film.record({ step, tensors: Object.fromEntries(tensors) });
    }
    for (const [step, ...numbers] of header.points) {
      const values = header.names.flatMap((name, k) => {
        const value = numbers[k] ?? null;
        return value === null ? [] : [[name, value] as const];
      });
      film.point({ step: step ?? 0, values: Object.fromEntries(values) });
    }
    return film;
  } catch (error) {
    throw new FilmError(`this is no film: ${(error as Error).message}`, { cause: error });
  }
}
