import { SignInError } from './errors.js';
import { began, type Pending, take, used } from './pending.js';
import { parseRedirectUri } from './redirect-uri.js';

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

/** Whether this page has taken an answer, which is no longer in its address then. */
let taken = false;

/**
 * Whether this page was opened by an answer that {@link readAnswer} would take. It bears `iss`, as
 * Auth Agent always sends it (RFC 9207 §2): those of most other providers do not.
 *
 * @param redirectUri only if the page is at this address, with or without a slash at its end; absent:
 *   at any.
 * @throws `ConfigurationError` when the redirect URI is no URL.
 */
export function isCallback(redirectUri?: string): boolean {
  if (redirectUri !== undefined) {
    if (whereabouts(parseRedirectUri(redirectUri)) !== whereabouts(location)) return false;
  }
  const parameters = new URLSearchParams(location.search);
  return (
    parameters.has('state') &&
    parameters.has('iss') &&
    (parameters.has('code') || parameters.has('error'))
  );
}

/**
 * Whether the answer in this page's address is this issuer's, or belongs to a sign-in that this tab
 * began: then one of the wrong issuer is told, and not passed over.
 */
export function isOurs(issuer: string): boolean {
  const parameters = new URLSearchParams(location.search);
  return parameters.get('iss') === issuer || began(parameters.get('state') ?? '');
}

/** Origin and path; some hosts put a slash at the end of it, or take it away. */
function whereabouts({ origin, pathname }: URL | Location): string {
  return origin + pathname.replace(/\/$/, '');
}

/**
 * Takes the issuer's answer off this page's address, and checks it: that this tab began the sign-in
 * (`state`, RFC 6749 §10.12), that it has not come back before, and that the answer is from the
 * issuer that was asked (`iss`, RFC 9207 §2.4).
 *
 * @throws {@link SignInError}
 */
export function readAnswer(): Answer {
  const parameters = new URLSearchParams(location.search);
  if (!isCallback()) {
    if (taken) throw used();
    throw new SignInError(
      'not_a_callback',
      'No sign-in has come back to this page: its address bears no answer. Sign in from the website.',
    );
  }
  // Gone from the address bar, the history and what the page sends as its referrer, whatever comes.
  cleanAddress();
  taken = true;
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
