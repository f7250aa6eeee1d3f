/**
 * hyperloom: hypernetworks, trained and run on WebGPU. This file is the public surface: re-exports
 * only. Data are read by hyperloom/data, ready-made runs are in hyperloom/train; op records are no
 * part of any.
 */
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
export type { WaitOptions } from "./gpu/wait-options";
export { type KernelOptions, kernelSource } from "./gpu/wgsl-text";
export {
  type Alias,
  apply,
  apply1,
  GradientError,
  type Listed,
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
export * from "./hyper/shared";
export * from "./hyper/static";
export * from "./hyper/wide-resnet";
export * from "./nn/batch-norm";
export {
  type Cell,
  type CellParams,
  type GatedCell,
  stack,
  type Tensors,
  zeroState,
} from "./nn/cell";
export { type CellDropout, dropoutCell } from "./nn/cell-dropout";
export { cnn, type CnnOptions, type CnnParams, type ConvParams } from "./nn/cnn";
export * from "./nn/dense";
export {
  constantInit,
  glorotUniform,
  heNormal,
  type Init,
  normalInit,
  orthogonal,
  truncatedNormal,
  uniformInit,
  zeros,
} from "./nn/init";
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
export {
  countParameters,
  type HostTensor,
  type ModuleSlabs,
  type Slab,
  slabsOf,
} from "./nn/slabs";
export { wideResNet, type WideResNetOptions } from "./nn/wide-resnet";
export {
  type BatchNormAttrs,
  batchNormEvaluation,
  type BatchNormOptions,
  type BatchNormResult,
  batchNormTraining,
} from "./ops/batch-norm";
export { categorical } from "./ops/categorical";
export type { ContractionAttrs } from "./ops/contraction";
export type { CellAttrs } from "./ops/cell";
export {
  conv2d,
  type Conv2dAttrs,
  type Conv2dOptions,
  type InputGradientAttrs,
  type KernelGradientAttrs,
  type Padding,
  type Pads,
} from "./ops/conv2d";
export type { Pair } from "./ops/conv2d-geometry";
export { dropout, type DropoutAttrs, dropoutMask } from "./ops/dropout";
export {
  abs,
  add,
  cast,
  cos,
  div,
  equalTo,
  exp,
  fill,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  notEqual,
  relu,
  rsqrt,
  sigmoid,
  sin,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
  type TensorOrNumber,
  where,
} from "./ops/elementwise";
export { gather } from "./ops/gather";
export { contraction, generateSlices, linear, type TileGrid } from "./ops/generate";
export { hyperLstmCell, hyperScale } from "./ops/hyper-lstm-cell";
export { layerNorm, type LayerNormAttrs, type LayerNormGradientAttrs } from "./ops/layer-norm";
export { broadcastTo, concat, flip, pad, type Placement, slice, transpose } from "./ops/layout";
export {
  type CellGradientAttrs,
  type CellInputs,
  type CellUpdateOptions,
  lstmCell,
  lstmCellGradient,
} from "./ops/lstm-cell";
export {
  matmul,
  type MatmulAttrs,
  type MatmulOptions,
  matmulPair,
  type MatmulPairAttrs,
} from "./ops/matmul";
export { mixtureDensity } from "./ops/mixture-density";
export {
  averagePool2d,
  type AveragePoolAttrs,
  globalAveragePool,
  maxPool2d,
  type PoolAttrs,
  type PoolOptions,
} from "./ops/pool";
export { max, mean, min, type ReduceAttrs, type ReduceOptions, sum } from "./ops/reduce";
export {
  type CrossEntropyGradientAttrs,
  logSoftmax,
  meanSoftmaxCrossEntropy,
  softmax,
  type SoftmaxAttrs,
  softmaxCrossEntropy,
} from "./ops/softmax-cross-entropy";
export { parseVariants } from "./ops/variant-file";
export { VARIANT_KERNELS } from "./ops/variants";
export {
  type AdamAttrs,
  adamScalars,
  adamUpdate,
  clipByGlobalNorm,
  type ClipRule,
  globalNorm,
  type SgdAttrs,
  sgdScalars,
  sgdUpdate,
} from "./ops/optimizer-updates";
export {
  constant,
  type HostArray,
  placeholder,
  read,
  type Variable,
  type VariableEntry,
} from "./ops/sources";
export { pack, reshape, type SlabLayout, unpack } from "./ops/views";
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
export type { Plan } from "./schedule/plan";
export type { ScanOptions } from "./schedule/scan";
export { Variables } from "./schedule/variables";
export {
  type Checkpoint,
  CheckpointError,
  type CheckpointMetadata,
  checkpointModel,
  loadCheckpoint,
  readCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
  writeCheckpoint,
} from "./train/checkpoint";
export type { Json, JsonObject } from "./train/events";
export { type AnyHyper, type AnyModel, type ImageModelName, isHyper } from "./train/image-models";
export * from "./train/load-model";
export {
  buildModel,
  type ModelName,
  modelNames,
  modelSpec,
  type ModelSpec,
  type NamedModel,
} from "./train/models";
export type { AllowedOptions, ModelEntry } from "./train/model-entry";
export {
  type BatchOptions as ProgramOptions,
  evaluation,
  type Model,
  prediction,
  trainStep,
} from "./train/programs";
export { type SequenceModelName, sequenceModelNames } from "./train/sequence-models";
export {
  bitsPerSymbol,
  carriedStates,
  type SequenceOptions,
  sequenceEvaluation,
  sequenceStep,
} from "./train/sequence-programs";
export {
  languageOf,
  loadSampler,
  type Sampled,
  type SampleOptions,
  type Sampler,
  type ScaleChange,
  samplingProgram,
} from "./train/sampler";
export {
  type NamedSafeTensor,
  readSafetensors,
  type SafeTensor,
  type SafeTensors,
  writeSafetensors,
} from "./io/safetensors";
