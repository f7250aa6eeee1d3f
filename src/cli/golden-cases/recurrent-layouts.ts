import type { Tensor } from "../../graph/node";
import type { Tree } from "../../graph/tree";
import { concat, slice, transpose } from "../../ops/layout";
import { reshape } from "../../ops/views";
import { type GoldenCase, setting } from "./case";
import type { Given } from "./graph";

/**
 * Recorded parameters in the layouts of labml, supercell and the paper's equations, as those of the
 * modules here. All of it is graph, so that gradients arrive in the recorded layout.
 */

/** The tensors whose names start with `prefix`. */
export function within(given: Given, prefix: string): Given {
  return (name) => given(prefix + name);
}

/** A number of a case's settings, or `fallback` where it is missing or null. @throws Error else. */
export function optional({ hyper }: GoldenCase, name: string, fallback: number): number {
  const value = hyper[name] ?? fallback;
  if (typeof value !== "number") {
    throw new Error(`hyper.${name} is ${String(value)}, must be a number`);
  }
  return value;
}

/** A switch of a case's settings. @throws Error where it is missing. */
export function flag({ hyper }: GoldenCase, name: string): boolean {
  const value = hyper[name];
  if (typeof value !== "boolean") {
    throw new Error(`hyper.${name} is ${String(value)}, must be true or false`);
  }
  return value;
}

/** Sizes of a HyperLSTM or HyperRNN. */
export interface HyperSizes {
  readonly units: number;
  readonly inputs: number;
  readonly hyperUnits: number;
  readonly nz: number;
}

/** Sizes by a case's names for them. */
export function sizesOf(c: GoldenCase, inputs: number): HyperSizes {
  return { inputs, units: setting(c, "H"), hyperUnits: setting(c, "Hhat"), nz: setting(c, "N_z") };
}

const four = <T>(of: (k: number) => T): T[] => [0, 1, 2, 3].map(of);

/** Rows `from` to `to` of a matrix. */
function rows(x: Tensor, from: number, to: number): Tensor {
  return slice(x, [from, 0], [to, x.shape[1] as number]);
}

/** Scales and shifts of the gates' norms and of c's, as [2, 5, H]. */
function normOf(scales: readonly Tensor[], shifts: readonly Tensor[], H: number): Tensor {
  return reshape(concat([...scales, ...shifts], 0), [2, 5, H]);
}

/** labml's layer_norm.0 … 3 and layer_norm_c. */
function labmlNorm(given: Given): Tensor {
  const parts = (what: string): Tensor[] => [
    ...four((k) => given(`layer_norm.${k}.${what}`)),
    given(`layer_norm_c.${what}`),
  ];
  const scales = parts("weight");
  return normOf(scales, parts("bias"), (scales[0] as Tensor).shape[0] as number);
}

/** labml's LSTM: matrices [4H, in]. */
export function labmlLstm(given: Given, layerNorm: boolean): Tree<Tensor> {
  return {
    W_h: transpose(given("hidden_lin.weight")),
    W_x: transpose(given("input_lin.weight")),
    b: given("hidden_lin.bias"),
    ...(layerNorm && { norm: labmlNorm(given) }),
  };
}

/** labml's HyperLSTM: matrices [out, in], one a gate for W_h, W_x and the three d. */
export function labmlHyperLstm(given: Given, sizes: HyperSizes): Tree<Tensor> {
  const { units, inputs, hyperUnits, nz } = sizes;
  const hyper = within(given, "hyper.");
  const input = transpose(hyper("input_lin.weight"));
  const gates = (name: string): Tensor =>
    transpose(
      concat(
        four((k) => given(`${name}.${k}`)),
        0,
      ),
    );
  const z = ["z_h", "z_x", "z_b"].map((name) => given(`${name}.weight`));
  const d = ["d_h", "d_x", "d_b"].flatMap((name) => four((k) => given(`${name}.${k}.weight`)));
  return {
    W_h: gates("w_h"),
    W_x: gates("w_x"),
    b_0: concat(
      four((k) => given(`d_b.${k}.bias`)),
      0,
    ),
    norm: labmlNorm(given),
    hyper: {
      W_hh: transpose(hyper("hidden_lin.weight")),
      W_xh: rows(input, 0, units),
      W_xx: rows(input, units, units + inputs),
      b: hyper("hidden_lin.bias"),
      norm: labmlNorm(hyper),
    },
    W_z: transpose(reshape(concat(z, 0), [3, 4, nz, hyperUnits]), [0, 1, 3, 2]),
    b_z: reshape(concat([given("z_h.bias"), given("z_x.bias")], 0), [2, 4, nz]),
    D: transpose(reshape(concat(d, 0), [3, 4, units, nz]), [0, 1, 3, 2]),
  };
}

