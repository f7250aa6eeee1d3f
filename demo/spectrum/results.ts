/** The films and tests of each place of the spectrum: the visitor's own runs, or the stored ones. */
import { Film, type Point, writeFilm } from "../shell/film";
import { storedFilm } from "../shell/scrub";
import type { Tested } from "./board";
import { Means } from "./means";
import { STOPS, type Stop } from "./stops";

/** What must be equal for runs to be a fair race. */
const FAIR = ["layers", "seed", "batch", "steps"] as const;

/** Numbers of all snapshots in a stored film: it stays below 60 KB. */
const NUMBERS = 70_000;

function testedOf({ about }: Film): Tested | null {
  const [error, samples] = [Number(about.error), Number(about.samples)];
  return Number.isFinite(error) && samples > 0 ? { error, samples } : null;
}

/** A run's film with the outcome of its test beside what the run was. */
function finished(film: Film, tested: Tested | undefined): Film {
  const whole = new Film({ ...film.about, ...tested });
  for (const frame of film.frames) whole.record(frame);
  for (const point of film.points) whole.point(point);
  return whole;
}

/** Runs by their place of the spectrum. */
export class Results {
  readonly #stored = new Map<Stop, Film>();
  readonly #own = new Map<Stop, Film>();
  readonly #tested = new Map<Stop, Tested>();
  readonly #means = { loss: new Means("loss"), accuracy: new Means("accuracy") };

  /** Fetches the stored films, this place's first. @param loaded Called with each. */
  async load(first: Stop, loaded: (stop: Stop) => void): Promise<void> {
    for (const stop of [first, ...STOPS.filter((other) => other !== first)]) {
      const film = await storedFilm(`spectrum-${stop}`);
      if (film.frames.length > 0) this.#stored.set(stop, film);
      loaded(stop);
    }
  }

  /** Drops runs that one with these settings cannot be compared with. */
  compareWith(settings: Readonly<Record<string, number | string>>): void {
    const [other] = this.#own.values();
    if (other && FAIR.some((name) => other.about[name] !== settings[name])) this.clear();
  }

  /** Begins a run. */
  begin(stop: Stop, film: Film): void {
    this.compareWith(film.about);
    this.#own.set(stop, film);
    this.#tested.delete(stop);
  }

  /** Keeps the outcome of the test at a run's end. */
  end(stop: Stop, tested: Tested): void {
    this.#tested.set(stop, tested);
  }

  /** Forgets the visitor's own runs. */
  clear(): void {
    this.#own.clear();
    this.#tested.clear();
  }

  /** Whether a place was trained and tested here. */
  done(stop: Stop): boolean {
    return this.#tested.has(stop);
  }

  /** Whether what a place shows is a stored run. */
  isStored(stop: Stop): boolean {
    return !this.#own.has(stop);
  }

  /** What there is to show of a place; an empty film where there is nothing. */
  film(stop: Stop): Film {
    return this.#own.get(stop) ?? this.#stored.get(stop) ?? new Film();
  }

  /** The outcomes of own tests, or without any own run of the stored ones. */
  get tested(): ReadonlyMap<Stop, Tested> {
    if (this.#own.size > 0) return this.#tested;
    const stored = [...this.#stored].flatMap(([stop, film]) => {
      const tested = testedOf(film);
      return tested ? [[stop, tested] as const] : [];
    });
    return new Map(stored);
  }

  /**
   * Means of a value of all runs that are compared, by step, under the names of their places.
   * @param steps Of a whole run.
   */
  curves(name: "loss" | "accuracy", steps: number): Point[] {
    return this.#means[name].of(this.#own.size > 0 ? this.#own : this.#stored, steps);
  }

  /** A place's film as a file, as lean as the stored ones are. */
  file(stop: Stop): Promise<Uint8Array<ArrayBuffer>> {
    const film = this.film(stop);
    const numbers = Object.values(film.frames[0]?.tensors ?? {}).reduce((n, t) => n + t.length, 1);
    const frames = Math.max(2, Math.min(8, Math.floor(NUMBERS / numbers)));
    return writeFilm(finished(film, this.#tested.get(stop)), frames);
  }
}
