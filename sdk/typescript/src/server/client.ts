import * as oauth from 'oauth4webapi';

import type { Binding, IdTokenClaims } from '../common/claims.js';
import { ConfigurationError, oneLine } from '../common/errors.js';
import { parseSafeUrl } from '../common/issuer.js';
import { type AccessTokenClaims, type LogoutTokenClaims, checkMinimumBinding, requireBinding } from './claims.js';
import { CallbackError, TokenError } from './errors.js';
import { Discovery, ask, clockError } from './issuer.js';
import { type Seen, seenInMemory, verifyLogoutToken } from './logout-token.js';
import { TokenSet } from './token-set.js';
import { type AccessTokenRequirements, CLOCK_TOLERANCE, verifyAccessToken, verifyJwt } from './verify.js';

/** A website, as the issuer knows it. */
export interface ClientOptions {
  /** The issuer, such as `https://auth.example`; http only on this machine. */
  issuer: string;
  clientId: string;
  /** None for a public client. */
  clientSecret?: string;
  /** Where the browser comes back to: one that is registered, to the letter. */
  redirectUri: string;
  /** Scopes to ask for, separated by spaces; default `openid`. `profile` and `email` add the owner's name and address. */
  scope?: string;
  /** How the secret is sent; default `client_secret_basic`, or `none` without a secret. */
  tokenEndpointAuthMethod?: 'client_secret_basic' | 'client_secret_post' | 'none';
  /** How well each sign-in must be bound to the agent's browser: a weaker one is refused. */
  minimumBinding?: Binding;
  /**
   * Whether a logout token's `jti` was seen before, remembering it until `exp` (seconds since the
   * epoch); default: the memory of this process. Several processes need one that they share.
   */
  logoutTokenSeen?: Seen;
}

/** What has to be kept between {@link Client.start} and the callback: in this browser's reach alone. */
export interface Transaction {
  readonly state: string;
  /** None for a scope without `openid`. */
  readonly nonce?: string | undefined;
  /** PKCE (RFC 7636 §4.1). */
  readonly codeVerifier: string;
}

/** More of the request (OpenID Connect Core 1.0 §3.1.2.1, RFC 8707). */
export interface StartOptions {
  /** Instead of the client's. */
  scope?: string;
  prompt?: string;
  loginHint?: string;
  /** In seconds. */
  maxAge?: number;
  /** Who the access token is to be for. */
  resource?: string | readonly string[];
}

/** A code that the browser part has brought, to be exchanged. */
export interface CodeExchange {
  code: string;
  codeVerifier: string;
  /** If the request had one, and not otherwise. */
  nonce?: string | undefined;
  /** If it was another than the client's. */
  redirectUri?: string;
}

/** An answer of introspection (RFC 7662 §2.2). */
export type Introspection =
  { readonly active: false } | ({ readonly active: true } & Partial<AccessTokenClaims>);

/** A website's backend, made once and used for every sign-in. */
export class Client {
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scope: string;
  readonly minimumBinding: Binding | undefined;
  readonly #discovery: Discovery;
  readonly #client: oauth.Client;
  readonly #secret: string | undefined;
  readonly #authentication: oauth.ClientAuth;
  readonly #logoutTokenSeen: Seen;

  /** @throws {@link ConfigurationError}, which names the option at fault. */
  constructor(options: ClientOptions) {
    this.#discovery = new Discovery(options.issuer);
    this.issuer = this.#discovery.issuer.identifier;
    if (!options.clientId) throw new ConfigurationError('clientId is missing');
    if (parseSafeUrl('redirectUri', options.redirectUri).hash) {
      throw new ConfigurationError('redirectUri must have no fragment');
    }
    this.clientId = options.clientId;
    this.redirectUri = options.redirectUri;
    this.scope = options.scope ?? 'openid';
    checkMinimumBinding(options.minimumBinding);
    if (options.minimumBinding !== undefined && !hasOpenid(this.scope)) {
      throw new ConfigurationError('minimumBinding needs the scope openid: it is read in the ID token');
    }
    this.minimumBinding = options.minimumBinding;
    this.#client = { client_id: options.clientId, [oauth.clockTolerance]: CLOCK_TOLERANCE };
    this.#secret = options.clientSecret;
    this.#authentication = authentication(options);
    this.#logoutTokenSeen = options.logoutTokenSeen ?? seenInMemory();
  }

