import { AuthAgentError, ConfigurationError } from '../common/errors.js';
import type { LogoutTokenClaims } from './claims.js';
import { type Client, hasOpenid } from './client.js';
import { type CookieKind, type HeaderSource, readCookies } from './cookies.js';
import { errorPage, statusOf } from './error-page.js';
import { CallbackError, IssuerError, TokenError } from './errors.js';
import { readForm } from './form.js';
import { Once } from './once.js';
import { Seal } from './seal.js';
import { type EndedSessions, type Session, Sessions, endedInMemory } from './sessions.js';
import type { TokenSet } from './token-set.js';
import { type PendingSignIn, Transactions, safePath } from './transactions.js';

/** Where the handlers are. The callback is where the client's `redirectUri` says. */
export interface Paths {
  login: string;
  logout: string;
  backchannelLogout: string;
}

/** A website's sign-in, and what is its own about it. */
export interface HandlersOptions {
  client: Client;
  /** 32 characters or more that only the website knows; in an array the first is used, and the others are still read. */
  cookieSecret: string | readonly string[];
  /** Default: `login`, `logout` and `backchannel-logout` beside the callback. */
  paths?: Partial<Paths>;
  /** How long a visitor stays signed in, in seconds; default eight hours. */
  sessionLifetime?: number;
  /** Default `/`. */
  afterLogout?: string;
  /** Takes the tokens, once for each sign-in: to keep the refresh token, or to call an API. */
  onSignIn?: (tokens: TokenSet, request: Request) => void | Promise<void>;
  /** When a visitor signs out. */
  onLogout?: (session: Session, request: Request) => void | Promise<void>;
  /** When the issuer says that a sign-in is over, after the session was ended. If it fails, the issuer says it again. */
  onBackchannelLogout?: (logout: LogoutTokenClaims) => void | Promise<void>;
  /** Answers in place of the plain error page. `tryAgain` is the path that starts over. */
  onError?: (error: AuthAgentError, tryAgain: string, request: Request) => Response | Promise<Response>;
  /** Default: the memory of this process. */
  endedSessions?: EndedSessions;
}

const SESSION_LIFETIME = 8 * 60 * 60;

/**
 * A website's routes as functions from `Request` to `Response`, for any server. Made by
 * {@link createHandlers}; for Express and Next.js see `expressHandler` and `nextHandlers`.
 */
export class Handlers {
  /** The paths that {@link handle} answers. */
  readonly paths: Readonly<Paths & { callback: string }>;
  /** The website's own origin, as visitors see it. */
  readonly origin: string;
  readonly #options: HandlersOptions;
  readonly #client: Client;
  readonly #transactions: Transactions;
  readonly #sessions: Sessions;
  readonly #exchanges = new Once<TokenSet>();
  readonly #signIns = new Once<void>();

