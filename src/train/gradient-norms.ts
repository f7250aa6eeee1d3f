import type { Tensor } from "../graph/node";
import { rebuild, type Tree } from "../graph/tree";
import type { LanguageModel } from "../nn/language-model";
import { isSpec, type ParamSpec, specs, type StateSpec, type Values } from "../nn/module";
import { bindSlab, slabsOf } from "../nn/slabs";
import { tensorsOf } from "../nn/sequence";
import { add, fill, sqrt, square } from "../ops/elementwise";
import { mean, sum } from "../ops/reduce";
import { softmaxCrossEntropy } from "../ops/softmax-cross-entropy";
import { constant, placeholder } from "../ops/sources";
import type { Program } from "../schedule/executable";
import { gradient } from "../schedule/gradient";
import { scan } from "../schedule/scan";

/** The path of the state that a model reads out: that of its topmost layer. */
function topState(model: LanguageModel): string {
  const named = specs(model.state).filter(
    ({ path }) => /(^|\.)h$/.test(path) && !/(^|\.)hyper\./.test(path),
  );
  return named[named.length - 1]?.path ?? "";
}

/**
 * How far a loss reaches back in time: ‖∂L_T/∂h_{T−k}‖ for k = 0 to T − 1, with L_T the loss of the
 * last of T steps alone and h the state that is read out (of the topmost layer), all other states of
 * that time held fixed; the mean of the norms over B sequences. Zeros are added to h at every step,
 * and the gradient is taken with respect to them.
 *
 * Inputs `x` u32 [T, B] and `labels` u32 [B]; output `norms` [T], of h_1, …, h_T.
 */
export function gradientNorms(
  model: LanguageModel,
  { batch: B, length: T }: { readonly batch: number; readonly length: number },
): Program {
  const x = placeholder("x", [T, B], "u32");
  const labels = placeholder("labels", [B], "u32");
  const { values } = bindSlab(model.params, slabsOf(model).parameters);
  const params = values as Values<Tree<ParamSpec>>;
  const own = (params as unknown as { cell: Values<Tree<ParamSpec>> }).cell;
  const states = specs(model.state);
  const top = states.findIndex(({ path }) => path === topState(model));
  const zeros = constant(new Float32Array(T * B * model.cell.units), [T, B, model.cell.units]);
  const { states: after } = scan(
    (now, [symbols, added]) => {
      const state = rebuild<StateSpec, Tensor>(model.state, isSpec, now);
      const applied = model.cell.apply(
        { train: false, key: null },
        own,
        state as Values<Tree<StateSpec>>,
        symbols as Tensor,
      );
      const next = tensorsOf(applied.state as Tree<Tensor>);
      next[top] = add(next[top] as Tensor, added as Tensor);
      return { states: next, outputs: [] };
    },
    states.map(({ value }) => fill(0, [B, ...value.shape])),
    [x, zeros],
  );
  const logits = model.readout(params, after[top] as Tensor);
  const { loss } = softmaxCrossEntropy(logits, labels, fill(1, [B]));
  // A sum, so that each sequence has the gradient of its own loss.
  const [d] = gradient(sum(loss), [zeros]);
  const norms = mean(sqrt(sum(square(d as Tensor), [2])), [1]);
  return { name: `gradient norms of ${model.name}`, inputs: { x, labels }, outputs: { norms } };
}
