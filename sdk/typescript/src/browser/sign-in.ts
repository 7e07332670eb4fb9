import { ConfigurationError } from '../common/errors.js';
import { parseIssuer } from '../common/issuer.js';
import { SignInError } from './errors.js';
import { remember } from './pending.js';
import { challengeOf, randomValue } from './pkce.js';
import { parseRedirectUri } from './redirect-uri.js';

/** Where to sign in, and as which website. */
export interface SignInOptions {
  /** The issuer identifier of the Auth Agent server, such as `https://auth.example`. */
  readonly issuer: string;
  /** What the website is registered as. */
  readonly clientId: string;
  /**
   * Where the browser comes back to: an address of this very origin, registered to the letter. A
   * path such as `/callback` is taken as one of this page's origin.
   */
  readonly redirectUri: string;
  /** Scopes with spaces between them; absent: those that the client is registered for. */
  readonly scope?: string | undefined;
}

/**
 * Sends the browser to the issuer, to sign in with an authorization code and PKCE (RFC 6749 §4.1,
 * RFC 7636). Call it from a click.
 *
 * It resolves when the browser is about to leave the page.
 *
 * @throws `ConfigurationError` or {@link SignInError}, before anything is sent.
 */
export async function signIn(options: SignInOptions): Promise<void> {
  location.assign(await begin(options));
}

/** Remembers a new sign-in in this tab, and yields the address to go to. */
export async function begin(options: SignInOptions): Promise<string> {
  const issuer = parseIssuer(options.issuer).identifier;
  const { clientId, scope } = options;
  if (!clientId) throw new ConfigurationError('clientId is missing');
  const redirectUri = ownAddress(options.redirectUri);
  if (!globalThis.crypto?.subtle) {
    throw new SignInError(
      'insecure_context',
      'Signing in needs a secure page: open this website by its https address.',
    );
  }
  if (window.top !== window.self) {
    // The issuer's pages can be shown in no frame, against clickjacking.
    throw new SignInError('framed', 'Signing in does not work within another page: open this one in a tab of its own.');
  }
  const codeVerifier = randomValue();
  const state = randomValue();
  const codeChallenge = await challengeOf(codeVerifier);
  // Without a scope it is the client's, which may ask for an ID token too.
  const nonce = !scope || scope.split(' ').includes('openid') ? randomValue() : undefined;
  remember(state, {
    issuer,
    clientId,
    redirectUri,
    codeVerifier,
    ...(scope && { scope }),
    ...(nonce && { nonce }),
  });
  const url = new URL(`${issuer}/authorize`);
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    state,
    nonce,
    code_challenge: codeChallenge,
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) {
    if (value) url.searchParams.set(name, value);
  }
  return url.href;
}

/** An address of this origin, in the very spelling it was given if it is a whole one. */
function ownAddress(given: string): string {
  const url = parseRedirectUri(given);
  if (url.origin !== location.origin) {
    throw new SignInError(
      'redirect_uri_of_another_origin',
      `The sign-in would come back to ${url.origin}, where nothing is known of what is begun on ${location.origin}. Sign in from there, or give a redirect URI of this origin.`,
    );
  }
  return /^https?:\/\//i.test(given) ? given : url.href;
}
