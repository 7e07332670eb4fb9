/** The client against the real server: every call that a website's backend makes. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';

import {
  CallbackError,
  type Client,
  EndpointError,
  IssuerError,
  TokenError,
  createAccessTokenVerifier,
  createClient,
  isBound,
} from '@auth-agent/sdk/server';
import { type Agent, type Client as Registered, Issuer } from '../support/issuer.js';
import { signInPlainly } from '../support/plain-agent.js';

const REDIRECT = 'http://127.0.0.1:9/auth/callback';

let issuer: Issuer;
let agent: Agent;
let registered: Registered;
let client: Client;

before(async () => {
  issuer = await Issuer.start();
  [agent, registered] = await Promise.all([issuer.agent(), issuer.client(REDIRECT)]);
  client = clientOf(registered, { scope: 'openid profile email' });
});
after(() => issuer.stop());

function clientOf({ client_id, client_secret }: Registered, more: object = {}): Client {
  return createClient({
    issuer: issuer.url,
    clientId: client_id,
    ...(client_secret && { clientSecret: client_secret }),
    redirectUri: REDIRECT,
    ...more,
  });
}

async function signedIn(of = client) {
  const { url, transaction } = await of.start();
  const address = await signInPlainly(issuer, agent, url);
  return { address, transaction, tokens: await of.callback(address, transaction) };
}

test('a sign-in yields checked claims, and tokens that are read by name only', async () => {
  const { tokens } = await signedIn();
  assert.equal(tokens.claims?.sub, agent.agent_id);
  assert.equal(tokens.claims.agent_id, agent.agent_id);
  assert.equal(tokens.claims.model, 'claude-opus-4');
  assert.equal(tokens.claims.binding, 'browser');
  assert.match(tokens.claims.sid, /^req_/);
  assert.equal(tokens.claims.name, 'Ada Lovelace');
  assert.equal(tokens.claims.email, 'ada@example.com');
  assert.ok(tokens.expiresAt && tokens.expiresAt > new Date());
  assert.match(tokens.idToken ?? '', /^eyJ/);
  for (const shown of [
    inspect(tokens, { depth: 9, showHidden: true }),
    JSON.stringify(tokens),
    String(tokens),
  ]) {
    for (const secret of [tokens.accessToken, tokens.refreshToken, tokens.idToken]) {
      assert.ok(secret && !shown.includes(secret));
    }
  }
});

test('the owner is the subject, and the agent the actor, for a client that asks for it', async () => {
  const of = clientOf(await issuer.client(REDIRECT, { subject: 'owner' }));
  const { tokens } = await signedIn(of);
  assert.equal(tokens.claims?.sub, agent.owner_id);
  assert.deepEqual(tokens.claims.act, { sub: agent.agent_id });
});

test('a token is refreshed, narrowed, introspected and revoked', async () => {
  const { tokens } = await signedIn();
  const next = await client.refresh(tokens.refreshToken ?? '', { scope: 'openid' });
  assert.equal(next.claims?.sub, agent.agent_id);
  assert.notEqual(next.refreshToken, tokens.refreshToken);
  assert.equal((await client.verifyAccessToken(next.accessToken)).scope, 'openid');

  const seen = await client.introspect(next.accessToken);
  assert.ok(seen.active);
  assert.equal(seen.binding, 'browser');

  await client.revoke(next.refreshToken ?? '');
  assert.deepEqual(await client.introspect(next.accessToken), { active: false });
  await assert.rejects(client.refresh(next.refreshToken ?? ''), { code: 'invalid_grant' });
});

test('an access token is checked for what an API requires', async () => {
  const { tokens } = await signedIn();
  const api = createAccessTokenVerifier({
    issuer: issuer.url,
    clientId: client.clientId,
    scope: 'openid profile',
    minimumBinding: 'browser',
  });
  const claims = await api.verify(tokens.accessToken);
  assert.equal(claims.client_id, client.clientId);
  assert.equal(claims.agent_id, agent.agent_id);
  await assert.rejects(api.verify(tokens.accessToken, { scope: 'payments' }), { code: 'insufficient_scope' });
  await assert.rejects(api.verify(tokens.accessToken, { audience: 'https://other.example' }), {
    code: 'invalid_token',
  });
  await assert.rejects(api.verify(tokens.idToken ?? ''), { code: 'invalid_token' });
  await assert.rejects(api.verify(`${tokens.accessToken.slice(0, -4)}AAAA`), { code: 'invalid_token' });
});

test('a token of another website is refused, unless it is for an audience of its own', async () => {
  const other = clientOf(await issuer.client(REDIRECT));
  const { accessToken } = (await signedIn(other)).tokens;
  assert.ok(await other.verifyAccessToken(accessToken));
  await assert.rejects(client.verifyAccessToken(accessToken), { code: 'invalid_token', message: /another client/ });
  const api = createAccessTokenVerifier({ issuer: issuer.url, clientId: client.clientId });
  await assert.rejects(api.verify(accessToken), { code: 'invalid_token', message: /another client/ });
  assert.ok(await api.verify(accessToken, { clientId: other.clientId }));
  const audience = createAccessTokenVerifier({ issuer: issuer.url, audience: 'https://api.example' });
  await assert.rejects(audience.verify(accessToken), { code: 'invalid_token', message: /its aud/ });
});

test('a public client signs in by PKCE alone', async () => {
  const of = clientOf(await issuer.client(REDIRECT, { token_endpoint_auth_method: 'none' }));
  const { tokens } = await signedIn(of);
  assert.equal(tokens.claims?.sub, agent.agent_id);
  await of.revoke(tokens.refreshToken ?? '');
});

test('a secret can be sent in the form', async () => {
  const method = { token_endpoint_auth_method: 'client_secret_post' };
  const of = clientOf(await issuer.client(REDIRECT, method), {
    tokenEndpointAuthMethod: 'client_secret_post',
  });
  assert.ok((await signedIn(of)).tokens.claims);
});

test('a code that the browser part brought is exchanged', async () => {
  const { url, transaction } = await client.start();
  const address = await signInPlainly(issuer, agent, url);
  const code = address.searchParams.get('code') ?? '';
  await assert.rejects(client.exchange({ code, codeVerifier: 'x'.repeat(43), nonce: transaction.nonce }), {
    code: 'invalid_grant',
  });
  const tokens = await client.exchange({ ...transaction, code });
  assert.equal(tokens.claims?.agent_id, agent.agent_id);
});

test('an ID token of another request is refused', async () => {
  const { url, transaction } = await client.start();
  const address = await signInPlainly(issuer, agent, url);
  await assert.rejects(client.callback(address, { ...transaction, nonce: 'another' }), {
    code: 'invalid_token',
  });
});

test('a weaker binding than the website asks for is refused', async () => {
  const lax = await issuer.client(REDIRECT, { minimum_binding: 'address' });
  const of = clientOf(lax, { minimumBinding: 'browser' });
  const { url, transaction } = await of.start();
  const address = await signInPlainly(issuer, agent, url, { sendsCookie: false });
  await assert.rejects(of.callback(address, transaction), { code: 'insufficient_binding' });
});

test('what comes back is refused when it is not the answer to the request', async () => {
  const { url, transaction } = await client.start();
  const good = await signInPlainly(issuer, agent, url);
  const changed = (change: (query: URLSearchParams) => void) => {
    const address = new URL(good);
    change(address.searchParams);
    return client.callback(address, transaction);
  };
  await assert.rejects(
    changed((query) => query.set('state', 'x')),
    { code: 'state_mismatch' },
  );
  await assert.rejects(
    changed((query) => query.delete('state')),
    { code: 'state_mismatch' },
  );
  await assert.rejects(
    changed((query) => query.append('state', 'x')),
    { code: 'state_mismatch' },
  );
  await assert.rejects(
    changed((query) => query.set('iss', 'https://evil.example')),
    { code: 'issuer_mismatch' },
  );
  await assert.rejects(
    changed((query) => query.delete('iss')),
    { code: 'issuer_mismatch' },
  );
  await assert.rejects(
    changed((query) => query.delete('code')),
    { code: 'invalid_callback' },
  );
  await assert.rejects(
    changed((query) => query.set('error', 'access_denied')),
    (error) => {
      return (
        error instanceof CallbackError && error.code === 'access_denied' && error.error === 'access_denied'
      );
    },
  );
  await assert.rejects(
    changed((query) => query.set('error', 'invalid_scope')),
    { code: 'authorization_failed' },
  );
  assert.ok((await client.callback(good, transaction)).claims, 'and none of it consumed the code');
});

test('a machine whose clock is off by a day is told so', async (t) => {
  for (const days of [1, -1]) {
    const { url, transaction } = await client.start();
    const address = await signInPlainly(issuer, agent, url);
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + days * 86_400_000 });
    await assert.rejects(client.callback(address, transaction), (error) => {
      return error instanceof TokenError && error.code === 'clock_skew' && /clock/.test(error.message);
    });
    t.mock.timers.reset();
  }
});

test('no error and no object shows a secret, a code or a token', async () => {
  const { address, transaction, tokens } = await signedIn();
  const secret = 'a-secret-that-is-wrong-0000000000';
  const wrong = createClient({
    issuer: issuer.url,
    clientId: client.clientId,
    clientSecret: secret,
    redirectUri: REDIRECT,
  });
  const secrets = [
    secret,
    registered.client_secret ?? '',
    address.searchParams.get('code') ?? '',
    transaction.codeVerifier,
    tokens.accessToken,
    tokens.refreshToken ?? '',
  ];
  const bearer = `${tokens.accessToken.slice(0, -4)}AAAA`;
  const failures = await Promise.allSettled([
    wrong.callback(address, transaction),
    wrong.refresh(tokens.refreshToken ?? ''),
    wrong.introspect(tokens.accessToken),
    client.callback(address, { ...transaction, codeVerifier: transaction.codeVerifier.slice(1) + 'x' }),
    client.refresh(`${tokens.refreshToken}x`),
    client.verifyAccessToken(bearer),
    client.verifyLogoutToken(tokens.accessToken),
  ]);
  const shown = failures.map((failure) => {
    assert.equal(failure.status, 'rejected');
    return inspect(failure.reason, { depth: 9, showHidden: true });
  });
  shown.push(
    inspect(client, { depth: 9, showHidden: true }),
    JSON.stringify(client),
    inspect(wrong, { depth: 9 }),
  );
  for (const text of shown) for (const one of secrets) assert.ok(!text.includes(one), text);
  const [refused] = failures;
  assert.ok(refused?.status === 'rejected' && refused.reason instanceof EndpointError);
  assert.equal(refused.reason.code, 'invalid_client');
});

test('an issuer that is not there is unavailable, and asked again the next time', async () => {
  const away = createClient({ issuer: 'http://127.0.0.1:9', clientId: 'client_x', redirectUri: REDIRECT });
  for (const _ of [1, 2]) {
    await assert.rejects(
      away.start(),
      (error) => error instanceof IssuerError && error.code === 'unavailable',
    );
  }
});

test('settings that would send secrets in the clear, or nowhere, are refused', () => {
  const good = { issuer: 'https://auth.example', clientId: 'c', redirectUri: REDIRECT };
  const bad: [object, RegExp][] = [
    [{ issuer: 'http://auth.example' }, /issuer must be https/],
    [{ issuer: 'http://127.0.0.1.evil.example' }, /issuer must be https/],
    [{ issuer: 'https://auth.example@evil.example' }, /no user name/],
    [{ issuer: 'https://auth.example/?x' }, /no query/],
    [{ issuer: 'auth.example' }, /not a URL/],
    [{ issuer: undefined }, /issuer is missing/],
    [{ redirectUri: 'http://website.example/callback' }, /redirectUri must be https/],
    [{ redirectUri: 'https://website.example/callback#x' }, /fragment/],
    [{ issuer: 'http://auth.localhost' }, /issuer must be https/],
    [{ clientId: '' }, /clientId is missing/],
    [{ minimumBinding: 'Browser' }, /minimumBinding must be one of none, address, browser/],
    [{ minimumBinding: '' }, /minimumBinding/],
    [{ clientSecret: '' }, /clientSecret is missing/],
    [{ tokenEndpointAuthMethod: 'client_secret_post' }, /clientSecret is missing/],
  ];
  for (const [change, message] of bad) {
    assert.throws(() => createClient({ ...good, ...change }), { code: 'configuration', message });
  }
});

test('a verifier that would ask for nothing is refused', async () => {
  const issuer = 'https://auth.example';
  const bad: [object, RegExp][] = [
    [{}, /audience or clientId is missing/],
    [{ audience: undefined, scope: 'orders' }, /audience or clientId is missing/],
    [{ audience: '' }, /audience must be text/],
    [{ audience: 'https://api.example', clientId: '' }, /clientId must be text/],
    [{ clientId: 'c', minimumBinding: 'browsers' }, /minimumBinding must be one of/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => createAccessTokenVerifier({ issuer, ...options }), { code: 'configuration', message });
  }
  assert.throws(() => isBound('none', 'broswer' as never), { code: 'configuration' });
  assert.ok(isBound('browser', 'address') && !isBound('address', 'browser') && !isBound(undefined, 'address'));
});
