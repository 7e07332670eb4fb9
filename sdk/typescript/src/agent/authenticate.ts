import type { Binding } from '../common/claims.js';
import { oneLine } from '../common/errors.js';
import type { Issuer } from '../common/issuer.js';
import { send, whyItFailed } from '../common/send.js';
import { Deadline, aborted, sleep } from './deadline.js';
import { AgentError, type AgentErrorCode, WHAT_TO_DO } from './errors.js';

/** One call of POST /api/agent/authenticate. */
export interface Call {
  /** The JSON body, the agent's secret in it. */
  readonly body: Record<string, string>;
  /** The waiting browser's cookie of this request, as `name=value`. */
  readonly cookie: string;
  /** Ends the call and its repetitions. */
  readonly signal: AbortSignal;
  /** When that will be at the latest, by `performance.now()`. */
  readonly endsAt: number;
}

const TRIES = 5;
const FIRST_PAUSE = 250; // milliseconds, doubled each time
const LONGEST_PAUSE = 10_000;
const ANSWER_WITHIN = 15_000;

/** A try that may be repeated, as the issuer answers the same agent and request the same again. */
class Repeatable {
  constructor(readonly error: AgentError) {}
}

/**
 * Authenticates, repeating what is safe to repeat: a lost connection, 429, 502, 503 and 504.
 *
 * @returns the binding that the issuer found.
 * @throws {@link AgentError} for everything else, and when repeating did not help.
 */
export async function authenticate(issuer: Issuer, call: Call): Promise<Binding> {
  let last: AgentError | undefined;
  for (let attempt = 1, pause = FIRST_PAUSE; ; attempt++, pause *= 2) {
    const outcome = await once(issuer, call, last);
    if (!(outcome instanceof Repeatable)) return outcome;
    last = outcome.error;
    const after = (last.retryAfter ?? 0) * 1000;
    const wait = Math.max(after, pause * (0.5 + Math.random() / 2));
    // A wait that is longer than we are ready for is the caller's to decide on.
    if (attempt === TRIES || after > LONGEST_PAUSE || performance.now() + wait > call.endsAt) throw last;
    await sleep(wait, call.signal, last);
  }
}

async function once(
  issuer: Issuer,
  { body, cookie, signal }: Call,
  last: AgentError | undefined,
): Promise<Binding | Repeatable> {
  if (signal.aborted) throw aborted(signal, last);
  let response: Response;
  let text: string;
  const deadline = new Deadline(ANSWER_WITHIN);
  try {
    response = await send(`${issuer.identifier}/api/agent/authenticate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', cookie },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, deadline.signal]),
    });
    text = await response.text();
  } catch (error) {
    if (signal.aborted) throw aborted(signal, last);
    return new Repeatable(
      // Whether it was done is not known; repeated, it is answered the same.
      new AgentError(
        'unavailable',
        `${issuer.identifier} gave no answer: ${whyItFailed(error)}. Signing in again is safe`,
      ),
    );
  } finally {
    deadline.cancel();
  }

  const answer = parse(text);
  if (response.status === 200 && answer['success'] === true) {
    const binding = answer['binding'];
    return binding === 'browser' || binding === 'address' ? binding : 'none';
  }
  if (response.status === 202) {
    throw new AgentError(
      'challenge_required',
      'the issuer asks for a second factor, which this library does not answer yet',
    );
  }
  const after = retryAfter(response);
  if (response.status === 429) return new Repeatable(refusal('slow_down', answer, 429, after));
  if (response.status === 502 || response.status === 503 || response.status === 504) {
    return new Repeatable(
      new AgentError(
        'unavailable',
        `${issuer.identifier} answers ${response.status}: try again ${when(after)}`,
        { retryAfter: after },
      ),
    );
  }
  // What is no refusal by its status is none by what it says.
  throw refusal(response.status >= 400 ? answer['error'] : undefined, answer, response.status);
}

/** The issuer's refusal, by the word it gave. */
function refusal(
  word: unknown,
  answer: Record<string, unknown>,
  status: number,
  retryAfter?: number,
): AgentError {
  if (typeof word !== 'string' || !Object.hasOwn(WHAT_TO_DO, word)) {
    if (status >= 500) {
      return new AgentError(
        'unexpected_answer',
        `the issuer failed, with ${status}: try again later, and tell who runs it if that does not help`,
      );
    }
    return new AgentError(
      'unexpected_answer',
      `the issuer answered ${status} without a reason that is known: is the issuer's address right?`,
    );
  }
  const code = word as AgentErrorCode;
  const description = answer['error_description'];
  const said = typeof description === 'string' ? `: ${oneLine(description).replace(/\.$/, '')}` : '';
  const wait = retryAfter === undefined ? '' : ` It may come ${when(retryAfter)}.`;
  return new AgentError(code, `refused, ${code}${said}. ${WHAT_TO_DO[code]}${wait}`, { retryAfter });
}

/** `Retry-After` in seconds (RFC 9110 §10.2.3), which may be a date. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get('retry-after');
  if (value === null) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

function when(retryAfter: number | undefined): string {
  return retryAfter === undefined ? 'later' : `in ${retryAfter} s`;
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? { ...value } : {};
  } catch {
    return {};
  }
}
