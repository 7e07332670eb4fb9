/**
 * The random values of a request, and its challenge. A few lines of our own: the library that the
 * exchange uses would make up a fifth of the button.
 */

/** 256 random bits in 43 unreserved characters: a verifier (RFC 7636 §4.1), a `state`, a `nonce`. */
export function randomValue(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** The S256 challenge of a verifier (RFC 7636 §4.2). */
export async function challengeOf(verifier: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(hash));
}

/** Base64url without padding (RFC 7636, appendix A). */
function base64url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
