/**
 * hyperloom/data: readers of data sets and texts, generated stand-ins for them, batches and streams.
 * It knows no GPU; this file re-exports only.
 */
export * from "./batches";
export * from "./cifar";
export { type DigitsOptions, generateDigits } from "./digits";
export { embeddedText, embeddedTextSplit } from "./embedded-text";
export type { DownloadOptions } from "./download";
export { DataFileError } from "./errors";
export { type IdxImages, readIdxImages, readIdxLabels } from "./idx";
export * from "./images";
export { fetchMnist, type MnistFiles, type MnistName, mnistNames, readMnist } from "./mnist";
export { channelStatistics, type Normalization } from "./normalization";
export * from "./recall";
export { generateShapes, type ShapesOptions, shapeNames } from "./shapes";
export {
  evaluationStreams,
  type StreamOptions,
  type StreamSource,
  type StreamWindow,
  streams,
} from "./streams";
export * from "./text";
export * from "./vocabulary";
