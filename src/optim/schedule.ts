/** A learning rate by step; evaluated on the host in f64. */
export interface Schedule {
  /** The rate of step t = 1, 2, … */
  readonly at: (t: number) => number;
  /** For logs and checkpoints. */
  readonly text: string;
}

/** The same rate throughout. */
export function constantRate(lr: number): Schedule {
  return { at: () => lr, text: `${lr}` };
}

/**
 * Piecewise constant: `rates[k]` up to and including step `until[k]`, the last one ever after.
 * @throws RangeError unless there is one more rate than borders.
 */
export function stepRate(rates: readonly number[], until: readonly number[]): Schedule {
  if (rates.length !== until.length + 1) {
    throw new RangeError(
      `hyperloom: stepRate: ${rates.length} rates for ${until.length} borders; give one rate more`,
    );
  }
  return {
    at: (t) => {
      const k = until.findIndex((border) => t <= border);
      return rates[k < 0 ? rates.length - 1 : k] ?? 0;
    },
    text: `step(${rates.join(", ")} until ${until.join(", ")})`,
  };
}

/** max(floor, lr · decay^(t−1)): the paper's notebook has 5e-3, 0.999, floor 1e-4. */
export function exponentialRate(lr: number, decay: number, floor = 0): Schedule {
  return {
    at: (t) => Math.max(floor, lr * decay ** (t - 1)),
    text: `exponential(${lr}, ${decay}, floor ${floor})`,
  };
}

/** Half a cosine from `lr` at step 1 to `floor` at step `steps` and after. */
export function cosineRate(lr: number, steps: number, floor = 0): Schedule {
  return {
    at: (t) => {
      const done = Math.min(1, (t - 1) / Math.max(1, steps - 1));
      return floor + ((lr - floor) * (1 + Math.cos(Math.PI * done))) / 2;
    },
    text: `cosine(${lr}, ${steps} steps, floor ${floor})`,
  };
}
