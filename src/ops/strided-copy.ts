import { stridedCopy as stridedCopyKernel } from "../../shaders/strided_copy.wgsl";
import { type Dispatch, dispatch, linearGrid } from "../gpu/dispatch";
import { expect } from "../graph/expect";
import type { Node, Operand } from "../graph/node";
import { size } from "../graph/shape";

const WORKGROUP = 64;

/** How one output axis reads the input: see shaders/strided_copy.wgsl. */
export interface CopyAxis {
  size: number;
  stride: number;
  /** First index that has a source, indices after it within reach of one, and their distance. */
  start: number;
  reach: number;
  step: number;
}

const MAX_COPY_AXES = 6;

const whole = ({ start, reach, size: n, step }: CopyAxis) =>
  start === 0 && reach >= n && step === 1;

/** Merges adjacent axes that are walked as one; outermost first, as given. */
function collapse(axes: readonly CopyAxis[]): CopyAxis[] {
  const out: CopyAxis[] = [];
  for (const axis of axes) {
    if (axis.size === 1 && whole(axis)) continue;
    const outer = out[out.length - 1];
    if (outer && outer.step === 1 && whole(axis) && outer.stride === axis.stride * axis.size) {
      // A part of the outer axis times all of this one is a part of their product.
      outer.size *= axis.size;
      outer.start *= axis.size;
      outer.reach *= axis.size;
      outer.stride = axis.stride;
    } else out.push({ ...axis });
  }
  return out;
}

/** The dispatch that fills output 0 of a node from input 0. */
export function stridedCopy<A>(
  node: Node<A>,
  base: number,
  allAxes: readonly CopyAxis[],
  fill = 0,
): readonly Dispatch<Operand>[] {
  const [x] = node.inputs;
  const [y] = node.outputs;
  const axes = collapse(allAxes).reverse();
  const must = `be at most ${MAX_COPY_AXES}; do it in two ops`;
  expect(
    axes.length <= MAX_COPY_AXES,
    node.op.name,
    "the number of axes that do not merge",
    axes.length,
    must,
  );
  const axis = (k: number): readonly [number, number, number, number] => {
    const a = axes[k];
    return a ? [a.size, a.stride >>> 0, a.start >>> 0, a.reach] : [1, 0, 0, 1];
  };
  const step = (k: number) => axes[k]?.step ?? 1;
  const elements = size(y.shape);
  return [
    dispatch(stridedCopyKernel, {
      bind: { x, y },
      uniforms: {
        axis0: axis(0),
        axis1: axis(1),
        axis2: axis(2),
        axis3: axis(3),
        axis4: axis(4),
        axis5: axis(5),
        step_low: [step(0), step(1), step(2), step(3)],
        step_high: [step(4), step(5), 1, 1],
        elements,
        base: base >>> 0,
        fill: fill >>> 0,
      },
      overrides: {
        RANK: Math.max(1, axes.length),
        PLACED: Number(!axes.every(whole)),
        WHOLE_ROWS: Number((axes[0]?.size ?? 1) % 4 === 0),
      },
      grid: linearGrid(elements / 4 / WORKGROUP),
      flops: elements,
      trips: 0,
    }),
  ];
}

/** An axis all of whose indices have a source. */
export function fullAxis(n: number, stride: number): CopyAxis {
  return { size: n, stride, start: 0, reach: n, step: 1 };
}
