import { maxPool2d2x2 } from "../../shaders/max_pool2d_2x2.wgsl";
import { maxPool2d2x2Gradient } from "../../shaders/max_pool2d_2x2_gradient.wgsl";
import { pool2d } from "../../shaders/pool2d.wgsl";
import { pool2dGradient } from "../../shaders/pool2d_gradient.wgsl";
import { dispatch, linearGrid, MAX_LOOP_TRIPS, MAX_TRIPS } from "../gpu/dispatch";
import { expect, expectType } from "../graph/expect";
import { apply1, notDifferentiable, type Op, type Tensor } from "../graph/node";
import { type Shape, ShapeError, show, size, type TensorType } from "../graph/shape";
import { mean } from "./reduce";
import { reshape } from "./views";

/** Windows of a 2-D pooling, in elements. */
export interface PoolOptions {
  /** Height and width of a window, or both at once. */
  readonly size: number | readonly [number, number];
  /** Distance between windows, down and across; default: their size. */
  readonly stride?: number | readonly [number, number];
  /** Rows and columns added around the image: one number, or top, bottom, left, right; default 0. */
  readonly padding?: number | readonly [number, number, number, number];
}

/** `PoolOptions` with everything written out. */
export interface PoolAttrs {
  readonly size: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Top, bottom, left, right. */
  readonly padding: readonly [number, number, number, number];
}

/** What an average pooling depends on besides its inputs. */
export interface AveragePoolAttrs extends PoolAttrs {
  readonly countPadding: boolean;
}

function poolAttrs({ size: s, stride = s, padding = 0 }: PoolOptions): PoolAttrs {
  return {
    size: typeof s === "number" ? [s, s] : s,
    stride: typeof stride === "number" ? [stride, stride] : stride,
    padding: typeof padding === "number" ? [padding, padding, padding, padding] : padding,
  };
}

/**
 * Output shape of a pooling: floor((n + padding - size) / stride) + 1 along each image axis.
 * @throws ShapeError where x is not f32 [N, C, H, W], no window fits, or a padding reaches the
 * window's size (a window could then lie outside the image).
 */
function poolShape(op: string, attrs: PoolAttrs, x: TensorType): Shape {
  expectType(op, "x", x, 4);
  const [n = 0, c = 0, ...image] = x.shape;
  const out = image.map((length, axis) => {
    const [window, stride] = [attrs.size[axis] as number, attrs.stride[axis] as number];
    const [before, after] = attrs.padding.slice(2 * axis, 2 * axis + 2) as [number, number];
    const at = `${op}: along ${axis === 0 ? "H" : "W"} of ${show(x.shape)}`;
    for (const [what, k] of Object.entries({ size: window, stride })) {
      expect(Number.isInteger(k) && k > 0, at, what, k, "be a positive integer");
    }
    for (const k of [before, after]) {
      const good = Number.isInteger(k) && k >= 0 && k < window;
      expect(good, at, "padding", k, `be an integer below the size, ${window}`);
    }
    const padded = length + before + after;
    expect(window <= padded, at, "size", window, `be at most ${padded}; pad or pool less`);
    return Math.floor((padded - window) / stride) + 1;
  });
  return [n, c, ...out];
}

/** What the general kernels take, an invocation for each element of `of`. */
function windows(attrs: PoolAttrs, x: Shape, y: Shape, of: Shape, loops: Loops) {
  const { size: window, stride, padding } = attrs;
  return {
    uniforms: {
      count: size(of),
      height: x[2] as number,
      width: x[3] as number,
      out_height: y[2] as number,
      out_width: y[3] as number,
      size_h: window[0],
      size_w: window[1],
      stride_h: stride[0],
      stride_w: stride[1],
      pad_top: padding[0],
      pad_left: padding[2],
    },
    grid: linearGrid(size(of) / WORKGROUP),
    flops: size(y) * window[0] * window[1],
    ...loops,
  };
}

/** What the kernels for 2x2 windows take, an invocation for each. */
function halves(y: Shape) {
  const outputs = size(y);
  return {
    uniforms: { outputs, out_width: y[3] as number },
    grid: linearGrid(outputs / WORKGROUP),
    flops: outputs * 8,
    trips: 0,
  };
}

/** Whether the kernels for 2x2 windows of images of even sizes apply. */
function isHalving({ size: s, stride, padding }: PoolAttrs, x: Shape): boolean {
  const even = (x[2] as number) % 2 === 0 && (x[3] as number) % 2 === 0;
  return even && [...s, ...stride].every((k) => k === 2) && padding.every((k) => k === 0);
}

