/**
 * A website's backend: sends visitors to the issuer, signs in who comes back, and checks tokens.
 * It runs wherever `fetch` and WebCrypto are: Node.js 20 or newer, Deno, Bun, and edge runtimes.
 */
export type { Binding, IdTokenClaims } from '../common/claims.js';
export { AuthAgentError, ConfigurationError } from '../common/errors.js';
export { type AccessTokenClaims, type LogoutTokenClaims, type SignInClaims, isBound } from './claims.js';
export {
  type Client,
  type ClientOptions,
  type CodeExchange,
  type Introspection,
  type StartOptions,
  type Transaction,
  createClient,
} from './client.js';
export type { HeaderSource, NodeHeaders } from './cookies.js';
export {
  CallbackError,
  type CallbackErrorCode,
  EndpointError,
  IssuerError,
  TokenError,
  type TokenErrorCode,
} from './errors.js';
export { type NodeRequest, type NodeResponse, expressHandler } from './express.js';
export { type Handlers, type HandlersOptions, type Paths, createHandlers } from './handlers.js';
export type { Seen } from './logout-token.js';
export { nextHandlers } from './next.js';
export type { EndedSessions, Session } from './sessions.js';
export type { TokenSet } from './token-set.js';
export {
  type AccessTokenRequirements,
  type AccessTokenVerifier,
  createAccessTokenVerifier,
} from './verify.js';
