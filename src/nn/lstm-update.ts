import type { Tensor } from "../graph/node";
import { ShapeError, show } from "../graph/shape";
import { add, mul, rsqrt, sigmoid, square, sub, tanh } from "../ops/elementwise";
import { slice } from "../ops/layout";
import { mean } from "../ops/reduce";
import { reshape } from "../ops/views";
import { summands } from "./cell";

/** What the update of an LSTM needs besides pre-activations and c. */
export interface LstmUpdateOptions {
  /** The order of the four blocks, a permutation of "ifgo". */
  readonly gates: string;
  /** Added to the forget gate, after the layer norm, which would remove it. */
  readonly forgetBias: number;
  /**
   * [2, 5, H]: scales and shifts of the layer norms of the four blocks, in their order, and of c;
   * null: none.
   */
  readonly norm: Tensor | null;
  /** Of the layer norms, inside the root. */
  readonly eps: number;
  /** [B, H], 0 or 1/keep: recurrent dropout, on tanh(g) alone; null: none. */
  readonly mask: Tensor | null;
}

/** h and c after a step, [B, H] each. */
export interface LstmState {
  readonly h: Tensor;
  readonly c: Tensor;
}

/**
 * The LSTM's step from its pre-activations (equations 12 and 13):
 *
 *   i, f, g, o = LN of each block;   c' = σ(f + forgetBias) ⊙ c + σ(i) ⊙ mask ⊙ φ(g)
 *   h' = σ(o) ⊙ φ(LN(c'))
 *
 * with φ = tanh. c' itself is carried without a norm.
 * @param pre [B, 4H], blocks of H
 * @param c [B, H]
 * @throws ShapeError where pre is not four times as wide as c.
 */
export function lstmUpdate(pre: Tensor, c: Tensor, options: LstmUpdateOptions): LstmState {
  const { gates, forgetBias, norm, eps, mask } = options;
  const [B = 1, H = 1] = c.shape;
  if (pre.shape[0] !== B || pre.shape[1] !== 4 * H) {
    throw new ShapeError(
      `hyperloom: lstm: the pre-activations are ${show(pre.shape)}, must be ${show([B, 4 * H])} ` +
        `for a state ${show(c.shape)}`,
    );
  }
  let blocks = reshape(pre, [B, 4, H]);
  // Rows of scales or shifts of the norms from number k on.
  const rows = (row: number, k: number, end: number): Tensor =>
    reshape(slice(norm as Tensor, [row, k, 0], [row + 1, end, H]), [end - k, H]);
  if (norm) blocks = layerNorm(blocks, rows(0, 0, 4), rows(1, 0, 4), eps);
  const gate = (name: string): Tensor => {
    const k = gates.indexOf(name);
    return reshape(slice(blocks, [0, k, 0], [B, k + 1, H]), [B, H]);
  };
  const g = tanh(gate("g"));
  const written = mul(sigmoid(gate("i")), mask ? mul(g, mask) : g);
  const f = forgetBias === 0 ? gate("f") : add(gate("f"), forgetBias);
  const next = add(mul(sigmoid(f), c), written);
  const shown = norm ? layerNorm(next, rows(0, 4, 5), rows(1, 4, 5), eps) : next;
  return { h: mul(sigmoid(gate("o")), tanh(shown)), c: next };
}

/**
 * The HyperLSTM's step (equations 12 and 13): `lstmUpdate` of d₀ ⊙ hg + d₁ ⊙ xg + d₂.
 * @param hg h W_h [B, 4H]
 * @param xg x W_x [B, 4H]
 * @param d [3, 4, B, H]: scales of hg, scales of xg, biases; then the gates
 */
export function hyperLstmUpdate(
  hg: Tensor,
  xg: Tensor,
  d: Tensor,
  c: Tensor,
  options: LstmUpdateOptions,
): LstmState {
  return lstmUpdate(add(...summands(hg, xg, undefined, d)), c, options);
}

/** (x − mean) / √(variance + eps) · scale + shift over the last axis; the variance is biased. */
function layerNorm(x: Tensor, scale: Tensor, shift: Tensor, eps: number): Tensor {
  const centred = sub(x, mean(x, [-1], { keepDims: true }));
  const variance = mean(square(centred), [-1], { keepDims: true });
  return add(mul(mul(centred, rsqrt(add(variance, eps))), scale), shift);
}
