import type { Device } from "../../gpu/device";
import { type GoldenCase, type GoldenFiles, isGiven, parseCase } from "./case";
import type { Evaluate, Results } from "./graph";
import { charLmLabml, charLmPaper } from "./char-lm";
import { mixtureDensityExtreme, mixtureDensityPoints } from "./mixture-density";
import { convGenerated, networkHyperCnn } from "./networks";
import { closedLoop, givenGradients } from "./optimizers";
import {
  hyperLstmLabml,
  hyperLstmLabmlCell,
  hyperLstmPaper,
  hyperLstmPaperCell,
  hyperRnnKind,
  lstmLabml,
  lstmLabmlCell,
  lstmSupercell,
} from "./recurrent";
import { networkG1910Blocks, networkG1910Wrn40, networkPreactWrn } from "./residual";
import { staticG1910, staticPaper, staticPaperTiled } from "./static";

/** The computation of each kind. */
const kinds: Readonly<Record<string, Evaluate>> = {
  "static.paper": staticPaper,
  "static.paper_tiled": staticPaperTiled,
  "static.g1910": staticG1910,
  "conv.generated": convGenerated,
  "lstm.labml_cell": lstmLabmlCell,
  "lstm.labml": lstmLabml,
  "lstm.supercell": lstmSupercell,
  "hyperlstm.labml_cell": hyperLstmLabmlCell,
  "hyperlstm.labml": hyperLstmLabml,
  "hyperlstm.paper_cell": hyperLstmPaperCell,
  "hyperlstm.paper": hyperLstmPaper,
  hyperrnn: hyperRnnKind,
  "network.hyper_cnn": networkHyperCnn,
  "network.preact_wrn": networkPreactWrn,
  "network.g1910_blocks": networkG1910Blocks,
  "network.g1910_wrn40": networkG1910Wrn40,
  "network.char_lm_labml": charLmLabml,
  "network.char_lm_paper": charLmPaper,
  mdn: mixtureDensityPoints,
  "mdn.extreme": mixtureDensityExtreme,
  "optimizer.given_gradients": givenGradients,
  "optimizer.closed_loop": closedLoop,
};

/** Worst error of one tensor. */
export interface TensorReport {
  readonly name: string;
  /** |computed − stored| / atol at its largest; null where it was not computed or is not comparable. */
  readonly errorOverTolerance: number | null;
  readonly pass: boolean;
}

/** What became of a case; plain data, so that it can come from another process. */
export interface CaseReport {
  readonly name: string;
  readonly kind: string;
  readonly pass: boolean;
  /** In place of results, where there are none. */
  readonly message?: string;
  readonly tensors: readonly TensorReport[];
}

/** Evaluates one case on a device. Failures are reported, not thrown. @throws DeviceLostError. */
export async function evaluateCase(device: Device, files: GoldenFiles): Promise<CaseReport> {
  const c = parseCase(files);
  const { name, kind } = c;
  const failed = (message: string): CaseReport => ({
    name,
    kind,
    pass: false,
    message,
    tensors: [],
  });
  const evaluate = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (!evaluate) return failed(`kind ${kind} is not supported yet`);
  let results: Results;
  try {
    results = await evaluate(device, c);
  } catch (error) {
    if (device.lost) throw error;
    return failed((error as Error).message);
  }
  const tensors = [...c.tensors.keys()]
    .filter((t) => !isGiven(t))
    .map((t) => compare(c, t, results));
  if (tensors.length === 0) return failed("it has no results to compare");
  return { name, kind, pass: tensors.every((t) => t.pass), tensors };
}

/** Every element within the tensor's atol; NaN is within nothing. */
function compare({ tensors, atol }: GoldenCase, name: string, results: Results): TensorReport {
  const stored = tensors.get(name)?.data ?? [];
  const computed = results.get(name);
  const tolerances = atol.get(name);
  if (!computed || computed.length !== stored.length || !tolerances) {
    return { name, errorOverTolerance: null, pass: false };
  }
  const row = stored.length / tolerances.length;
  let worst = 0;
  for (let i = 0; i < stored.length; i++) {
    const error = Math.abs((computed[i] ?? Number.NaN) - (stored[i] ?? Number.NaN));
    if (Number.isNaN(error)) return { name, errorOverTolerance: null, pass: false };
    if (error > 0) worst = Math.max(worst, error / (tolerances[Math.floor(i / row)] as number));
  }
  return { name, errorOverTolerance: worst, pass: worst <= 1 };
}
