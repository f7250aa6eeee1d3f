import { type Spread, spread, type Timed } from "../src/gpu/stopwatch";

export { type Spread, spread, Stopwatch, type Timed } from "../src/gpu/stopwatch";

/**
 * Times all cases `repeat` times, one sample of each in turn: what disturbs the machine for a while
 * disturbs all of them, so that ratios hold where single numbers do not.
 * @param report How many samples there are of how many, and of which case the last one was.
 * @param onSample Told of a case's spread so far after each of its samples.
 */
export async function interleave(
  cases: readonly Timed[],
  repeat: number,
  report: (done: number, total: number, name: string) => void,
  onSample: (timed: Timed, far: Spread) => void = () => undefined,
): Promise<Map<Timed, Spread>> {
  const times = new Map<Timed, number[]>(cases.map((c) => [c, []]));
  let done = 0;
  for (let round = 0; round < repeat; round++) {
    for (const [timed, samples] of times) {
      samples.push(await timed.sample());
      onSample(timed, spread(samples));
      report(++done, repeat * cases.length, timed.name);
    }
  }
  return new Map([...times].map(([timed, samples]) => [timed, spread(samples)]));
}
