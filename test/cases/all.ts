import { batchNormCases } from "./batch-norm";
import type { OpCase } from "./case";
import { categoricalCases } from "./categorical";
import { contractionCases } from "./contraction";
import { conv2dCases } from "./conv2d";
import { dropoutCases } from "./dropout";
import { elementwiseCases } from "./elementwise";
import { gatherCases } from "./gather";
import { hyperLstmCellCases } from "./hyper-lstm-cell";
import { layerNormCases } from "./layer-norm";
import { layoutCases } from "./layout";
import { lstmCellCases } from "./lstm-cell";
import { matmulCases } from "./matmul";
import { mixtureDensityCases } from "./mixture-density";
import { optimizerUpdateCases } from "./optimizer-updates";
import { poolCases } from "./pool";
import { reduceCases } from "./reduce";
import { softmaxCrossEntropyCases } from "./softmax-cross-entropy";

/** Every case of every op. */
export const allCases: readonly OpCase[] = [
  ...batchNormCases,
  ...categoricalCases,
  ...contractionCases,
  ...conv2dCases,
  ...dropoutCases,
  ...elementwiseCases,
  ...gatherCases,
  ...hyperLstmCellCases,
  ...layerNormCases,
  ...layoutCases,
  ...lstmCellCases,
  ...matmulCases,
  ...mixtureDensityCases,
  ...optimizerUpdateCases,
  ...poolCases,
  ...reduceCases,
  ...softmaxCrossEntropyCases,
];
