/** A website's routes, from login to logout, for visitors whose cookies the test holds. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { type Handlers, createClient, createHandlers } from '@auth-agent/sdk/server';
import { FakeIssuer } from '../support/fake-issuer.js';
import { type Agent, type Client as Registered, Issuer } from '../support/issuer.js';
import { signInPlainly } from '../support/plain-agent.js';
import { Visitor } from '../support/visitor.js';

const REDIRECT = 'http://127.0.0.1:9/auth/callback';
const SECRET = 'a cookie secret of the tests, long enough';

let issuer: Issuer;
let agent: Agent;
let registered: Registered;
let website: Handlers;
let signIns = 0;

before(async () => {
  issuer = await Issuer.start();
  [agent, registered] = await Promise.all([issuer.agent(), issuer.client(REDIRECT)]);
  website = createHandlers({ client: client(), cookieSecret: SECRET, onSignIn: () => void signIns++ });
});
after(() => issuer.stop());

function client(more: object = {}) {
  const { client_id: clientId, client_secret: clientSecret = '' } = registered;
  return createClient({ issuer: issuer.url, clientId, clientSecret, redirectUri: REDIRECT, ...more });
}

const location = (response: Response) => response.headers.get('location') ?? '';

/** Begins a sign-in, and has the agent do its part; the callback's address. */
async function begun(visitor: Visitor, path = '/auth/login'): Promise<URL> {
  return signInPlainly(issuer, agent, location(await visitor.open(path)));
}

test('a visitor signs in, comes back to where they were, and signs out', async () => {
  const visitor = new Visitor(website);
  const back = await visitor.open(await begun(visitor, '/auth/login?return_to=/orders%3Fpage=2%23last'));
  assert.equal(back.status, 303);
  assert.equal(location(back), '/orders?page=2#last');
  assert.deepEqual([...visitor.cookies.keys()], [`auth_agent_session.${registered.client_id}`]);

  for (const source of [
    visitor.request('/'),
    { headers: { cookie: visitor.header } },
    visitor.request('/').headers,
  ]) {
    const session = await website.getSession(source);
    assert.equal(session?.agent_id, agent.agent_id);
    assert.equal(session.binding, 'browser');
    assert.match(session.sid, /^req_/);
  }
  assert.equal(location(await visitor.open('/auth/logout', { method: 'POST' })), '/');
  assert.equal(visitor.cookies.size, 0);
  assert.equal(await website.getSession(visitor.request('/')), undefined);
});