interface Loops {
  readonly trips: number;
  readonly longestLoop: number;
}

/** Two loops, one in the other. */
function nested(outer: number, inner: number): Loops {
  return { trips: outer * (2 + inner) + 1, longestLoop: Math.max(outer, inner) };
}

/** Loops of an invocation over its window, of the general forward kernels. */
function windowLoops({ size: s }: PoolAttrs, x: Shape): Loops {
  return nested(Math.min(s[0], x[2] as number), Math.min(s[1], x[3] as number));
}

/** Loops of an invocation over the windows that an element lies in. */
function overlapLoops({ size: s, stride }: PoolAttrs, y: Shape): Loops {
  const over = (axis: 0 | 1) => Math.min(Math.ceil(s[axis] / stride[axis]), y[axis + 2] as number);
  return nested(over(0), over(1));
}

/** Loops of the gradient of max pooling, which goes through each window over an element. */
function winnerLoops(attrs: PoolAttrs, x: Shape, y: Shape): Loops {
  const [over, inside] = [overlapLoops(attrs, y), windowLoops(attrs, x)];
  return {
    trips: over.trips * (1 + inside.trips),
    longestLoop: Math.max(over.longestLoop, inside.longestLoop),
  };
}

const fits = ({ trips, longestLoop }: Loops): boolean =>
  trips <= MAX_TRIPS && longestLoop <= MAX_LOOP_TRIPS;

function expectFits(op: string, attrs: PoolAttrs, loops: Loops): void {
  if (!fits(loops)) {
    throw new ShapeError(
      `hyperloom: ${op}: windows ${show(attrs.size)} with stride ${show(attrs.stride)} take an ` +
        `element ${loops.trips} steps, at most ${MAX_TRIPS} can be; pool less, or with a larger stride`,
    );
  }
}

const WORKGROUP = 64;

function pooledType(op: string, attrs: PoolAttrs, x: TensorType): TensorType {
  const shape = poolShape(op, attrs, x);
  expectFits(op, attrs, windowLoops(attrs, x.shape));
  return { shape, dtype: "f32" };
}

/** The general kernel of either pooling. */
function poolDispatch(
  attrs: PoolAttrs,
  x: Tensor,
  y: Tensor,
  overrides: { readonly MEAN: number; readonly COUNT_PADDING?: number },
) {
  const launch = windows(attrs, x.shape, y.shape, y.shape, windowLoops(attrs, x.shape));
  return dispatch(pool2d, { bind: { x, y }, overrides, ...launch });
}

/** Largest element of each window; see `maxPool2d`. */
export const maxPool2dOp: Op<PoolAttrs> = {
  name: "max_pool2d",
  epilogue: true,
  shape: (attrs, x) => [pooledType("max_pool2d", attrs, x)],
  dispatch({ attrs, inputs: [x], outputs: [y] }) {
    if (!isHalving(attrs, x.shape)) return [poolDispatch(attrs, x, y, { MEAN: 0 })];
    return [dispatch(maxPool2d2x2, { bind: { x, y }, ...halves(y.shape) })];
  },
  gradient(node, [dy]) {
    return [dy ? apply1(maxPool2dGradientOp, node.attrs, node.inputs[0], dy) : null];
  },
};

/** From (x, dy) the gradient of max pooling: each dy goes to the element that won its window. */
export const maxPool2dGradientOp: Op<PoolAttrs> = {
  name: "max_pool2d_gradient",
  epilogue: true,
  shape(attrs, x, dy) {
    expectFits("max_pool2d_gradient", attrs, winnerLoops(attrs, x.shape, dy.shape));
    return [x];
  },
  dispatch({ attrs, inputs: [x, dy], outputs: [dx] }) {
    const bind = { x, dy, dx };
    if (isHalving(attrs, x.shape)) {
      return [dispatch(maxPool2d2x2Gradient, { bind, ...halves(dy.shape) })];
    }
    const loops = winnerLoops(attrs, x.shape, dy.shape);
    const launch = windows(attrs, x.shape, dy.shape, x.shape, loops);
    const flops = launch.flops * attrs.size[0] * attrs.size[1];
    return [dispatch(pool2dGradient, { bind, overrides: { MEAN: 0 }, ...launch, flops })];
  },
  gradient: notDifferentiable("second derivatives through max pooling are not provided"),
};

