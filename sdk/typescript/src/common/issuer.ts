import { ConfigurationError, oneLine } from './errors.js';

/** An issuer identifier (RFC 8414 §2), taken apart and checked. */
export interface Issuer {
  /** As it was given, without a slash at its end. */
  readonly identifier: string;
  /** Scheme, host and port, normalised. */
  readonly origin: string;
  /** Host name, with the brackets of an IPv6 address. */
  readonly hostname: string;
  /** Path below which its endpoints are; empty for most. */
  readonly basePath: string;
  readonly isHttps: boolean;
}

/**
 * Reads an issuer identifier.
 *
 * @throws {@link ConfigurationError} unless it is an https URL, or an http one of a loopback host,
 *   without user, query and fragment.
 */
export function parseIssuer(given: unknown): Issuer {
  const url = parseSafeUrl('issuer', given);
  if (url.search || url.hash || String(given).includes('#') || String(given).includes('?')) {
    throw new ConfigurationError('issuer must have no query and no fragment');
  }
  const basePath = url.pathname.replace(/\/$/, '');
  return {
    identifier: url.origin + basePath,
    origin: url.origin,
    hostname: url.hostname,
    basePath,
    isHttps: url.protocol === 'https:',
  };
}

/**
 * An address that secrets may travel to: https, or http that never leaves this machine.
 *
 * @throws {@link ConfigurationError}, which names the setting `name`.
 */
export function parseSafeUrl(name: string, given: unknown): URL {
  if (typeof given !== 'string' || given === '') {
    throw new ConfigurationError(`${name} is missing: give its URL, such as https://auth.example`);
  }
  if (!URL.canParse(given)) throw new ConfigurationError(`${name} is not a URL: ${oneLine(given, 100)}`);
  const url = new URL(given);
  if (url.username || url.password) {
    throw new ConfigurationError(`${name} must have no user name and no password in it`);
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw new ConfigurationError(
      `${name} must be https (http is for this machine alone: 127.0.0.1, [::1] or localhost)`,
    );
  }
  return url;
}

/**
 * Whether a host, as `URL.hostname` has it, is this machine (RFC 8252 §8.3). Names below `localhost` do not
 * count: not every resolver keeps them here.
 */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}