test('cookies are encrypted, and out of reach of scripts and other sites', async () => {
  const visitor = new Visitor(website);
  const login = await visitor.open('/auth/login');
  const [set = ''] = login.headers.getSetCookie();
  assert.match(set, /; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
  assert.equal(login.headers.get('cache-control'), 'no-store');
  const state = new URL(location(login)).searchParams.get('state') ?? '';
  const sealed = Buffer.from(set, 'base64').toString('latin1');
  assert.ok(!set.includes(state) && !sealed.includes(state));

  const over = createHandlers({
    client: client({ redirectUri: 'https://website.example/cb' }),
    cookieSecret: SECRET,
  });
  const response = await over.login(new Request('https://website.example/login'));
  assert.match(response.headers.getSetCookie()[0] ?? '', /^__Host-auth_agent_tx\..*; Secure$/);
  assert.equal(over.paths.login, '/login');
});

test('a return path leads nowhere but to this website', async () => {
  const elsewhere = [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/\t/evil.example',
    '/.//evil.example',
    '/a/..//evil.example',
    '\\/evil.example',
    'javascript:alert(1)',
    'evil',
    '/%0a/../\n',
    `/${'x'.repeat(2000)}`,
    '',
  ];
  for (const path of elsewhere) {
    const visitor = new Visitor(website);
    const query = new URLSearchParams({ return_to: path });
    const denied = await visitor.open(
      await callbackWithError(visitor, `/auth/login?${query}`, 'access_denied'),
    );
    assert.match(await denied.text(), /href="\/auth\/login\?return_to=%2F"/, path);
  }
});

async function callbackWithError(visitor: Visitor, path: string, error: string): Promise<URL> {
  const state = new URL(location(await visitor.open(path))).searchParams.get('state') ?? '';
  const address = new URL(REDIRECT);
  address.search = new URLSearchParams({ error, state, iss: issuer.url }).toString();
  return address;
}

test('a callback that is opened twice leads on, and the sign-in lives', async () => {
  const visitor = new Visitor(website);
  const before = signIns;
  const address = await begun(visitor, '/auth/login?return_to=/here');
  // Twice at the same moment, then once more, as the back button does.
  const both = await Promise.all([
    website.callback(visitor.request(address)),
    website.callback(visitor.request(address)),
  ]);
  assert.deepEqual(both.map(location), ['/here', '/here']);
  assert.equal(location(await visitor.open(address)), '/here');
  assert.equal(location(await visitor.open(address)), '/', 'where it led is no longer known');
  assert.equal(signIns, before + 1, 'the code was used once: a second use would end the sign-in');
  const stranger = await new Visitor(website).open(address);
  assert.equal(stranger.status, 400);
});

test('ten sign-ins of one browser at once all come home, and the cookies stay few', async () => {
  const visitor = new Visitor(website);
  const logins = [];
  for (let tab = 0; tab < 10; tab++) logins.push(await visitor.open(`/auth/login?return_to=/tab/${tab}`));
  const addresses = await Promise.all(logins.map((login) => signInPlainly(issuer, agent, location(login))));
  for (const [tab, address] of [...addresses.entries()].reverse()) {
    assert.equal(location(await visitor.open(address)), `/tab/${tab}`);
  }
  for (let tab = 0; tab < 40; tab++) await visitor.open('/auth/login');
  const kept = [...visitor.cookies.keys()].filter((name) => name.startsWith('auth_agent_tx.'));
  assert.equal(kept.length, 12);
  assert.ok(visitor.header.length < 8192);
});

test('each way to fail has its page, its status and a way to try again', async () => {
  const visitor = new Visitor(website);
  const denied = await visitor.open(
    await callbackWithError(visitor, '/auth/login?return_to=/a', 'access_denied'),
  );
  assert.equal(denied.status, 403);
  const page = await denied.text();
  assert.match(page, /<code>access_denied<\/code>/);
  assert.match(page, /href="\/auth\/login\?return_to=%2Fa"/);
  assert.match(denied.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  assert.equal(visitor.cookies.size, 0);

  const hostile = await visitor.open(
    await callbackWithError(visitor, '/auth/login', '<script>alert(1)</script>'),
  );
  assert.ok(!(await hostile.text()).includes('<script'));

  const cleared = new Visitor(website);
  const address = await begun(cleared);
  cleared.cookies.clear();
  await expectFailure(await cleared.open(address), 400, 'transaction_missing');

  await cleared.open('/auth/login');
  await expectFailure(await cleared.open(address), 400, 'state_mismatch');
  await expectFailure(await cleared.open('/auth/callback'), 400, 'state_mismatch');
  await expectFailure(
    await new Visitor(website).open('/auth/callback?state=&code=x'),
    400,
    'transaction_missing',
  );

  const other = new Visitor(website);
  const foreign = await begun(other);
  foreign.searchParams.set('iss', 'https://evil.example');
  await expectFailure(await other.open(foreign), 400, 'issuer_mismatch');
});

async function expectFailure(response: Response, status: number, code: string): Promise<void> {
  assert.equal(response.status, status);
  assert.ok((await response.text()).includes(`<code>${code}</code>`), code);
}

test('a cookie that was changed, or is of another kind, is no cookie', async () => {
  const visitor = new Visitor(website);
  await visitor.open('/auth/login');
  const [[name = '', sealed = ''] = []] = [...visitor.cookies];
  const forged = { headers: { cookie: `auth_agent_session.${registered.client_id}=${sealed}` } };
  assert.equal(await website.getSession(forged), undefined, 'a transaction is no session');

  const address = await begun(visitor);
  const [, [last = '', value = ''] = []] = [...visitor.cookies];
  visitor.cookies.set(last, `${value.slice(0, -3)}AAA`);
  await expectFailure(await visitor.open(address), 400, 'state_mismatch');
  assert.notEqual(name, last);
});

test('a new cookie secret takes over while the old one is still read', async () => {
  const visitor = new Visitor(website);
  await visitor.open(await begun(visitor));
  const both = createHandlers({ client: client(), cookieSecret: [`new ${SECRET}`, SECRET] });
  assert.ok(await both.getSession(visitor.request('/')));
  const fresh = createHandlers({ client: client(), cookieSecret: `new ${SECRET}` });
  assert.equal(await fresh.getSession(visitor.request('/')), undefined);
  assert.throws(() => createHandlers({ client: client(), cookieSecret: 'short' }), { code: 'configuration' });
});

test('a path that no address has is refused, and one that is left open is where it would be', () => {
  for (const login of ['signin', '', '/a b', '/signin?x', '/a/../b', 'https://website.example/signin', 1]) {
    assert.throws(() => createHandlers({ client: client(), cookieSecret: SECRET, paths: { login } as object }), {
      code: 'configuration',
      message: /paths\.login/,
    });
  }
  const paths = { login: '/signin', logout: undefined } as object;
  const own = createHandlers({ client: client(), cookieSecret: SECRET, paths });
  assert.equal(own.paths.login, '/signin');
  assert.equal(own.paths.logout, '/auth/logout');
});

test('a website answers failures with a page of its own', async () => {
  const own = createHandlers({
    client: client(),
    cookieSecret: SECRET,
    onError: (error, tryAgain) => new Response(`${error.code} ${tryAgain}`, { status: 418 }),
  });
  const response = await own.callback(new Request(`${REDIRECT}?state=x`));
  assert.equal(response.status, 418);
  assert.equal(await response.text(), 'transaction_missing /auth/login?return_to=%2F');

  const away = createHandlers({
    client: client(),
    cookieSecret: SECRET,
    onError: () => Response.redirect('http://127.0.0.1:9/sorry'),
  });
  const visitor = new Visitor(away);
  const denied = await visitor.open(await callbackWithError(visitor, '/auth/login', 'access_denied'));
  assert.equal(location(denied), 'http://127.0.0.1:9/sorry');
  assert.equal(visitor.cookies.size, 0, 'the sign-in is over all the same');
});

test('another website cannot sign a visitor out, and no address can', async () => {
  const visitor = new Visitor(website);
  await visitor.open(await begun(visitor));
  const cross = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
  ];
  for (const headers of cross) {
    const refused = await visitor.open('/auth/logout', { method: 'POST', headers });
    assert.equal(refused.status, 400);
  }
  const get = await visitor.open('/auth/logout');
  assert.equal(get.status, 405);
  assert.equal(get.headers.get('allow'), 'POST');
  assert.equal((await visitor.open('/auth/login', { method: 'POST' })).status, 405);
  assert.equal((await visitor.open('/auth/callback', { method: 'HEAD' })).status, 405);
  assert.ok(await website.getSession(visitor.request('/')));
  const own = await visitor.open('/auth/logout', {
    method: 'POST',
    headers: { 'sec-fetch-site': 'same-origin' },
  });
  assert.equal(own.status, 303);
});

test('the issuer ends a session by its sid, and all sessions of a subject', async () => {
  const fake = await FakeIssuer.start();
  try {
    const of = createClient({ issuer: fake.url, clientId: 'c', clientSecret: 's', redirectUri: REDIRECT });
    const told: unknown[] = [];
    const own = createHandlers({
      client: of,
      cookieSecret: SECRET,
      onBackchannelLogout: (logout) => void told.push(logout.sid ?? logout.sub),
    });
    const now = Math.floor(Date.now() / 1000);
    const common = { iss: fake.url, aud: 'c', iat: now, exp: now + 60, auth_time: now };

    const signIn = async (sid: string): Promise<Visitor> => {
      const visitor = new Visitor(own);
      const query = new URL(location(await visitor.open('/auth/login'))).searchParams;
      fake.routes['/token'] = async () => {
        const claims = { ...common, sub: 'agent_1', sid, nonce: query.get('nonce') };
        return {
          json: { access_token: 'a', token_type: 'bearer', id_token: await fake.sign(claims, 'JWT') },
        };
      };
      const address = new URL(REDIRECT);
      address.search = new URLSearchParams({
        code: 'c',
        iss: fake.url,
        state: query.get('state') ?? '',
      }).toString();
      assert.equal((await visitor.open(address)).status, 303);
      return visitor;
    };
    const logout = async (claims: object): Promise<Response> => {
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
      const token = await fake.sign({ ...common, jti: crypto.randomUUID(), events, ...claims }, 'logout+jwt');
      const body = new URLSearchParams({ logout_token: token });
      return own.backchannelLogout(new Request('http://127.0.0.1:9/', { method: 'POST', body }));
    };
    const isIn = async (visitor: Visitor) => (await own.getSession(visitor.request('/'))) !== undefined;

    const [one, two] = [await signIn('req_1'), await signIn('req_2')];
    const answer = await logout({ sid: 'req_1', sub: 'agent_1' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.deepEqual([await isIn(one), await isIn(two)], [false, true]);

    assert.equal((await logout({ sub: 'agent_1', aud: 'other' })).status, 400);
    assert.equal(await isIn(two), true);
    assert.equal((await logout({ sub: 'agent_1' })).status, 200);
    assert.equal(await isIn(two), false);
    assert.deepEqual(told, ['req_1', 'agent_1']);

    const none = await own.backchannelLogout(
      new Request('http://127.0.0.1:9/', { method: 'POST', body: 'x=y' }),
    );
    assert.equal(none.status, 400);
    const long = await own.backchannelLogout(
      new Request('http://127.0.0.1:9/', { method: 'POST', body: `logout_token=${'x'.repeat(70_000)}` }),
    );
    assert.match(await long.text(), /longer than/);
    assert.equal(((await none.json()) as { error: string }).error, 'invalid_request');
  } finally {
    await fake.stop();
  }
});

test('while the issuer is away a visitor is told so, and the same address works again later', async () => {
  const fake = await FakeIssuer.start();
  try {
    const of = createClient({ issuer: fake.url, clientId: 'c', clientSecret: 's', redirectUri: REDIRECT });
    const own = createHandlers({ client: of, cookieSecret: SECRET });
    const visitor = new Visitor(own);
    const query = new URL(location(await visitor.open('/auth/login'))).searchParams;
    const address = new URL(REDIRECT);
    address.search = new URLSearchParams({
      code: 'c',
      iss: fake.url,
      state: query.get('state') ?? '',
    }).toString();
    fake.routes['/token'] = () => ({ status: 503, json: {} });
    await expectFailure(await visitor.open(address), 503, 'unavailable');
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: fake.url, aud: 'c', sub: 'a', iat: now, exp: now + 60, nonce: query.get('nonce') };
    const id_token = await fake.sign(claims, 'JWT');
    fake.routes['/token'] = () => ({ json: { access_token: 'a', token_type: 'bearer', id_token } });
    assert.equal((await visitor.open(address)).status, 303);
  } finally {
    await fake.stop();
  }
});
