import { kindOf } from "../gpu/device-array";
import { show, size } from "../graph/shape";
import {
  readSafetensors,
  type SafeTensor,
  type SafetensorsError,
  writeSafetensors,
} from "../io/safetensors";
import type { HostArray, Variable, VariableEntry } from "../ops/sources";
import type { Variables } from "../schedule/variables";
import type { Json, JsonObject } from "./events";
import { buildModel, type ModelSpec, modelSpec, type NamedModel } from "./models";

const FORMAT = "hyperloom checkpoint 1";

/** A checkpoint that cannot be used: damaged, of another model, or of another run. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";

  /** @param file Name of the file. @param reason What disagrees, and the fix where there is one. */
  constructor(
    readonly file: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`hyperloom: ${file}: ${reason}`, options);
  }
}

/** What a checkpoint says besides its tensors. */
export interface CheckpointMetadata {
  /** A module's name, with all options where it is one of the named models. */
  readonly model: { readonly name: string; readonly options: JsonObject };
  /** Settings of the run, so that it can be resumed; {} where there are none, as in the rest. */
  readonly settings: JsonObject;
  /** Settings of the optimiser. */
  readonly optimizer: JsonObject;
  /** What the run was trained on, to be recognised. */
  readonly data: JsonObject;
  /** What else the run goes on from, such as its best validation error. */
  readonly progress: JsonObject;
}

/** A checkpoint in memory, its format checked; nothing of it is on a device yet. */
export interface Checkpoint extends CheckpointMetadata {
  readonly file: string;
  readonly seed: number;
  /** Steps taken. The order of the data and all random numbers follow from seed and step. */
  readonly step: number;
  readonly tensors: ReadonlyMap<string, SafeTensor>;
}

/** The name of an entry: parameters by their path, all else after its variable: `adam.m.fc.bias`. */
function tensorName(variable: Variable, entry: VariableEntry): string {
  return variable.name === "parameters" ? entry.name : `${variable.name}.${entry.name}`;
}

/**
 * All variables of a store as a safetensors file: each entry under its name and shape
 * (`conv1.kernel` [C_out, C_in, f, f], `adam.m.conv1.kernel`, …), and in the metadata `format`,
 * `seed`, `step`, and as JSON `model`, `settings`, `optimizer`, `data` and `progress`.
 */
export async function saveCheckpoint(
  variables: Variables,
  metadata: Pick<CheckpointMetadata, "model"> & Partial<CheckpointMetadata>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { all, seed, step } = variables;
  const rest = { settings: {}, optimizer: {}, data: {}, progress: {} };
  return writeCheckpoint(all, await variables.read(all), { ...rest, ...metadata, seed, step });
}

/** The bytes of a checkpoint, from variables and their values on the host; see `saveCheckpoint`. */
export function writeCheckpoint(
  variables: readonly Variable[],
  values: readonly HostArray[],
  state: CheckpointMetadata & { readonly seed: number; readonly step: number },
): Uint8Array<ArrayBuffer> {
  const tensors = variables.flatMap((variable, k) =>
    variable.entries.map((entry) => {
      const { shape, offset } = entry;
      const data = (values[k] as HostArray).slice(offset, offset + size(shape));
      return {
        name: tensorName(variable, entry),
        dtype: variable.dtype,
        shape,
        data,
      } as SafeTensor & {
        name: string;
      };
    }),
  );
  const { model, settings, optimizer, data, progress, seed, step } = state;
  return writeSafetensors(tensors, {
    format: FORMAT,
    seed: `${seed}`,
    step: `${step}`,
    model: JSON.stringify(model),
    settings: JSON.stringify(settings),
    optimizer: JSON.stringify(optimizer),
    data: JSON.stringify(data),
    progress: JSON.stringify(progress),
  });
}

/**
 * Reads a checkpoint's bytes without touching a device.
 * @param file Its name, for messages.
 * @throws CheckpointError, in one line, where it is cut short, damaged or something else.
 */
