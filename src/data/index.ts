/**
 * hyperloom/data: readers of data sets and texts, generated digits, batches and streams. It knows no
 * GPU; this file re-exports only. The tales and shapes that stand in for files are the terminal's.
 */
export * from "./batches";
export * from "./cifar";
export { type DigitsOptions, generateDigits } from "./digits";
export type { DownloadOptions } from "./download";
export { DataFileError } from "./errors";
export { type IdxImages, readIdxImages, readIdxLabels } from "./idx";
export {
  cifarSplit,
  digitsSplit,
  type GeneratedSplitOptions,
  type ImageSet,
  type ImageSplit,
  mnistSplit,
  split,
} from "./images";
export { fetchMnist, type MnistFiles, type MnistName, mnistNames, readMnist } from "./mnist";
export { channelStatistics, type Normalization } from "./normalization";
export * from "./recall";
export {
  evaluationStreams,
  type StreamOptions,
  type StreamSource,
  type StreamWindow,
  streams,
} from "./streams";
export * from "./text";
export * from "./vocabulary";
