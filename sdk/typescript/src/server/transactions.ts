import type { Transaction } from './client.js';
import { type CookieKind, cookieName, setCookie } from './cookies.js';
import { CallbackError } from './errors.js';
import type { Seal } from './seal.js';

/** The issuer's requests live ten minutes; a little more is for the way back. */
const LIFETIME = 15 * 60; // seconds
/** Sign-ins that one browser can have under way; each is a cookie of some 500 bytes. */
const MOST = 12;
/** Bytes of all of them: many servers take 8 KiB of cookies and no more. */
const MOST_BYTES = 6.5 * 1024;
const LONGEST_PATH = 512; // bytes, percent-encoded

/** A sign-in under way, and where its visitor wanted to go. */
export interface PendingSignIn {
  readonly transaction: Transaction;
  readonly returnTo: string;
}

/** Sign-ins under way, each in an encrypted cookie of its own: tabs do not disturb one another. */
export class Transactions {
  constructor(
    private readonly seal: Seal,
    private readonly kind: CookieKind,
  ) {}

  /** The cookies to set for a new one. The oldest of too many are given up. */
  async keep({ transaction, returnTo }: PendingSignIn, cookies: Map<string, string>): Promise<string[]> {
    const { state, nonce, codeVerifier } = transaction;
    const sealed = await this.seal.seal({ state, nonce, codeVerifier, returnTo }, LIFETIME);
    const size = (name: string, value = '') => `${name}=${value}; `.length;
    const name = this.#name(state);
    let places = MOST - 1;
    let bytes = MOST_BYTES - size(name, sealed);
    const old = this.#names(cookies)
      .reverse()
      .filter((other) => --places < 0 || (bytes -= size(other, cookies.get(other))) < 0);
    return [setCookie(this.kind, name, sealed, LIFETIME), ...old.map((other) => this.#removed(other))];
  }

  /** The one that a callback with this `state` belongs to. */
  async find(state: string, cookies: Map<string, string>): Promise<PendingSignIn> {
    const kept = await this.seal.open(cookies.get(this.#name(state)));
    if (kept?.['state'] === state) {
      const { nonce, codeVerifier, returnTo } = kept as Record<string, string>;
      if (nonce && codeVerifier)
        return { transaction: { state, nonce, codeVerifier }, returnTo: returnTo ?? '/' };
    }
    if (this.#names(cookies).length) {
      throw new CallbackError(
        'state_mismatch',
        'the state is of no sign-in that this browser began: start again',
      );
    }
    throw new CallbackError(
      'transaction_missing',
      'this browser has no record of the sign-in: its cookies were cleared, it took longer than ' +
        `${LIFETIME / 60} minutes, or it was finished already. Start again`,
    );
  }

  /** The cookie to set when it is over. */
  drop(state: string): string {
    return this.#removed(this.#name(state));
  }

  #names(cookies: Map<string, string>): string[] {
    return [...cookies.keys()].filter((name) => name.startsWith(`${cookieName(this.kind, 'tx')}.`));
  }

  /** Enough of the state to tell one from another; the rest of it is inside, and compared. */
  #name(state: string): string {
    return `${cookieName(this.kind, 'tx')}.${state.replace(/[^\w-]/g, '').slice(0, 16)}`;
  }

  #removed(name: string): string {
    return setCookie(this.kind, name, '', 0);
  }
}

/** A path of this website, or `/` in place of anything that would lead elsewhere. */
export function safePath(given: string | null): string {
  if (!given?.startsWith('/') || /[\\\p{C}]/u.test(given)) return '/';
  const here = 'https://website.invalid';
  if (given.startsWith('//') || !URL.canParse(given, here)) return '/';
  const url = new URL(given, here);
  // Dots can fold into a second slash: `/.//evil.example`.
  if (url.origin !== here || url.pathname.startsWith('//')) return '/';
  const path = url.pathname + url.search + url.hash;
  return path.length > LONGEST_PATH ? '/' : path;
}
