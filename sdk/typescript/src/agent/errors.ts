import { AuthAgentError } from '../common/errors.js';

/**
 * What an agent's sign-in can fail of. The first group is decided here, before anything is sent;
 * the second is what the issuer answered; the third what became of the way there and back.
 */
export type AgentErrorCode =
  | 'unsupported_page'
  | 'wrong_issuer'
  | 'not_a_waiting_page'
  | 'page_changed'
  | 'not_this_browser'
  // The issuer's refusals, by its own words.
  | 'invalid_request'
  | 'invalid_agent'
  | 'access_denied'
  | 'unknown_request'
  | 'request_expired'
  | 'request_closed'
  | 'browser_mismatch'
  | 'binding_required'
  | 'origin_mismatch'
  | 'slow_down'
  | 'challenge_required'
  // The way.
  | 'unavailable'
  | 'unexpected_answer'
  | 'redirect_timeout'
  | 'redirect_failed'
  | 'page_closed'
  | 'aborted';

/** A sign-in that was not done, and why. Nothing in it is secret: it may be shown to a model. */
export class AgentError extends AuthAgentError {
  override name = 'AgentError';
  declare readonly code: AgentErrorCode;
  /** Whether the agent was authenticated all the same, and only what came after it failed. */
  readonly authenticated: boolean;
  /** When to try again at the earliest, in seconds from then, if the issuer said so (RFC 9110 §10.2.3). */
  readonly retryAfter: number | undefined;

  constructor(
    code: AgentErrorCode,
    message: string,
    { authenticated = false, retryAfter }: { authenticated?: boolean; retryAfter?: number | undefined } = {},
  ) {
    super(code, message);
    this.authenticated = authenticated;
    this.retryAfter = retryAfter;
  }
}

/** For each refusal of the issuer what to do about it, added to the issuer's own description. */
export const WHAT_TO_DO: Partial<Record<AgentErrorCode, string>> = {
  invalid_request: 'This is a fault of the call, see its description.',
  invalid_agent: 'Check the agent id and secret; an administrator can rotate the secret.',
  access_denied: 'Ask the administrator: the agent is suspended, revoked, or not allowed to sign in there.',
  unknown_request: 'Start again from the website.',
  request_expired: 'Start again from the website.',
  request_closed: 'Start again from the website: another agent was first, or it was denied.',
  browser_mismatch: 'Start again from the website, in the browser that this agent drives.',
  binding_required: 'Start again from the website, in the browser that this agent drives.',
  origin_mismatch: 'Do not sign in: the page is not of the website that was meant.',
  slow_down: 'Wait before the next try; the page stays open.',
};
