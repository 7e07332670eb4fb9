/** How the handlers' error page looks: in light and dark, wide and narrow. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { type Handlers, createClient, createHandlers } from '@auth-agent/sdk/server';
import type { Browser, Page } from 'playwright-core';
import { violations } from '../support/axe.js';
import { launch } from '../support/chromium.js';
import { FakeIssuer } from '../support/fake-issuer.js';
import { Visitor } from '../support/visitor.js';
import { Website } from '../support/website.js';

/** Where pictures go, for a person to look at; none are taken without it. */
const PICTURES = process.env.PICTURES;

let fake: FakeIssuer;
let browser: Browser;
let website: Website;
let page: Page;

before(async () => {
  [fake, browser, website] = await Promise.all([FakeIssuer.start(), launch(), Website.start()]);
  page = await browser.newPage();
});
after(() => Promise.all([fake, website].map((one) => one.stop()).concat(browser.close())));

function handlersAt(issuer: string): Handlers {
  const redirectUri = `${website.url}/auth/callback`;
  const client = createClient({ issuer, clientId: 'client_1', clientSecret: 's', redirectUri });
  return createHandlers({ client, cookieSecret: 'x'.repeat(32) });
}

const OUTCOMES: Record<string, () => Promise<Response>> = {
  unavailable: () => new Visitor(handlersAt('http://127.0.0.1:9')).open('/auth/login'),
  transaction_missing: () => new Visitor(handlersAt(fake.url)).open('/auth/callback?code=c&state=s'),
  access_denied: async () => {
    const visitor = new Visitor(handlersAt(fake.url));
    const asked = new URL((await visitor.open('/auth/login')).headers.get('location') ?? '');
    const answer = { error: 'access_denied', state: asked.searchParams.get('state') ?? '', iss: fake.url };
    return visitor.open(`/auth/callback?${new URLSearchParams(answer)}`);
  },
};

for (const [code, open] of Object.entries(OUTCOMES)) {
  test(`nothing is wrong with the page for ${code}, in light and dark, wide and narrow`, async () => {
    const answer = await open();
    website.contents.set('/', { body: await answer.text(), headers: Object.fromEntries(answer.headers) });
    const grounds = new Set<string>();
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1024, 320]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 600 });
        await page.goto(website.url);
        await page.getByText(`Error: ${code}`).waitFor();
        await page.getByRole('link', { name: 'Try again' }).waitFor();
        // axe takes what is under a page for white, unless it is told what the browser paints there.
        const ground = await page.evaluate(() => {
          document.documentElement.style.background = 'Canvas';
          return getComputedStyle(document.documentElement).backgroundColor;
        });
        assert.deepEqual(await violations(page), []);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} pixels wide`);
        grounds.add(ground);
        if (PICTURES) await page.screenshot({ path: `${PICTURES}/${code}-${colorScheme}-${width}.png` });
      }
    }
    assert.equal(grounds.size, 2, 'dark is not light');
  });
}
