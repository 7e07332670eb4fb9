import type { Binding } from '../common/claims.js';
import { ConfigurationError, oneLine } from '../common/errors.js';
import { TokenError } from './errors.js';

/** Weakest first. */
const BINDINGS: readonly Binding[] = ['none', 'address', 'browser'];

/** What tokens say of who signed in. */
export interface SignInClaims {
  /** The agent's id; the owner's, for a client that is registered with `subject: "owner"`. */
  readonly sub: string;
  /** `agent_…` */
  readonly agent_id: string;
  /** The model that the agent runs on: its own word. */
  readonly model?: string;
  readonly binding: Binding;
  /** This sign-in: what logout notices and revocations name. */
  readonly sid: string;
  /** The agent, when `sub` is its owner (RFC 8693 §4.1). */
  readonly act?: { readonly sub: string };
  /** How the agent proved who it is: `pwd` or `pop`, and `otp`. */
  readonly amr?: readonly string[];
  /** When it did, in seconds since the epoch. */
  readonly auth_time?: number;
}

interface Registered {
  readonly iss: string;
  readonly aud: string | readonly string[];
  /** Seconds since the epoch. */
  readonly iat: number;
  /** Seconds since the epoch. */
  readonly exp: number;
}

/** Claims of an access token (RFC 9068 §2.2). */
export interface AccessTokenClaims extends SignInClaims, Registered {
  readonly client_id: string;
  readonly jti: string;
  readonly scope?: string;
  readonly [claim: string]: unknown;
}

/** Claims of a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4). At least one of `sub` and `sid` is there. */
export interface LogoutTokenClaims extends Registered {
  readonly jti: string;
  readonly sub?: string;
  readonly sid?: string;
  readonly [claim: string]: unknown;
}

/** @throws {@link ConfigurationError} unless it is a binding, or undefined: a misspelt one would ask for nothing. */
export function checkMinimumBinding(minimum: Binding | undefined): void {
  if (minimum === undefined || BINDINGS.includes(minimum)) return;
  throw new ConfigurationError(
    `minimumBinding must be one of ${BINDINGS.join(', ')}, and not ${oneLine(minimum, 40)}`,
  );
}

/**
 * Whether a token's `binding` is at least `minimum`. One that is missing or unknown counts as `none`.
 *
 * @throws {@link ConfigurationError} if `minimum` is no binding.
 */
export function isBound(binding: unknown, minimum: Binding): boolean {
  checkMinimumBinding(minimum);
  return Math.max(0, BINDINGS.indexOf(binding as Binding)) >= BINDINGS.indexOf(minimum);
}

/** @throws {@link TokenError} `insufficient_binding` */
export function requireBinding(binding: unknown, minimum: Binding | undefined): void {
  if (minimum === undefined || isBound(binding, minimum)) return;
  throw new TokenError(
    'insufficient_binding',
    `the sign-in must be bound by ${minimum}, and is not: let the agent send the waiting browser's ` +
      'cookie with its call, as the agent libraries do',
  );
}