  /** @throws {@link ConfigurationError}, which names the option at fault. */
  constructor(options: HandlersOptions) {
    this.#options = options;
    this.#client = options.client;
    if (!hasOpenid(this.#client.scope)) {
      throw new ConfigurationError('the scope must have openid: without an ID token nobody is signed in');
    }
    const callback = new URL(this.#client.redirectUri);
    const { paths = {} } = options;
    const path = (name: keyof Paths, beside: string) =>
      paths[name] === undefined ? new URL(beside, callback).pathname : checkedPath(name, paths[name]);
    this.origin = callback.origin;
    this.paths = {
      login: path('login', 'login'),
      logout: path('logout', 'logout'),
      backchannelLogout: path('backchannelLogout', 'backchannel-logout'),
      callback: callback.pathname,
    };
    const { issuer, clientId, minimumBinding } = this.#client;
    const kind: CookieKind = { secure: callback.protocol === 'https:', clientId };
    const seal = (purpose: string) => new Seal(options.cookieSecret, `${purpose} ${issuer} ${clientId}`);
    this.#transactions = new Transactions(seal('transaction'), kind);
    this.#sessions = new Sessions(
      seal('session'),
      kind,
      checkedLifetime(options.sessionLifetime ?? SESSION_LIFETIME),
      options.endedSessions ?? endedInMemory(),
      minimumBinding,
    );
  }

  /** Answers the request if its path is one of ours. */
  async handle(request: Request): Promise<Response | undefined> {
    switch (new URL(request.url).pathname) {
      case this.paths.login:
        return this.login(request);
      case this.paths.callback:
        return this.callback(request);
      case this.paths.logout:
        return this.logout(request);
      case this.paths.backchannelLogout:
        return this.backchannelLogout(request);
      default:
        return undefined;
    }
  }

  /** Who is signed in, if anybody. Takes a `Request`, Node's or Express's request, or Next.js's `await headers()`. */
  getSession(source: HeaderSource): Promise<Session | undefined> {
    return this.#sessions.read(source);
  }

  /** GET: sends the browser to the issuer. `?return_to=` is the path of this website to come back to. */
  async login(request: Request): Promise<Response> {
    if (request.method !== 'GET') return wrongMethod('GET');
    const returnTo = safePath(new URL(request.url).searchParams.get('return_to'));
    try {
      const { url, transaction } = await this.#client.start();
      const cookies = await this.#transactions.keep({ transaction, returnTo }, readCookies(request));
      return redirect(url.href, cookies);
    } catch (error) {
      return this.#failed(error, returnTo, [], request);
    }
  }

  /**
   * GET: signs in the visitor who comes back. A callback that is opened twice leads on, the second time
   * to `/` perhaps, and asks the issuer nothing: a code that is used twice would end the sign-in.
   */
  async callback(request: Request): Promise<Response> {
    if (request.method !== 'GET') return wrongMethod('GET');
    const query = new URL(request.url).searchParams;
    const state = query.getAll('state').length === 1 ? (query.get('state') ?? '') : '';
    let pending: PendingSignIn | undefined;
    try {
      if (state && (await this.#sessions.isOf(state, request))) {
        return redirect('/', [this.#transactions.drop(state)]);
      }
      pending = await this.#transactions.find(state, readCookies(request));
      const { transaction, returnTo } = pending;
      const tokens = await this.#exchanges.do(state, () => this.#client.callback(query, transaction));
      // Apart from the exchange: when this fails, a reload tries it again with the same tokens.
      await this.#signIns.do(state, async () => this.#options.onSignIn?.(tokens, request));
      if (!tokens.claims) throw new TokenError('invalid_token', 'the issuer gave no ID token');
      const session = await this.#sessions.begin(tokens.claims, state);
      return redirect(returnTo, [session, this.#transactions.drop(state)]);
    } catch (error) {
      // While the issuer is away the same address may be tried again: no tokens have come of it.
      const isOver = pending && !(error instanceof IssuerError);
      const cookies = isOver ? [this.#transactions.drop(state)] : [];
      return this.#failed(error, pending?.returnTo ?? '/', cookies, request);
    }
  }

  /** POST, from a form of this website: signs the visitor out here. */
  async logout(request: Request): Promise<Response> {
    if (request.method !== 'POST') return wrongMethod('POST');
    if (!this.#isOurs(request)) {
      const error = new CallbackError('invalid_callback', 'only a form of this website can sign out');
      return this.#failed(error, '/', [], request);
    }
    const session = await this.#sessions.read(request);
    if (session) {
      await this.#sessions.signOut(session);
      await this.#options.onLogout?.(session, request);
    }
    return redirect(this.#options.afterLogout ?? '/', [this.#sessions.drop()]);
  }

  /** POST by the issuer (OpenID Connect Back-Channel Logout 1.0 §2.5): ends the session it names. */
  async backchannelLogout(request: Request): Promise<Response> {
    if (request.method !== 'POST') return wrongMethod('POST');
    const headers = { 'cache-control': 'no-store' };
    try {
      const tokens = new URLSearchParams(await readForm(request)).getAll('logout_token');
      const [token] = tokens;
      if (!token || tokens.length > 1) {
        throw new TokenError('invalid_token', 'the form must have one logout_token');
      }
      await this.#client.verifyLogoutToken(token, async (logout) => {
        await this.#sessions.end(logout);
        await this.#options.onBackchannelLogout?.(logout);
      });
      return new Response(null, { status: 200, headers });
    } catch (error) {
      if (!(error instanceof AuthAgentError)) throw error;
      const answer = { error: 'invalid_request', error_description: error.message };
      return Response.json(answer, { status: statusOf(error), headers });
    }
  }

  /** Browsers say where a form came from; a browser that says nothing has not sent the cookie either. */
  #isOurs(request: Request): boolean {
    const site = request.headers.get('sec-fetch-site');
    if (site !== null) return site === 'same-origin' || site === 'none';
    const origin = request.headers.get('origin');
    return origin === null || origin === this.origin;
  }

  async #failed(error: unknown, returnTo: string, cookies: string[], request: Request): Promise<Response> {
    if (!(error instanceof AuthAgentError)) throw error;
    const tryAgain = `${this.paths.login}?${new URLSearchParams({ return_to: returnTo })}`;
    const answer = (await this.#options.onError?.(error, tryAgain, request)) ?? errorPage(error, tryAgain);
    return withCookies(answer, cookies);
  }
}

/** Makes a website's handlers. @throws {@link ConfigurationError}, which names the option at fault. */
export function createHandlers(options: HandlersOptions): Handlers {
  return new Handlers(options);
}

function checkedLifetime(seconds: unknown): number {
  if (Number.isSafeInteger(seconds) && Number(seconds) > 0) return Number(seconds);
  throw new ConfigurationError('sessionLifetime must be a whole number of seconds, 1 or more');
}

/** A path as addresses have it: another would never be matched. */
function checkedPath(name: string, path: unknown): string {
  const here = 'https://website.invalid';
  const isPath = typeof path === 'string' && URL.canParse(here + path) && new URL(here + path).pathname === path;
  if (isPath) return path;
  throw new ConfigurationError(`paths.${name} must be a path that begins with /, without query and fragment`);
}

function redirect(location: string, cookies: string[]): Response {
  const headers = { location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' };
  return withCookies(new Response(null, { status: 303, headers }), cookies);
}

function wrongMethod(allow: string): Response {
  return new Response(`Only ${allow} is understood here.\n`, { status: 405, headers: { allow } });
}

function withCookies(response: Response, cookies: string[]): Response {
  const own = new Response(response.body, response); // headers of a redirect cannot be changed
  for (const cookie of cookies) own.headers.append('set-cookie', cookie);
  return own;
}
