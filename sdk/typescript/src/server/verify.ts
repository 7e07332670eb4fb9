import { type JWTVerifyOptions, errors, jwtVerify } from 'jose';

import type { Binding } from '../common/claims.js';
import { type AccessTokenClaims, requireBinding } from './claims.js';
import { IssuerError, TokenError } from './errors.js';
import { Discovery, ask, clockError } from './issuer.js';

/** Signatures that are taken: those of the issuer's kinds of key, none that a public key could forge. */
const ALGORITHMS: NonNullable<JWTVerifyOptions['algorithms']> = ['EdDSA', 'Ed25519', 'ES256', 'RS256'];

/** Seconds by which this machine's clock and the issuer's may differ. */
export const CLOCK_TOLERANCE = 30;

/** What an access token has to be good for. */
export interface AccessTokenRequirements {
  /** Who the token must be for; default: the issuer, as its tokens are unless a `resource` was asked for. */
  audience?: string;
  /** Scopes that it must have, separated by spaces. */
  scope?: string;
  /** How well the sign-in must be bound to the agent's browser. */
  minimumBinding?: Binding;
}

/** Checks access tokens, for an API that has no client of its own. */
export interface AccessTokenVerifier {
  /**
   * Checks an access token (RFC 9068 §4): type, signature, issuer, audience, time, and what is required.
   * A revoked one passes until it runs out, ten minutes at most; introspection knows at once.
   *
   * @throws {@link TokenError}
   */
  verify(accessToken: string, requirements?: AccessTokenRequirements): Promise<AccessTokenClaims>;
}

/**
 * Makes a verifier for access tokens of one issuer, whose keys it fetches once and again when they change.
 *
 * @param defaults hold for each token unless the call says otherwise.
 */
export function createAccessTokenVerifier(
  options: { issuer: string } & AccessTokenRequirements,
): AccessTokenVerifier {
  const { issuer, ...defaults } = options;
  const discovery = new Discovery(issuer);
  return {
    verify: (accessToken, requirements) =>
      verifyAccessToken(discovery, accessToken, { ...defaults, ...requirements }),
  };
}

/** See {@link AccessTokenVerifier.verify}. */
export async function verifyAccessToken(
  discovery: Discovery,
  accessToken: string,
  { audience, scope, minimumBinding }: AccessTokenRequirements,
): Promise<AccessTokenClaims> {
  const { issuer } = await discovery.metadata();
  const claims = await verifyJwt<AccessTokenClaims>(discovery, 'access token', accessToken, {
    typ: 'at+jwt',
    audience: audience ?? issuer,
    requiredClaims: ['exp', 'iat', 'sub', 'client_id', 'jti'],
  });
  const has = new Set(typeof claims.scope === 'string' ? claims.scope.split(' ') : []);
  const missing = (scope ?? '').split(' ').filter((name) => name && !has.has(name));
  if (missing.length) {
    throw new TokenError('insufficient_scope', `the access token lacks the scope ${missing.join(' ')}`);
  }
  requireBinding(claims.binding, minimumBinding);
  return claims;
}

/** Checks a JWT of the issuer: signature, `iss`, time, and what `options` ask for. */
export async function verifyJwt<Claims>(
  discovery: Discovery,
  what: string,
  jwt: string,
  options: JWTVerifyOptions,
): Promise<Claims> {
  const { issuer } = await discovery.metadata();
  const keys = await discovery.keys();
  const invalid = (why: string) => new TokenError('invalid_token', `the ${what} is not valid: ${why}`);
  return ask(`the check of the ${what}`, async () => {
    try {
      const { payload } = await jwtVerify(String(jwt), keys, {
        issuer,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE,
        ...options,
      });
      if (typeof payload.iat === 'number' && payload.iat > Date.now() / 1000 + CLOCK_TOLERANCE) {
        throw clockError(what);
      }
      return payload as Claims;
    } catch (error) {
      if (error instanceof errors.JWTExpired) {
        throw new TokenError('token_expired', `the ${what} has expired`);
      }
      if (error instanceof errors.JWTClaimValidationFailed) {
        throw invalid(`its ${error.claim === 'typ' ? 'type' : error.claim} is not as it has to be`);
      }
      if (error instanceof errors.JOSEAlgNotAllowed) throw invalid('its algorithm is not allowed');
      if (error instanceof errors.JWKSNoMatchingKey) throw invalid('no key of the issuer has signed it');
      if (error instanceof errors.JWSSignatureVerificationFailed) throw invalid('its signature is wrong');
      if (error instanceof errors.JOSEError) {
        // Those are about the keys, which could not be fetched or are none: not the token's fault.
        const ofKeys = ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID'].includes(error.code);
        throw ofKeys
          ? new IssuerError('unavailable', "the issuer's keys cannot be fetched: try again later")
          : invalid('it is malformed');
      }
      throw error;
    }
  });
}
