import type { ImageSet, ImageSplit } from "../data/images";
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
  /** Of hyperloom and of the runtime, by name. */
  readonly versions: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly emit: (event: JobEvent) => void;
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

const PARTS = ["train", "validation", "test"] as const;

/** A part of an image data set. */
export type Part = (typeof PARTS)[number];

/** Image sets without their bytes, as they travel in a job's spec. */
export type ImageSpec = Readonly<Record<Part, Omit<ImageSet, "images" | "labels">>>;

/** A data set as spec and files, for `readImages` in a job. */
export function imageFiles(data: ImageSplit): {
  spec: ImageSpec;
  files: Map<string, Uint8Array>;
} {
  const files = new Map<string, Uint8Array>();
  const parts = PARTS.map((part) => {
    const { images, labels, ...rest } = data[part];
    files.set(`${part}.images`, images).set(`${part}.labels`, labels);
    return [part, rest] as const;
  });
  return { spec: Object.fromEntries(parts) as ImageSpec, files };
}

/** One part of a data set, in a job. */
export async function readImages(
  spec: ImageSpec,
  part: Part,
  read: JobContext["read"],
): Promise<ImageSet> {
  const [images, labels] = await Promise.all([read(`${part}.images`), read(`${part}.labels`)]);
  return { ...spec[part], images, labels };
}
