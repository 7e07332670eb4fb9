import type { TokenEndpointResponse } from 'oauth4webapi';

import type { IdTokenClaims } from '../common/claims.js';

/**
 * Tokens that the issuer gave. They are read by name only: neither `console.log` nor
 * `JSON.stringify` shows one.
 */
export class TokenSet {
  /** Claims of the checked ID token; none without the scope `openid`. */
  readonly claims: IdTokenClaims | undefined;
  /** When the access token runs out. */
  readonly expiresAt: Date | undefined;
  /** Scopes that were granted, separated by spaces. */
  readonly scope: string | undefined;
  readonly #answer: TokenEndpointResponse;

  /** @internal */
  constructor(answer: TokenEndpointResponse, claims: IdTokenClaims | undefined) {
    this.#answer = answer;
    this.claims = claims;
    this.scope = answer.scope;
    this.expiresAt =
      answer.expires_in === undefined ? undefined : new Date(Date.now() + answer.expires_in * 1000);
  }

  get accessToken(): string {
    return this.#answer.access_token;
  }

  /** Rotates: of each refresh keep the newest. */
  get refreshToken(): string | undefined {
    return this.#answer.refresh_token;
  }

  get idToken(): string | undefined {
    return this.#answer.id_token;
  }
}
