/** `/react` in strict mode, where every effect runs twice, and rendered on a server. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { AuthAgentButton, useAuthAgent } from '@auth-agent/sdk/react';
import { createElement } from 'react';
import type { Page } from 'playwright-core';
import { renderToString } from 'react-dom/server';

import { bundle } from '../support/bundle.js';
import { complaints } from '../support/chromium.js';
import { CALLBACK, Scene } from '../support/scene.js';

const APP = `
  import { AuthAgentButton, useAuthAgent } from '@auth-agent/sdk/react';
  import { StrictMode, useState } from 'react';
  import { createRoot } from 'react-dom/client';

  const SETTINGS = GIVEN;

  function Status({ name }) {
    const { status, result, error, signIn, reset } = useAuthAgent({ ...SETTINGS, exchange: true });
    return <section id={name}>
      <output>{status} {result?.claims.agent_id} {error?.code}</output>
      <button onClick={signIn}>by the hook</button><button onClick={reset}>reset</button>
    </section>;
  }

  function App() {
    const [heard, hear] = useState('');
    const [label, setLabel] = useState('Sign in here');
    return <>
      <AuthAgentButton {...SETTINGS} label={label} className="ours" style={{ margin: 4 }}
        clientId={location.hash === '#without' ? '' : SETTINGS.clientId}
        onStart={() => hear((heard) => heard + 'start ')}
        onError={({ detail }) => hear((heard) => heard + detail.code)}>
        <a href="/login">Sign in (link)</a>
      </AuthAgentButton>
      <p id="heard">{heard}</p>
      <button onClick={() => setLabel('Renamed')}>rename</button>
      <Status name="one" /><Status name="other" />
    </>;
  }

  if (location.hash.startsWith('#redirect=')) SETTINGS.redirectUri = location.hash.slice('#redirect='.length);
  const root = document.getElementById('root');
  createRoot(root).render(<StrictMode><App /></StrictMode>);
`;

describe('react', () => {
  let scene: Scene;
  let module: string;
  let moduleOf18: string;
  const use = (body: string) => scene.website.contents.set('/app.js', { body, type: 'text/javascript' });

  before(async () => {
    scene = await Scene.set({ token_endpoint_auth_method: 'none' });
    const settings = { issuer: scene.issuer.url, clientId: scene.client.client_id, redirectUri: CALLBACK };
    const app = APP.replace('GIVEN', JSON.stringify(settings));
    const old = { react: 'react-18', 'react-dom': 'react-dom-18' };
    [module, moduleOf18] = await Promise.all([bundle(app), bundle(app, old)]);
    use(module);
    const body = '<!doctype html><div id="root"></div><script type="module" src="/app.js"></script>';
    for (const path of ['/', CALLBACK, `${CALLBACK}/`]) scene.website.contents.set(path, { body });
  });
  after(() => scene.strike());

  const open = async (path = '/') => {
    const page = await scene.browser.newPage();
    const told = complaints(page);
    await page.goto(scene.website.url + path);
    return { page, told };
  };

  const isShown = (page: Page, text: string) =>
    page.locator('#one output').filter({ hasText: text }).waitFor();

  for (const begins of ['Sign in here', 'by the hook']) {
    test(`signs in once by ${begins}, though effects run twice`, async () => {
      const { page, told } = await open();
      let exchanged = 0;
      page.on('request', (request) => (exchanged += Number(request.url().endsWith('/token'))));
      await page.getByRole('button', { name: begins }).first().click();
      await scene.authenticate(page);
      // Every component knows, and only one exchange was made.
      const done = `done ${scene.agent.agent_id}`;
      for (const name of ['one', 'other']) {
        await page.locator(`#${name} output`).filter({ hasText: done }).waitFor();
      }
      assert.equal(exchanged, 1);
      assert.equal(page.url(), scene.website.url + CALLBACK);
      await page.getByRole('button', { name: 'reset' }).first().click();
      await page.locator('#other output').filter({ hasText: 'idle' }).waitFor();
      assert.deepEqual(told, []);
      await page.close();
    });
  }

  test('works with React 18', async (t) => {
    use(moduleOf18);
    t.after(() => use(module));
    const { page, told } = await open();
    await page.getByRole('button', { name: 'Sign in here' }).click();
    await scene.authenticate(page);
    await isShown(page, `done ${scene.agent.agent_id}`);
    await page.goto(`${scene.website.url}/#without`);
    await page.getByRole('button', { name: 'Sign in here' }).click();
    await page.locator('#heard').filter({ hasText: 'start configuration' }).waitFor();
    assert.equal(await page.evaluate(() => document.querySelector('.ours')?.localName), 'auth-agent-signin');
    assert.deepEqual(told, []);
    await page.close();
  });

  test('tells what comes back wrong', async () => {
    const iss = encodeURIComponent(scene.issuer.url);
    // Some hosts put a slash at the end.
    for (const path of [CALLBACK, `${CALLBACK}/`]) {
      const { page } = await open(`${path}?code=c&state=s&iss=${iss}`);
      await isShown(page, 'failed unknown_state');
      assert.equal(page.url(), scene.website.url + path);
      await page.close();
    }
    // A sign-in of this tab that comes back from elsewhere is not passed over.
    const { page } = await open();
    const asked = page.waitForRequest(`${scene.issuer.url}/authorize?*`);
    await page.getByRole('button', { name: 'by the hook' }).first().click();
    const state = new URL((await asked).url()).searchParams.get('state');
    await page.waitForURL(`${scene.issuer.url}/authorize**`);
    await page.goto(`${scene.website.url}${CALLBACK}?code=c&state=${state}&iss=https://other.example`);
    await isShown(page, 'failed issuer_mismatch');
    await page.close();
  });

  test('leaves what is not its own in the address', async () => {
    const { page } = await open();
    for (const other of [
      `/?code=c&state=s&iss=${encodeURIComponent(scene.issuer.url)}`, // Not at the redirect URI.
      `${CALLBACK}?code=github-code&state=github-state`,
      `${CALLBACK}?code=c&state=s&iss=https://other.example`,
    ]) {
      await page.goto(scene.website.url + other);
      await isShown(page, 'idle');
      assert.equal(page.url(), scene.website.url + other);
    }
    await page.close();
  });

  test('tells of a redirect URI that is none, and the rest of the page stays', async () => {
    const { page, told } = await open('/#redirect=http://');
    await isShown(page, 'failed configuration');
    await page.getByRole('button', { name: 'Sign in here' }).waitFor();
    assert.deepEqual(told, []);
    await page.close();
  });

  test('can begin again when the browser was stopped on its way', async () => {
    const page = await scene.browser.newPage();
    await page.clock.install();
    await page.goto(scene.website.url);
    const authorize = `${scene.issuer.url}/authorize**`;
    await page.route(authorize, (route) => route.fulfill({ status: 204 }));
    const begin = () => page.getByRole('button', { name: 'by the hook' }).first().click();
    await Promise.all([page.waitForResponse(authorize), begin()]);
    await isShown(page, 'leaving');
    await page.clock.fastForward(10_000);
    await isShown(page, 'idle');
    await Promise.all([page.waitForResponse(authorize), begin()]);
    await page.close();
  });

  test('hears the button, and gives it what changes', async () => {
    const { page, told } = await open('/#without');
    await page.getByRole('button', { name: 'Sign in here' }).click();
    await page.locator('#heard').filter({ hasText: 'start configuration' }).waitFor();
    await page.getByRole('button', { name: 'rename' }).click();
    await page.getByRole('button', { name: 'Renamed' }).waitFor();
    const host = page.locator('auth-agent-signin.ours');
    assert.equal(await host.evaluate((it) => getComputedStyle(it).margin), '4px');
    assert.deepEqual(told, []);
    await page.close();
  });

  test('renders on a server, and is taken over in the browser', async () => {
    const options = { issuer: scene.issuer.url, clientId: 'client_1', redirectUri: CALLBACK };
    const link = createElement('a', { href: '/login' }, 'Sign in');
    const element = createElement(AuthAgentButton, { ...options, disabled: true }, link);
    const rendered = renderToString(element);
    assert.equal(
      rendered,
      `<auth-agent-signin server-url="${options.issuer}" client-id="client_1" redirect-uri="${CALLBACK}" ` +
        'disabled=""><a href="/login">Sign in</a></auth-agent-signin>',
    );
    const Status = () => createElement('p', null, useAuthAgent(options).status);
    assert.equal(renderToString(createElement(Status)), '<p>idle</p>');

    const hydrates = `
      import { AuthAgentButton } from '@auth-agent/sdk/react';
      import { hydrateRoot } from 'react-dom/client';
      hydrateRoot(document.getElementById('root'),
        <AuthAgentButton {...${JSON.stringify(options)}} disabled><a href="/login">Sign in</a></AuthAgentButton>);`;
    const { contents } = scene.website;
    contents.set('/hydrates.js', { body: await bundle(hydrates), type: 'text/javascript' });
    const script = '<script type="module" src="/hydrates.js"></script>';
    contents.set('/rendered', { body: `<!doctype html><div id="root">${rendered}</div>${script}` });
    const { page, told } = await open('/rendered');
    const button = page.getByRole('button', { name: 'Sign in with Auth Agent', disabled: true });
    await button.waitFor();
    assert.deepEqual(told, []);
    await page.close();
  });
});
