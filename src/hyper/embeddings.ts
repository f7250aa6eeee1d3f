import { type ParamSpec, isSpec, specs } from "../nn/module";
import type { Tree } from "../graph/tree";
import type { StaticParams } from "./static";

/** Where a generated kernel's embeddings lie in z [M, N_z]: a row a tile, output blocks fastest. */
export interface EmbeddingGrid {
  readonly path: string;
  /** The first row. */
  readonly first: number;
  /** Blocks of input channels, down. */
  readonly tilesIn: number;
  /** Blocks of output channels, across. */
  readonly tilesOut: number;
}

/** What a hypernetwork says of itself that its embeddings' places follow from. */
interface Generated {
  readonly target: { readonly params: Tree<ParamSpec> };
  readonly generator: { readonly params: Tree<ParamSpec> };
  readonly paths: readonly string[];
}

/** Whether a generator is a static one: z [M, N_z], W_i [N_in, d, N_z], B_out [f, N_out·f]. */
function isStatic(params: Tree<ParamSpec>): params is StaticParams {
  const { z, W_i, B_out } = params as Readonly<Record<string, Tree<ParamSpec> | undefined>>;
  const rank = (x: Tree<ParamSpec> | undefined): number => (x && isSpec(x) ? x.shape.length : 0);
  return rank(z) === 2 && rank(W_i) === 3 && rank(B_out) === 2;
}

/**
 * The embeddings of each kernel that a static hypernetwork makes, in the order of depth; null for a
 * generator that has none.
 */
export function embeddingGrids({ target, generator, paths }: Generated): EmbeddingGrid[] | null {
  if (!isStatic(generator.params)) return null;
  const { W_i, B_out } = generator.params;
  const [inputs = 1] = W_i.shape;
  const [f = 1, columns = 1] = B_out.shape;
  const shapes = new Map(specs(target.params).map(({ path, value }) => [path, value.shape]));
  let first = 0;
  return paths.map((path) => {
    const [O = 0, I = 0] = shapes.get(path) ?? [];
    const grid = { path, first, tilesIn: I / inputs, tilesOut: (O * f) / columns };
    first += grid.tilesIn * grid.tilesOut;
    return grid;
  });
}

/** The cosine of the angle between two rows of z; 0 where one is all zero. */
function cosine(z: Float32Array, nz: number, a: number, b: number): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let k = 0; k < nz; k++) {
    const [x, y] = [z[a * nz + k] ?? 0, z[b * nz + k] ?? 0];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

/**
 * Cosines between the embeddings of two kernels, one a pair of tiles at equal positions. Where the
 * grids differ, these are the positions that both have: a layer that shares a larger layer's kernel
 * uses its first channels (`sharedGenerator`), so that full sharing is a cosine of 1 everywhere.
 */
export function tileCosines(
  z: Float32Array,
  nz: number,
  a: EmbeddingGrid,
  b: EmbeddingGrid,
): number[] {
  const cosines: number[] = [];
  for (let i = 0; i < Math.min(a.tilesIn, b.tilesIn); i++) {
    for (let o = 0; o < Math.min(a.tilesOut, b.tilesOut); o++) {
      const [rowA, rowB] = [a, b].map(({ first, tilesOut }) => first + i * tilesOut + o);
      cosines.push(cosine(z, nz, rowA ?? 0, rowB ?? 0));
    }
  }
  return cosines;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * How alike the embeddings of layers are: the mean of `tileCosines` of each pair, symmetric. With
 * full weight sharing all entries are 1; embeddings that know nothing of each other have
 * 0 ± 1/√N_z a tile.
 */
export function embeddingSimilarity(
  z: Float32Array,
  nz: number,
  grids: readonly EmbeddingGrid[],
): number[][] {
  return grids.map((a) => grids.map((b) => mean(tileCosines(z, nz, a, b))));
}

/** Mean |cosine| between the embeddings of each kernel and the one before it; null at the first. */
export function similarityToPrevious(
  z: Float32Array,
  nz: number,
  grids: readonly EmbeddingGrid[],
): (number | null)[] {
  return grids.map((grid, l) => {
    const before = grids[l - 1];
    return before ? mean(tileCosines(z, nz, before, grid).map(Math.abs)) : null;
  });
}
