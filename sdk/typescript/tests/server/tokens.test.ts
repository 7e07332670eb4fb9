/** Forged, expired and misused tokens, signed by keys of the test's own issuer. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { type JWTPayload, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';

import { type Client, createAccessTokenVerifier, createClient } from '@auth-agent/sdk/server';
import { FakeIssuer } from '../support/fake-issuer.js';

const EVENTS = { 'http://schemas.openid.net/event/backchannel-logout': {} };

let fake: FakeIssuer;
let client: Client;

before(async () => {
  fake = await FakeIssuer.start();
  client = clientOf();
});
after(() => fake.stop());

function clientOf(more: object = {}): Client {
  return createClient({
    issuer: fake.url,
    clientId: 'client_1',
    clientSecret: 'secret-of-the-client',
    redirectUri: 'http://127.0.0.1:9/callback',
    ...more,
  });
}

const now = () => Math.floor(Date.now() / 1000);

function accessClaims(change: object = {}): JWTPayload {
  return {
    iss: fake.url,
    aud: fake.url,
    sub: 'agent_1',
    agent_id: 'agent_1',
    client_id: 'client_1',
    jti: 'one',
    sid: 'req_1',
    scope: 'openid profile',
    binding: 'browser',
    iat: now(),
    exp: now() + 600,
    ...change,
  };
}

function logoutClaims(change: object = {}): JWTPayload {
  return {
    iss: fake.url,
    aud: 'client_1',
    sub: 'agent_1',
    sid: 'req_1',
    jti: crypto.randomUUID(),
    iat: now(),
    exp: now() + 120,
    events: EVENTS,
    ...change,
  };
}

test('a good access token is taken, with its audience among others too', async () => {
  const claims = await client.verifyAccessToken(await fake.sign(accessClaims(), 'at+jwt'));
  assert.equal(claims.sub, 'agent_1');
  const two = await fake.sign(accessClaims({ aud: ['https://api.example', fake.url] }), 'application/at+jwt');
  assert.ok(await client.verifyAccessToken(two, { audience: 'https://api.example', scope: 'profile' }));
});

test('a forged, expired or misused access token is refused', async () => {
  const other = await generateKeyPair('ES256');
  const publicKey = new TextEncoder().encode(await exportSPKI(fake.key.publicKey));
  const bad: Record<string, [string, string]> = {
    'another key': ['invalid_token', await fake.sign(accessClaims(), 'at+jwt', {}, other.privateKey)],
    'unknown kid': ['invalid_token', await fake.sign(accessClaims(), 'at+jwt', { kid: 'two' })],
    'alg none': ['invalid_token', new UnsecuredJWT(accessClaims()).encode()],
    'the public key as an HMAC secret': [
      'invalid_token',
      await fake.sign(accessClaims(), 'at+jwt', { alg: 'HS256' }, publicKey),
    ],
    'type of an ID token': ['invalid_token', await fake.sign(accessClaims(), 'JWT')],
    'type of a logout token': ['invalid_token', await fake.sign(accessClaims(), 'logout+jwt')],
    expired: [
      'token_expired',
      await fake.sign(accessClaims({ iat: now() - 700, exp: now() - 31 }), 'at+jwt'),
    ],
    'from the future': [
      'clock_skew',
      await fake.sign(accessClaims({ iat: now() + 90, exp: now() + 700 }), 'at+jwt'),
    ],
    'not yet': ['invalid_token', await fake.sign(accessClaims({ nbf: now() + 90 }), 'at+jwt')],
    'another audience': ['invalid_token', await fake.sign(accessClaims({ aud: 'client_1' }), 'at+jwt')],
    'another issuer': ['invalid_token', await fake.sign(accessClaims({ iss: `${fake.url}/` }), 'at+jwt')],
    'no JWT': ['invalid_token', 'rt_0123456789'],
    empty: ['invalid_token', ''],
  };
  for (const missing of ['exp', 'iat', 'sub', 'client_id', 'jti', 'aud', 'iss']) {
    bad[`no ${missing}`] = [
      'invalid_token',
      await fake.sign(accessClaims({ [missing]: undefined }), 'at+jwt'),
    ];
  }
  for (const [what, [code, token]] of Object.entries(bad)) {
    await assert.rejects(client.verifyAccessToken(token), { code }, what);
  }
});

test('scope and binding are required only when they are asked for', async () => {
  const weak = await fake.sign(accessClaims({ binding: 'address', scope: 'openid' }), 'at+jwt');
  assert.ok(await client.verifyAccessToken(weak, { minimumBinding: 'address', scope: 'openid' }));
  await assert.rejects(client.verifyAccessToken(weak, { minimumBinding: 'browser' }), {
    code: 'insufficient_binding',
  });
  await assert.rejects(client.verifyAccessToken(weak, { scope: 'openid open' }), {
    code: 'insufficient_scope',
  });
  const unknown = await fake.sign(accessClaims({ binding: 'retina' }), 'at+jwt');
  await assert.rejects(client.verifyAccessToken(unknown, { minimumBinding: 'address' }), {
    code: 'insufficient_binding',
  });
});

test('what a call leaves open stays as the verifier has it', async () => {
  const weak = await fake.sign(accessClaims({ binding: 'address', scope: 'openid' }), 'at+jwt');
  const settings = { issuer: fake.url, clientId: 'client_1' };
  const open = { audience: undefined, clientId: undefined, scope: undefined, minimumBinding: undefined } as object;
  const scoped = createAccessTokenVerifier({ ...settings, scope: 'orders' });
  await assert.rejects(scoped.verify(weak, open), { code: 'insufficient_scope' });
  const bound = createAccessTokenVerifier({ ...settings, minimumBinding: 'browser' });
  await assert.rejects(bound.verify(weak, open), { code: 'insufficient_binding' });
  const another = createAccessTokenVerifier({ ...settings, clientId: 'client_2' });
  await assert.rejects(another.verify(weak, open), { code: 'invalid_token' });
  await assert.rejects(bound.verify(weak, { minimumBinding: 'any' as never }), { code: 'configuration' });
});

test('keys are fetched once, and again for a key that is new, but not for each forgery', async (t) => {
  const fresh = clientOf();
  const token = await fake.sign(accessClaims(), 'at+jwt');
  const before = fake.asked.filter((line) => line.endsWith('/jwks')).length;
  await fresh.verifyAccessToken(token);
  await fresh.verifyAccessToken(token);
  const fetched = () => fake.asked.filter((line) => line.endsWith('/jwks')).length - before;
  assert.equal(fetched(), 1);

  const key = await generateKeyPair('ES256', { extractable: true });
  const keys = fake.routes['/jwks'];
  fake.routes['/jwks'] = async () => ({
    json: { keys: [{ ...(await exportJWK(key.publicKey)), kid: 'new', alg: 'ES256', use: 'sig' }] },
  });
  try {
    const ofNew = await fake.sign(accessClaims(), 'at+jwt', { kid: 'new' }, key.privateKey);
    const forged = await fake.sign(accessClaims(), 'at+jwt', { kid: 'forged' }, key.privateKey);
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    await assert.rejects(fresh.verifyAccessToken(forged), { code: 'invalid_token' });
    assert.equal(fetched(), 1, 'they have just been fetched');
    t.mock.timers.tick(31_000);
    assert.ok(await fresh.verifyAccessToken(ofNew));
    await assert.rejects(fresh.verifyAccessToken(forged), { code: 'invalid_token' });
    assert.equal(fetched(), 2);
  } finally {
    if (keys) fake.routes['/jwks'] = keys;
  }
});

test('keys that cannot be fetched are the issuer’s fault, not the token’s', async () => {
  const keys = fake.routes['/jwks'];
  fake.routes['/jwks'] = () => ({ status: 503, json: {} });
  const token = await fake.sign(accessClaims(), 'at+jwt');
  await assert.rejects(clientOf().verifyAccessToken(token), { code: 'unavailable' });
  if (keys) fake.routes['/jwks'] = keys;
});

test('a good logout token is taken once', async () => {
  for (const change of [{}, { sid: undefined }, { sub: undefined }]) {
    const token = await fake.sign(logoutClaims(change), 'logout+jwt');
    assert.equal((await client.verifyLogoutToken(token)).iss, fake.url);
    await assert.rejects(client.verifyLogoutToken(token), { code: 'token_replayed' });
  }
});

test('a website with several processes decides itself whether a logout token was seen', async () => {
  const asked: unknown[] = [];
  const of = clientOf({ logoutTokenSeen: (jti: string, exp: number) => asked.push([jti, exp]) > 1 });
  const claims = logoutClaims();
  const token = await fake.sign(claims, 'logout+jwt');
  await of.verifyLogoutToken(token);
  assert.deepEqual(asked, [[claims.jti, claims.exp]]);
  await assert.rejects(of.verifyLogoutToken(token), { code: 'token_replayed' });
});

test('every bad logout token is refused', async () => {
  const other = await generateKeyPair('ES256');
  const bad: Record<string, string | Promise<string>> = {
    'another key': fake.sign(logoutClaims(), 'logout+jwt', {}, other.privateKey),
    'alg none': new UnsecuredJWT(logoutClaims()).encode(),
    'type of an ID token': fake.sign(logoutClaims(), 'JWT'),
    'type of an access token': fake.sign(logoutClaims(), 'at+jwt'),
    'another audience': fake.sign(logoutClaims({ aud: 'client_2' }), 'logout+jwt'),
    'another issuer': fake.sign(logoutClaims({ iss: 'https://evil.example' }), 'logout+jwt'),
    'a nonce': fake.sign(logoutClaims({ nonce: 'n' }), 'logout+jwt'),
    'no events': fake.sign(logoutClaims({ events: undefined }), 'logout+jwt'),
    'other events': fake.sign(logoutClaims({ events: { other: {} } }), 'logout+jwt'),
    'events that are null': fake.sign(logoutClaims({ events: null }), 'logout+jwt'),
    'an event that is no object': fake.sign(
      logoutClaims({ events: Object.fromEntries(Object.keys(EVENTS).map((name) => [name, true])) }),
      'logout+jwt',
    ),
    'neither sub nor sid': fake.sign(logoutClaims({ sub: undefined, sid: undefined }), 'logout+jwt'),
    'a sid that is no text': fake.sign(logoutClaims({ sid: 1 }), 'logout+jwt'),
    'no jti': fake.sign(logoutClaims({ jti: undefined }), 'logout+jwt'),
    'no iat': fake.sign(logoutClaims({ iat: undefined }), 'logout+jwt'),
    'no exp': fake.sign(logoutClaims({ exp: undefined }), 'logout+jwt'),
    'a long life': fake.sign(logoutClaims({ exp: now() + 86_400 }), 'logout+jwt'),
    'no JWT': 'x',
  };
  for (const [what, token] of Object.entries(bad)) {
    await assert.rejects(client.verifyLogoutToken(await token), { code: 'invalid_token' }, what);
  }
  const old = await fake.sign(logoutClaims({ iat: now() - 300, exp: now() - 60 }), 'logout+jwt');
  await assert.rejects(client.verifyLogoutToken(old), { code: 'token_expired' });
});

test('an ID token with a bad signature is refused, though it came over the right connection', async () => {
  const { transaction } = await client.start();
  const other = await generateKeyPair('ES256');
  const idToken = (key?: CryptoKey) =>
    fake.sign({ ...logoutClaims({ nonce: transaction.nonce, events: undefined }) }, 'JWT', {}, key);
  const address = new URL(`http://127.0.0.1:9/callback?code=c&state=${transaction.state}`);
  address.searchParams.set('iss', fake.url);
  const answer = { access_token: 'a', token_type: 'Bearer', expires_in: 600 };
  fake.routes['/token'] = async () => ({ json: { ...answer, id_token: await idToken(other.privateKey) } });
  await assert.rejects(client.callback(address, transaction), {
    code: 'invalid_token',
    message: /signature/,
  });
  fake.routes['/token'] = async () => ({ json: { ...answer, id_token: await idToken() } });
  assert.equal((await client.callback(address, transaction)).claims?.sid, 'req_1');
  fake.routes['/token'] = () => ({ json: answer });
  await assert.rejects(client.callback(address, transaction), { code: 'unexpected_answer' });
});

test('what an issuer says in an error is shown without the secrets that it repeats', async () => {
  fake.routes['/token'] = (_, body) => ({
    status: 400,
    json: { error: 'invalid_grant', error_description: `you sent ${body} and secret-of-the-client` },
  });
  await assert.rejects(client.refresh('rt_1234567890'), (error: Error) => {
    assert.match(error.message, /invalid_grant: you sent/);
    return !/rt_1234567890|secret-of-the-client/.test(error.message);
  });
  fake.routes['/token'] = () => ({
    status: 400,
    json: { error: 'invalid_grant', error_description: `${'x'.repeat(290)}secret-of-the-client` },
  });
  await assert.rejects(client.refresh('rt_1234567890'), (error: Error) => !/xsec/.test(error.message));
});

test('an answer that is no answer is told from one that is a refusal', async () => {
  fake.routes['/token'] = () => ({ status: 502, json: {} });
  await assert.rejects(client.refresh('rt_1'), { code: 'unavailable' });
  fake.routes['/token'] = () => 'cut';
  await assert.rejects(client.refresh('rt_1'), { code: 'unavailable' });
  fake.routes['/token'] = () => ({ status: 302, headers: { location: `${fake.url}/elsewhere` }, json: {} });
  await assert.rejects(client.refresh('rt_1'), { code: 'unexpected_answer' });
  assert.ok(!fake.asked.includes('POST /elsewhere'), 'a redirect is not followed with a secret');
});
