/**
 * Has networks drawn: by the GPU in the worker where a run is at hand, else here. However fast the
 * wishes come, one is under way and the newest waits.
 */
import type { Tensors } from "../shell/film";
import { pixels } from "./flowers";
import { COARSE, GRID, generate, paint } from "./network";
import type { Drawing, Drawn } from "./worker";

/** What is to be drawn. */
export interface Wish {
  readonly tensors: Tensors;
  readonly mine: Float32Array<ArrayBuffer>;
  readonly family: Float32Array<ArrayBuffer>;
}

/** What was drawn; a grid that did not change is the one before. */
export interface Painted extends Drawing {
  readonly wish: Wish;
  readonly by: "gpu" | "host";
  readonly family: Float32Array;
}

/** Draws on this thread, without a GPU. */
function here({ tensors, mine }: Wish, family: Float32Array | null): Drawing {
  const began = performance.now();
  const { side, tile } = COARSE;
  const [large, small] = [pixels(side), pixels(tile)];
  const all = family && new Float32Array(GRID * GRID * tile * tile);
  for (let k = 0; family && all && k < GRID * GRID; k++) {
    const made = generate(tensors, family.subarray(3 * k, 3 * k + 3));
    all.set(paint(made, small), k * tile * tile);
  }
  const own = paint(generate(tensors, mine), large);
  return { mine: own, family: all, side, tile, milliseconds: performance.now() - began };
}

/**
 * Makes a painter.
 * @param ask The worker's `draw`, or null where no run is at hand.
 * @param onPainted Told of every picture, in order.
 */
export function createPainter(
  ask: () => ((wish: Drawn) => Promise<Drawing>) | null,
  onPainted: (painted: Painted) => void,
): (wish: Wish) => void {
  let waiting: Wish | null = null;
  let busy = false;
  let last: Painted | null = null;

  const draw = async (wish: Wish, by: "gpu" | "host"): Promise<Painted> => {
    // The grid stays where only what the large picture shows has changed.
    const same =
      last?.by === by &&
      last.wish.tensors === wish.tensors &&
      last.wish.family.every((x, k) => x === wish.family[k]);
    const { tensors, mine } = wish;
    const family = same ? null : wish.family;
    const drawn = by === "gpu" ? await ask()?.({ tensors, mine, family }) : here(wish, family);
    if (!drawn) throw new Error("the run was ended");
    return { ...drawn, wish, by, family: drawn.family ?? (last as Painted).family };
  };

  const next = async (wish: Wish): Promise<Painted> => {
    if (!ask()) return draw(wish, "host");
    try {
      return await draw(wish, "gpu");
    } catch {
      // The run was ended or its device lost in between: its parameters are at hand all the same.
      return draw(wish, "host");
    }
  };

  const work = async (): Promise<void> => {
    busy = true;
    try {
      while (waiting) {
        const wish: Wish = waiting;
        waiting = null;
        last = await next(wish);
        onPainted(last);
        // The page's own work, input above all, goes first.
        await new Promise((resolve) => {
          setTimeout(resolve, 0);
        });
      }
    } finally {
      busy = false;
    }
  };

  return (wish) => {
    waiting = wish;
    if (!busy) void work();
  };
}
