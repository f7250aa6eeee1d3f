/** How a long call is followed and ended. */
export interface WaitOptions {
  /** Called as the work goes on, with how much of it is done. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
}
