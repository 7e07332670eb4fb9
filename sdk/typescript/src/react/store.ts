/**
 * How this page's sign-in stands, outside of every component: strict mode and remounting run effects
 * again, and a callback works once.
 */

import { type CallbackCode, isCallback, isOurs } from '../browser/callback.js';
import type { SignedIn } from '../browser/exchange.js';
import { handleCallback } from '../browser/handle-callback.js';
import { signIn, type SignInOptions } from '../browser/sign-in.js';
import { whenStaying } from '../browser/staying.js';
import { parseIssuer } from '../common/issuer.js';

/**
 * `idle`: nothing happens · `leaving`: the browser goes to the issuer · `returning`: it has come back,
 * and its answer is checked (and exchanged) · `done`: `result` is there · `failed`: `error` is.
 */
export type Status = 'idle' | 'leaving' | 'returning' | 'done' | 'failed';

export interface Snapshot {
  readonly status: Status;
  readonly result: CallbackCode | SignedIn | undefined;
  /** A `SignInError` or `ConfigurationError`, as a rule. */
  readonly error: Error | undefined;
}

export const IDLE: Snapshot = { status: 'idle', result: undefined, error: undefined };

let current = IDLE;
const listeners = new Set<() => void>();

export function snapshot(): Snapshot {
  return current;
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function become(next: Partial<Snapshot>): void {
  current = { ...IDLE, ...next };
  for (const listener of listeners) listener();
}

function failed(error: unknown): void {
  become({ status: 'failed', error: error instanceof Error ? error : new Error(String(error)) });
}

/**
 * Takes the answer off the address, if it bears one of this issuer for this redirect URI; those of
 * other providers are left to whoever waits for them.
 */
export function returned(issuer: string, redirectUri: string, exchange: boolean): void {
  if (!issuer || !redirectUri) return;
  try {
    if (!isCallback(redirectUri) || !isOurs(parseIssuer(issuer).identifier)) return;
  } catch (error) {
    failed(error);
    return;
  }
  // Its first look at the address takes the answer off: whoever asks next finds none.
  const handled = handleCallback({ exchange });
  become({ status: 'returning' });
  handled.then((result) => become({ status: 'done', result }), failed);
}

/** Begins a sign-in; what it fails of is told by the snapshot. */
export async function leave(options: SignInOptions): Promise<void> {
  if (current.status === 'leaving') return;
  become({ status: 'leaving' });
  const end = whenStaying(() => {
    if (current.status === 'leaving') reset();
  });
  try {
    await signIn(options);
  } catch (error) {
    end();
    failed(error);
  }
}

export function reset(): void {
  become(IDLE);
}
