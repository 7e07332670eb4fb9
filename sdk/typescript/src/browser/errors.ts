import { AuthAgentError, oneLine } from '../common/errors.js';

/**
 * What a sign-in in a browser can fail of: the first group before the browser leaves, the second when
 * it comes back, the third while the code is exchanged. Settings that are missing or wrong are a
 * `ConfigurationError` instead.
 */
export type SignInErrorCode =
  | 'insecure_context'
  | 'framed'
  | 'storage_unavailable'
  | 'redirect_uri_of_another_origin'
  // The way back.
  | 'not_a_callback'
  | 'unknown_state'
  | 'callback_used'
  | 'issuer_mismatch'
  | 'invalid_answer'
  | 'access_denied'
  | 'authorization_failed'
  // The exchange.
  | 'exchange_refused'
  | 'unavailable'
  | 'clock_skew'
  | 'invalid_id_token';

/** A sign-in that was not done. The message says what to do, and may be shown to the visitor. */
export class SignInError extends AuthAgentError {
  override name = 'SignInError';
  declare readonly code: SignInErrorCode;
  /** The issuer's own `error` (RFC 6749 §4.1.2.1, §5.2), where it refused. */
  readonly error: string | undefined;
  /** The issuer's own `error_description`, for the website's log. */
  readonly errorDescription: string | undefined;

  constructor(code: SignInErrorCode, message: string, error?: unknown, description?: unknown) {
    super(code, message);
    this.error = error == null ? undefined : oneLine(error, 100);
    this.errorDescription = description == null ? undefined : oneLine(description);
  }
}
