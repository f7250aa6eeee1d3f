import type { ImageSet } from "../../src/data/images";
import { key, permutation } from "../../src/graph/random";

/** What an epoch came to. */
interface Epoch {
  readonly loss: number;
  /** Shares of images that are classified right. */
  readonly train: number;
  readonly test: number;
}

/**
 * Multinomial logistic regression on pixels by SGD with momentum over the first `count` images.
 * @param black The input that a pixel of 0 is; 255 is 1 more.
 */
export function trainLinear(
  train: ImageSet,
  count: number,
  test: ImageSet,
  { epochs, rate: first, black }: { epochs: number; rate: number; black: number },
): Epoch[] {
  const pixels = train.channels * train.height * train.width;
  const batch = 50;
  const weight = new Float64Array((pixels + 1) * 10); // the last row is the bias
  const velocity = new Float64Array(weight.length);
  const gradient = new Float64Array(weight.length);
  const p = new Float64Array(10);
  const input = (set: ImageSet, sample: number, i: number) =>
    i < pixels ? (set.images[sample * pixels + i] ?? 0) / 255 + black : 1;

  /** Softmax of W x + b into p; whether the likeliest class is the label. */
  const predict = (set: ImageSet, sample: number): boolean => {
    p.fill(0);
    for (let i = 0; i <= pixels; i++) {
      const x = input(set, sample, i);
      if (x === 0) continue;
      for (let c = 0; c < 10; c++) p[c] = (p[c] ?? 0) + x * (weight[i * 10 + c] ?? 0);
    }
    const most = Math.max(...p);
    const answer = p.indexOf(most);
    const powers = p.map((score) => Math.exp(score - most));
    const sum = powers.reduce((a, b) => a + b);
    p.set(powers.map((power) => power / sum));
    return answer === set.labels[sample];
  };

  const history: Epoch[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = first * (1 - epoch / epochs);
    const order = permutation(key(epoch), count);
    let loss = 0;
    let right = 0;
    for (let start = 0; start < count; start += batch) {
      gradient.fill(0);
      for (const sample of order.subarray(start, start + batch)) {
        if (predict(train, sample)) right++;
        const label = train.labels[sample] ?? 0;
        loss -= Math.log(p[label] ?? 0);
        p[label] = (p[label] ?? 0) - 1;
        for (let i = 0; i <= pixels; i++) {
          const x = input(train, sample, i) / batch;
          if (x === 0) continue;
          for (let c = 0; c < 10; c++) {
            gradient[i * 10 + c] = (gradient[i * 10 + c] ?? 0) + x * (p[c] ?? 0);
          }
        }
      }
      for (let i = 0; i < weight.length; i++) {
        const v = 0.9 * (velocity[i] ?? 0) + (gradient[i] ?? 0);
        velocity[i] = v;
        weight[i] = (weight[i] ?? 0) - rate * v;
      }
    }
    let correct = 0;
    for (let sample = 0; sample < test.count; sample++) if (predict(test, sample)) correct++;
    history.push({ loss: loss / count, train: right / count, test: correct / test.count });
  }
  return history;
}
