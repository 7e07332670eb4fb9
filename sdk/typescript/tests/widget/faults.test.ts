/** What goes wrong before the browser leaves: told on the page, to scripts, and nobody is sent away. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import type { Page } from 'playwright-core';

import { Scene } from '../support/scene.js';
import { button, page as html, policy } from '../support/shop.js';

interface Told {
  name: string;
  detail: Record<string, unknown>;
}

describe('a button that cannot begin', () => {
  let scene: Scene;
  let page: Page;
  let left: string[];

  before(async () => {
    // A name of this machine that no browser takes for a secure one.
    scene = await Scene.set({}, '--host-resolver-rules=MAP website.test 127.0.0.1');
  });
  after(() => scene.strike());
  beforeEach(async () => {
    await page?.close();
    page = await scene.browser.newPage();
    page.on('request', (request) => {
      if (request.url().includes('/authorize')) left.push(request.url());
    });
  });

  interface Case {
    attributes?: Record<string, string>;
    origin?: string;
    headers?: Record<string, string>;
    content?: string;
  }

  /** Opens a page whose body hears the button's events. */
  async function show({ attributes, origin, headers, content }: Case): Promise<void> {
    left = [];
    const given = attributes ?? { ...scene.attributes, 'server-url': scene.issuer.url };
    scene.website.contents.set('/', {
      body: content ?? html(scene, button(given)),
      headers: headers ?? { 'content-security-policy': policy(scene) },
    });
    await page.goto(origin ?? scene.website.url);
    await page.locator('auth-agent-signin:defined').waitFor();
    await page.evaluate(() => {
      const told: object[] = [];
      Object.assign(globalThis, { told });
      for (const name of ['auth-agent-start', 'auth-agent-error']) {
        document.body.addEventListener(name, (event) => {
          told.push({ name, detail: (event as CustomEvent).detail });
        });
      }
    });
  }
  const told = () => page.evaluate(() => (globalThis as unknown as { told: Told[] }).told);
  const press = () => page.getByRole('button').click();

  /** Presses, and is told that way: to the visitor, and to the page's scripts. */
  async function isTold(code: string, message: RegExp): Promise<void> {
    await press();
    await page.getByRole('alert').filter({ hasText: message }).waitFor();
    const events = await told();
    assert.deepEqual(events.map(({ name }) => name), ['auth-agent-start', 'auth-agent-error']);
    const error = events[1]?.detail;
    assert.equal(error?.code, code);
    assert.equal(error?.message, await page.getByRole('alert').textContent());
    assert.deepEqual(left, []);
  }

  for (const missing of ['client-id', 'redirect-uri']) {
    test(`names the attribute ${missing}, which is missing, and works once it is there`, async () => {
      const { [missing]: without = '', ...attributes } = scene.attributes;
      await show({ attributes });
      await isTold('configuration', new RegExp(`<auth-agent-signin> has no ${missing}\\.`));
      const host = page.locator('auth-agent-signin');
      await host.evaluate((it, [name, value]) => it.setAttribute(name, value), [missing, without] as const);
      await press();
      await page.waitForURL(`${scene.issuer.url}/authorize**`);
    });
  }

  test('names server-url where several servers could be meant', async () => {
    const other = `<script type="module" src="http://127.0.0.1:1/widget/signin-button.js"></script>`;
    await show({ content: html(scene, other + button(scene.attributes)) });
    await isTold('configuration', /has no server-url\./);
  });

  for (const [server, message] of [
    ['http://auth.example', /not set up yet: server-url must be https/],
    ['auth.example', /server-url is not a URL: auth\.example/],
    ['javascript:alert(1)', /server-url must be https/],
    ['https://user:secret@auth.example', /server-url must have no user name/],
    ['https://auth.example/?query', /server-url must have no query/],
  ] as const) {
    test(`does not go to ${server}`, async () => {
      await show({ attributes: { ...scene.attributes, 'server-url': server } });
      await isTold('configuration', message);
    });
  }

  test('does not begin what could not come back to this tab', async () => {
    const redirectUri = 'https://other.example/callback';
    await show({ attributes: { ...scene.attributes, 'redirect-uri': redirectUri } });
    await isTold('redirect_uri_of_another_origin', /come back to https:\/\/other\.example/);
    await show({ attributes: { ...scene.attributes, 'redirect-uri': 'http://' } });
    await isTold('configuration', /not set up yet: redirect-uri is not a URL: http:\/\//);
  });

  test('is not disturbed by what else stands on the page', async () => {
    const others =
      '<script type="text/plain" src="https://%%cdn%%/x.js"></script>' +
      '<img name="scripts" alt=""><p id="AuthAgent"></p>';
    await show({ content: `<!doctype html>${others}${html(scene, button(scene.attributes))}` });
    const given = await page.evaluate(() => Object.keys((globalThis as { AuthAgent?: object }).AuthAgent ?? {}));
    assert.deepEqual(given, ['handleCallback', 'isCallback', 'signIn']);
    await press();
    await page.waitForURL(`${scene.issuer.url}/authorize**`);
  });

  test('finds its server below a path', async () => {
    const script = await (await fetch(`${scene.issuer.url}/widget/signin-button.js`)).text();
    const { contents, port } = scene.website;
    const headers = { 'access-control-allow-origin': '*' };
    contents.set('/tenant/One/widget/signin-button.js', { body: script, type: 'text/javascript', headers });
    contents.set('/tenant/One/authorize', { body: '<!doctype html><title>One</title>' });
    const issuer = `http://127.0.0.1:${port}/tenant/One`;
    for (const type of ['module', 'text/javascript']) {
      const tag = `<script type="${type}" src="${issuer}/widget/signin-button.js"></script>`;
      await show({ content: `<!doctype html>${tag}${button(scene.attributes)}`, headers: {} });
      await press();
      await page.waitForURL(`${issuer}/authorize?**`);
    }
  });

  test('does not exchange by the script, and leaves the answer to what can', async () => {
    await show({});
    const answer = `/?code=c&state=s&iss=${encodeURIComponent(scene.issuer.url)}`;
    await page.goto(scene.website.url + answer);
    await page.locator('auth-agent-signin:defined').waitFor();
    const error = await page.evaluate(() => {
      const { AuthAgent } = globalThis as unknown as {
        AuthAgent: { handleCallback(options: object): Promise<object> };
      };
      return AuthAgent.handleCallback({ exchange: true }).catch(({ code, message }) => ({ code, message }));
    });
    assert.deepEqual(error, {
      code: 'configuration',
      message: 'exchange needs @auth-agent/sdk/browser: this script hands the code to your backend',
    });
    assert.equal(page.url(), scene.website.url + answer);
  });

  test('says that a page without https is not secure', async () => {
    const origin = `http://website.test:${scene.website.port}`;
    await show({ origin, attributes: { ...scene.attributes, 'redirect-uri': '/callback' } });
    await isTold('insecure_context', /by its https address/);
  });

  test('says that a frame is no place for it', async () => {
    await show({});
    scene.website.contents.set('/framing', { body: '<!doctype html><iframe src="/"></iframe>' });
    await page.goto(`${scene.website.url}/framing`);
    const frame = page.frameLocator('iframe');
    await frame.getByRole('button').click();
    await frame.getByRole('alert').filter({ hasText: 'in a tab of its own' }).waitFor();
    assert.deepEqual(left, []);
  });

  test('says that the browser stores nothing', async () => {
    // An opaque origin: every access of its storage is refused.
    const sandbox = `${policy(scene)}; sandbox allow-scripts allow-top-navigation`;
    await show({ headers: { 'content-security-policy': sandbox } });
    await isTold('storage_unavailable', /Allow this site to store data/);
  });

  test('says so as well when the storage is full', async () => {
    await show({});
    await page.evaluate(() => {
      for (let size = 1 << 23; size >= 1; size >>= 1) {
        try {
          for (let round = 0; ; round += 1) sessionStorage.setItem(`${size}-${round}`, 'x'.repeat(size));
        } catch {
          // Smaller ones may still fit.
        }
      }
    });
    await isTold('storage_unavailable', /store nothing/);
  });

  test('leaves it to the page, if the page wishes', async () => {
    await show({ attributes: {} });
    await page.evaluate(() => addEventListener('auth-agent-error', (event) => event.preventDefault()));
    await press();
    await page.waitForFunction(() => (globalThis as unknown as { told: Told[] }).told.length === 2);
    assert.equal(await page.getByRole('alert').textContent(), '');
    // And does not begin at all, if the page says no.
    await show({});
    await page.evaluate(() =>
      addEventListener('auth-agent-start', (event) => event.preventDefault(), { once: true }),
    );
    await press();
    const [start] = await told();
    const { 'client-id': clientId, 'redirect-uri': redirectUri } = scene.attributes;
    assert.deepEqual(start, {
      name: 'auth-agent-start',
      detail: { issuer: scene.issuer.url, clientId, redirectUri, scope: undefined },
    });
    assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
    assert.deepEqual(left, []);
    await press();
    await page.waitForURL(`${scene.issuer.url}/authorize**`);
  });

  test('may be pinned by its hash, and a changed script does not run', async () => {
    const answer = await fetch(`${scene.issuer.url}/widget/signin-button.js`);
    const version = (answer.headers.get('etag') ?? '').replaceAll('"', '');
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-384', await answer.arrayBuffer()));
    const integrity = `sha384-${btoa(String.fromCharCode(...hash))}`;
    const src = `${scene.issuer.url}/widget/signin-button.js?v=${version}`;
    const pinned = (hash: string) =>
      `<!doctype html><script type="module" src="${src}" integrity="${hash}" crossorigin></script>` +
      button(scene.attributes);
    await show({ content: pinned(integrity) });
    await press();
    await page.waitForURL(`${scene.issuer.url}/authorize**`);
    scene.website.contents.set('/', { body: pinned(`sha384-${btoa('x'.repeat(48))}`) });
    await page.goto(scene.website.url);
    await page.getByRole('link', { name: 'Sign in (link)' }).waitFor();
    assert.equal(await page.locator('auth-agent-signin:defined').count(), 0);
  });
});
