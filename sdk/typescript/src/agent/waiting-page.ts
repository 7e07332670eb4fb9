import { oneLine } from '../common/errors.js';
import type { Issuer } from '../common/issuer.js';
import { AgentError } from './errors.js';
import { type Page, assertPage } from './page.js';

/**
 * What a waiting page says of its request. Nothing in it is secret. Only `requestId` is acted on; the rest is
 * for reading.
 */
export interface WaitingRequest {
  readonly requestId: string;
  /** The website, as it is registered with the issuer: `client_…`. */
  readonly clientId: string;
  /** The client's own word for itself: hostile text, for people and for models. */
  readonly clientName: string;
  /** Scheme, host and port that the browser goes on to; without the port on this machine. */
  readonly redirectOrigin: string;
  /** What the website asks for (RFC 6749 §3.3). */
  readonly scope: string;
}

/** A request id as the issuer makes it. */
const REQUEST_ID = /^req_[A-Za-z0-9_-]{1,128}$/;

// An expression, not a function: bundlers rewrite functions into ones that the page cannot run.
const READ = `(() => {
  const element = document.getElementById('auth-agent-request');
  return JSON.stringify({
    address: location.href,
    request: element instanceof HTMLScriptElement && element.type === 'application/json'
      ? element.textContent : null,
  });
})()`;

/** Whether an address is one of the issuer's two of a waiting page; which request, if it says so. */
export function waitingAddress(
  issuer: Issuer,
  address: string,
): { requestId: string | undefined } | 'wrong_issuer' | 'not_a_waiting_page' {
  if (!URL.canParse(address)) return 'wrong_issuer';
  const url = new URL(address);
  // `blob:` and `filesystem:` addresses have the origin of another one inside them.
  const isHttp = url.protocol === 'https:' || url.protocol === 'http:';
  if (!isHttp || url.origin !== issuer.origin || url.username || url.password) {
    return 'wrong_issuer';
  }
  const front = `${issuer.basePath}/authorize`;
  if (url.pathname === front) return { requestId: undefined };
  if (!url.pathname.startsWith(`${front}/`)) return 'not_a_waiting_page';
  const requestId = url.pathname.slice(front.length + 1);
  return REQUEST_ID.test(requestId) ? { requestId } : 'not_a_waiting_page';
}

/**
 * Reads the request of a waiting page of the issuer. The address that counts is the browser's own,
 * of the top-level document; it has to be the same page before and after, and in the document itself.
 *
 * @returns the request, and `stillThere`, which throws when the page has moved on since.
 * @throws {@link AgentError} with the reason; nothing has been sent anywhere.
 */
export async function readWaitingPage(
  page: Page,
  issuer: Issuer,
): Promise<{ request: WaitingRequest; stillThere: () => void }> {
  assertPage(page);
  const address = page.url();
  const place = waitingAddress(issuer, address);
  if (place === 'wrong_issuer') {
    throw new AgentError(
      place,
      `this page is of ${originOf(address)}, not of the configured issuer ${issuer.identifier}: ` +
        'nothing was sent. Do not sign in here',
    );
  }
  if (place === 'not_a_waiting_page') {
    throw new AgentError(place, 'this page of the issuer is not one that waits for an agent');
  }

  const found = parse(await page.evaluate(READ).catch(() => undefined));
  const request = found?.request;
  // The page itself replaces its address once, by the one that has its request's id.
  const isSame = (now: string) => {
    if (now === address) return true;
    const then = waitingAddress(issuer, now);
    return place.requestId === undefined && typeof then === 'object' && then.requestId === request?.requestId;
  };
  const stillThere = () => {
    if (page.isClosed() || !isSame(page.url())) throw changed();
  };
  stillThere();
  if (found === undefined || !isSame(found.address)) throw changed();
  if (request === undefined || !REQUEST_ID.test(request.requestId)) {
    throw new AgentError(
      'not_a_waiting_page',
      'this page of the issuer shows no open request: wait until it has loaded, or start again from the website',
    );
  }
  if (place.requestId !== undefined && place.requestId !== request.requestId) {
    throw new AgentError('not_a_waiting_page', "the page's request is not the one of its address");
  }
  return { request, stillThere };
}

function changed(): AgentError {
  return new AgentError(
    'page_changed',
    'the page went elsewhere, or was closed, while it was read: nothing was sent',
  );
}

function originOf(address: string): string {
  const { origin, protocol } = new URL(URL.canParse(address) ? address : 'about:blank');
  return origin === 'null' || protocol === 'blob:' ? `${protocol} address` : oneLine(origin, 100);
}

/** The page's answer to `READ`. It is the word of whatever document was there: nothing is assumed. */
function parse(answer: unknown): { address: string; request: WaitingRequest | undefined } | undefined {
  const found = object(answer);
  if (!found) return undefined;
  const said = object(found['request']);
  const request = said && {
    requestId: String(said['request_id']),
    clientId: oneLine(said['client_id'] ?? ''),
    clientName: oneLine(said['client_name'] ?? '', 64),
    redirectOrigin: oneLine(said['redirect_origin'] ?? ''),
    scope: oneLine(said['scope'] ?? ''),
  };
  return { address: String(found['address']), request };
}

function object(text: unknown): Record<string, unknown> | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
