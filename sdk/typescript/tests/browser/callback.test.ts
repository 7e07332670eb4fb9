/** `/browser` in a page: the answer that comes back, and every way in which it can be wrong. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import type { Page } from 'playwright-core';

import { bundle } from '../support/bundle.js';
import { CALLBACK, Scene } from '../support/scene.js';

/** A public client's website: it signs in by a call, and exchanges the code itself. */
const APP = `
  import { handleCallback, isCallback, signIn } from '@auth-agent/sdk/browser';
  const told = (text) => { document.getElementById('told').textContent = text; };
  globalThis.begin = (more) => signIn({ ...SETTINGS, ...more }).catch((error) => told(error.code));
  globalThis.take = (exchange) => handleCallback({ exchange }).then(
    (result) => { globalThis.result = result; told('done'); },
    ({ name, code, message, error }) => {
      globalThis.failure = { name, code, message, error };
      told(code);
    },
  );
  if (location.pathname === '${CALLBACK}') take(!location.search.includes('keep='));
  else told(String(isCallback()));
`;

interface Failure {
  name: string;
  code: string;
  message: string;
  error?: string;
}

describe('the callback', () => {
  let scene: Scene;
  let page: Page;

  before(async () => {
    scene = await Scene.set({ token_endpoint_auth_method: 'none' });
  });
  after(() => scene.strike());
  beforeEach(async () => {
    await page?.context().close();
    page = await (await scene.browser.newContext()).newPage();
  });

  before(async () => {
    const settings = { issuer: scene.issuer.url, clientId: scene.client.client_id, redirectUri: CALLBACK };
    const module = await bundle(APP.replace('SETTINGS', JSON.stringify(settings)));
    const headers = {
      'content-security-policy': `default-src 'none'; script-src 'self'; connect-src ${scene.issuer.url}`,
    };
    const body = '<!doctype html><p id="told"></p><script type="module" src="/app.js"></script>';
    scene.website.contents.set('/app.js', { body: module, type: 'text/javascript' });
    for (const path of ['/', CALLBACK]) scene.website.contents.set(path, { body, headers });
  });

  const told = (text: string) => page.locator('#told').getByText(text, { exact: true }).waitFor();

  /** Leaves from the home page; what was asked of the issuer. */
  async function leave(more: object = {}): Promise<URLSearchParams> {
    await page.goto(scene.website.url);
    await told('false');
    const asked = page.waitForRequest(`${scene.issuer.url}/authorize?*`);
    const arrived = page.waitForEvent('framenavigated');
    await page.evaluate((more) => {
      void (globalThis as unknown as { begin(more: object): void }).begin(more);
    }, more);
    await arrived;
    return new URL((await asked).url()).searchParams;
  }

  /** Opens the callback in this tab with an answer of ours. */
  async function answer(parameters: Record<string, string>): Promise<void> {
    await page.goto(`${scene.website.url}${CALLBACK}?${new URLSearchParams(parameters)}`);
  }

  async function fails(code: string, message: RegExp): Promise<Failure> {
    await told(code);
    const failure = await page.evaluate(() => (globalThis as unknown as { failure: Failure }).failure);
    assert.equal(failure.name, 'SignInError');
    assert.match(failure.message, message);
    assert.doesNotMatch(page.url(), /code=|state=|iss=|error=/, 'the answer is off the address');
    return failure;
  }

  test('exchanges the code as a public client, across origins', async () => {
    await leave({ scope: 'openid profile email' });
    await scene.authenticate(page);
    await told('done');
    assert.equal(page.url(), scene.website.url + CALLBACK);
    const { claims, ...tokens } = await page.evaluate(
      () => (globalThis as unknown as { result: Record<string, never> }).result,
    );
    const { agent_id, sub, binding, model, name, email } = claims as unknown as Record<string, string>;
    assert.deepEqual(
      { agent_id, sub, binding, model, name, email },
      {
        agent_id: scene.agent.agent_id,
        sub: scene.agent.agent_id,
        binding: 'browser',
        model: 'test-model-1',
        name: 'Ada Lovelace',
        email: 'ada@example.com',
      },
    );
    assert.deepEqual(
      Object.keys(tokens).sort(),
      ['accessToken', 'expiresIn', 'idToken', 'refreshToken', 'scope'],
    );
  });

  test('exchanges it without a scope of its own, and without an ID token', async () => {
    for (const [more, verified] of [[{}, true], [{ scope: 'profile' }, false]] as const) {
      await leave(more);
      await scene.authenticate(page);
      await told('done');
      const claims = await page.evaluate(
        () => (globalThis as unknown as { result: { claims?: object } }).result.claims,
      );
      assert.equal(claims !== undefined, verified, JSON.stringify(more));
    }
  });

  test('keeps what is the page’s own in the address', async () => {
    const state = (await leave()).get('state') ?? '';
    await answer({ keep: 'a b', code: 'c', state, iss: scene.issuer.url });
    await told('done');
    assert.equal(page.url(), `${scene.website.url}${CALLBACK}?keep=a+b`);
    const result = await page.evaluate(() => (globalThis as unknown as { result: object }).result);
    assert.deepEqual(Object.keys(result).sort(), ['code', 'codeVerifier', 'nonce', 'redirectUri']);
  });

  test('opened twice, works once', async () => {
    await leave();
    const arrived = page.waitForRequest((request) => request.url().includes(`${CALLBACK}?`));
    await scene.authenticate(page);
    const url = (await arrived).url();
    await told('done');
    // Asked again on the same page, whose address bears nothing any more; then opened again.
    await page.evaluate(() => void (globalThis as unknown as { take(exchange: boolean): void }).take(false));
    await fails('callback_used', /works once/);
    await page.goto(url);
    await fails('callback_used', /works once/);
    // In another tab of the same browser.
    page = await page.context().newPage();
    await page.goto(url);
    await fails('unknown_state', /not begun in this tab/);
  });

  test('refuses a sign-in that this tab did not begin', async () => {
    await leave();
    await answer({ code: 'c', state: 'an-attacker-s', iss: scene.issuer.url });
    await fails('unknown_state', /Sign in again/);
  });

  test('says that its storage was cleared midway', async () => {
    await leave();
    await page.waitForURL(`${scene.issuer.url}/authorize/**`);
    await page.route(`${scene.website.url}${CALLBACK}**`, async (route) => {
      // Before any script of the page.
      const headers = { 'clear-site-data': '"storage"', 'content-type': 'text/html' };
      await route.fulfill({ headers, body: '<!doctype html><title>cleared</title>' });
    });
    await scene.authenticate(page);
    await page.waitForFunction(() => document.title === 'cleared');
    await page.unroute(`${scene.website.url}${CALLBACK}**`);
    await page.evaluate(() => sessionStorage.clear());
    await page.reload();
    await fails('unknown_state', /cleared meanwhile/);
  });

  test('refuses an answer of another issuer, and takes none that names no issuer', async () => {
    for (const iss of ['https://evil.example', `${scene.issuer.url}/`, '']) {
      const state = (await leave()).get('state') ?? '';
      await answer({ code: 'c', state, iss });
      await fails('issuer_mismatch', /not from http:\/\/127/);
    }
    const another = { code: 'github-code', state: 'github-state' };
    await answer(another);
    await told('not_a_callback');
    assert.equal(new URL(page.url()).search, `?${new URLSearchParams(another)}`, 'it is left to whoever waits for it');
  });

  test('refuses a parameter that is there twice', async () => {
    const state = (await leave()).get('state') ?? '';
    await page.goto(
      `${scene.website.url}${CALLBACK}?code=a&code=b&state=${state}&iss=${scene.issuer.url}`,
    );
    await fails('invalid_answer', /code twice/);
  });

  test('tells the issuer’s refusals apart', async () => {
    let state = (await leave()).get('state') ?? '';
    await answer({ error: 'access_denied', error_description: 'no one came', state, iss: scene.issuer.url });
    assert.equal((await fails('access_denied', /no agent signed in/)).error, 'access_denied');
    // A real one: the server says no at once.
    state = (await leave({ scope: 'openid nonsense' })).get('state') ?? '';
    assert.equal((await fails('authorization_failed', /invalid_scope/)).error, 'invalid_scope');
  });

  test('says that no sign-in has come back', async () => {
    await page.goto(scene.website.url + CALLBACK);
    await fails('not_a_callback', /bears no answer/);
  });

  test('tells what the issuer does not accept, and that it cannot be reached', async () => {
    let state = (await leave()).get('state') ?? '';
    await answer({ code: 'not-a-code', state, iss: scene.issuer.url });
    assert.equal((await fails('exchange_refused', /invalid_grant/)).error, 'invalid_grant');
    state = (await leave()).get('state') ?? '';
    await page.route(`${scene.issuer.url}/**`, (route) => route.abort());
    await answer({ code: 'c', state, iss: scene.issuer.url });
    await fails('unavailable', /cannot be reached/);
  });

  test('says that the server is not well, whatever it answers', async () => {
    const bodies = { html: '<!doctype html><p>Out of order</p>', json: 'null' };
    for (const [type, body] of Object.entries(bodies)) {
      const state = (await leave()).get('state') ?? '';
      await page.route(`${scene.issuer.url}/token`, (route) =>
        route.fulfill({
          headers: { 'access-control-allow-origin': '*', 'content-type': `text/${type}` },
          body,
        }),
      );
      await answer({ code: 'c', state, iss: scene.issuer.url });
      await fails('unavailable', /is not well/);
    }
  });

  test('says that no answer came in time', async () => {
    // The time is up when the test says so.
    await page.addInitScript(() => {
      const controller = new AbortController();
      AbortSignal.timeout = (limit) => {
        Object.assign(globalThis, {
          limit,
          timeIsUp: () => controller.abort(new DOMException('', 'TimeoutError')),
        });
        return controller.signal;
      };
    });
    const state = (await leave()).get('state') ?? '';
    const asked = page.waitForRequest(`${scene.issuer.url}/token`);
    await page.route(`${scene.issuer.url}/token`, () => undefined);
    await answer({ code: 'c', state, iss: scene.issuer.url });
    await asked;
    const limit = await page.evaluate(() => {
      const { timeIsUp, limit } = globalThis as unknown as { timeIsUp(): void; limit: number };
      timeIsUp();
      return limit;
    });
    assert.ok(limit <= 60_000, 'no longer than the code lives');
    await fails('unavailable', /cannot be reached/);
  });

  test('says that a website with a secret exchanges in its backend', async () => {
    const confidential = await scene.issuer.client(scene.website.url + CALLBACK);
    await leave({ clientId: confidential.client_id });
    await scene.authenticate(page);
    const { error } = await fails('exchange_refused', /--auth-method none.* in its backend/);
    assert.equal(error, 'invalid_client');
  });

  test('says that the clock is a day ahead, and minds none that is behind', async () => {
    const DAY = 24 * 60 * 60 * 1000;
    await page.clock.setFixedTime(Date.now() + DAY);
    await leave();
    await scene.authenticate(page);
    await fails('clock_skew', /24 hours ahead/);
    // Nothing has run out by it, and the nonce shows that the ID token is of this sign-in.
    await page.clock.setFixedTime(Date.now() - DAY);
    await leave();
    await scene.authenticate(page);
    await told('done');
  });
});
