import type { Binding } from '../common/claims.js';
import { ConfigurationError, oneLine } from '../common/errors.js';
import { type Issuer, parseIssuer } from '../common/issuer.js';
import { authenticate } from './authenticate.js';
import { Deadline, sleep, unlessEnded } from './deadline.js';
import { AgentError, type AgentErrorCode } from './errors.js';
import { type Page, requestCookie } from './page.js';
import { type WaitingRequest, readWaitingPage, waitingAddress } from './waiting-page.js';

/** Who signs in, and at which issuer. */
export interface AgentOptions {
  /** The issuer that the agent is registered with; nothing is ever sent anywhere else. */
  issuer: string;
  /** `agent_…` */
  agentId: string;
  /** `as_…`; it stays in this process, and goes to the issuer alone. */
  agentSecret: string;
  /** The model that the agent runs on, in its own words: 1 to 128 printable characters. */
  model: string;
}

/** What a sign-in is meant for, and how long it may take. */
export interface SignInOptions {
  /**
   * Origin of the website that the agent means to sign in to, such as `https://profilio.example`.
   * Take it from the agent's task, not from the page: a page of another website is refused with
   * `origin_mismatch`.
   */
  expectedOrigin?: string;
  /** The same by the website's `client_id`. */
  expectedClientId?: string;
  /** For all of it, in milliseconds; default 60,000; 0 for no end. */
  timeout?: number;
  /** Ends it earlier. */
  signal?: AbortSignal;
}

/** A sign-in that is done. Nothing in it is secret: it may be shown to a model. */
export interface AgentSignIn {
  readonly requestId: string;
  /** How it is known that the agent drives the browser: `browser` is the strongest. */
  readonly binding: Binding;
  /** What the website calls itself: its own word. */
  readonly clientName: string;
  /** Scheme, host and port that the browser went on to. */
  readonly redirectOrigin: string;
}

const TIMEOUT = 60_000;
const LONGEST_TIMEOUT = 2 ** 31 - 1; // what timers can wait
const READ_WITHIN = 15_000;
const LOOK_AGAIN = 25; // milliseconds; the address is known here, nothing is asked of the browser

/** An agent that signs in where the browser that it drives waits. Made by {@link createAgent}. */
export class Agent {
  readonly issuer: string;
  readonly agentId: string;
  readonly model: string;
  readonly #issuer: Issuer;
  readonly #secret: string;

  /** @throws {@link ConfigurationError}, which names the option at fault. */
  constructor({ issuer, agentId, agentSecret, model }: AgentOptions) {
    this.#issuer = parseIssuer(issuer);
    this.issuer = this.#issuer.identifier;
    this.agentId = given('agentId', agentId);
    this.#secret = given('agentSecret', agentSecret);
    this.model = given('model', model);
    if (this.model.length > 128 || /\p{C}/u.test(this.model)) {
      throw new ConfigurationError('model must be 1 to 128 printable characters');
    }
  }

  /**
   * Whether the page is a waiting page of the configured issuer, with a request. Sends nothing. A browser that
   * does not answer within 15 seconds shows none.
   */
  async isWaitingPage(page: Page): Promise<boolean> {
    try {
      await this.requestOf(page);
      return true;
    } catch (error) {
      if (error instanceof AgentError && error.code !== 'unsupported_page') return false;
      throw error;
    }
  }

