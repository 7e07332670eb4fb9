/**
 * The sign-ins that this tab has begun, each under its `state`, in the tab's own storage: no other
 * tab, site or server sees it, and it ends with the tab.
 */

import { SignInError } from './errors.js';

/** What a tab remembers of a sign-in while the browser is away. */
export interface Pending {
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeVerifier: string;
  /** `scope` as it was asked for; absent when it was left to the client's registration. */
  readonly scope?: string;
  /** Sent unless the scope asks for no ID token. */
  readonly nonce?: string;
}

/** Of a sign-in that has come back only this is left, so that coming back again can be told. */
const USED = 'used';
const PREFIX = 'auth-agent:';
/** Sign-ins that a tab remembers; the oldest goes first. Counted, not timed: clocks are wrong. */
const KEPT = 20;

interface Entry {
  order: number;
  is: Pending | typeof USED;
}

/** Remembers a sign-in that begins. */
export function remember(state: string, pending: Pending): void {
  const storage = tabStorage();
  const kept: [key: string, order: number][] = [];
  for (const key of Object.keys(storage).filter((key) => key.startsWith(PREFIX))) {
    kept.push([key, read(storage, key)?.order ?? 0]);
  }
  kept.sort(([, one], [, other]) => one - other);
  for (const [key] of kept.slice(0, Math.max(0, kept.length - KEPT + 1))) storage.removeItem(key);
  write(storage, state, { order: (kept.at(-1)?.[1] ?? 0) + 1, is: pending });
}

/** The sign-in that this tab began with that `state`: once. */
export function take(state: string): Pending {
  const storage = tabStorage();
  const entry = read(storage, PREFIX + state);
  if (!entry) {
    throw new SignInError(
      'unknown_state',
      'This sign-in was not begun in this tab, or what the tab remembered of it was cleared meanwhile. Sign in again.',
    );
  }
  if (entry.is === USED) throw used();
  write(storage, state, { order: entry.order, is: USED });
  return entry.is;
}

/** Whether this tab began a sign-in with that `state`. */
export function began(state: string): boolean {
  try {
    return read(tabStorage(), PREFIX + state) !== undefined;
  } catch {
    return false; // It can store nothing.
  }
}

/** Told to whoever comes back a second time. */
export function used(): SignInError {
  return new SignInError(
    'callback_used',
    'This sign-in has come back already, and works once. Unless you are signed in, sign in again.',
  );
}

function read(storage: Storage, key: string): Entry | undefined {
  try {
    const entry = JSON.parse(storage.getItem(key) ?? '') as Entry;
    return entry.is === USED || entry.is.codeVerifier ? entry : undefined;
  } catch {
    return undefined; // Nothing there, or not ours.
  }
}

function write(storage: Storage, state: string, entry: Entry): void {
  try {
    storage.setItem(PREFIX + state, JSON.stringify(entry));
  } catch {
    throw blocked();
  }
}

function tabStorage(): Storage {
  try {
    const storage = globalThis.sessionStorage;
    if (storage) return storage;
  } catch {
    // Blocked by the browser's settings, or this is a sandboxed frame.
  }
  throw blocked();
}

function blocked(): SignInError {
  return new SignInError(
    'storage_unavailable',
    'This browser lets the page store nothing, so it could not finish a sign-in. Allow this site to store data, then sign in again.',
  );
}
