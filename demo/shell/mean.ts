/** The mean of each number and those before it, `over` numbers at most. */
export function runningMean(values: readonly number[], over: number): number[] {
  let sum = 0;
  return values.map((value, k) => {
    sum += value - (values[k - over] ?? 0);
    return sum / Math.min(k + 1, over);
  });
}
