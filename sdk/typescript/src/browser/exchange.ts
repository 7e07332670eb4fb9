import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';

import type { IdTokenClaims } from '../common/claims.js';
import { oneLine } from '../common/errors.js';
import type { Answer } from './callback.js';
import { SignInError } from './errors.js';

/** What a public client holds after a sign-in. */
export interface SignedIn {
  readonly accessToken: string;
  /** Seconds for which the access token lives. */
  readonly expiresIn?: number;
  /** It rotates: each refresh yields the next one. */
  readonly refreshToken?: string;
  readonly scope?: string;
  readonly idToken?: string;
  /** Those of the ID token, after its signature and all else was verified; absent without `openid`. */
  readonly claims?: IdTokenClaims;
}

/** For all requests of an exchange together, in milliseconds: the code lives no longer than twice that. */
const TIME_LIMIT = 30_000;

/**
 * Redeems the code as a public client (RFC 6749 §4.1.3, RFC 7636 §4.5), and verifies the ID token:
 * signature, issuer, audience, times and nonce (OpenID Connect Core §3.1.3.7).
 *
 * @throws `SignInError`, and nothing else.
 */
export async function exchange({ code, state, pending }: Answer): Promise<SignedIn> {
  const { issuer, clientId, redirectUri, codeVerifier, scope, nonce } = pending;
  const client: oauth.Client = { client_id: clientId };
  // The issuer was checked when the sign-in began: http is loopback.
  const options = {
    [oauth.allowInsecureRequests]: issuer.startsWith('http:'),
    signal: AbortSignal.timeout(TIME_LIMIT),
  };
  let idToken: string | undefined;
  try {
    const identifier = new URL(issuer);
    const discovery = await oauth.discoveryRequest(identifier, options);
    const server = await oauth.processDiscoveryResponse(identifier, discovery);
    const answer = new URLSearchParams({ code, state, iss: issuer });
    const validated = oauth.validateAuthResponse(server, client, answer, state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.None(),
      validated,
      redirectUri,
      codeVerifier,
      options,
    );
    if (response.ok) idToken = (await response.clone().json()).id_token;
    const asked = scope?.split(' ').includes('openid') ?? false;
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
      requireIdToken: asked,
      // A nonce is expected of an ID token only: without a scope of ours there may be none.
      ...(nonce && (asked || idToken) && { expectedNonce: nonce }),
    });
    if (idToken) await oauth.validateApplicationLevelSignature(server, response, options);
    const claims = oauth.getValidatedIdTokenClaims(tokens) as IdTokenClaims | undefined;
    return {
      accessToken: tokens.access_token,
      ...(tokens.expires_in !== undefined && { expiresIn: tokens.expires_in }),
      ...(tokens.refresh_token && { refreshToken: tokens.refresh_token }),
      ...(tokens.scope && { scope: tokens.scope }),
      ...(tokens.id_token && { idToken: tokens.id_token }),
      ...(claims && { claims }),
    };
  } catch (error) {
    throw explained(error, issuer, idToken);
  }
}

/** The library's errors in words for the visitor; none is kept as a cause: they hold whole answers. */
function explained(error: unknown, issuer: string, idToken: string | undefined): SignInError {
  // RFC 6749 §5.2: with status 401, where an issuer of this page's own origin lets its challenge be seen.
  if (error instanceof oauth.WWWAuthenticateChallengeError) return notPublic();
  if (error instanceof oauth.ResponseBodyError) {
    if (error.error === 'invalid_client') return notPublic(error.error_description);
    const told = oneLine(error.error_description ?? error.error);
    return new SignInError(
      'exchange_refused',
      `The sign-in server did not accept the code (${oneLine(error.error, 100)}): ${told}. Sign in again.`,
      error.error,
      error.error_description,
    );
  }
  if (error instanceof oauth.OperationProcessingError) {
    if (error.code === oauth.JWT_TIMESTAMP_CHECK && idToken) return wrongClock(idToken);
    if (error.code === oauth.RESPONSE_IS_NOT_CONFORM) return unavailable(issuer);
    return new SignInError(
      'invalid_id_token',
      `What the sign-in server answered is not valid: ${oneLine(error.message)}. Sign in again; if it happens again, tell the website.`,
    );
  }
  // No connection, no answer in time, or one that is no JSON: a proxy's own page, say.
  return unavailable(issuer);
}

function notPublic(description?: string): SignInError {
  return new SignInError(
    'exchange_refused',
    'The sign-in server does not let this website exchange the code in the browser (invalid_client). Its developer has to register the website with `--auth-method none`, or exchange the code in its backend.',
    'invalid_client',
    description,
  );
}

function wrongClock(idToken: string): SignInError {
  const minutes = (Date.now() / 1000 - (decodeJwt(idToken).iat ?? 0)) / 60;
  const off = Math.abs(minutes);
  const amount = off < 120 ? `${Math.round(off)} minutes` : `${Math.round(off / 60)} hours`;
  return new SignInError(
    'clock_skew',
    `The clock of this device is ${amount} ${minutes > 0 ? 'ahead' : 'behind'}, so that the sign-in cannot be verified. Set the clock right, then sign in again.`,
  );
}

function unavailable(issuer: string): SignInError {
  return new SignInError(
    'unavailable',
    `The sign-in server ${issuer} cannot be reached, or is not well. Check the connection, and sign in again.`,
  );
}
