import { type CallbackCode, codeOf, readAnswer } from './callback.js';
import type { SignedIn } from './exchange.js';

/** What to do with the code. */
export interface CallbackOptions {
  /**
   * Redeem it here, in the browser, as a public client may (`token_endpoint_auth_method: "none"`). A
   * website with a backend leaves it out, and posts what it gets to that backend.
   */
  readonly exchange?: boolean;
}

/**
 * Takes the answer with which the issuer sends the browser back. Call it once, on the page of the
 * redirect URI: the code leaves the address bar, and a second call is told `callback_used`.
 *
 * @returns what the website's backend exchanges; with `exchange` the tokens and the verified claims.
 * @throws `SignInError`, whose message says what to do.
 */
export async function handleCallback(options: CallbackOptions & { readonly exchange: true }): Promise<SignedIn>;
export async function handleCallback(options?: CallbackOptions & { readonly exchange?: false }): Promise<CallbackCode>;
export async function handleCallback(options?: CallbackOptions): Promise<CallbackCode | SignedIn>;
export async function handleCallback(options?: CallbackOptions): Promise<CallbackCode | SignedIn> {
  const answer = readAnswer();
  if (!options?.exchange) return codeOf(answer);
  // Loaded when it is needed: a website with a backend never does.
  const { exchange } = await import('./exchange.js');
  return exchange(answer);
}
