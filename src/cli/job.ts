import type { ImageSet, ImageSplit } from "../data/images";
import type { TextSplit } from "../data/text";
import {
  type Tokens,
  type VocabularyJson,
  vocabularyFromJson,
  vocabularyToJson,
} from "../data/vocabulary";
import { recallData, type SequenceData, textData } from "../train/sequence-data";
import type { Variant } from "../gpu/dispatch";
import type { Split } from "../train/task";
import type { AdapterChoice } from "./browser";

/** What a job says while it runs: an object that survives JSON, told apart by `event`. */
export interface JobEvent {
  readonly event: string;
}

/**
 * Where a job runs and how it speaks to the terminal. The same job runs inside the terminal's own
 * process, or in a page of a headless Chrome: it must use nothing but this and the web's own APIs.
 */
export interface JobContext {
  readonly gpu: GPU;
  readonly adapter: AdapterChoice;
  /** Kernels to take in place of the tables' choice; see `DeviceOptions`. */
  readonly variants: readonly Variant[];
  /** Of hyperloom and of the runtime, by name. */
  readonly versions: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly emit: <E extends JobEvent>(event: E) => void;
  /** Bytes that the terminal has ready under a name. */
  readonly read: (name: string) => Promise<Uint8Array<ArrayBuffer>>;
  /** Hands bytes to the terminal, which keeps them before this resolves. */
  readonly write: (name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/** A warning worth showing the user. */
export interface WarningEvent extends JobEvent {
  readonly event: "warning";
  readonly message: string;
}

/** The parts of a data set. */
export const PARTS: readonly Split[] = ["train", "validation", "test"];

/** A data set without its bytes, as it travels in a job's spec. */
export type DataSpec =
  | {
      readonly kind: "images";
      readonly parts: Readonly<Record<Split, Omit<ImageSet, "images" | "labels">>>;
    }
  | {
      readonly kind: "text";
      readonly source: string;
      readonly vocabulary: VocabularyJson;
      /** Whether the test set is the validation set. */
      readonly shared: boolean;
    }
  | { readonly kind: "recall"; readonly delay: number };

/** A data set as tasks take it. */
export type JobData =
  | { readonly kind: "images"; readonly split: ImageSplit }
  | { readonly kind: "sequences"; readonly data: SequenceData };

/** A data set as spec and files, for `readData` in a job. */
export interface PackedData {
  readonly spec: DataSpec;
  readonly files: Map<string, Uint8Array>;
}

/** Packs images. */
export function packImages(data: ImageSplit): PackedData {
  const files = new Map<string, Uint8Array>();
  const parts = PARTS.map((part) => {
    const { images, labels, ...rest } = data[part];
    files.set(`${part}.images`, images).set(`${part}.labels`, labels);
    return [part, rest] as const;
  });
  type Parts = Extract<DataSpec, { kind: "images" }>["parts"];
  return { spec: { kind: "images", parts: Object.fromEntries(parts) as Parts }, files };
}

/** Packs a text. */
export function packText({ source, vocabulary, ...parts }: TextSplit): PackedData {
  const shared = parts.test === parts.validation;
  const files = new Map<string, Uint8Array>();
  for (const part of PARTS) {
    const { buffer, byteOffset, byteLength } = parts[part];
    if (part !== "test" || !shared) {
      files.set(`${part}.tokens`, new Uint8Array(buffer, byteOffset, byteLength));
    }
  }
  const kept = vocabularyToJson(vocabulary);
  return { spec: { kind: "text", source, vocabulary: kept, shared }, files };
}

/** Tokens from bytes: the smallest type that holds the symbols' numbers, as `encodeText` makes them. */
function tokensOf(bytes: Uint8Array<ArrayBuffer>, symbols: number): Tokens {
  if (symbols <= 256) return bytes;
  // A copy starts where its type may.
  const { buffer } = bytes.slice();
  return symbols <= 65_536 ? new Uint16Array(buffer) : new Uint32Array(buffer);
}

/** A data set, in a job. */
export async function readData(spec: DataSpec, read: JobContext["read"]): Promise<JobData> {
  if (spec.kind === "recall") return { kind: "sequences", data: recallData(spec.delay) };
  if (spec.kind === "images") {
    const part = async (name: Split): Promise<ImageSet> => {
      const [images, labels] = await Promise.all([read(`${name}.images`), read(`${name}.labels`)]);
      return { ...spec.parts[name], images, labels };
    };
    const [train, validation, test] = await Promise.all(PARTS.map(part));
    return { kind: "images", split: { train, validation, test } as ImageSplit };
  }
  const vocabulary = vocabularyFromJson(spec.vocabulary);
  const part = async (name: Split): Promise<Tokens> =>
    tokensOf(await read(`${name}.tokens`), vocabulary.size);
  const [train, validation] = await Promise.all([part("train"), part("validation")]);
  const test = spec.shared ? validation : await part("test");
  const text = { train, validation, test, vocabulary, source: spec.source };
  return { kind: "sequences", data: textData(text) };
}
