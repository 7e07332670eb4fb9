import { SignInError } from './errors.js';
import { type Pending, take } from './pending.js';

/** What the website's backend needs to finish the sign-in at `POST /token`. */
export interface CallbackCode {
  /** The authorization code: it lives 60 seconds and works once. */
  readonly code: string;
  /** The PKCE verifier (RFC 7636 §4.1). */
  readonly codeVerifier: string;
  /** The redirect URI of this sign-in; the exchange may repeat it. */
  readonly redirectUri: string;
  /** The ID token has to bear it; absent when the scope asked for no ID token. */
  readonly nonce?: string;
}

/** An answer that was checked, with all that this tab knows of it. */
export interface Answer {
  readonly code: string;
  readonly state: string;
  readonly pending: Pending;
}

/** The parameters of an answer (RFC 6749 §4.1.2, RFC 9207). */
const PARAMETERS = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri'];

/**
 * Whether this page was opened by an answer of the issuer's, which {@link readAnswer} would take.
 *
 * @param redirectUri only then, if the page is at this address; absent: at any.
 */
export function isCallback(redirectUri?: string): boolean {
  const { origin, pathname, search } = location;
  if (redirectUri !== undefined) {
    const expected = new URL(redirectUri, location.href);
    if (expected.origin !== origin || expected.pathname !== pathname) return false;
  }
  const parameters = new URLSearchParams(search);
  return parameters.has('state') && (parameters.has('code') || parameters.has('error'));
}

/**
 * Takes the issuer's answer off this page's address, and checks it: that this tab began the sign-in
 * (`state`, RFC 6749 §10.12), that it has not come back before, and that the answer is from the
 * issuer that was asked (`iss`, RFC 9207 §2.4).
 */
export function readAnswer(): Answer {
  const parameters = new URLSearchParams(location.search);
  if (!isCallback()) {
    throw new SignInError(
      'not_a_callback',
      'No sign-in has come back to this page: its address bears no answer. Sign in from the website.',
    );
  }
  // Gone from the address bar, the history and what the page sends as its referrer, whatever comes.
  cleanAddress();
  const repeated = PARAMETERS.find((name) => parameters.getAll(name).length > 1);
  if (repeated) throw new SignInError('invalid_answer', `The answer bears ${repeated} twice. Sign in again.`);
  const state = parameters.get('state') ?? '';
  const pending = take(state);
  if (parameters.get('iss') !== pending.issuer) {
    throw new SignInError(
      'issuer_mismatch',
      `The answer is not from ${pending.issuer}, which was asked. Sign in again; if it happens again, the website's developer has to check that the issuer is spelled as the server spells it.`,
    );
  }
  const error = parameters.get('error');
  if (error !== null) throw refusal(error, parameters.get('error_description'));
  return { code: parameters.get('code') ?? '', state, pending };
}

function refusal(error: string, description: string | null): SignInError {
  return error === 'access_denied'
    ? new SignInError(
        'access_denied',
        'Not signed in: no agent signed in before time ran out, or it was not allowed to. Try again, or ask whoever runs the agent.',
        error,
        description,
      )
    : new SignInError(
        'authorization_failed',
        `The sign-in server did not accept the request (${error}): ${description ?? 'it does not say why'}. Try again; if it happens again, tell the website.`,
        error,
        description,
      );
}

function cleanAddress(): void {
  const url = new URL(location.href);
  for (const name of PARAMETERS) url.searchParams.delete(name);
  history.replaceState(history.state, '', url);
}

/** What the backend needs of an answer. */
export function codeOf({ code, pending }: Answer): CallbackCode {
  const { codeVerifier, redirectUri, nonce } = pending;
  return { code, codeVerifier, redirectUri, ...(nonce && { nonce }) };
}
