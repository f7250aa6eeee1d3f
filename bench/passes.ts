import { apply1 } from "../src/graph/node";
import { philox } from "../src/graph/random";
import { categorical } from "../src/ops/categorical";
import { dropout, dropoutMask } from "../src/ops/dropout";
import { add, tanh } from "../src/ops/elementwise";
import { gather, scatterAddOp } from "../src/ops/gather";
import { hyperScale, hyperScaleGradientOp } from "../src/ops/hyper-lstm-cell";
import { concat, pad, slice, transpose } from "../src/ops/layout";
import {
  adamScalars,
  adamUpdate,
  globalNorm,
  sgdScalars,
  sgdUpdate,
} from "../src/ops/optimizer-updates";
import {
  averagePool2d,
  averagePool2dGradientOp,
  maxPool2d,
  maxPool2dGradientOp,
} from "../src/ops/pool";
import { max, sum } from "../src/ops/reduce";
import {
  drawn,
  drawnBelow,
  image,
  Inputs,
  type KernelCase,
  type KernelTable,
  type Make,
  terms,
} from "./kernel-case";

/** Pooling of k×k windows by some stride, none of them beyond the image; or its gradient. */
function poolCase(kind: "max" | "average", gradient: boolean, k?: number, stride = k ?? 1): Make {
  return (N = 1, C = 1, H = 1, W = 1) => {
    const window = k ?? Math.min(H, W);
    const attrs = {
      size: [window, window],
      stride: [k ? stride : window, k ? stride : window],
      padding: [0, 0, 0, 0],
    } as const;
    const [step] = attrs.stride;
    const [rows, columns] = [H, W].map((n) => Math.floor((n - window) / step) + 1) as [
      number,
      number,
    ];
    const inputs = new Inputs();
    const [x, xt] = inputs.tensor("x", [N, C, H, W]);
    const values = (n: number, c: number, i: number, j: number) =>
      terms([window, window], (r = 0, s = 0) => xt(n, c, step * i + r, step * j + s));
    if (!gradient) {
      const y = kind === "max" ? maxPool2d(x, attrs) : averagePool2d(x, attrs);
      return inputs.case([y], 0, (n = 0, c = 0, i = 0, j = 0) => {
        const inside = values(n, c, i, j);
        return kind === "max" ? [Math.max(...inside)] : inside.map((v) => v / window ** 2);
      });
    }
    const [dy, dt] = inputs.tensor("dy", [N, C, rows, columns]);
    const dx =
      kind === "max"
        ? apply1(maxPool2dGradientOp, attrs, x, dy)
        : apply1(averagePool2dGradientOp, { ...attrs, countPadding: true, shape: x.shape }, dy);
    return inputs.case([dx], 0, (n = 0, c = 0, h = 0, w = 0) =>
      terms([window, window], (r = 0, s = 0) => {
        const [i, j] = [(h - r) / step, (w - s) / step];
        if (!Number.isInteger(i) || !Number.isInteger(j)) return 0;
        const d = dt(n, c, i, j);
        if (kind === "average") return d / window ** 2;
        const inside = values(n, c, i, j);
        // The first of equals wins.
        return inside.indexOf(Math.max(...inside)) === window * r + s ? d : 0;
      }),
    );
  };
}

function sgdCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [lr, momentum, weightDecay] = [0.1, 0.9, 5e-4];
  const [p, pt] = inputs.tensor("p", [n]);
  const [g, gt] = inputs.tensor("g", [n]);
  const [buffer, old] = inputs.tensor("buffer", [n]);
  const step = Float32Array.from(sgdScalars(lr));
  const [scalars] = inputs.tensor("scalars", [step.length], step);
  const attrs = { momentum, nesterov: true, weightDecay };
  return inputs.case(sgdUpdate(p, g, buffer, scalars, attrs), 0, (i = 0) => {
    const d = gt(i) + weightDecay * pt(i);
    return [pt(i), -lr * d, -lr * momentum * (momentum * old(i) + d)];
  });
}

function globalNormCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [g, gt] = inputs.tensor("g", [n]);
  return inputs.case([globalNorm(g)], 0, () => [
    Math.sqrt(terms([n], (i = 0) => gt(i) ** 2).reduce((s, x) => s + x, 0)),
  ]);
}

/** Rows of a table of V rows of D, at N symbols. */
function gatherCase(V = 1, D = 1, N = 1): KernelCase {
  const inputs = new Inputs();
  const [table, tt] = inputs.tensor("table", [V, D]);
  const [symbols, st] = inputs.tensor("symbols", [N], drawnBelow(V, "symbols", [N]));
  return inputs.case([gather(table, symbols)], 0, (n = 0, d = 0) => [tt(st(n), d)]);
}

