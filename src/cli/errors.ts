/** Something the user typed or gave that cannot be: exit status 2 and one line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  constructor(message: string) {
    super(`hyperloom: ${message}`);
  }
}

/** Does `work`; whatever it throws is the user's to mend. @throws UsageError. */
export function asUsage<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/^hyperloom: /, ""));
  }
}

// By name, since an error that crossed from a page is no instance of its class.
const INPUT_ERRORS = new Set([
  "UsageError",
  "CheckpointError",
  "SafetensorsError",
  "DataFileError",
  "SettingsError",
  "NoDeviceError",
  "LimitError",
  "VariantError",
  "ShaderError",
]);

/** The exit status for an error: 2 for what the user gave, 1 for what went wrong here. */
export function exitStatus(error: unknown): number {
  return error instanceof Error && INPUT_ERRORS.has(error.name) ? 2 : 1;
}
