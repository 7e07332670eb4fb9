import type { Binding, IdTokenClaims } from '../common/claims.js';
import { type LogoutTokenClaims, type SignInClaims, isBound } from './claims.js';
import { type CookieKind, type HeaderSource, cookieName, readCookies, setCookie } from './cookies.js';
import type { Seal } from './seal.js';

const FIELDS = [
  'sub',
  'agent_id',
  'model',
  'binding',
  'sid',
  'act',
  'amr',
  'auth_time',
  'name',
  'email',
  'email_verified',
] as const;

const MOST_ENDED = 10_000;

/** Who is signed in at the website, kept in an encrypted cookie. */
export interface Session extends SignInClaims {
  readonly name?: string;
  readonly email?: string;
  readonly email_verified?: boolean;
  /** When the visitor signed in, in seconds since the epoch. */
  readonly iat: number;
  /** When the session runs out, in seconds since the epoch. */
  readonly exp: number;
}

/**
 * Sessions that the issuer has ended (back-channel logout). The default remembers them in this
 * process; several processes, or one that restarts, need one that lasts.
 */
export interface EndedSessions {
  /** Ends the one with that `sid`, or all of `sub` whose `auth_time` is not after `iat`; remember it until `until`, in seconds since the epoch. */
  end(logout: { sid?: string; sub?: string; iat: number }, until: number): void | Promise<void>;
  has(session: Session): boolean | Promise<boolean>;
}

/** The session cookie. */
export class Sessions {
  constructor(
    private readonly seal: Seal,
    private readonly kind: CookieKind,
    private readonly lifetime: number,
    private readonly ended: EndedSessions,
    private readonly minimumBinding: Binding | undefined,
  ) {}

  /** The cookie to set for who has signed in, by a sign-in with this `state`. */
  async begin(claims: IdTokenClaims, state: string): Promise<string> {
    const kept = FIELDS.filter((name) => name in claims).map((name) => [name, claims[name]]);
    const sealed = await this.seal.seal({ ...Object.fromEntries(kept), state }, this.lifetime);
    return setCookie(this.kind, this.#name, sealed, this.lifetime);
  }

  /** Who is signed in, if anybody. */
  async read(source: HeaderSource): Promise<Session | undefined> {
    return (await this.#open(source))?.session;
  }

  /** Whether the sign-in with this `state` is the one by which the visitor is signed in. */
  async isOf(state: string, source: HeaderSource): Promise<boolean> {
    return (await this.#open(source))?.state === state;
  }

  /** The cookie to set when it is over. */
  drop(): string {
    return setCookie(this.kind, this.#name, '', 0);
  }

  /** Ends a session, wherever else its cookie may have been copied to. */
  async signOut({ sid, iat, exp }: Session): Promise<void> {
    await this.ended.end({ sid, iat }, exp);
  }

  /** Ends what a checked logout token names. */
  async end({ sid, sub, iat }: LogoutTokenClaims): Promise<void> {
    await this.ended.end(
      { ...(sid !== undefined ? { sid } : sub !== undefined && { sub }), iat },
      Math.floor(Date.now() / 1000) + this.lifetime,
    );
  }

  async #open(source: HeaderSource): Promise<{ session: Session; state: unknown } | undefined> {
    const kept = await this.seal.open(readCookies(source).get(this.#name));
    if (!kept) return undefined;
    const { state, ...rest } = kept;
    const session = rest as unknown as Session;
    // It may be of a time when the website asked for less.
    if (this.minimumBinding && !isBound(session.binding, this.minimumBinding)) return undefined;
    return (await this.ended.has(session)) ? undefined : { session, state };
  }

  get #name(): string {
    return cookieName(this.kind, 'session');
  }
}

/** Remembers in this process. When it is full, the oldest are forgotten first. */
export function endedInMemory(): EndedSessions {
  const ended = new Map<string, { iat: number; until: number }>();
  return {
    end({ sid, sub, iat }, until) {
      const now = Date.now() / 1000;
      for (const [key, old] of ended) {
        if (old.until > now && ended.size < MOST_ENDED) break;
        ended.delete(key);
      }
      const key = sid !== undefined ? `sid ${sid}` : `sub ${sub}`;
      ended.delete(key); // it goes to the end
      ended.set(key, { iat, until });
    },
    has({ sid, sub, auth_time, iat }) {
      const of = ended.get(`sub ${sub}`);
      // Both times are of the issuer's clock, where there are both.
      return ended.has(`sid ${sid}`) || (of !== undefined && (auth_time ?? iat) <= of.iat);
    },
  };
}
