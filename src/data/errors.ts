/** A data file that is missing, damaged or of another kind; the message names file and remedy. */
export class DataFileError extends Error {
  override readonly name = "DataFileError";

  /**
   * @param file Path, URL or name of the file.
   * @param found What is wrong, as a clause: `its magic number is 2049`.
   * @param expected What it should be: `2051 (IDX images)`.
   * @param fix What to do, as a sentence without the stop.
   */
  constructor(
    readonly file: string,
    found: string,
    expected: string,
    fix: string,
    options?: ErrorOptions,
  ) {
    super(`hyperloom: ${file}: ${found}, expected ${expected}; ${fix}`, options);
  }
}
