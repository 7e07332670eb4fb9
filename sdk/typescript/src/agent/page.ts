import type { Issuer } from '../common/issuer.js';
import { AgentError } from './errors.js';

/** What is read of a browser's cookie. */
export interface BrowserCookie {
  name: string;
  value: string;
  domain: string;
  path: string;
  httpOnly?: boolean;
  secure?: boolean;
}

interface AnyPage {
  /** Address of the top-level document, as the browser has it, not as the page says. */
  url(): string;
  /** Runs in the document of the top frame. */
  evaluate(expression: string): Promise<unknown>;
  isClosed(): boolean;
}

/** A `Page` of Playwright (any version with `context().cookies()`). */
export interface PlaywrightPage extends AnyPage {
  context(): { cookies(urls: string): Promise<BrowserCookie[]> };
}

/** A `Page` of Puppeteer (24 or newer). */
export interface PuppeteerPage extends AnyPage {
  browserContext(): { cookies(): Promise<BrowserCookie[]> };
}

/**
 * The page that the agent drives. It is described by what is used of it, so that neither library
 * is a dependency; a frame, a copy of the HTML or an address is no page.
 */
export type Page = PlaywrightPage | PuppeteerPage;

/** @throws {@link AgentError} `unsupported_page` unless it is a page of one of the two libraries. */
export function assertPage(page: Page): void {
  const given = page as Partial<PlaywrightPage & PuppeteerPage> | null | undefined;
  const has = (name: 'url' | 'evaluate' | 'isClosed' | 'context' | 'browserContext') =>
    typeof given?.[name] === 'function';
  if (has('url') && has('evaluate') && has('isClosed') && (has('context') || has('browserContext'))) {
    return;
  }
  throw new AgentError(
    'unsupported_page',
    'give the Page of Playwright or Puppeteer itself: not a frame, and not an address',
  );
}

/**
 * The cookie by which the issuer knows that this browser opened the request: `aa_<request id>`, on
 * https with the prefix `__Host-`. Only one that the issuer itself can have set counts.
 */
export async function requestCookie(
  page: Page,
  issuer: Issuer,
  requestId: string,
): Promise<BrowserCookie | undefined> {
  const cookies = await cookiesOf(page, `${issuer.origin}/`);
  const name = `${issuer.isHttps ? '__Host-' : ''}aa_${requestId}`;
  return cookies.find(
    (cookie) =>
      cookie.name === name &&
      cookie.domain === issuer.hostname && // without a leading dot: of this host alone
      cookie.path === '/' &&
      cookie.httpOnly === true &&
      (cookie.secure === true || !issuer.isHttps) &&
      /^[\w.~+/=-]+$/.test(cookie.value),
  );
}

async function cookiesOf(page: Page, address: string): Promise<BrowserCookie[]> {
  const context = 'context' in page ? page.context() : page.browserContext();
  if (typeof context.cookies !== 'function') {
    throw new AgentError('unsupported_page', 'this Puppeteer does not show cookies: use 24 or newer');
  }
  try {
    return await context.cookies(address); // Puppeteer yields those of all addresses
  } catch {
    throw new AgentError('page_changed', 'the browser was closed while it was read: nothing was sent');
  }
}
