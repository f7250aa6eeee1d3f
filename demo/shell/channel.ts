/** Typed messages between a page and its worker: questions with answers, and events without. */

/** What a worker answers, by name. */
export type Handlers = Readonly<Record<string, (payload: never) => unknown>>;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly payload: unknown;
}

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly reason?: string;
}

type Message =
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly failure: Failure }
  | { readonly kind: "event"; readonly event: unknown };

/** An error that happened in the worker; `name` and `reason` are those of the original. */
export class WorkerError extends Error {
  override readonly name: string;
  /** Of a NoDeviceError why there is none, "no-webgpu" for instance. */
  readonly reason: string | undefined;

  /** @param failure What came over the channel. */
  constructor({ name, message, reason }: Failure) {
    super(message.replace("hyperloom: ", ""));
    this.name = name;
    this.reason = reason;
  }
}

const failureOf = (error: unknown): Failure => {
  const { name = "Error", message = String(error), reason } = error as Partial<Failure>;
  return { name, message, ...(typeof reason === "string" && { reason }) };
};

/** The part of a worker's global scope that is used here; the DOM's types are those of windows. */
interface Scope {
  onmessage: ((event: MessageEvent<Question>) => void) | null;
  postMessage(message: Message, transfer: Transferable[]): void;
}

/**
 * In a worker: answers questions by name, errors included.
 * @returns A function that sends an event to the page.
 */
export function serve<E>(handlers: Handlers): (event: E, transfer?: Transferable[]) => void {
  const scope = self as unknown as Scope;
  const post = (message: Message, transfer: Transferable[] = []): void =>
    scope.postMessage(message, transfer);
  const answer = async ({ id, name, payload }: Question): Promise<void> => {
    try {
      const handler = handlers[name];
      if (!handler) throw new Error(`the worker answers ${Object.keys(handlers)}, not ${name}`);
      post({ kind: "answer", id, value: await handler(payload as never) });
    } catch (error) {
      post({ kind: "failure", id, failure: failureOf(error) });
    }
  };
  scope.onmessage = ({ data }) => void answer(data);
  return (event, transfer) => post({ kind: "event", event }, transfer);
}

/** A page's side of the channel. */
export interface Connection<H extends Handlers> {
  /** Asks the worker. @throws WorkerError where the handler throws, or the worker ends. */
  ask<K extends keyof H & string>(
    name: K,
    payload: Parameters<H[K]>[0],
    transfer?: Transferable[],
  ): Promise<Awaited<ReturnType<H[K]>>>;
  /** Terminates the worker; open questions are rejected. */
  end(): void;
}

/**
 * In a page: the other end of `serve`.
 * @param onFailure Told where the worker did not load or threw outside of any question.
 */
export function connect<H extends Handlers, E>(
  worker: Worker,
  onEvent: (event: E) => void,
  onFailure: (message: string) => void,
): Connection<H> {
  const open = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void }
  >();
  let last = 0;
  const end = (): void => {
    worker.terminate();
    for (const { reject } of open.values()) {
      reject(new WorkerError({ name: "EndedError", message: "the worker was ended" }));
    }
    open.clear();
  };
  worker.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.kind === "event") return onEvent(data.event as E);
    const asked = open.get(data.id);
    open.delete(data.id);
    if (data.kind === "answer") asked?.resolve(data.value as never);
    else asked?.reject(new WorkerError(data.failure));
  };
  worker.onerror = (event) => {
    onFailure(event.message || "its worker did not load");
    end();
  };
  return {
    ask: (name, payload, transfer = []) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        open.set(id, { resolve, reject });
        worker.postMessage({ id, name, payload } satisfies Question, transfer);
      }),
    end,
  };
}
