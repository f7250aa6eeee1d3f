/** The curves of all places of the spectrum, which grow by each step and not from the beginning. */
import type { Film, Point } from "../shell/film";
import type { Stop } from "./stops";

/** Steps that a mean looks back. */
const MEAN = 20;

/** Points of a curve: more are not seen. */
const MOST = 1000;

/** What was taken of a run. */
interface Taken {
  /** Points, and the last of them: another one there tells that the run is another, or went back. */
  readonly count: number;
  readonly last: Point | undefined;
  /** Of the last `MEAN` values. */
  readonly sum: number;
}

/** The running means of one value of several runs. */
export class Means {
  #each = 1;
  // By spans of `#each` steps; spans without a point are left out of what is shown.
  #points: Point[] = [];
  readonly #taken = new Map<Stop, Taken>();

  /** @param name Of the value. */
  constructor(private readonly name: string) {}

  /**
   * Points whose values are the means by the runs' places, in order, 1000 at most.
   * @param films The runs; what was not there at the last call is taken.
   * @param steps Of a whole run.
   */
  of(films: ReadonlyMap<Stop, Film>, steps: number): Point[] {
    const each = Math.max(1, Math.ceil(steps / MOST));
    const others = [...this.#taken].some(
      ([stop, { count, last }]) => films.get(stop)?.points[count - 1] !== last,
    );
    if (others || each !== this.#each) {
      this.#each = each;
      this.#points = [];
      this.#taken.clear();
    }
    for (const [stop, { points }] of films) this.#take(stop, points);
    return this.#points.filter(() => true);
  }

  #take(stop: Stop, points: readonly Point[]): void {
    const value = (k: number): number => points[k]?.values[this.name] ?? 0;
    let { count, sum } = this.#taken.get(stop) ?? { count: 0, sum: 0 };
    for (; count < points.length; count++) {
      sum += value(count) - value(count - MEAN);
      const { step } = points[count] as Point;
      const at = Math.floor((step - 1) / this.#each);
      const mean = sum / Math.min(count + 1, MEAN);
      // The last one of a span stands for it.
      this.#points[at] = { step, values: { ...this.#points[at]?.values, [stop]: mean } };
    }
    this.#taken.set(stop, { count, last: points[count - 1], sum });
  }
}
