/** Signing in by the button, under the strictest policy that a website may have. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import type { BrowserContext, Page } from 'playwright-core';

import { complaints } from '../support/chromium.js';
import { CALLBACK, Scene } from '../support/scene.js';
import { open } from '../support/shop.js';

describe('the button', () => {
  let scene: Scene;
  let context: BrowserContext;

  before(async () => (scene = await Scene.set()));
  after(() => scene.strike());

  const tab = async () => {
    const page = await context.newPage();
    await page.goto(scene.website.url);
    return page;
  };
  const press = (page: Page) => page.getByRole('button', { name: 'Sign in with Auth Agent' }).click();
  const signedIn = (page: Page) =>
    page.getByText(`Signed in: ${scene.agent.agent_id}`, { exact: true }).waitFor();

  before(async () => {
    open(scene);
    context = await scene.browser.newContext();
  });

  for (const loading of ['module', 'async', 'both'] as const) {
    test(`signs in under a strict policy, loaded as ${loading}`, async () => {
      open(scene, loading);
      const page = await context.newPage();
      const told = complaints(page);
      await page.goto(scene.website.url);
      await press(page);
      await scene.authenticate(page);
      await signedIn(page);
      assert.equal(page.url(), scene.website.url + CALLBACK, 'the answer is off the address');
      assert.deepEqual(told, []);
      await page.close();
    });
  }

  test('signs in as docs/websites.md has it to paste', async (t) => {
    const docs = await readFile(new URL('../../../../docs/websites.md', import.meta.url), 'utf8');
    const pasted = [...docs.matchAll(/```html\n(.*?)```/gs)].slice(0, 2).map(([, html = '']) =>
      html
        .replaceAll('https://auth.example', scene.issuer.url)
        .replaceAll('https://profilio.example', scene.website.url)
        .replaceAll('client_…', scene.client.client_id),
    );
    const [home = '', callback = ''] = pasted;
    const { contents, handlers } = scene.website;
    t.after(() => open(scene));
    const backend = handlers.get('/session');
    let session: object | undefined;
    handlers.set('/session', async (...call) => (session = (await backend?.(...call)) ?? {}));
    contents.set('/', { body: `<!doctype html>${home}` });
    contents.set(CALLBACK, { body: `<!doctype html>${callback}` });
    const page = await tab();
    await press(page);
    await scene.authenticate(page);
    await page.waitForURL(`${scene.website.url}/`);
    assert.deepEqual(session, { agent_id: scene.agent.agent_id });
    // And what goes wrong is shown.
    const answer = `${CALLBACK}?code=c&state=s&iss=${encodeURIComponent(scene.issuer.url)}`;
    await page.goto(scene.website.url + answer);
    await page.getByRole('alert').filter({ hasText: 'Sign in again' }).waitFor();
    // The answer waits in the address for a script that has not come.
    await page.route('**/widget/signin-button.js', (route) => route.abort());
    await page.goto(scene.website.url + answer);
    await page.getByRole('alert').filter({ hasText: 'could not be loaded. Reload this page' }).waitFor();
    assert.equal(page.url(), scene.website.url + answer);
    await page.close();
  });

  for (const key of ['Enter', 'Space']) {
    test(`is reached by Tab and pressed by ${key}`, async () => {
      const page = await tab();
      await page.locator('auth-agent-signin:defined').waitFor();
      await page.keyboard.press('Tab');
      const focused = page.getByRole('button', { name: 'Sign in with Auth Agent' });
      assert.ok(await focused.evaluate((button) => button.matches(':focus-visible')));
      assert.notEqual(await focused.evaluate((button) => getComputedStyle(button).outlineStyle), 'none');
      await page.keyboard.press(key);
      await page.waitForURL(`${scene.issuer.url}/authorize**`);
      await page.close();
    });
  }

  test('sends what the wire contract asks for, fresh each time', async () => {
    const page = await context.newPage();
    const asked: URL[] = [];
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.pathname === '/authorize') asked.push(url);
    });
    for (let round = 0; round < 2; round += 1) {
      await page.goto(scene.website.url);
      await page.locator('auth-agent-signin').evaluate((it) => it.setAttribute('scope', 'openid email'));
      await press(page);
      await page.waitForURL(`${scene.issuer.url}/authorize**`);
    }
    const [first, second] = asked.map((url) => Object.fromEntries(url.searchParams));
    assert.ok(first && second);
    assert.equal(asked.length, 2);
    const { state, nonce, code_challenge, ...fixed } = first;
    assert.deepEqual(fixed, {
      response_type: 'code',
      client_id: scene.client.client_id,
      redirect_uri: scene.website.url + CALLBACK,
      scope: 'openid email',
      code_challenge_method: 'S256',
    });
    for (const random of [state, nonce, code_challenge]) assert.match(random ?? '', /^[\w-]{43}$/);
    assert.equal(new Set([state, nonce, code_challenge, second.state, second.nonce, second.code_challenge]).size, 6);
    await page.close();
  });

  test('pressed twice, leaves once', async () => {
    const page = await tab();
    let left = 0;
    page.on('request', (request) => (left += Number(request.url().includes('/authorize?'))));
    await page.getByRole('button').dblclick();
    await scene.authenticate(page);
    await signedIn(page);
    assert.equal(left, 1);
    await page.close();
  });

  test('works again after the way back', async () => {
    const page = await tab();
    await page.evaluate(() =>
      addEventListener('pageshow', ({ persisted }) => (document.title = persisted ? 'as it was' : 'new')),
    );
    await press(page);
    await page.waitForURL(`${scene.issuer.url}/authorize**`);
    await page.goBack({ waitUntil: 'commit' });
    await page.waitForFunction(() => document.title === 'as it was');
    await press(page);
    await scene.authenticate(page);
    await signedIn(page);
    await page.close();
  });

  test('may be pressed again when the browser was stopped on its way', async () => {
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(scene.website.url);
    const authorize = `${scene.issuer.url}/authorize**`;
    await page.route(authorize, (route) => route.fulfill({ status: 204 }));
    await Promise.all([page.waitForResponse(authorize), press(page)]);
    const button = page.locator('auth-agent-signin button');
    assert.equal(await button.getAttribute('aria-disabled'), 'true');
    await page.clock.fastForward(10_000);
    assert.equal(await button.getAttribute('aria-disabled'), null);
    await Promise.all([page.waitForResponse(authorize), press(page)]);
    await page.close();
  });

  test('signs in ten tabs at once, each for itself', async () => {
    const pages = await Promise.all(Array.from({ length: 10 }, tab));
    await Promise.all(pages.map(press));
    await Promise.all(pages.map((page) => scene.authenticate(page)));
    await Promise.all(pages.map(signedIn));
    await Promise.all(pages.map((page) => page.close()));
  });

  test('remembers no more than the last twenty sign-ins of a tab', async () => {
    const page = await tab();
    const states: string[] = [];
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.pathname === '/authorize') states.push(url.searchParams.get('state') ?? '');
    });
    // Answered without a page: the tab stays where it is, and presses again.
    const authorize = `${scene.issuer.url}/authorize**`;
    await page.route(authorize, (route) => route.fulfill({ status: 204 }));
    await page.evaluate(() => sessionStorage.setItem('of-the-website', 'stays'));
    for (let round = 1; round <= 23; round += 1) {
      await Promise.all([page.waitForResponse(authorize), press(page)]);
      await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    }
    const kept = await page.evaluate(() => Object.keys(sessionStorage));
    const expected = states.slice(-20).map((state) => `auth-agent:${state}`);
    assert.deepEqual(kept.sort(), [...expected, 'of-the-website'].sort());
    await page.close();
  });
});
