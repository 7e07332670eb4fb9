import { ConfigurationError, oneLine } from '../common/errors.js';

/**
 * Reads a redirect URI as this page means it: a path such as `/callback` is one of its origin.
 *
 * @throws `ConfigurationError` when it is missing or no URL.
 */
export function parseRedirectUri(given: string): URL {
  if (!given) {
    throw new ConfigurationError(
      'redirectUri is missing: give the address that is registered, where the browser comes back to',
    );
  }
  if (!URL.canParse(given, location.href)) {
    throw new ConfigurationError(`redirectUri is not a URL: ${oneLine(given, 100)}`);
  }
  return new URL(given, location.href);
}
