import type { Dispatch } from "../gpu/dispatch";
import type { Operand } from "../graph/node";
import { type Correlation, correlate } from "./conv2d-correlation";
import { area, type ConvGeometry, flopsOf, kernelElements, pairs } from "./conv2d-geometry";
import type { ConvChoice } from "./conv2d-variants";

// The three products of a convolution for software adapters, each as a correlation of packed rows.
// GFLOP/s a core of the product alone, kernel "quad" and "direct" (Node, SwiftShader, processor time,
// best of 6 on a busy machine; forward):
//   3×3, 64 to 64 channels, 4×32×32                3.6 / 2.3
//   7×7, 16 to 16, 32×14×14                        2.5 / 2.1
//   1×1, 64 to 64, 8×32×32                         1.5 / 1.4
// An input gradient for one channel leaves three quarters of its tile unused.

/** A correlation of stride 1 without phases, whose sum is made in one go. */
const PLAIN = {
  phases: 1,
  phaseStep: 1,
  t1Images: 1,
  rowStep: 1,
  termStep: 1,
  tapStep: 1,
  termPhases: 1,
  start: [0, 0],
  direction: [1, 1],
  classes: [1, 1],
  classesHave: "weights",
  long: false,
} as const;

/** y: column strides become phases, each a correlation of stride 1 with every so many-th tap. */
export function directForward(
  g: ConvGeometry,
  { x, kernel, y }: Readonly<Record<"x" | "kernel" | "y", Operand>>,
  choice: ConvChoice,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  const pixels = area(g.result);
  const phases = Math.min(g.stride[1], g.kernel[1]);
  return correlate(
    {
      ...PLAIN,
      flops: flopsOf(g),
      source: x,
      images: g.samples * g.channelsIn,
      size: g.image,
      offset: pairs((a) => -g.pad[a]),
      phases,
      phaseStep: g.stride[1],
      memberImages: g.channelsIn,
      groupImages: g.channelsIn,
      rowStep: g.stride[0],
      kernel,
      kernelSize: g.kernel,
      kernelGroup: kernelElements(g),
      kernelChannel: g.channelsIn * taps,
      kernelT1: taps,
      t1: g.channelsIn,
      t2: g.kernel[0],
      termPhases: phases,
      taps: Math.ceil(g.kernel[1] / g.stride[1]),
      direction: [1, g.stride[1]],
      extent: g.result,
      result: y,
      resultSize: g.result,
      resultMember: g.channelsOut * pixels,
      resultGroup: g.channelsOut * pixels,
      resultChannel: pixels,
      members: g.perSample ? 1 : g.samples,
      groups: g.perSample ? g.samples : 1,
      channels: g.channelsOut,
      elements: g.samples * g.channelsOut * pixels,
    },
    choice,
  );
}

/**
 * dx: position h sees the rows q of dy and r of the kernel with q · stride + r = h + pad. Let h be
 * i · stride + a: for each remainder a, q runs upwards and r downwards by the stride from where
 * q = i + last, r = a + pad - last · stride, a correlation of stride 1 for which `count` rows are
 * enough for every a.
 */
export function directInputGradient(
  g: ConvGeometry,
  { dy, kernel, dx }: Readonly<Record<"dy" | "kernel" | "dx", Operand>>,
  choice: ConvChoice,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  const pixels = area(g.image);
  const last = pairs((a) => Math.floor((g.stride[a] - 1 + g.pad[a]) / g.stride[a]));
  const count = pairs((a) => {
    const [s, p, f] = [g.stride[a], g.pad[a], g.kernel[a]];
    const counts = Array.from({ length: s }, (_, h) => {
      const own = Math.ceil((f - ((h + p) % s)) / s);
      return own > 0 ? own + last[a] - Math.floor((h + p) / s) : 0;
    });
    return Math.max(1, ...counts);
  });
  return correlate(
    {
      ...PLAIN,
      flops: flopsOf(g),
      source: dy,
      images: g.samples * g.channelsOut,
      size: g.result,
      offset: pairs((a) => last[a] - count[a] + 1),
      memberImages: g.channelsOut,
      groupImages: g.channelsOut,
      kernel,
      kernelSize: g.kernel,
      kernelGroup: kernelElements(g),
      kernelChannel: taps,
      kernelT1: g.channelsIn * taps,
      t1: g.channelsOut,
      t2: count[0],
      taps: count[1],
      start: pairs((a) => g.pad[a] + g.stride[a] * (count[a] - 1 - last[a])),
      direction: pairs((a) => -g.stride[a]),
      classes: g.stride,
      extent: pairs((a) => Math.ceil(g.image[a] / g.stride[a])),
      result: dx,
      resultSize: g.image,
      resultMember: g.channelsIn * pixels,
      resultGroup: g.channelsIn * pixels,
      resultChannel: pixels,
      members: g.perSample ? 1 : g.samples,
      groups: g.perSample ? g.samples : 1,
      channels: g.channelsIn,
      elements: g.samples * g.channelsIn * pixels,
    },
    choice,
  );
}

/**
 * dkernel: x correlated with dy as with a kernel, samples in the place of channels and input
 * channels in that of samples. A column stride of 2 is a step of the taps, a larger one phases.
 */
export function directKernelGradient(
  g: ConvGeometry,
  { x, dy, dkernel }: Readonly<Record<"x" | "dy" | "dkernel", Operand>>,
  choice: ConvChoice,
): readonly Dispatch<Operand>[] {
  const taps = area(g.kernel);
  const pixels = area(g.result);
  const groups = g.perSample ? g.samples : 1;
  const [, stride] = g.stride;
  const phases = stride > 2 ? Math.min(stride, g.kernel[1]) : 1;
  const general: Correlation = {
    ...PLAIN,
    flops: flopsOf(g),
    source: x,
    images: g.samples * g.channelsIn,
    size: g.image,
    offset: pairs((a) => -g.pad[a]),
    phases,
    phaseStep: stride > 2 ? stride : 1,
    memberImages: 1,
    groupImages: g.channelsIn,
    t1Images: g.channelsIn,
    termStep: g.stride[0],
    tapStep: stride === 2 ? 2 : 1,
    kernel: dy,
    kernelSize: g.result,
    kernelGroup: g.channelsOut * pixels,
    kernelChannel: pixels,
    kernelT1: g.channelsOut * pixels,
    t1: g.samples / groups,
    t2: g.result[0],
    taps: g.result[1],
    classes: [1, phases],
    classesHave: "phases",
    extent: [g.kernel[0], Math.ceil(g.kernel[1] / phases)],
    result: dkernel,
    resultSize: g.kernel,
    resultMember: taps,
    resultGroup: kernelElements(g),
    resultChannel: g.channelsIn * taps,
    members: g.channelsIn,
    groups,
    channels: g.channelsOut,
    elements: groups * kernelElements(g),
    long: true,
  };
  const pointwise = taps * area(g.stride) === 1 && area(g.image) === pixels && g.pad[0] === 0;
  if (!pointwise || g.pad[1] !== 0) return correlate(general, choice);
  // A 1×1 kernel is a matrix: x transposed to rows of channels makes the input channels columns of
  // one result, where otherwise each were a result of one pixel.
  return correlate(
    {
      ...general,
      images: g.samples,
      size: [pixels, g.channelsIn],
      strides: [g.channelsIn * pixels, 1, pixels],
      groupImages: 1,
      t1Images: 1,
      kernelSize: [pixels, 1],
      t2: pixels,
      taps: 1,
      extent: [1, g.channelsIn],
      resultSize: [1, g.channelsIn],
      members: 1,
    },
    choice,
  );
}
