/** What becomes of a sign-in, or of its end, when something fails midway; the issuer is the test's own. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import {
  type ClientOptions,
  type Handlers,
  type HandlersOptions,
  createClient,
  createHandlers,
} from '@auth-agent/sdk/server';
import { FakeIssuer } from '../support/fake-issuer.js';
import { Visitor } from '../support/visitor.js';

const REDIRECT = 'http://127.0.0.1:9/auth/callback';
const SECRET = 'a cookie secret of the tests, long enough';

let fake: FakeIssuer;

before(async () => (fake = await FakeIssuer.start()));
after(() => fake.stop());
beforeEach(() => void (fake.asked.length = 0));

function clientOf(more: Partial<ClientOptions> = {}) {
  const redirectUri = REDIRECT;
  return createClient({ issuer: fake.url, clientId: 'one', clientSecret: 's', redirectUri, ...more });
}

function website(more: Partial<HandlersOptions> = {}): Handlers {
  return createHandlers({ client: clientOf(), cookieSecret: SECRET, ...more });
}

const now = () => Math.floor(Date.now() / 1000);
const asked = (line: string) => fake.asked.filter((one) => one === line).length;

/** Begins a sign-in; the callback's address, whose code yields an ID token with these claims. */
async function begun(visitor: Visitor, claims: object = {}, login = '/auth/login'): Promise<URL> {
  const response = await visitor.open(login);
  const query = new URL(response.headers.get('location') ?? '').searchParams;
  const times = { iat: now(), exp: now() + 60, auth_time: now() };
  const nonce = query.get('nonce');
  const said = { iss: fake.url, aud: query.get('client_id') ?? '', sub: 'agent_1', sid: 'req_1', nonce, ...times };
  fake.routes['/token'] = async () => {
    const id_token = await fake.sign({ binding: 'browser', ...said, ...claims }, 'JWT');
    return { json: { access_token: 'a', token_type: 'bearer', id_token } };
  };
  const state = query.get('state') ?? '';
  return new URL(`${REDIRECT}?${new URLSearchParams({ code: 'c', iss: fake.url, state })}`);
}

async function signedIn(at: Handlers, claims: object = {}): Promise<Visitor> {
  const visitor = new Visitor(at);
  assert.equal((await visitor.open(await begun(visitor, claims))).status, 303);
  return visitor;
}

const isIn = async (at: Handlers, visitor: Visitor) => (await at.getSession(visitor.request('/'))) !== undefined;

async function logout(at: Handlers, token: string): Promise<Response> {
  const body = new URLSearchParams({ logout_token: token });
  return at.backchannelLogout(new Request('http://127.0.0.1:9/', { method: 'POST', body }));
}

function logoutToken(claims: object): Promise<string> {
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const common = { iss: fake.url, aud: 'one', iat: now(), exp: now() + 60, jti: crypto.randomUUID(), events };
  return fake.sign({ ...common, ...claims }, 'logout+jwt');
}

test('without the issuer’s keys the code is kept, and the same address works once they are there', async () => {
  const own = website();
  const visitor = new Visitor(own);
  const address = await begun(visitor);
  const keys = fake.routes['/jwks'];
  assert.ok(keys);
  fake.routes['/jwks'] = () => ({ status: 503, json: {} });
  assert.equal((await visitor.open(address)).status, 503);
  assert.equal(asked('POST /token'), 0);
  fake.routes['/jwks'] = keys;
  assert.equal((await visitor.open(address)).status, 303);
  assert.equal(asked('POST /token'), 1);
});

test('after a failure of the website’s own a reload goes on with the tokens that the code gave', async () => {
  const tokens: string[] = [];
  const own = website({
    onSignIn: ({ accessToken }) => {
      if (tokens.push(accessToken) === 1) throw new Error('the database is away');
    },
  });
  const visitor = new Visitor(own);
  const address = await begun(visitor, {}, '/auth/login?return_to=/here');
  await assert.rejects(visitor.open(address), { message: 'the database is away' });
  const again = await visitor.open(address);
  assert.equal(again.headers.get('location'), '/here');
  assert.ok(await isIn(own, visitor));
  assert.deepEqual(tokens, ['a', 'a']);
  assert.equal(asked('POST /token'), 1);
});

test('a logout that failed can be sent again, and is done', async () => {
  let away = true;
  const told: unknown[] = [];
  const own = website({
    onBackchannelLogout: ({ sid }) => {
      if (away) throw new Error('the database is away');
      told.push(sid);
    },
  });
  const token = await logoutToken({ sid: 'req_1' });
  await assert.rejects(logout(own, token), { message: 'the database is away' });
  away = false;
  assert.equal((await logout(own, token)).status, 200);
  assert.deepEqual(told, ['req_1']);
  assert.match(await (await logout(own, token)).text(), /used before/);
});

test('who signs in after all sessions of a subject have ended stays signed in', async () => {
  const own = website();
  const before = await signedIn(own, { auth_time: now() - 5 });
  assert.equal((await logout(own, await logoutToken({ sub: 'agent_1', iat: now() - 3 }))).status, 200);
  const afterwards = await signedIn(own, { auth_time: now() - 1, sid: 'req_2' });
  assert.deepEqual([await isIn(own, before), await isIn(own, afterwards)], [false, true]);
});