  /**
   * What the waiting page in the browser asks for. Sends nothing.
   *
   * @throws {@link AgentError}, whose `code` says why it is none: `wrong_issuer`, `not_a_waiting_page`,
   *   `page_changed`, `unsupported_page`; `unavailable` if the browser does not answer within 15 seconds.
   */
  async requestOf(page: Page): Promise<WaitingRequest> {
    const deadline = new Deadline(READ_WITHIN);
    try {
      return (await unlessEnded(readWaitingPage(page, this.#issuer), deadline.signal)).request;
    } finally {
      deadline.cancel();
    }
  }

  /**
   * Signs in at the waiting page that is open in `page`, and waits until the browser has gone on to
   * the website. The call is bound to that browser by its own cookie of the request.
   *
   * @throws {@link ConfigurationError} for an option that is not understood.
   * @throws {@link AgentError} with a `code`. If it is of this library (`wrong_issuer`,
   *   `not_a_waiting_page`, `page_changed`, `not_this_browser`), nothing was sent.
   */
  async signIn(page: Page, options: SignInOptions = {}): Promise<AgentSignIn> {
    const expected = expectations(options);
    const deadline = deadlineOf(options.timeout ?? TIMEOUT);
    const signal = options.signal ? AbortSignal.any([deadline.signal, options.signal]) : deadline.signal;
    try {
      const { request, cookie, stillThere } = await unlessEnded(this.#look(page), signal);
      const body = this.#body(request, expected);
      stillThere();
      const binding = await authenticate(this.#issuer, { body, cookie, signal, endsAt: deadline.at });
      await this.#left(page, request, deadline.signal, signal);
      const { requestId, clientName, redirectOrigin } = request;
      return { requestId, binding, clientName, redirectOrigin };
    } finally {
      deadline.cancel();
    }
  }

  /** What the page waits for, and the browser's proof that it opened it. */
  async #look(page: Page) {
    const { request, stillThere } = await readWaitingPage(page, this.#issuer);
    const cookie = await requestCookie(page, this.#issuer, request.requestId);
    if (!cookie) {
      throw new AgentError(
        'not_this_browser',
        "this browser holds no cookie of the page's request, so it is not the one that opened it: " +
          'nothing was sent. Start again from the website, in this browser',
      );
    }
    return { request, stillThere, cookie: `${cookie.name}=${cookie.value}` };
  }

  #body(request: WaitingRequest, expected: Record<string, string>): Record<string, string> {
    return {
      request_id: request.requestId,
      agent_id: this.agentId,
      agent_secret: this.#secret,
      model: this.model,
      ...expected,
    };
  }

  /** Waits until the browser shows a page of the website, or of where that has sent it on to. */
  async #left(page: Page, request: WaitingRequest, deadline: AbortSignal, signal: AbortSignal) {
    const failed = (code: AgentErrorCode, why: string) => new AgentError(code, why, { authenticated: true });
    while (!this.#hasGoneOn(page.url(), request)) {
      if (page.isClosed()) {
        throw failed('page_closed', 'signed in, but the page was closed before it went on');
      }
      if (deadline.aborted) {
        throw this.#waits(page.url(), request.requestId)
          ? failed('redirect_timeout', 'signed in, but the browser did not go on in time: reload the page')
          : failed(
              'redirect_failed',
              `signed in, but the browser shows no page of ${request.redirectOrigin}: the website did not ` +
                'answer, or the page was led elsewhere. Start again from the website',
            );
      }
      if (signal.aborted) throw failed('aborted', 'ended by its signal, after signing in');
      await sleep(LOOK_AGAIN, signal).catch(() => {}); // what has ended it is seen above
    }
  }

  /**
   * Whether that is a page of the web: the website's, or one that it has sent the browser on to. An
   * error page of the browser is none, nor is one of the issuer's, unless the website is on its origin.
   */
  #hasGoneOn(address: string, { requestId, redirectOrigin }: WaitingRequest): boolean {
    if (!URL.canParse(address) || this.#waits(address, requestId)) return false;
    const { protocol, hostname, origin } = new URL(address);
    if (origin === this.#issuer.origin) {
      return [origin, `${protocol}//${hostname}`].includes(redirectOrigin); // on this machine it has no port
    }
    return protocol === 'https:' || protocol === 'http:';
  }

  /** Whether that is still the waiting page, reloaded perhaps (its address then has its id). */
  #waits(address: string, requestId: string): boolean {
    const place = waitingAddress(this.#issuer, address);
    return typeof place === 'object' && (place.requestId ?? requestId) === requestId;
  }
}

/**
 * Makes an agent.
 *
 * @example
 * const agent = createAgent({ issuer, agentId, agentSecret, model: 'claude-opus-4' });
 * if (await agent.isWaitingPage(page)) await agent.signIn(page, { expectedOrigin });
 *
 * @throws {@link ConfigurationError}, which names the option at fault.
 */
export function createAgent(options: AgentOptions): Agent {
  return new Agent(options);
}

function given(name: string, value: unknown): string {
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw new ConfigurationError(`${name} is missing`);
}

/** What the website must be, as the call says it. A guard that is given, and empty, must not be none. */
function expectations({ expectedOrigin, expectedClientId }: SignInOptions): Record<string, string> {
  if (expectedOrigin !== undefined && !isOrigin(expectedOrigin)) {
    throw new ConfigurationError(
      'expectedOrigin must be the origin of a website, such as https://shop.example, and not ' +
        oneLine(expectedOrigin, 100),
    );
  }
  return {
    ...(expectedOrigin !== undefined && { expected_origin: expectedOrigin }),
    ...(expectedClientId !== undefined && { expected_client_id: given('expectedClientId', expectedClientId) }),
  };
}

function isOrigin(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const { protocol, origin, href } = new URL(value);
  return (protocol === 'https:' || protocol === 'http:') && href === `${origin}/`;
}

function deadlineOf(timeout: unknown): Deadline {
  if (typeof timeout !== 'number' || !(timeout >= 0 && timeout <= LONGEST_TIMEOUT)) {
    throw new ConfigurationError(`timeout must be milliseconds, 0 (no end) to ${LONGEST_TIMEOUT}`);
  }
  return new Deadline(timeout);
}
