/**
 * hyperloom: hypernetworks, trained and run on WebGPU. This file is the public surface: re-exports
 * only.
 */
export * from "./data/index";
export {
  type Device,
  type DeviceOptions,
  requestDevice,
  type Running,
  type UseDeviceOptions,
  useDevice,
} from "./gpu/device";
export {
  type Dispatch,
  dispatch,
  type Grid,
  linearGrid,
  type Target,
  type UniformValue,
  type Variant,
} from "./gpu/dispatch";
export * from "./gpu/errors";
export type { KernelSource } from "./gpu/kernel-source";
export type { Pipeline, PipelineCache } from "./gpu/pipelines";
export type { Profile } from "./gpu/record";
export { type KernelOptions, kernelSource } from "./gpu/wgsl-text";
export {
  type Alias,
  apply,
  apply1,
  GradientError,
  type Node,
  notDifferentiable,
  type Op,
  type Operand,
  type Scratch,
  scratch,
  type Tensor,
} from "./graph/node";
export type { Key } from "./graph/random";
export { recompute } from "./graph/recomputed";
export { type DType, type Shape, ShapeError, type TensorType } from "./graph/shape";
export type { Tree } from "./graph/tree";
export * from "./hyper/bake";
export * from "./hyper/flat";
export * from "./hyper/hyper";
export { type GenerationOptions, hyperCell } from "./hyper/hyper-cell";
export * from "./hyper/hyper-cnn";
export * from "./hyper/hyper-lstm";
export * from "./hyper/hyper-rnn";
export * from "./hyper/layouts";
export * from "./hyper/shared";
export * from "./hyper/static";
export * from "./hyper/wide-resnet";
export * from "./nn/batch-norm";
export {
  type Cell,
  type CellOptions,
  type CellParams,
  type GatedCell,
  stack,
  type Tensors,
  zeroState,
} from "./nn/cell";
export { type CellDropout, dropoutCell } from "./nn/cell-dropout";
export * from "./nn/cnn";
export * from "./nn/dense";
export * from "./nn/init";
export * from "./nn/language-model";
export * from "./nn/losses";
export {
  type Applied,
  type Context,
  type Module,
  module,
  type ParamSpec,
  type Stateless,
  type StateSpec,
  type Values,
} from "./nn/module";
export * from "./nn/recurrent";
export * from "./nn/residual";
export { overSequence, type Recurrent } from "./nn/sequence";
export { countParameters, type ModuleSlabs, type Slab, slabsOf } from "./nn/slabs";
export * from "./nn/wide-resnet";
export * from "./ops/batch-norm";
export * from "./ops/categorical";
export * from "./ops/contraction";
export type { CellAttrs } from "./ops/cell";
export * from "./ops/conv2d";
export type { Pair } from "./ops/conv2d-geometry";
export * from "./ops/dropout";
export * from "./ops/elementwise";
export * from "./ops/gather";
export * from "./ops/generate";
export * from "./ops/hyper-lstm-cell";
export * from "./ops/layer-norm";
export * from "./ops/layout";
export * from "./ops/lstm-cell";
export * from "./ops/matmul";
export * from "./ops/mixture-density";
export * from "./ops/pool";
export * from "./ops/reduce";
export * from "./ops/softmax-cross-entropy";
export { parseVariants } from "./ops/variant-file";
export { VARIANT_KERNELS } from "./ops/variants";
export * from "./ops/optimizer-updates";
export {
  constant,
  type HostArray,
  placeholder,
  read,
  type Variable,
  type VariableEntry,
} from "./ops/sources";
export * from "./ops/views";
export * from "./optim/optimizer";
export * from "./optim/schedule";
export {
  compile,
  type CompileOptions,
  type Executable,
  type ExecutableStats,
  type Outputs,
  type Program,
} from "./schedule/executable";
export { gradient } from "./schedule/gradient";
export type { WaitOptions } from "./schedule/kernels";
export type { Plan } from "./schedule/plan";
export type { ScanOptions } from "./schedule/scan";
export { Variables } from "./schedule/variables";
export * from "./train/checkpoint";
export * from "./train/checkpoint-settings";
export * from "./train/events";
export { gradientNorms } from "./train/gradient-norms";
export * from "./train/image-models";
export * from "./train/image-task";
export * from "./train/load-model";
export * from "./train/loop";
export * from "./train/models";
export type { AllowedOptions, ModelEntry } from "./train/model-entry";
export {
  type BatchOptions as ProgramOptions,
  evaluation,
  type Model,
  prediction,
  trainStep,
} from "./train/programs";
export * from "./train/sequence-data";
export { type SequenceModelName, sequenceModelNames } from "./train/sequence-models";
export {
  bitsPerSymbol,
  carriedStates,
  type SequenceOptions,
  sequenceEvaluation,
  sequenceStep,
} from "./train/sequence-programs";
export * from "./train/sequence-settings";
export { evaluateSequences, fitChunk, sequenceTask } from "./train/sequence-task";
export {
  languageOf,
  loadSampler,
  type Sampled,
  type SampleOptions,
  type Sampler,
  type ScaleChange,
  samplingProgram,
} from "./train/sampler";
export * from "./train/settings";
export type { PassOptions, Split, StepInputs, Task } from "./train/task";
export {
  type NamedSafeTensor,
  readSafetensors,
  type SafeTensor,
  type SafeTensors,
  writeSafetensors,
} from "./io/safetensors";