  /** Begins a sign-in: where to send the browser, and what to keep until it comes back. */
  async start(options: StartOptions = {}): Promise<{ url: URL; transaction: Transaction }> {
    const { authorization_endpoint: endpoint } = await this.#discovery.metadata();
    const url = parseSafeUrl("authorization_endpoint in the issuer's metadata", endpoint);
    const scope = options.scope ?? this.scope;
    const transaction = {
      state: oauth.generateRandomState(),
      ...(hasOpenid(scope) && { nonce: oauth.generateRandomNonce() }),
      codeVerifier: oauth.generateRandomCodeVerifier(),
    };
    const parameters = {
      response_type: 'code',
      client_id: this.clientId,
      redirect_uri: this.redirectUri,
      scope,
      state: transaction.state,
      nonce: transaction.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(transaction.codeVerifier),
      code_challenge_method: 'S256',
      prompt: options.prompt,
      max_age: options.maxAge?.toString(),
      login_hint: options.loginHint,
    };
    for (const [name, value] of Object.entries(parameters)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    for (const resource of [options.resource ?? []].flat()) url.searchParams.append('resource', resource);
    return { url, transaction };
  }

  /**
   * Ends a sign-in: checks the redirect back (`state`; `iss`, RFC 9207), exchanges the code, and
   * checks the ID token, which there is if `openid` was asked for.
   *
   * @param address the callback's, whole or as a server has it (`/auth/callback?code=…`), or its query.
   * @throws {@link CallbackError}, `EndpointError`, `IssuerError` or {@link TokenError}
   */
  async callback(address: URL | URLSearchParams | string, transaction: Transaction): Promise<TokenSet> {
    const query = this.#queryOf(address);
    required('transaction.codeVerifier', transaction?.codeVerifier);
    const metadata = await this.#discovery.metadata();
    const only = (name: string) => (query.getAll(name).length === 1 ? query.get(name) : null);
    if (!transaction.state || only('state') !== transaction.state) {
      throw new CallbackError(
        'state_mismatch',
        'the state is not the one that this browser began with: start the sign-in again',
      );
    }
    if (only('iss') !== metadata.issuer) {
      throw new CallbackError(
        'issuer_mismatch',
        `the answer is not of ${this.issuer}: start the sign-in again`,
      );
    }
    if (query.has('error')) throw refused(query);
    if (!only('code')) throw new CallbackError('invalid_callback', 'the callback has no code');
    return this.#exchange(query, transaction, this.redirectUri);
  }

  /**
   * Exchanges a code that another part of the website has received, such as its page with
   * `handleCallback` of this package's browser part, which has checked `state` and `iss`.
   */
  async exchange({ code, codeVerifier, nonce, redirectUri }: CodeExchange): Promise<TokenSet> {
    required('code', code);
    required('codeVerifier', codeVerifier);
    const { issuer } = await this.#discovery.metadata();
    const query = new URLSearchParams({ code, iss: issuer });
    return this.#exchange(query, { codeVerifier, nonce, state: undefined }, redirectUri ?? this.redirectUri);
  }

  /** Gets new tokens (RFC 6749 §6). The refresh token rotates: keep the new one, at once. */
  async refresh(refreshToken: string, options: { scope?: string } = {}): Promise<TokenSet> {
    required('refreshToken', refreshToken);
    const metadata = await this.#discovery.metadata();
    return this.#ask('the refresh', [refreshToken], async (http) => {
      const response = await oauth.refreshTokenGrantRequest(
        metadata,
        this.#client,
        this.#authentication,
        refreshToken,
        { ...http, ...(options.scope && { additionalParameters: { scope: options.scope } }) },
      );
      const answer = await oauth.processRefreshTokenResponse(metadata, this.#client, response);
      return this.#tokens(answer);
    });
  }

