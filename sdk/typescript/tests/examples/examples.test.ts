/** The example websites and agents, from the link to the name of who is signed in. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { executable } from '../support/chromium.js';
import { Website, run } from '../support/example.js';
import { type Agent, Issuer, freePort } from '../support/issuer.js';

let issuer: Issuer;
let agent: Agent;

before(async () => {
  issuer = await Issuer.start();
  agent = await issuer.agent();
});
after(() => issuer.stop());

/** Runs a website of the examples while `body` does. */
async function withWebsite(name: string, command: string[], body: (origin: string) => Promise<void>) {
  const port = await freePort('127.0.0.2');
  const ORIGIN = `http://127.0.0.2:${port}`;
  const { client_id, client_secret = '' } = await issuer.client(`${ORIGIN}/auth/callback`);
  const website = await Website.start(name, [...command, ...(name === 'next' ? ['-p', `${port}`] : [])], {
    ORIGIN,
    ISSUER: issuer.url,
    CLIENT_ID: client_id,
    CLIENT_SECRET: client_secret,
    COOKIE_SECRET: 'a cookie secret of the tests, long enough',
  });
  try {
    await body(ORIGIN);
  } finally {
    await website.stop();
  }
}

async function signsIn(name: string, website: string): Promise<void> {
  const said = await run(name, ['agent.js'], {
    WEBSITE: website,
    CHROMIUM: executable(),
    AUTH_AGENT_ISSUER: issuer.url,
    AUTH_AGENT_ID: agent.agent_id,
    AUTH_AGENT_SECRET: agent.agent_secret,
    AUTH_AGENT_MODEL: 'claude-opus-4',
  });
  assert.equal(said, 'Signed in to http://127.0.0.2, bound by browser\nHello Ada Lovelace\n');
}

test('agents with Playwright and with Puppeteer sign in to the website on Express', async () => {
  await withWebsite('express', ['server.js'], async (website) => {
    await Promise.all([signsIn('playwright-agent', website), signsIn('puppeteer-agent', website)]);
    const guarded = await fetch(`${website}/orders`, { redirect: 'manual' });
    assert.equal(guarded.headers.get('location'), '/auth/login?return_to=/orders');
    const elsewhere = await fetch(`${website}/auth/nothing`);
    assert.equal(elsewhere.status, 404);
    const form = new URLSearchParams({ logout_token: 'x' });
    const notice = await fetch(`${website}/auth/backchannel-logout`, { method: 'POST', body: form });
    assert.equal(notice.status, 400);
    assert.match(await notice.text(), /the logout token is not valid/);
  });
});

test('behind a proxy the website on Express listens on this machine, at its own port', async () => {
  const PORT = `${await freePort()}`;
  const env = {
    ORIGIN: 'https://shop.example',
    PORT,
    ISSUER: issuer.url,
    CLIENT_ID: 'client_1',
    CLIENT_SECRET: 'secret',
    COOKIE_SECRET: 'a cookie secret of the tests, long enough',
  };
  const website = await Website.start('express', ['server.js'], env, `http://127.0.0.1:${PORT}/`);
  try {
    const login = await fetch(`http://127.0.0.1:${PORT}/auth/login`, { redirect: 'manual' });
    const { searchParams } = new URL(login.headers.get('location') ?? '');
    assert.equal(searchParams.get('redirect_uri'), 'https://shop.example/auth/callback');
  } finally {
    await website.stop();
  }
});

test('an agent signs in to the website on Next.js', async () => {
  const next = ['../node_modules/next/dist/bin/next', 'dev', '--hostname', '127.0.0.2'];
  await withWebsite('next', next, (website) => signsIn('playwright-agent', website));
});
