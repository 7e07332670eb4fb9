/** An issuer whose answers and keys the test decides. */

import { type IncomingMessage, type Server, createServer } from 'node:http';

import { type JWTPayload, SignJWT, exportJWK, generateKeyPair } from 'jose';

import { freePort } from './issuer.js';

export type Answer = { status?: number; headers?: Record<string, string>; json?: unknown } | 'cut';
type Route = (request: IncomingMessage, body: string) => Answer | Promise<Answer>;

export class FakeIssuer {
  /** What was asked, as `METHOD /path`, in order. */
  readonly asked: string[] = [];
  /** Answers by path; the metadata and the keys are there already. */
  readonly routes: Record<string, Route>;

  private constructor(
    readonly url: string,
    private readonly server: Server,
    /** The key that the issuer publishes. */
    readonly key: Awaited<ReturnType<typeof generateKeyPair>>,
    jwks: unknown,
  ) {
    const metadata = {
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      introspection_endpoint: `${url}/introspect`,
      revocation_endpoint: `${url}/revoke`,
      jwks_uri: `${url}/jwks`,
      id_token_signing_alg_values_supported: ['ES256'],
      authorization_response_iss_parameter_supported: true,
    };
    this.routes = {
      '/.well-known/openid-configuration': () => ({ json: metadata }),
      '/jwks': () => ({ json: jwks }),
    };
  }

  static async start(): Promise<FakeIssuer> {
    const key = await generateKeyPair('ES256', { extractable: true });
    const jwks = { keys: [{ ...(await exportJWK(key.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] };
    const port = await freePort();
    const server = createServer(async (request, response) => {
      const path = new URL(request.url ?? '/', fake.url).pathname;
      fake.asked.push(`${request.method} ${path}`);
      let body = '';
      for await (const chunk of request) body += chunk;
      const answer = (await fake.routes[path]?.(request, body)) ?? { status: 404, json: {} };
      if (answer === 'cut') return request.socket.destroy();
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
      return response.end(JSON.stringify(answer.json));
    });
    const fake = new FakeIssuer(`http://127.0.0.1:${port}`, server, key, jwks);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return fake;
  }

  /** A JWT signed with the published key, unless another is given. */
  sign(
    claims: JWTPayload,
    typ: string,
    header: object = {},
    key: CryptoKey | Uint8Array = this.key.privateKey,
  ) {
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one', typ, ...header }).sign(key);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
