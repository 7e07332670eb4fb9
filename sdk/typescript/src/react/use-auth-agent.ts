import { useCallback, useEffect, useSyncExternalStore } from 'react';

import type { CallbackCode } from '../browser/callback.js';
import type { SignedIn } from '../browser/exchange.js';
import type { CallbackOptions } from '../browser/handle-callback.js';
import type { SignInOptions } from '../browser/sign-in.js';
import { IDLE, leave, reset, returned, snapshot, type Status, subscribe } from './store.js';

/** Where to sign in, and whether the code is exchanged in the browser. */
export type AuthAgentOptions = SignInOptions & CallbackOptions;

/** How this page's sign-in stands, and what can be done about it. */
export interface AuthAgent<Result> {
  readonly status: Status;
  /** With `status: 'done'`: what the website's backend exchanges; with `exchange` tokens and claims. */
  readonly result: Result | undefined;
  /** With `status: 'failed'`: why; the message may be shown to the visitor. */
  readonly error: Error | undefined;
  /** Sends the browser to the issuer. Call it from a click. */
  readonly signIn: () => Promise<void>;
  /** Forgets result or error, once they were used. */
  readonly reset: () => void;
}

/**
 * Signs in, and takes the issuer's answer when the browser comes back to the page at `redirectUri`;
 * what other providers answer there stays. All components of a page share one sign-in. Rendered on a
 * server its status is `idle`.
 */
export function useAuthAgent(options: AuthAgentOptions & { readonly exchange: true }): AuthAgent<SignedIn>;
export function useAuthAgent(options: AuthAgentOptions & { readonly exchange?: false }): AuthAgent<CallbackCode>;
export function useAuthAgent(options: AuthAgentOptions): AuthAgent<CallbackCode | SignedIn>;
export function useAuthAgent(options: AuthAgentOptions): AuthAgent<CallbackCode | SignedIn> {
  const { issuer, clientId, redirectUri, scope, exchange = false } = options;
  const state = useSyncExternalStore(subscribe, snapshot, () => IDLE);
  useEffect(() => returned(issuer, redirectUri, exchange), [issuer, redirectUri, exchange]);
  const signIn = useCallback(
    () => leave({ issuer, clientId, redirectUri, scope }),
    [issuer, clientId, redirectUri, scope],
  );
  return { ...state, signIn, reset };
}
