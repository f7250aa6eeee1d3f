/** What a run measured on the held-out end of the text. */
import type { Point } from "../shell/film";

/** The tests among a run's points: those at which what was measured has changed. */
export function testsOf(points: readonly Point[]): Point[] {
  let last = Number.NaN;
  return points.flatMap(({ step, values }) => {
    const { heldHyper, heldLstm } = values;
    if (heldHyper === undefined || heldLstm === undefined || heldHyper === last) return [];
    last = heldHyper;
    return [{ step, values: { hyper: heldHyper, lstm: heldLstm } }];
  });
}