/** supercell's LSTM: matrices [in, 4H], norms of all gates in one vector. */
export function supercellLstm(given: Given, layerNorm: boolean): Tree<Tensor> {
  return {
    W_h: given("W_hh"),
    W_x: given("W_xh"),
    b: given("bias"),
    ...(layerNorm && { norm: supercellNorm(given) }),
  };
}

function supercellNorm(given: Given): Tensor {
  const both = (what: string): Tensor[] => [given(`ln.${what}`), given(`ln_c.${what}`)];
  return normOf(both("gamma"), both("beta"), given("ln_c.gamma").shape[0] as number);
}

/** supercell's HyperLSTM, its hyper cell's input being [h; x] (`hFirst`) or [x; h]. */
export function supercellHyperLstm(
  given: Given,
  sizes: HyperSizes,
  layerNorm: boolean,
  hFirst: boolean,
): Tree<Tensor> {
  const { units, inputs, hyperUnits, nz } = sizes;
  const hyper = within(given, "hyper.");
  const { b, ...main } = supercellLstm(given, layerNorm) as Record<string, Tensor>;
  const input = hyper("W_xh");
  const both = units + inputs;
  const stacked = (names: readonly string[], shape: readonly number[]): Tensor =>
    reshape(concat(names.map(given), 0), shape);
  return {
    ...main,
    b_0: b as Tensor,
    hyper: {
      W_hh: hyper("W_hh"),
      W_xh: hFirst ? rows(input, 0, units) : rows(input, inputs, both),
      W_xx: hFirst ? rows(input, units, both) : rows(input, 0, inputs),
      b: hyper("bias"),
      ...(layerNorm && { norm: supercellNorm(hyper) }),
    },
    W_z: stacked(["z_h.w", "z_x.w", "z_b.w"], [3, 4, hyperUnits, nz]),
    b_z: stacked(["z_h.b", "z_x.b"], [2, 4, nz]),
    D: stacked(["d_h.w", "d_x.w", "d_b.w"], [3, 4, nz, units]),
  };
}

/** The HyperRNN as the paper's equations have it: matrices [out, in], W_hz [H, H, N_z] in full form. */
export function hyperRnnParameters(given: Given, sizes: HyperSizes, full: boolean): Tree<Tensor> {
  const { units, inputs, hyperUnits, nz } = sizes;
  const input = transpose(given("What_x"));
  const z = concat(
    ["Z_h", "Z_x", "Z_b"].map((name) => given(name)),
    0,
  );
  const shared = {
    b_0: given("b_0"),
    hyper: {
      W_hh: transpose(given("What_h")),
      W_xh: rows(input, 0, units),
      W_xx: rows(input, units, units + inputs),
      b: given("bhat"),
    },
    W_z: transpose(reshape(z, [3, 1, nz, hyperUnits]), [0, 1, 3, 2]),
    b_z: reshape(concat([given("zb_h"), given("zb_x")], 0), [2, 1, nz]),
  };
  if (full) {
    // [out, in, N_z] to [in, N_z, out].
    return {
      ...shared,
      W_hz: transpose(given("W_hz"), [1, 2, 0]),
      W_xz: transpose(given("W_xz"), [1, 2, 0]),
      W_bz: transpose(given("W_bz")),
    };
  }
  const scales = concat(
    ["W_hz", "W_xz", "W_bz"].map((name) => given(name)),
    0,
  );
  return {
    ...shared,
    W_h: transpose(given("W_h")),
    W_x: transpose(given("W_x")),
    D: transpose(reshape(scales, [3, 1, units, nz]), [0, 1, 3, 2]),
  };
}
