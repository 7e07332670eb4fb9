import { AgentError } from './errors.js';

/**
 * The time that some work may take. Unlike that of `AbortSignal.timeout` its timer keeps the process
 * running: a program that waits for a browser that hangs gets an error, and does not end without a word.
 */
export class Deadline {
  /** Aborted when the time is up. */
  readonly signal: AbortSignal;
  /** When that is, by `performance.now()`. */
  readonly at: number;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param milliseconds 0 for no end. */
  constructor(milliseconds: number) {
    const ending = new AbortController();
    const end = () => ending.abort(new DOMException('the time is up', 'TimeoutError'));
    this.signal = ending.signal;
    this.at = milliseconds === 0 ? Infinity : performance.now() + milliseconds;
    this.#timer = milliseconds === 0 ? undefined : setTimeout(end, milliseconds);
  }

  /** The work is done: nothing is aborted, and the process may end. */
  cancel(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * Why a call was ended: because its time was up, or by the caller.
 *
 * @param last what went wrong before: it says more than that the time is up.
 */
export function aborted(signal: AbortSignal, last?: AgentError): AgentError {
  if ((signal.reason as { name?: string } | undefined)?.name !== 'TimeoutError') {
    return new AgentError('aborted', 'the sign-in was ended by its signal');
  }
  return (
    last ??
    new AgentError('unavailable', 'issuer or browser did not answer before the deadline: try again later')
  );
}

/** Waits, unless the call is ended meanwhile. */
export function sleep(milliseconds: number, signal: AbortSignal, last?: AgentError): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(aborted(signal, last));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end);
      resolve();
    }, milliseconds);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/** What comes of the work, unless the call is ended meanwhile: a browser that hangs must not hang the agent. */
export async function unlessEnded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let end = () => {};
  const ended = new Promise<never>((_, reject) => {
    end = () => reject(aborted(signal));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}