function scatterCase(V = 1, D = 1, N = 1): KernelCase {
  const inputs = new Inputs();
  const [dy, dt] = inputs.tensor("dy", [N, D]);
  const [symbols, st] = inputs.tensor("symbols", [N], drawnBelow(V, "symbols", [N]));
  const dx = apply1(scatterAddOp, { shape: [V, D] }, dy, symbols);
  return inputs.case([dx], 0, (v = 0, d = 0) =>
    terms([N], (n = 0) => (st(n) === v ? dt(n, d) : 0)),
  );
}

const KEEP = 0.9;
const KEY = [1, 2, 3, 4] as const;

/** Whether element i is kept: one of four words of a counter's draw, compared with a threshold. */
function kept(i: number): boolean {
  const words = new Uint32Array(4);
  const [k0, k1, step, extra] = KEY;
  philox([k0, k1], [i >>> 2, 0, step, extra], words);
  return (words[i % 4] as number) < Math.round(KEEP * 2 ** 32);
}

function dropoutCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [x, xt] = inputs.tensor("x", [n]);
  const [key] = inputs.tensor("key", [4], Uint32Array.from(KEY));
  return inputs.case([dropout(x, KEEP, key)], 0, (i = 0) => [kept(i) ? xt(i) / KEEP : 0]);
}

function dropoutMaskCase(B = 1, H = 1): KernelCase {
  const inputs = new Inputs();
  const [key] = inputs.tensor("key", [4], Uint32Array.from(KEY));
  return inputs.case([dropoutMask([B, H], KEEP, key)], 0, (b = 0, h = 0) => [
    kept(b * H + h) ? 1 / KEEP : 0,
  ]);
}

function categoricalCase(B = 1, V = 1): KernelCase {
  const inputs = new Inputs();
  const temperature = 0.8;
  const [logits, x] = inputs.tensor("logits", [B, V]);
  const [u, ut] = inputs.tensor("u", [B], drawn("u", [B], 0, 1));
  const [t] = inputs.tensor("temperature", [], Float32Array.of(temperature));
  return inputs.case([categorical(logits, u, t)], 0, (b = 0) => {
    const weights = terms([V], (v = 0) => Math.exp(x(b, v) / Math.fround(temperature)));
    const threshold = ut(b) * weights.reduce((s, w) => s + w, 0);
    let below = 0;
    return [
      weights.findIndex((w) => {
        below += w;
        return below > threshold;
      }),
    ];
  });
}

function hyperScaleInputs(inputs: Inputs, B: number, H: number) {
  const [hg, ht] = inputs.tensor("hg", [B, 4 * H]);
  const [xg, xt] = inputs.tensor("xg", [B, 4 * H]);
  const [d, dt] = inputs.tensor("d", [3, 4, B, H]);
  /** The scale of a kind for gate g of unit h. */
  const scale = (kind: number, b: number, at: number) => dt(kind, Math.floor(at / H), b, at % H);
  return { hg, ht, xg, xt, d, scale };
}

function hyperScaleCase(B = 1, H = 1): KernelCase {
  const inputs = new Inputs();
  const { hg, ht, xg, xt, d, scale } = hyperScaleInputs(inputs, B, H);
  return inputs.case([hyperScale(hg, xg, d)], 0, (b = 0, at = 0) => [
    scale(0, b, at) * ht(b, at),
    scale(1, b, at) * xt(b, at),
    scale(2, b, at),
  ]);
}

function hyperScaleGradientCase(B = 1, H = 1): KernelCase {
  const inputs = new Inputs();
  const [dpre, pt] = inputs.tensor("dpre", [B, 4 * H]);
  const { hg, xg, d, scale } = hyperScaleInputs(inputs, B, H);
  const dhg = apply1(hyperScaleGradientOp, null, dpre, hg, xg, d);
  return inputs.case([dhg], 0, (b = 0, at = 0) => [scale(0, b, at) * pt(b, at)]);
}

function concatCase(B = 1, n1 = 1, n2 = 1): KernelCase {
  const inputs = new Inputs();
  const [a, at] = inputs.tensor("a", [B, n1]);
  const [b, bt] = inputs.tensor("b", [B, n2]);
  return inputs.case([concat([a, b], 1)], 0, (i = 0, j = 0) => [j < n1 ? at(i, j) : bt(i, j - n1)]);
}

function transposeCase(M = 1, N = 1): KernelCase {
  const inputs = new Inputs();
  const [x, xt] = inputs.tensor("x", [M, N]);
  return inputs.case([transpose(x)], 0, (n = 0, m = 0) => [xt(m, n)]);
}

