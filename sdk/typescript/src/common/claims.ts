/** How it is known that the agent drives the browser that was waiting, the closest first. */
export type Binding = 'browser' | 'address' | 'none';

/** The claims of an ID token of Auth Agent (OpenID Connect Core §2, and its own). */
export interface IdTokenClaims {
  readonly iss: string;
  /** The agent; or the owner, for a website registered with `subject: "owner"`. */
  readonly sub: string;
  readonly aud: string | readonly string[];
  /** Seconds since the epoch. */
  readonly exp: number;
  /** Seconds since the epoch. */
  readonly iat: number;
  /** When the agent proved who it is, in seconds since the epoch. */
  readonly auth_time?: number;
  readonly nonce?: string;
  readonly amr?: readonly string[];
  /** This sign-in. */
  readonly sid: string;
  readonly agent_id: string;
  /** The agent's own word for its model. */
  readonly model: string;
  readonly binding: Binding;
  /** The agent, when `sub` is its owner (RFC 8693 §4.1). */
  readonly act?: { readonly sub: string };
  /** The owner's name, with the scope `profile`. */
  readonly name?: string;
  /** The owner's address, with the scope `email`. */
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly [claim: string]: unknown;
}
