/** What tests and measurements of a page look at: `window.hyperloomDemo`. */

/** A page as it is measured. */
export interface Measured {
  /** Longest task of the main thread while training, in ms. */
  longestTask: number;
  /** From the press of the button to the first step, or the first row, in ms. */
  firstStep: number;
  /** "film", "starting", "training", …, as `body` has it. */
  state: string;
  step: number;
  /** The film at hand, or the report, as a file; see `demo/films.mjs`. */
  film(): Promise<Uint8Array<ArrayBuffer>>;
  /** Frees all that the worker has on its device, and the device. */
  dispose(): Promise<void>;
}

declare global {
  interface Window {
    hyperloomDemo: Measured;
  }
}

/** Keeps the longest task, by the browser's own account where it has one. */
function watchTasks(measured: Measured): void {
  const note = (ms: number): void => {
    if (measured.state === "training") measured.longestTask = Math.max(measured.longestTask, ms);
  };
  if (PerformanceObserver.supportedEntryTypes.includes("longtask")) {
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) note(duration);
    });
    observer.observe({ type: "longtask" });
    return;
  }
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    note(now - last - 50);
    last = now;
  }, 50);
}

/** Puts what is measured on the window; the page keeps state, step and times. */
export function measurePage({ film, dispose }: Pick<Measured, "film" | "dispose">): Measured {
  const measured = { longestTask: 0, firstStep: Number.NaN, state: "film", step: 0, film, dispose };
  window.hyperloomDemo = measured;
  watchTasks(measured);
  return measured;
}
