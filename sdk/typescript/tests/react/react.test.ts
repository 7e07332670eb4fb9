/** `/react` in strict mode, where every effect runs twice, and rendered on a server. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { AuthAgentButton, useAuthAgent } from '@auth-agent/sdk/react';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';

import { bundle } from '../support/bundle.js';
import { complaints } from '../support/chromium.js';
import { CALLBACK, Scene } from '../support/scene.js';

const APP = `
  import { AuthAgentButton, useAuthAgent } from '@auth-agent/sdk/react';
  import { StrictMode, useState } from 'react';
  import { createRoot } from 'react-dom/client';

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

  const root = document.getElementById('root');
  createRoot(root).render(<StrictMode><App /></StrictMode>);
`;

describe('react', () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.set({ token_endpoint_auth_method: 'none' });
    const settings = { issuer: scene.issuer.url, clientId: scene.client.client_id, redirectUri: CALLBACK };
    const module = await bundle(APP.replaceAll('SETTINGS', `(${JSON.stringify(settings)})`));
    scene.website.contents.set('/app.js', { body: module, type: 'text/javascript' });
    const body = '<!doctype html><div id="root"></div><script type="module" src="/app.js"></script>';
    for (const path of ['/', CALLBACK]) scene.website.contents.set(path, { body });
  });
  after(() => scene.strike());

  const open = async (path = '/') => {
    const page = await scene.browser.newPage();
    const told = complaints(page);
    await page.goto(scene.website.url + path);
    return { page, told };
  };

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

  test('tells what comes back wrong', async () => {
    const { page } = await open(`${CALLBACK}?code=c&state=s&iss=i`);
    await page.locator('#one output').filter({ hasText: 'failed unknown_state' }).waitFor();
    // And only at the redirect URI: elsewhere a code is something else's.
    await page.goto(`${scene.website.url}/?code=c&state=s`);
    await page.locator('#one output').filter({ hasText: 'idle' }).waitFor();
    assert.match(page.url(), /code=c/);
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