test('signing out ends the session, wherever its cookie was copied to', async () => {
  const own = website();
  const visitor = await signedIn(own);
  const copy = { headers: { cookie: visitor.header } };
  assert.ok(await own.getSession(copy));
  await visitor.open('/auth/logout', { method: 'POST' });
  assert.equal(await own.getSession(copy), undefined);
});

test('a session is of one issuer and one client, and as well bound as the website asks by now', async () => {
  const own = website();
  const visitor = await signedIn(own, { binding: 'address' });
  assert.ok(await isIn(own, visitor));
  assert.ok(await isIn(website(), visitor), 'of another process of this website');
  assert.ok(!(await isIn(website({ client: clientOf({ minimumBinding: 'browser' }) }), visitor)));
  assert.ok(!(await isIn(website({ client: clientOf({ issuer: 'https://other.example' }) }), visitor)));
  const two = website({ client: clientOf({ clientId: 'two' }) });
  assert.ok(!(await isIn(two, visitor)));
  const renamed = new Visitor(two);
  for (const [name, value] of visitor.cookies) renamed.cookies.set(name.replace('.one', '.two'), value);
  assert.ok(!(await isIn(two, renamed)));
});

test('two websites on one host do not sign each other’s visitors out', async () => {
  const [one, two] = [website(), website({ client: clientOf({ clientId: 'two' }) })];
  const [visitor, other] = [await signedIn(one), await signedIn(two)];
  for (const [name, value] of visitor.cookies) other.cookies.set(name, value); // one browser
  assert.deepEqual([await isIn(one, other), await isIn(two, other)], [true, true]);
  await other.open('/auth/logout', { method: 'POST' });
  assert.deepEqual([await isIn(one, other), await isIn(two, other)], [true, false]);
});

test('long return paths do not fill a browser’s cookies, and the newest sign-ins come home', async () => {
  const own = website();
  const visitor = new Visitor(own);
  const path = `/${'x'.repeat(500)}`;
  let last = await begun(visitor);
  for (let tab = 0; tab < 12; tab++) last = await begun(visitor, {}, `/auth/login?return_to=${path}`);
  assert.ok(visitor.header.length < 7000, `${visitor.header.length}`);
  assert.ok(visitor.cookies.size > 3);
  assert.equal((await visitor.open(last)).headers.get('location'), path);

  const chinese = new Visitor(own); // three characters for each of three bytes of each
  const query = new URLSearchParams({ return_to: `/${'订单'.repeat(40)}` });
  const back = await chinese.open(await begun(chinese, {}, `/auth/login?${query}`));
  assert.equal(back.headers.get('location'), '/', 'it would be 721 bytes');
});

test('metadata that cannot be fetched again is replaced by what was good, for all, until it can', async (t) => {
  const client = clientOf();
  await client.start();
  const path = '/.well-known/openid-configuration';
  const route = fake.routes[path];
  assert.ok(route);
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.mock.timers.tick(61 * 60_000);
  fake.routes[path] = () => ({ status: 503, json: {} });
  try {
    fake.asked.length = 0;
    await Promise.all([client.start(), client.start()]);
    await client.start();
    assert.equal(asked(`GET ${path}`), 1, 'not asked for at each sign-in');
    t.mock.timers.tick(31_000);
    await client.start();
    assert.equal(asked(`GET ${path}`), 2);
  } finally {
    fake.routes[path] = route;
  }
  t.mock.timers.tick(31_000);
  await client.start();
  await client.start();
  assert.equal(asked(`GET ${path}`), 3);
});

test('without the scope openid tokens come without an ID token', async () => {
  const client = clientOf({ scope: 'orders' });
  const { url, transaction } = await client.start();
  assert.equal(url.searchParams.get('nonce'), null);
  fake.routes['/token'] = () => ({ json: { access_token: 'a', token_type: 'bearer', scope: 'orders' } });
  const query = new URLSearchParams({ code: 'c', iss: fake.url, state: transaction.state });
  const tokens = await client.callback(`/auth/callback?${query}`, transaction);
  assert.equal(tokens.accessToken, 'a');
  assert.equal(tokens.claims, undefined);
  const bound = { scope: 'orders', minimumBinding: 'browser' } as const;
  assert.throws(() => clientOf(bound), { code: 'configuration', message: /needs the scope openid/ });
});

test('a mistake of the caller is named, and nothing is sent', async () => {
  const client = clientOf();
  const none = undefined as never;
  const transaction = { state: 's', nonce: 'n', codeVerifier: 'v' };
  const mistakes: [() => Promise<unknown>, RegExp][] = [
    [() => client.refresh(none), /refreshToken is missing/],
    [() => client.refresh(''), /refreshToken is missing/],
    [() => client.introspect(none), /token is missing/],
    [() => client.revoke(none), /token is missing/],
    [() => client.exchange({ code: 'c', codeVerifier: none }), /codeVerifier is missing/],
    [() => client.exchange({ code: none, codeVerifier: 'v' }), /code is missing/],
    [() => client.callback(none, transaction), /address must be/],
    [() => client.callback(new URL(REDIRECT), none), /transaction.codeVerifier is missing/],
  ];
  for (const [call, message] of mistakes) await assert.rejects(call, { code: 'configuration', message });
  assert.deepEqual(fake.asked, []);
  for (const sessionLifetime of [0, -1, Infinity, NaN, 1.5, '3600']) {
    const options = { sessionLifetime } as object;
    assert.throws(() => website(options), { code: 'configuration', message: /sessionLifetime/ });
  }
});
