import { AuthAgentError } from '../common/errors.js';

/** Why a callback did not sign anybody in. */
export type CallbackErrorCode =
  | 'access_denied'
  | 'authorization_failed'
  | 'transaction_missing'
  | 'state_mismatch'
  | 'issuer_mismatch'
  | 'invalid_callback';

/** The redirect back from the issuer is not one that signs in. */
export class CallbackError extends AuthAgentError {
  override name = 'CallbackError';
  declare readonly code: CallbackErrorCode;
  /** The issuer's `error` (RFC 6749 §4.1.2.1), if it sent one. */
  readonly error: string | undefined;

  constructor(code: CallbackErrorCode, message: string, error?: string) {
    super(code, message);
    this.error = error;
  }
}

/** An endpoint of the issuer refused: `code` is the RFC's, such as `invalid_grant`. */
export class EndpointError extends AuthAgentError {
  override name = 'EndpointError';
  /** HTTP status of the answer. */
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(code, message);
    this.status = status;
  }
}

/** The issuer could not be reached (`unavailable`), or is not what it should be (`unexpected_answer`). */
export class IssuerError extends AuthAgentError {
  override name = 'IssuerError';
  declare readonly code: 'unavailable' | 'unexpected_answer';

  constructor(code: 'unavailable' | 'unexpected_answer', message: string) {
    super(code, message);
  }
}

/** Why a token is not accepted; the first three are those of RFC 6750 §3.1 and its kin. */
export type TokenErrorCode =
  | 'invalid_token'
  | 'insufficient_scope'
  | 'insufficient_binding'
  | 'token_expired'
  | 'token_replayed'
  | 'clock_skew';

/** A token that is not accepted. */
export class TokenError extends AuthAgentError {
  override name = 'TokenError';
  declare readonly code: TokenErrorCode;

  constructor(code: TokenErrorCode, message: string) {
    super(code, message);
  }
}
