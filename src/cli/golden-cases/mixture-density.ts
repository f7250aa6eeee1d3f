import { mixtureDensityLoss } from "../../nn/losses";
import { mixtureDensity } from "../../ops/mixture-density";
import { sum } from "../../ops/reduce";
import { constant } from "../../ops/sources";
import { graphKind } from "./graph";

/** `mdn`: the mixture density loss of points, their mean or the one under `const.mask`. */
export const mixtureDensityPoints = graphKind((c, given) => {
  const [raw, points] = [given("in.y"), given("in.target")];
  const [rows = 1] = raw.shape;
  const weight =
    c.hyper.masked === true
      ? given("const.mask")
      : constant(new Float32Array(rows).fill(1), [rows]);
  const { loss } = mixtureDensityLoss.apply(raw, { points, weight });
  return { values: { "out.nll": mixtureDensity(raw, points) }, loss };
});

/** `mdn.extreme`: the sum over rows, each in a situation of its own and judged by itself. */
export const mixtureDensityExtreme = graphKind((_, given) => {
  const nll = mixtureDensity(given("in.y"), given("in.target"));
  return { values: { "out.nll": nll }, loss: sum(nll) };
});
