import type { Tensor } from "../graph/node";
import { zeros } from "../nn/init";
import type { Module, ParamSpec, Stateless, Values } from "../nn/module";
import { slice, transpose } from "../ops/layout";
import { reshape } from "../ops/views";
import { staticGenerator, type StaticParams } from "./static";

/**
 * Other implementations' layouts of the static hypernetwork.
 *
 * g1910/HyperNetworks holds w2 [N_z, I·N_z], b2 [I·N_z], w1 [N_z, O·f·f], b1 [O·f·f] and computes,
 * for a row vector z, h = (z w2 + b2 as [I, N_z]) w1 + b1, which is [I, O·f·f]. Up to names this is
 * the paper's generator with d = N_z: row s of h is the slice of input channel s,
 *
 *   W_i[s][k, n] = w2[n, s·N_z + k]            B_i[s][k] = b2[s·N_z + k]
 *   W_out[r, t·f + c, k] = w1[k, t·f² + r·f + c]   B_out[r, t·f + c] = b1[t·f² + r·f + c].
 *
 * Two things differ beyond names. h is re-read in row-major order as [O, I, f, f] without a
 * transpose: with (s, t) = divmod(o·I + i, O) its kernel[o, i] is the paper's kernel[t, s]. Where
 * I = O that swaps the channels; elsewhere it mixes them, and no renaming of parameters gives it.
 * And the tile at output block `to`, input block `ti` has embedding e = to·T_in + ti, where the
 * paper's equation 3 has ti·T_out + to.
 */

/** Parameters in g1910's layout, under its names; z has one row a tile. */
export type G1910Params = Readonly<Record<"z" | "w1" | "b1" | "w2" | "b2", ParamSpec>>;

/** Sizes of a generator in g1910's layout. */
export interface G1910Options {
  /** Tiles of each kernel, as its `z_num`: [T_out, T_in]. */
  readonly kernels: readonly (readonly [number, number])[];
  /** Channels of one tile, and the size f of its kernels. */
  readonly outputs: number;
  readonly inputs: number;
  readonly kernelSize: number;
  readonly nz: number;
}

/** g1910's parameters as the paper's, as graph: gradients flow back into g1910's. */
export function g1910Parameters(
  { z, w1, b1, w2, b2 }: Values<G1910Params>,
  { outputs, inputs, kernelSize: f, nz }: Omit<G1910Options, "kernels">,
): Values<StaticParams> {
  return {
    z,
    W_i: reshape(transpose(w2), [inputs, nz, nz]),
    B_i: reshape(b2, [inputs, nz]),
    W_out: reshape(transpose(reshape(w1, [nz, outputs, f, f]), [2, 1, 3, 0]), [f, outputs * f, nz]),
    B_out: reshape(transpose(reshape(b1, [outputs, f, f]), [1, 0, 2]), [f, outputs * f]),
  };
}

/**
 * Tiles [T_out·T_in, O, I, f, f] that the paper's generator made, in the order of g1910's
 * embeddings, as its kernel [T_out·O, T_in·I, f, f].
 */
export function g1910Kernel(tiles: Tensor, [tilesOut, tilesIn]: readonly [number, number]): Tensor {
  const [, outputs = 1, inputs = 1, f = 1] = tiles.shape;
  const reread = reshape(transpose(tiles, [0, 2, 1, 3, 4]), [
    tilesOut,
    tilesIn,
    outputs,
    inputs,
    f,
    f,
  ]);
  return reshape(transpose(reread, [0, 2, 1, 3, 4, 5]), [
    tilesOut * outputs,
    tilesIn * inputs,
    f,
    f,
  ]);
}

/**
 * The static hypernetwork with g1910's parameters and kernels, element for element, so that values
 * trained there can be used here: no inputs, one kernel [T_out·O, T_in·I, f, f] for each of `kernels`.
 * Without such values it is zero.
 */
export function g1910Generator(
  options: G1910Options,
): Module<G1910Params, Stateless, readonly [], readonly Tensor[]> {
  const { kernels, outputs, inputs, kernelSize: f, nz } = options;
  const counts = kernels.map(([tilesOut, tilesIn]) => tilesOut * tilesIn);
  const tiles = counts.reduce((n, count) => n + count, 0);
  // One tall kernel: its tiles come out one after another.
  const paper = staticGenerator({
    kernels: [{ outputs: tiles * outputs, inputs }],
    block: { outputs, inputs },
    kernelSize: f,
    nz,
  });
  const spec = (...shape: number[]): ParamSpec => ({ shape, init: zeros, kind: "generator" });
  const params: G1910Params = {
    z: { ...spec(tiles, nz), kind: "embedding" },
    w1: spec(nz, outputs * f * f),
    b1: spec(outputs * f * f),
    w2: spec(nz, inputs * nz),
    b2: spec(inputs * nz),
  };
  return {
    name: "g1910-generator",
    params,
    state: {},
    apply: (context, values, state) => {
      const [stack] = paper.apply(context, g1910Parameters(values, options), {}).outputs;
      const all = reshape(stack as Tensor, [tiles, outputs, inputs, f, f]);
      let start = 0;
      const made = kernels.map((grid, l) => {
        const end = start + (counts[l] ?? 0);
        const own =
          end - start === tiles
            ? all
            : slice(all, [start, 0, 0, 0, 0], [end, outputs, inputs, f, f]);
        start = end;
        return g1910Kernel(own, grid);
      });
      return { outputs: made, state };
    },
  };
}