/** Mean of each window; see `averagePool2d`. Linear, so that its gradient's gradient is itself. */
export const averagePool2dOp: Op<AveragePoolAttrs> = {
  name: "average_pool2d",
  epilogue: true,
  shape: (attrs, x) => [pooledType("average_pool2d", attrs, x)],
  dispatch: ({ attrs, inputs: [x], outputs: [y] }) => [
    poolDispatch(attrs, x, y, { MEAN: 1, COUNT_PADDING: Number(attrs.countPadding) }),
  ],
  gradient(node, [dy]) {
    const { shape } = node.inputs[0];
    return [dy ? apply1(averagePool2dGradientOp, { ...node.attrs, shape }, dy) : null];
  },
};

/** From dy the gradient of average pooling over an image of `shape`. */
export const averagePool2dGradientOp: Op<AveragePoolAttrs & { readonly shape: Shape }> = {
  name: "average_pool2d_gradient",
  epilogue: true,
  shape(attrs, dy) {
    expectFits("average_pool2d_gradient", attrs, overlapLoops(attrs, dy.shape));
    return [{ shape: attrs.shape, dtype: "f32" }];
  },
  dispatch({ attrs, inputs: [dy], outputs: [dx] }) {
    const loops = overlapLoops(attrs, dy.shape);
    return [
      dispatch(pool2dGradient, {
        // The mean does not look at x, which is bound to anything.
        bind: { x: dy, dy, dx },
        overrides: { MEAN: 1, COUNT_PADDING: Number(attrs.countPadding) },
        ...windows(attrs, dx.shape, dy.shape, dx.shape, loops),
      }),
    ];
  },
  gradient: (node, [ddx]) => [ddx ? apply1(averagePool2dOp, node.attrs, ddx) : null],
};

/**
 * The largest element of each window of x [N, C, H, W]; y [N, C, H', W'] with
 * H' = floor((H + padding - size) / stride) + 1. Padding never wins, NaN always does. Among equal
 * elements the first in row-major order gets the gradient, as in PyTorch.
 * @throws ShapeError where no window fits, a padding reaches the window's size, or a window along
 * one axis has more than 32,768 elements; its gradient, where some 250 windows overlap.
 */
export function maxPool2d(x: Tensor, options: PoolOptions): Tensor {
  const attrs = poolAttrs(options);
  const y = poolShape("max_pool2d", attrs, x);
  const whole = fits(winnerLoops(attrs, x.shape, y));
  return steps(attrs, whole).reduce((z, step) => apply1(maxPool2dOp, step, z), x);
}

/**
 * Large windows, or many over an element, are pooled along rows and then along columns, each of
 * which is a maximum or mean as well; so is the first maximum in row-major order.
 */
function steps(attrs: PoolAttrs, whole: boolean): readonly PoolAttrs[] {
  const [[h, w], [down, across]] = [attrs.size, attrs.stride];
  const [top, bottom, left, right] = attrs.padding;
  if (whole || h === 1 || w === 1) return [attrs];
  return [
    { size: [1, w], stride: [1, across], padding: [0, 0, left, right] },
    { size: [h, 1], stride: [down, 1], padding: [top, bottom, 0, 0] },
  ];
}

/**
 * The mean of each window of x [N, C, H, W]; shapes as in `maxPool2d`. `countPadding` (default
 * true, PyTorch's choice) divides by the whole window; false by its part inside the image
 * (TensorFlow's).
 * @throws ShapeError where no window fits or a padding reaches the window's size.
 */
export function averagePool2d(
  x: Tensor,
  { countPadding = true, ...options }: PoolOptions & { readonly countPadding?: boolean },
): Tensor {
  const attrs = poolAttrs(options);
  const y = poolShape("average_pool2d", attrs, x);
  const whole = fits(windowLoops(attrs, x.shape)) && fits(overlapLoops(attrs, y));
  return steps(attrs, whole).reduce(
    (z, step) => apply1(averagePool2dOp, { ...step, countPadding }, z),
    x,
  );
}

/** The mean of each image: x [N, C, H, W] to [N, C]. @throws ShapeError unless x has rank 4. */
export function globalAveragePool(x: Tensor): Tensor {
  expectType("global_average_pool", "x", x, 4);
  const [n = 0, c = 0, h = 0, w = 0] = x.shape;
  if (Math.max(h, w) > MAX_LOOP_TRIPS) return mean(x, [2, 3]);
  return reshape(averagePool2d(x, { size: [h, w] }), [n, c]);
}