/** Every second pixel, with as many channels of zeros again: a shortcut of a Wide ResNet. */
function shortcutCase(N = 1, C = 1, H = 1, W = 1): KernelCase {
  const inputs = new Inputs();
  const [x, xt] = inputs.tensor("x", [N, C, H, W]);
  const half = slice(x, [0, 0, 0, 0], [N, C, H, W], [1, 1, 2, 2]);
  const y = pad(half, [0, 0, 0, 0], [0, C, 0, 0]);
  return inputs.case([y], 0, (n = 0, c = 0, h = 0, w = 0) => [c < C ? xt(n, c, 2 * h, 2 * w) : 0]);
}

function maxCase(M = 1, N = 1): KernelCase {
  const inputs = new Inputs();
  const [x, xt] = inputs.tensor("x", [M, N]);
  return inputs.case([max(x, [1])], 0, (m = 0) => [Math.max(...terms([N], (n = 0) => xt(m, n)))]);
}

function tanhCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [x, xt] = inputs.tensor("x", [n]);
  return inputs.case([tanh(x)], 0, (i = 0) => [Math.tanh(xt(i))]);
}

function addCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [a, at] = inputs.tensor("a", [n]);
  const [b, bt] = inputs.tensor("b", [n]);
  return inputs.case([add(a, b)], 0, (i = 0) => [at(i), bt(i)]);
}

/** A bias gradient: the sum over samples and pixels. */
function sumCase(N = 1, C = 1, H = 1, W = 1): KernelCase {
  const inputs = new Inputs();
  const [x, xt] = inputs.tensor("x", [N, C, H, W]);
  return inputs.case([sum(x, [0, 2, 3])], 0, (c = 0) =>
    terms([N, H, W], (n = 0, h = 0, w = 0) => xt(n, c, h, w)),
  );
}

function adamCase(n = 1): KernelCase {
  const inputs = new Inputs();
  const [lr, beta1, beta2, eps, t] = [1e-3, 0.9, 0.999, 1e-8, 5];
  const [p, pt] = inputs.tensor("p", [n]);
  const [g, gt] = inputs.tensor("g", [n]);
  const [m, mt] = inputs.tensor("m", [n]);
  const [v, vt] = inputs.tensor("v", [n], drawn("v", [n], 0, 1));
  const step = Float32Array.from(adamScalars(t, lr, beta1, beta2));
  const [scalars] = inputs.tensor("scalars", [step.length], step);
  const attrs = {
    beta1,
    beta2,
    eps,
    epsPlacement: "pytorch",
    weightDecay: 0,
    decoupled: false,
  } as const;
  return inputs.case(adamUpdate(p, g, m, v, scalars, attrs), 0, (i = 0) => {
    const first = (beta1 * mt(i) + (1 - beta1) * gt(i)) / (1 - beta1 ** t);
    const second = (beta2 * vt(i) + (1 - beta2) * gt(i) ** 2) / (1 - beta2 ** t);
    return [pt(i), (-lr * first) / (Math.sqrt(second) + eps)];
  });
}

const [slab, rows, symbols] = [["n"], ["B", "H"], ["V", "D", "N"]];

/** Ops that pass over their data: what counts is how fast it moves. */
export const passes: KernelTable = {
  "max-pool": { axes: image, make: poolCase("max", false, 2) },
  "max-pool-dx": { axes: image, make: poolCase("max", true, 2) },
  "max-pool-3-2": { axes: image, make: poolCase("max", false, 3, 2) },
  "max-pool-3-2-dx": { axes: image, make: poolCase("max", true, 3, 2) },
  "global-average-pool": { axes: image, make: poolCase("average", false) },
  "global-average-pool-dx": { axes: image, make: poolCase("average", true) },
  sum: { axes: image, make: sumCase },
  max: { axes: ["M", "N"], make: maxCase },
  categorical: { axes: ["B", "V"], make: categoricalCase },
  gather: { axes: symbols, make: gatherCase },
  "scatter-add": { axes: symbols, make: scatterCase },
  dropout: { axes: slab, make: dropoutCase },
  "dropout-mask": { axes: rows, make: dropoutMaskCase },
  "hyper-scale": { axes: rows, make: hyperScaleCase },
  "hyper-scale-gradient": { axes: rows, make: hyperScaleGradientCase },
  concat: { axes: ["B", "n1", "n2"], make: concatCase },
  transpose: { axes: ["M", "N"], make: transposeCase },
  shortcut: { axes: image, make: shortcutCase },
  adam: { axes: slab, make: adamCase },
  sgd: { axes: slab, make: sgdCase },
  "global-norm": { axes: slab, make: globalNormCase },
  add: { axes: slab, make: addCase },
  tanh: { axes: slab, make: tanhCase },
};
