import type { LogoutTokenClaims } from './claims.js';
import { TokenError } from './errors.js';
import type { Discovery } from './issuer.js';
import { verifyJwt } from './verify.js';

/** Whether a `jti` was seen before; it is remembered until `expiresAt`, in seconds since the epoch. */
export type Seen = (jti: string, expiresAt: number) => boolean | Promise<boolean>;

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const MOST_AHEAD = 15 * 60; // seconds that a logout token may live: a `jti` is remembered as long
const MOST_REMEMBERED = 10_000;

/**
 * Checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6).
 *
 * @param act what to do about it. Only when that is done is the token remembered as used: one whose
 *   logout failed can be sent again.
 */
export async function verifyLogoutToken(
  discovery: Discovery,
  clientId: string,
  token: string,
  seen: Seen,
  act?: (logout: LogoutTokenClaims) => void | Promise<void>,
): Promise<LogoutTokenClaims> {
  const claims = await verifyJwt<LogoutTokenClaims>(discovery, 'logout token', token, {
    typ: 'logout+jwt',
    audience: clientId,
    requiredClaims: ['iat', 'exp', 'jti', 'events'],
  });
  const invalid = (why: string) => new TokenError('invalid_token', `the logout token is not valid: ${why}`);
  const text = (value: unknown) => typeof value === 'string' && value !== '';
  const { jti, exp, sub, sid } = claims;
  const events = claims['events'] as Record<string, unknown> | null;
  const event = events !== null && typeof events === 'object' ? events[EVENT] : undefined;
  if (event === null || typeof event !== 'object') throw invalid('its events do not name a logout');
  if ('nonce' in claims) throw invalid('it has a nonce, so it is an ID token');
  if (!text(jti)) throw invalid('its jti is no text');
  for (const value of [sub, sid])
    if (value !== undefined && !text(value)) throw invalid('sub or sid is no text');
  if (sub === undefined && sid === undefined) throw invalid('it names neither sub nor sid');
  if (exp > Date.now() / 1000 + MOST_AHEAD) throw invalid('it lives too long');
  await act?.(claims);
  if (await seen(jti, exp)) throw new TokenError('token_replayed', 'the logout token was used before');
  return claims;
}

/** Remembers in this process. When it is full, the oldest are forgotten first. */
export function seenInMemory(): Seen {
  const until = new Map<string, number>();
  return (jti, expiresAt) => {
    const now = Date.now() / 1000;
    for (const [old, end] of until) {
      if (end + 60 > now && until.size < MOST_REMEMBERED) break;
      until.delete(old);
    }
    if (until.has(jti)) return true;
    until.set(jti, expiresAt);
    return false;
  };
}
