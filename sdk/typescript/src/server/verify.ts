import { type JWTVerifyOptions, errors, jwtVerify } from 'jose';

import type { Binding } from '../common/claims.js';
import { ConfigurationError } from '../common/errors.js';
import { type AccessTokenClaims, checkMinimumBinding, requireBinding } from './claims.js';
import { TokenError } from './errors.js';
import { Discovery, ask, clockError, keysError } from './issuer.js';

/** Signatures that are taken: those of the issuer's kinds of key, none that a public key could forge. */
const ALGORITHMS: NonNullable<JWTVerifyOptions['algorithms']> = ['EdDSA', 'Ed25519', 'ES256', 'RS256'];

/** Seconds by which this machine's clock and the issuer's may differ. */
export const CLOCK_TOLERANCE = 30;

/** What an access token has to be good for. */
export interface AccessTokenRequirements {
  /**
   * Who the token must be for: the `resource` that was asked for. Without a resource all tokens of the
   * issuer, whatever website they are of, are for the issuer; this is the default, and needs a `clientId`.
   */
  audience?: string;
  /** The client that the token must have been given to. */
  clientId?: string;
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
 * @param options hold for each token unless the call says otherwise. `audience` or `clientId` is needed:
 *   without them a token of any other website would pass.
 * @throws {@link ConfigurationError}, which names the option at fault.
 */
export function createAccessTokenVerifier(
  options: { issuer: string } & AccessTokenRequirements,
): AccessTokenVerifier {
  const discovery = new Discovery(options.issuer);
  if (options.audience === undefined && options.clientId === undefined) {
    throw new ConfigurationError(
      "audience or clientId is missing: give the API's own resource, or the website that it takes tokens of",
    );
  }
  checkRequirements(options);
  return {
    verify: async (accessToken, requirements = {}) =>
      verifyAccessToken(discovery, accessToken, {
        audience: requirements.audience ?? options.audience,
        clientId: requirements.clientId ?? options.clientId,
        scope: requirements.scope ?? options.scope,
        minimumBinding: requirements.minimumBinding ?? options.minimumBinding,
      }),
  };
}

type Requirements = { [Name in keyof AccessTokenRequirements]: AccessTokenRequirements[Name] | undefined };

/** An empty one is a setting that is missing, and would ask for nothing. */
function checkRequirements({ audience, clientId, scope, minimumBinding }: Requirements): void {
  for (const [name, value] of Object.entries({ audience, clientId, scope })) {
    if (value === undefined || (typeof value === 'string' && value !== '')) continue;
    throw new ConfigurationError(`${name} must be text that is not empty, or left out`);
  }
  checkMinimumBinding(minimumBinding);
}

/** See {@link AccessTokenVerifier.verify}. */
export async function verifyAccessToken(
  discovery: Discovery,
  accessToken: string,
  requirements: Requirements,
): Promise<AccessTokenClaims> {
  checkRequirements(requirements);
  const { audience, clientId, scope, minimumBinding } = requirements;
  const { issuer } = await discovery.metadata();
  const claims = await verifyJwt<AccessTokenClaims>(discovery, 'access token', accessToken, {
    typ: 'at+jwt',
    audience: audience ?? issuer,
    requiredClaims: ['exp', 'iat', 'sub', 'client_id', 'jti'],
  });
  if (clientId !== undefined && claims.client_id !== clientId) {
    throw new TokenError('invalid_token', 'the access token is not valid: it was given to another client');
  }
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
        throw ofKeys ? keysError() : invalid('it is malformed');
      }
      throw error;
    }
  });
}
