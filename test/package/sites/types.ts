// What an application in TypeScript takes from the package, each type by its own name.
import {
  type Device,
  type Executable,
  hyperLstm,
  type LanguageModel,
  languageModel,
  requestDevice,
} from "hyperloom";
import { batchSource, type DataFileError } from "hyperloom/data";
import type { KernelSource, LimitError } from "hyperloom/gpu";
import { optimizerOf, train, type TrainResult, type TrainSettings } from "hyperloom/train";

const device: Device = await requestDevice();
/** WebGPU's own types come from TypeScript's DOM library or from @webgpu/types. */
export const lost: Promise<GPUDeviceLostInfo> = device.gpu.lost;
export const model: LanguageModel = languageModel(
  hyperLstm({ inputs: 3, units: 4, hyperUnits: 2, nz: 1 }),
  3,
);
export const runs = async (step: Executable): Promise<number | undefined> =>
  (await step.run({})).loss?.[0];
export const binding = (kernel: KernelSource<"x">): "x" | undefined => kernel.bindings[0]?.name;
export const sentences = (errors: (DataFileError | LimitError)[]): string[] =>
  errors.map(({ message }) => message);
export const rates = (settings: TrainSettings): string =>
  JSON.stringify(optimizerOf(settings).settings);
export const trained: Promise<TrainResult>[] = [];
// @ts-expect-error: a run is of a task.
trained.push(train({ device }));
// @ts-expect-error: a batch is a number.
batchSource({ images: new Uint8Array(), labels: new Uint8Array() }, { batch: "8" });
// @ts-expect-error: the size of the hyper cell is not optional.
hyperLstm({ inputs: 3, units: 4, nz: 1 });
