import { EncryptJWT, type JWTPayload, jwtDecrypt } from 'jose';

import { ConfigurationError } from '../common/errors.js';

const SHORTEST_SECRET = 32; // characters

/**
 * Encrypts small values for cookies: JWE, direct A256GCM. Each purpose has a key of its own, so that a
 * cookie of one kind, or of another client, is never taken for this one.
 */
export class Seal {
  readonly #keys: Promise<Uint8Array>[];

  /** @param secrets the first encrypts, all decrypt: put a new one in front to change it. */
  constructor(secrets: string | readonly string[], purpose: string) {
    const all = [secrets].flat();
    if (!all.length || all.some((secret) => typeof secret !== 'string' || secret.length < SHORTEST_SECRET)) {
      throw new ConfigurationError(
        `cookieSecret must be at least ${SHORTEST_SECRET} characters: make one with openssl rand -base64 32`,
      );
    }
    this.#keys = all.map((secret) => derive(secret, purpose));
  }

  async seal(payload: JWTPayload, lifetime: number): Promise<string> {
    const [key] = this.#keys;
    return new EncryptJWT(payload)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + lifetime)
      .encrypt((await key) as Uint8Array);
  }

  /** What was sealed; nothing if it is not ours, was changed, or has run out. */
  async open(sealed: string | undefined): Promise<JWTPayload | undefined> {
    if (!sealed) return undefined;
    for (const key of this.#keys) {
      try {
        const { payload } = await jwtDecrypt(sealed, await key, {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
          requiredClaims: ['exp', 'iat'],
        });
        return payload;
      } catch {
        // Of an earlier secret, perhaps: the next key tells.
      }
    }
    return undefined;
  }
}

/** HKDF (RFC 5869). */
async function derive(secret: string, purpose: string): Promise<Uint8Array> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const material = await crypto.subtle.importKey('raw', bytes(secret), 'HKDF', false, ['deriveBits']);
  const parameters = {
    name: 'HKDF',
    hash: 'SHA-256',
    salt: new Uint8Array(),
    info: bytes(`auth-agent ${purpose}`),
  };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, material, 256));
}
