/** Agents that sign in, and are refused, in a real browser at the real server. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';

import { AgentError, createAgent } from '@auth-agent/sdk/agent';
import { type DrivenPage, type Driver, playwright, puppeteerDriver } from '../support/drivers.js';
import { type Agent, type Client, Issuer, freePort } from '../support/issuer.js';
import { Recorder } from '../support/recorder.js';

let issuer: Issuer;
let registered: Agent;
let client: Client;
let drivers: Driver[];
let website: Recorder;
let origin: string;

before(async () => {
  [issuer, drivers, website] = await Promise.all([
    Issuer.start(),
    Promise.all([playwright(), puppeteerDriver()]),
    Recorder.start('127.0.0.2', () => ({ html: '<title>Website</title>Hello' })),
  ]);
  origin = `http://127.0.0.2:${website.port}`;
  [registered, client] = await Promise.all([issuer.agent(), issuer.client(`${origin}/callback`)]);
});
after(() => Promise.all([issuer, website, ...drivers].map((one) => one.stop())));

function agentOf(more: object = {}) {
  const { agent_id: agentId, agent_secret: agentSecret } = registered;
  return createAgent({ issuer: issuer.url, agentId, agentSecret, model: 'claude-opus-4', ...more });
}

async function open(page: DrivenPage, { client_id } = client, redirect_uri = `${origin}/callback`): Promise<void> {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id,
    redirect_uri,
    state: crypto.randomUUID(),
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
  });
  await page.goto(`${issuer.url}/authorize?${query}`);
}

async function inEach(body: (page: DrivenPage) => Promise<void>): Promise<void> {
  for (const driver of drivers) {
    const context = await driver.newContext();
    try {
      await body(await context.newPage());
    } finally {
      await context.close();
    }
  }
}

const fails =
  (code: string, authenticated = false) =>
  (error: unknown) => {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.authenticated, authenticated);
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(registered.agent_secret));
    return true;
  };

test('an agent signs in, bound to the browser that it drives, and learns nothing secret', async () => {
  const agent = agentOf();
  await inEach(async (page) => {
    for (const reloaded of [false, true]) {
      await open(page);
      if (reloaded) await page.reload();
      assert.ok(await agent.isWaitingPage(page));
      const done = await agent.signIn(page, { expectedOrigin: origin, expectedClientId: client.client_id });
      assert.match(done.requestId, /^req_/);
      const { requestId } = done;
      const redirectOrigin = 'http://127.0.0.2'; // without the port, on this machine
      assert.deepEqual(done, { requestId, binding: 'browser', clientName: 'Profilio', redirectOrigin });
      assert.ok(page.url().startsWith(`${origin}/callback?code=`), page.url());
      assert.equal(await agent.isWaitingPage(page), false);
    }
  });
});

test('a refusal says why, and leaves the page open for another try', async () => {
  await inEach(async (page) => {
    await open(page);
    const agent = agentOf();
    await assert.rejects(
      agent.signIn(page, { expectedOrigin: 'https://other.example' }),
      fails('origin_mismatch'),
    );
    await assert.rejects(agent.signIn(page, { expectedClientId: 'client_other' }), fails('origin_mismatch'));
    const secret = `${registered.agent_secret.slice(0, -2)}xx`;
    await assert.rejects(agentOf({ agentSecret: secret }).signIn(page), fails('invalid_agent'));
    const suspended = await issuer.agent();
    await issuer.admin('POST', `agents/${suspended.agent_id}/suspend`, {});
    const { agent_id: agentId, agent_secret: agentSecret } = suspended;
    await assert.rejects(agentOf({ agentId, agentSecret }).signIn(page), fails('access_denied'));
    assert.equal((await agent.signIn(page)).binding, 'browser');
  });
});

test('without the browser’s cookie nothing is sent, and with a wrong one the server refuses', async () => {
  const [driver] = drivers;
  assert.ok(driver);
  const context = await driver.newContext();
  try {
    const page = await context.newPage();
    await open(page);
    const { addCookies, clearCookies, cookies } = context as unknown as {
      addCookies(all: object[]): Promise<void>;
      clearCookies(): Promise<void>;
      cookies(): Promise<{ value: string }[]>;
    };
    const kept = await cookies.call(context);
    await clearCookies.call(context);
    await assert.rejects(agentOf().signIn(page), fails('not_this_browser'));

    await addCookies.call(
      context,
      kept.map((cookie) => ({ ...cookie, httpOnly: false })),
    );
    await assert.rejects(agentOf().signIn(page), fails('not_this_browser'), 'a page could have set that one');

    const wrong = kept.map((cookie) => ({
      ...cookie,
      value: `A${cookie.value.slice(1)}`.replace(/^AA/, 'BA'),
    }));
    await addCookies.call(context, wrong);
    await assert.rejects(agentOf().signIn(page), fails('browser_mismatch'));

    await addCookies.call(context, kept);
    assert.equal((await agentOf().signIn(page)).binding, 'browser');
  } finally {
    await context.close();
  }
});

test('a request that another agent has taken is closed', async () => {
  const [driver] = drivers;
  assert.ok(driver);
  const context = await driver.newContext();
  try {
    const page = await context.newPage();
    await open(page);
    const other = await issuer.agent();
    // The page is kept from going on, as on a slow machine: it is there for both.
    const held = new Proxy(page, {
      get: (target, name) => (name === 'url' ? () => address : Reflect.get(target, name).bind?.(target)),
    });
    const address = page.url();
    const found = await page.evaluate('document.getElementById("auth-agent-request").textContent');
    const frozen = new Proxy(held, {
      get: (target, name) =>
        name === 'evaluate'
          ? async () => JSON.stringify({ address, request: found })
          : Reflect.get(target, name),
    });
    const late = agentOf({ agentId: other.agent_id, agentSecret: other.agent_secret });
    await agentOf().signIn(page);
    await assert.rejects(late.signIn(frozen), fails('request_closed'));
    // The first may ask again, and is told the same; the browser of the proxy never goes on.
    await assert.rejects(agentOf().signIn(frozen, { timeout: 500 }), fails('redirect_timeout', true));
  } finally {
    await context.close();
  }
});

test('a website that does not answer is not signed in to, though the agent was authenticated', async () => {
  const away = `http://127.0.0.2:${await freePort('127.0.0.2')}/callback`;
  const gone = await issuer.client(away);
  await inEach(async (page) => {
    await open(page, gone, away);
    const stop = new AbortController();
    const signingIn = agentOf().signIn(page, { signal: stop.signal });
    signingIn.catch(() => stop.abort());
    while (!page.url().startsWith('chrome-error:') && !stop.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await assert.rejects(signingIn, fails('aborted', true));
  });
});
