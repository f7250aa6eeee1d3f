/**
 * hyperloom/train: ready-made runs, those of the terminal: tasks of images and of sequences, their
 * settings and presets, and the loop that trains, validates, tests and keeps checkpoints. A loop of
 * one's own needs `trainStep` of hyperloom alone. This file re-exports only.
 */
export { checkpointSettings } from "./checkpoint-settings";
export type {
  CheckpointEvent,
  CompilingEvent,
  DoneEvent,
  EvalEvent,
  Evaluated,
  EvaluatingEvent,
  Measures,
  RunEvent,
  StartEvent,
  StepEvent,
  StoppedEvent,
  Unit,
} from "./events";
export type { ImagePresetName } from "./image-presets";
export {
  evaluateImages,
  evaluationBatch,
  type ImageFlags,
  imageSettings,
  imageTask,
  plainWeights,
} from "./image-task";
export * from "./loop";
export { namedModel } from "./models";
export { type SequenceData, textData, type WindowOptions } from "./sequence-data";
export type { SequencePresetName } from "./sequence-presets";
export { type SequenceFlags, sequenceSettings } from "./sequence-settings";
export { evaluateSequences, sequenceTask } from "./sequence-task";
export {
  type BasePreset,
  type ImageSettings,
  type ImageTaskName,
  type OptimizerName,
  optimizerOf,
  type RateSettings,
  type RunSettings,
  type SequenceSettings,
  type SequenceTaskName,
  SettingsError,
  type TaskName,
  type TrainFlags,
  type TrainSettings,
} from "./settings";
export type { PassOptions, Split, StepInputs, Task } from "./task";
