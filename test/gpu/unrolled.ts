import type { Tensor } from "../../src/graph/node";
import { concat, slice } from "../../src/ops/layout";
import { reshape } from "../../src/ops/views";
import type { scan } from "../../src/schedule/scan";

/** A scan written out in the graph, step after step. */
export const unrolled: typeof scan = (step, states, xs, { reverse = false } = {}) => {
  const T = xs[0]?.shape[0] as number;
  const outputs: Tensor[][] = [];
  let now = states;
  for (let i = 0; i < T; i++) {
    const t = reverse ? T - 1 - i : i;
    const at = xs.map((x) =>
      reshape(
        slice(x, [t, ...x.shape.slice(1).map(() => 0)], [t + 1, ...x.shape.slice(1)]),
        x.shape.slice(1),
      ),
    );
    const made = step(now, at);
    now = made.states;
    outputs[t] = [...made.outputs];
  }
  const stacked = (outputs[0] as Tensor[]).map((_, k) =>
    concat(
      outputs.map((y) => reshape(y[k] as Tensor, [1, ...(y[k] as Tensor).shape])),
      0,
    ),
  );
  return { states: now, outputs: stacked };
};
