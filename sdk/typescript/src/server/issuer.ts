import { type RemoteJWKSet, createRemoteJWKSet, customFetch } from 'jose';
import * as oauth from 'oauth4webapi';

import { AuthAgentError, oneLine } from '../common/errors.js';
import { type Issuer, parseIssuer } from '../common/issuer.js';
import { send, whyItFailed } from '../common/send.js';
import { EndpointError, IssuerError, TokenError } from './errors.js';

const METADATA_LIVES = 60 * 60 * 1000; // milliseconds
const ASK_AGAIN = 30_000; // when it could not be fetched again
const ANSWER_WITHIN = 10_000;

/** The issuer's metadata and keys, fetched when they are first needed and kept. */
export class Discovery {
  readonly issuer: Issuer;
  #fetched: { until: number; metadata: Promise<oauth.AuthorizationServer> } | undefined;
  #keys: { url: string; set: RemoteJWKSet } | undefined;

  /** @throws ConfigurationError when it is no address that secrets may travel to. */
  constructor(issuer: string) {
    this.issuer = parseIssuer(issuer);
  }

  /** For each request: it may be http for an issuer on this machine only, without a proxy, and does not hang. */
  get requestOptions() {
    return {
      [oauth.allowInsecureRequests]: !this.issuer.isHttps,
      [oauth.customFetch]: send,
      signal: () => AbortSignal.timeout(ANSWER_WITHIN),
    };
  }

  /** The metadata document (OpenID Connect Discovery 1.0 §4), whose `issuer` is the configured one. */
  async metadata(): Promise<oauth.AuthorizationServer> {
    const kept = this.#fetched;
    if (kept && Date.now() < kept.until) return kept.metadata;
    const metadata = this.#discover().catch((error: unknown) => {
      // What was good an hour ago is better than nothing.
      this.#fetched = kept && { until: Date.now() + ASK_AGAIN, metadata: kept.metadata };
      if (!kept) throw error;
      return kept.metadata;
    });
    this.#fetched = { until: Date.now() + METADATA_LIVES, metadata };
    return metadata;
  }

  /**
   * The issuer's keys, fetched by now. They are fetched again when a token names one that is not among
   * them, though not twice in half a minute, whatever a forger writes.
   */
  async keys(): Promise<RemoteJWKSet> {
    const url = (await this.metadata()).jwks_uri;
    if (url === undefined)
      throw new IssuerError('unexpected_answer', "the issuer's metadata has no jwks_uri");
    if (this.#keys?.url !== url) {
      this.#keys = { url, set: createRemoteJWKSet(new URL(url), { [customFetch]: send }) };
    }
    const { set } = this.#keys;
    if (!set.fresh) await set.reload().catch(() => Promise.reject(keysError()));
    return set;
  }

  async #discover(): Promise<oauth.AuthorizationServer> {
    const url = new URL(this.issuer.identifier);
    return ask('discovery', async () => {
      const answer = await oauth.discoveryRequest(url, this.requestOptions);
      return oauth.processDiscoveryResponse(url, answer);
    });
  }
}

/**
 * Does something with the issuer, and turns whatever goes wrong into an error of this package.
 *
 * @param what is asked for, as the message names it.
 * @param secrets are taken out of what the issuer says about it.
 */
export async function ask<T>(
  what: string,
  work: () => Promise<T>,
  secrets: readonly (string | undefined)[] = [],
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translate(what, error, secrets);
  }
}

function translate(what: string, error: unknown, secrets: readonly (string | undefined)[]): Error {
  if (error instanceof AuthAgentError) return error;
  if (error instanceof oauth.ResponseBodyError) {
    const clean = (text: unknown) => oneLine(mask(text, secrets));
    const said = error.error_description ? `: ${clean(error.error_description)}` : '';
    const code = clean(error.error);
    return new EndpointError(code, error.status, `${what} was refused, ${code}${said}`);
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return new EndpointError(
      'invalid_client',
      error.status,
      `${what} was refused: clientId, clientSecret or the way they are sent is wrong`,
    );
  }
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (code === oauth.JWT_TIMESTAMP_CHECK) return clockError('ID token');
  if (code === oauth.JWT_CLAIM_COMPARISON) {
    return new TokenError('invalid_token', `${what}: the ID token is not valid: ${(error as Error).message}`);
  }
  if (cause instanceof Response && (cause.status === 429 || cause.status >= 500)) {
    return new IssuerError('unavailable', `${what}: the issuer answers ${cause.status}: try again later`);
  }
  if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError) {
    return new IssuerError(
      'unexpected_answer',
      `${what}: the issuer's answer is not valid: ${error.message}`,
    );
  }
  return new IssuerError('unavailable', `${what}: the issuer cannot be reached: ${whyItFailed(error)}`);
}

/** To be cut only afterwards: what a cut leaves of a secret would not be found. */
function mask(text: unknown, secrets: readonly (string | undefined)[]): string {
  return secrets.reduce<string>((said, secret) => (secret ? said.replaceAll(secret, '…') : said), String(text));
}

/** The keys could not be fetched, or are none: no token is at fault. */
export function keysError(): IssuerError {
  return new IssuerError('unavailable', "the issuer's keys cannot be fetched: try again later");
}

/** A token of this moment that has expired or is from the future: no token is at fault, but a clock. */
export function clockError(what: string): TokenError {
  return new TokenError(
    'clock_skew',
    `the ${what} has just been issued, and has expired or is from the future: this machine's clock, ` +
      `which says ${new Date().toISOString()}, or the issuer's is wrong`,
  );
}