  /** Asks whether a token is good at this moment (RFC 7662). Needs a client secret. */
  async introspect(token: string): Promise<Introspection> {
    required('token', token);
    const metadata = await this.#discovery.metadata();
    return this.#ask('introspection', [token], async (http) => {
      const response = await oauth.introspectionRequest(
        metadata,
        this.#client,
        this.#authentication,
        token,
        http,
      );
      const answer = await oauth.processIntrospectionResponse(metadata, this.#client, response);
      return answer as Introspection;
    });
  }

  /** Revokes (RFC 7009): with a refresh token the whole grant, with an access token that token. */
  async revoke(token: string): Promise<void> {
    required('token', token);
    const metadata = await this.#discovery.metadata();
    await this.#ask('the revocation', [token], async (http) => {
      const response = await oauth.revocationRequest(
        metadata,
        this.#client,
        this.#authentication,
        token,
        http,
      );
      await oauth.processRevocationResponse(response);
    });
  }

  /**
   * Checks an access token (RFC 9068 §4); see `createAccessTokenVerifier`. It must have been given to
   * this client, unless an `audience` of its own says who may bring it.
   *
   * @throws {@link TokenError}
   */
  async verifyAccessToken(
    token: string,
    { audience, clientId, scope, minimumBinding }: AccessTokenRequirements = {},
  ): Promise<AccessTokenClaims> {
    const ours = audience === undefined ? this.clientId : undefined;
    return verifyAccessToken(this.#discovery, token, {
      audience,
      clientId: clientId ?? ours,
      scope,
      minimumBinding,
    });
  }

  /**
   * Checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), once.
   *
   * @param act ends what it names. If that fails, the token can be sent again; so it may be called
   *   twice for one token, and must not mind.
   * @throws {@link TokenError}
   */
  verifyLogoutToken(
    token: string,
    act?: (logout: LogoutTokenClaims) => void | Promise<void>,
  ): Promise<LogoutTokenClaims> {
    return verifyLogoutToken(this.#discovery, this.clientId, token, this.#logoutTokenSeen, act);
  }

  #queryOf(address: unknown): URLSearchParams {
    if (address instanceof URLSearchParams) return address;
    if (address instanceof URL) return address.searchParams;
    if (typeof address === 'string' && URL.canParse(address, this.redirectUri)) {
      return new URL(address, this.redirectUri).searchParams;
    }
    throw new ConfigurationError("address must be the callback's: a URL, its text, or its URLSearchParams");
  }

  async #exchange(
    query: URLSearchParams,
    transaction: { state: string | undefined; nonce?: string | undefined; codeVerifier: string },
    redirectUri: string,
  ): Promise<TokenSet> {
    const metadata = await this.#discovery.metadata();
    // Before the code is used up: without the keys nothing that it yields can be checked.
    await this.#discovery.keys();
    const { state, nonce, codeVerifier } = transaction;
    const secrets = [query.get('code') ?? undefined, codeVerifier];
    return this.#ask('the exchange of the code', secrets, async (http) => {
      const response = await oauth.authorizationCodeGrantRequest(
        metadata,
        this.#client,
        this.#authentication,
        oauth.validateAuthResponse(metadata, this.#client, query, state),
        redirectUri,
        codeVerifier,
        http,
      );
      const answer = await oauth.processAuthorizationCodeResponse(metadata, this.#client, response, {
        expectedNonce: nonce ?? oauth.expectNoNonce,
        requireIdToken: nonce !== undefined,
      });
      const tokens = await this.#tokens(answer);
      requireBinding(tokens.claims?.binding, this.minimumBinding);
      return tokens;
    });
  }

  /** The issuer's answer, once the ID token's signature is checked as well. */
  async #tokens(answer: oauth.TokenEndpointResponse): Promise<TokenSet> {
    if (answer.id_token === undefined) return new TokenSet(answer, undefined);
    try {
      const claims = await verifyJwt<IdTokenClaims>(this.#discovery, 'ID token', answer.id_token, {
        audience: this.clientId,
        requiredClaims: ['sub', 'iat', 'exp'],
      });
      return new TokenSet(answer, claims);
    } catch (error) {
      // It was made this moment: only a clock can have done that.
      throw error instanceof TokenError && error.code === 'token_expired' ? clockError('ID token') : error;
    }
  }

  #ask<T>(
    what: string,
    secrets: readonly (string | undefined)[],
    work: (http: Discovery['requestOptions']) => Promise<T>,
  ): Promise<T> {
    return ask(what, () => work(this.#discovery.requestOptions), [this.#secret, ...secrets]);
  }
}

/** Makes a client. @throws {@link ConfigurationError}, which names the option at fault. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

function authentication({ clientSecret, tokenEndpointAuthMethod: method }: ClientOptions): oauth.ClientAuth {
  if (clientSecret === undefined || clientSecret === '') {
    if (clientSecret === '' || (method !== undefined && method !== 'none')) {
      throw new ConfigurationError('clientSecret is missing; leave it out for a public client');
    }
    return oauth.None();
  }
  switch (method) {
    case undefined:
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(clientSecret);
    case 'client_secret_post':
      return oauth.ClientSecretPost(clientSecret);
    default:
      throw new ConfigurationError(`a client with a secret does not authenticate by ${oneLine(method, 40)}`);
  }
}

/** Whether a scope asks for an ID token (OpenID Connect Core 1.0 §3.1.2.1). */
export function hasOpenid(scope: string): boolean {
  return scope.split(' ').includes('openid');
}

function required(name: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return;
  throw new ConfigurationError(`${name} is missing: it must be text that is not empty`);
}

/** The issuer's own refusal (RFC 6749 §4.1.2.1). */
function refused(query: URLSearchParams): CallbackError {
  const error = oneLine(query.get('error'), 60);
  if (error === 'access_denied') {
    return new CallbackError(
      'access_denied',
      'no agent signed in in time, or it was refused: start the sign-in again',
      error,
    );
  }
  const description = query.get('error_description');
  return new CallbackError(
    'authorization_failed',
    `the issuer refused, ${error}${description ? `: ${oneLine(description)}` : ''}`,
    error,
  );
}
