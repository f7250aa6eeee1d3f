import { readSafetensors, type SafeTensor } from "../../io/safetensors";
import { UsageError } from "../errors";

/** One golden case: NAME.json says what is computed, NAME.safetensors has all numbers. */
export interface GoldenCase {
  /** A label; nothing follows from it. */
  readonly name: string;
  readonly kind: string;
  /** Sizes and constants: with the kind they say everything about the computation. */
  readonly hyper: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, SafeTensor>;
  /** Largest absolute error of each result: one for all elements, or one for each of its rows. */
  readonly atol: ReadonlyMap<string, readonly number[]>;
}

/** The two files of a case as they lie in a folder. */
export interface GoldenFiles {
  readonly name: string;
  readonly sidecar: string;
  readonly safetensors: Uint8Array;
}

/** Prefixes of tensors that are given; all others are results. */
const GIVEN = ["in.", "param.", "const.", "cot."];

/** Results that a sidecar with `rows` judges row by row, and the entry of a row for each. */
const ROW_TOLERANCES = { "out.nll": "nll_atol", "grad.in.y": "grad_atol" } as const;

/** Whether a tensor of a case is given, not to be computed. */
export function isGiven(tensor: string): boolean {
  return GIVEN.some((prefix) => tensor.startsWith(prefix));
}

function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}

/**
 * Reads a case from the contents of its files.
 * @throws SafetensorsError; UsageError naming the file and what it lacks.
 */
export function parseCase({ name, sidecar, safetensors }: GoldenFiles): GoldenCase {
  const refuse = (reason: string): never => {
    throw new UsageError(`${name}.json: ${reason}`);
  };
  let json: unknown;
  try {
    json = JSON.parse(sidecar);
  } catch (error) {
    return refuse(`it is no JSON (${(error as Error).message})`);
  }
  if (!isRecord(json)) return refuse("it holds no object");
  const { kind, hyper, tensors: described, rows } = json;
  if (typeof kind !== "string") return refuse('it has no "kind"');
  if (!isRecord(hyper)) return refuse('it has no object "hyper"');
  if (!isRecord(described)) return refuse('it has no object "tensors"');
  const { tensors } = readSafetensors(safetensors, `${name}.safetensors`);
  const atol = new Map<string, readonly number[]>();
  for (const [tensor, entry] of Object.entries(described)) {
    if (!tensors.has(tensor)) refuse(`it describes ${tensor}, which ${name}.safetensors lacks`);
    if (isRecord(entry) && typeof entry.atol === "number") atol.set(tensor, [entry.atol]);
  }
  for (const [tensor, entry] of Object.entries(Array.isArray(rows) ? ROW_TOLERANCES : {})) {
    const tolerances = (rows as unknown[]).map((row) => (isRecord(row) ? row[entry] : null));
    if (!tolerances.every((t) => typeof t === "number")) refuse(`a row has no number "${entry}"`);
    if (tolerances.length !== tensors.get(tensor)?.shape[0]) {
      refuse(`it has ${tolerances.length} rows, not as many as ${tensor}`);
    }
    atol.set(tensor, tolerances as number[]);
  }
  return { name, kind, hyper, tensors, atol };
}

/** A number of a case's settings. @throws Error where it is missing. */
export function setting({ hyper }: GoldenCase, name: string): number {
  const value = hyper[name];
  if (typeof value !== "number")
    throw new Error(`hyper.${name} is ${String(value)}, must be a number`);
  return value;
}

/** A tensor of a case. @throws Error where it is missing. */
export function tensorOf({ tensors }: GoldenCase, name: string): SafeTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`tensor ${name} is missing`);
  return tensor;
}

/** A floating-point tensor of a case. @throws Error where it is missing or of another dtype. */
export function floats(c: GoldenCase, name: string): Float32Array {
  const tensor = tensorOf(c, name);
  if (tensor.dtype !== "f32") throw new Error(`tensor ${name} is ${tensor.dtype}, must be f32`);
  return tensor.data;
}