export function readCheckpoint(bytes: Uint8Array, file: string): Checkpoint {
  const fail = (reason: string, cause?: unknown): never => {
    throw new CheckpointError(file, reason, { cause });
  };
  if (kindOf(bytes) !== "Uint8Array") {
    fail(`it is ${kindOf(bytes)}, must be a Uint8Array: new Uint8Array(arrayBuffer)`);
  }
  let found: ReturnType<typeof readSafetensors>;
  try {
    found = readSafetensors(bytes, file);
  } catch (error) {
    const { reason = String(error) } = error as Partial<SafetensorsError>;
    return fail(reason.includes("cut short") ? reason : `${reason}; is the file whole?`, error);
  }
  const { tensors, metadata } = found;
  const format = metadata.get("format");
  if (format !== FORMAT) {
    fail(
      format === undefined
        ? "it is safetensors but no checkpoint of hyperloom: its metadata has no format"
        : `its format is ${JSON.stringify(format.slice(0, 40))}, this version reads "${FORMAT}"`,
    );
  }
  const count = (name: string): number => {
    const text = metadata.get(name) ?? "";
    return /^\d{1,16}$/.test(text) ? Number(text) : fail(`its ${name} is no number`);
  };
  const object = (name: string): JsonObject => {
    let value: Json = null;
    try {
      value = JSON.parse(metadata.get(name) ?? "null") as Json;
    } catch (error) {
      fail(`its ${name} is not valid JSON`, error);
    }
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as JsonObject) : fail(`its ${name} is no JSON object`);
  };
  const { name, options } = object("model");
  if (typeof name !== "string" || typeof options !== "object" || options === null) {
    return fail("its model has no name and options");
  }
  return {
    file,
    seed: count("seed"),
    step: count("step"),
    model: { name, options: options as JsonObject },
    settings: object("settings"),
    optimizer: object("optimizer"),
    data: object("data"),
    progress: object("progress"),
    tensors,
  };
}

/** The named model that a checkpoint was made from. @throws CheckpointError where there is none. */
export function checkpointModel(checkpoint: Checkpoint): { spec: ModelSpec; model: NamedModel } {
  const { file, model } = checkpoint;
  try {
    const spec = modelSpec(model.name, model.options);
    return { spec, model: buildModel(spec) };
  } catch (error) {
    const reason = (error as Error).message.replace("hyperloom: ", "");
    throw new CheckpointError(file, reason, { cause: error });
  }
}

/**
 * Compares a checkpoint's tensors with what some variables hold: names, shapes and types.
 * @throws CheckpointError naming the first that is missing, of another shape or type; tensors
 *   beyond those wanted are let be, so that a prediction need not know the optimiser.
 */
export function checkTensors(checkpoint: Checkpoint, wanted: readonly Variable[]): void {
  const { file, tensors, model } = checkpoint;
  for (const variable of wanted) {
    for (const entry of variable.entries) {
      const name = tensorName(variable, entry);
      const tensor = tensors.get(name);
      if (!tensor)
        throw new CheckpointError(file, `its model ${model.name} lacks the tensor ${name}`);
      const [is, must] = [show(tensor.shape), show(entry.shape)];
      if (is !== must || tensor.dtype !== variable.dtype) {
        throw new CheckpointError(
          file,
          `${name} is ${tensor.dtype} ${is}, must be ${variable.dtype} ${must}: another model's checkpoint`,
        );
      }
    }
  }
}

/** @throws CheckpointError unless a checkpoint's run was trained on the data that `here` identifies. */
export function checkData({ data, file }: Checkpoint, here: JsonObject): void {
  if (data.sha256 === here.sha256) return;
  const [was, is] = [data, here].map(({ name, samples }) => `${name} (${samples} samples)`);
  throw new CheckpointError(file, `it was trained on ${was}, the data here are ${is}; see --data`);
}

/**
 * Puts a checkpoint into a store, bit for bit, after checking all of it: the model's name if one is
 * expected, then `checkTensors`. The store's step becomes the checkpoint's.
 * @throws CheckpointError before anything is written.
 */
export function restoreCheckpoint(
  checkpoint: Checkpoint,
  variables: Variables,
  wanted: readonly Variable[],
): void {
  checkTensors(checkpoint, wanted);
  for (const variable of wanted) {
    // Padding between entries is zero from the start and stays so.
    const values = variable.dtype === "f32" ? new Float32Array(size(variable.shape)) : null;
    if (!values) throw new Error(`internal: ${variable.name} is ${variable.dtype}`);
    for (const entry of variable.entries) {
      const { data } = checkpoint.tensors.get(tensorName(variable, entry)) as SafeTensor;
      values.set(data, entry.offset);
    }
    variables.write(variable, values);
  }
  variables.step = checkpoint.step;
}

/**
 * `readCheckpoint` and `restoreCheckpoint` in one, for a model of one's own.
 * @param expected The module's name and the variables to fill.
 * @throws CheckpointError before any work on the device.
 */
export function loadCheckpoint(
  bytes: Uint8Array,
  file: string,
  variables: Variables,
  expected: { readonly model?: string; readonly variables: readonly Variable[] },
): Checkpoint {
  const checkpoint = readCheckpoint(bytes, file);
  const { name } = checkpoint.model;
  if (expected.model !== undefined && name !== expected.model) {
    throw new CheckpointError(file, `it is of the model ${name}, must be of ${expected.model}`);
  }
  restoreCheckpoint(checkpoint, variables, expected.variables);
  return checkpoint;
}
