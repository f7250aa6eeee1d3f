import type { Tensor } from "../../graph/node";
import type { Tree } from "../../graph/tree";
import { type Cell, stack, zeroState } from "../../nn/cell";
import { languageModel } from "../../nn/language-model";
import { crossEntropy } from "../../nn/losses";
import { overSequence } from "../../nn/sequence";
import { gather } from "../../ops/gather";
import { slice, transpose } from "../../ops/layout";
import { constant } from "../../ops/sources";
import { reshape } from "../../ops/views";
import { setting } from "./case";
import { type CaseGraph, type Given, graphKind } from "./graph";
import { labmlHyperLayer, paperLayer } from "./recurrent";
import { within } from "./recurrent-layouts";

/**
 * Layers over `const.tokens` [T + 1, B] from zero states: logits of a step from its token, and the
 * mean cross-entropy with the token after it.
 */
function characterModel(
  given: Given,
  layers: readonly { readonly cell: Cell; readonly params: Tree<Tensor> }[],
  V: number,
  input: (tokens: Tensor) => Tensor,
): CaseGraph {
  const tokens = given("const.tokens");
  const [steps = 2, B = 1] = tokens.shape;
  const T = steps - 1;
  const model = languageModel(stack(layers.map(({ cell }) => cell)), V);
  const params = {
    cell: Object.fromEntries(layers.map((layer, k) => [`layer${k}`, layer.params])),
    W_s: transpose(given("param.fc.weight")),
    b_s: given("param.fc.bias"),
  };
  const xs = input(slice(tokens, [0, 0], [T, B]));
  const context = { train: true, key: null };
  const { outputs } = overSequence(model, context, params, zeroState(model, B), xs);
  const { loss } = crossEntropy.apply(reshape(outputs, [T * B, V]), {
    labels: reshape(slice(tokens, [1, 0], [T + 1, B]), [T * B]),
    weight: constant(new Float32Array(T * B).fill(1), [T * B]),
  });
  return { values: { "out.logits": outputs }, loss };
}

/** `network.char_lm_labml`: an embedding of the tokens, then labml's layers. */
export const charLmLabml = graphKind((c, given) => {
  const layers = Array.from({ length: setting(c, "layers") }, (_, k) =>
    labmlHyperLayer(c, within(given, `param.rnn.cells.${k}.`), setting(c, k === 0 ? "E" : "H")),
  );
  return characterModel(given, layers, setting(c, "V"), (tokens) =>
    gather(given("param.embed"), tokens),
  );
});

/** `network.char_lm_paper`: supercell's layers on one-hot tokens. */
export const charLmPaper = graphKind((c, given) => {
  if (c.tensors.has("const.drop_mask")) {
    throw new Error("a character model with given dropout masks is not known");
  }
  const layers = Array.from({ length: setting(c, "layers") }, (_, k) =>
    paperLayer(c, within(given, `param.${k}.`), setting(c, k === 0 ? "V" : "H")),
  );
  return characterModel(given, layers, setting(c, "V"), (tokens) => tokens);
});
