/** The running mean of some numbers: of all so far at first, later over about the last `over`. */
export function runningMean(values: readonly number[], over: number): number[] {
  let mean = 0;
  return values.map((value, k) => {
    mean += (value - mean) / Math.min(k + 1, over);
    return mean;
  });
}
