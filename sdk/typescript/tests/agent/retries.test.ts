/** What is asked again and what is not, of an issuer that the test makes fail; the page is a stand-in. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';

import { AgentError, createAgent } from '@auth-agent/sdk/agent';
import { type Answer, FakeIssuer } from '../support/fake-issuer.js';

const SECRET = 'as_secret-of-the-agent';
const DONE: Answer = {
  json: { success: true, status: 'authenticated', request_id: 'req_1', binding: 'browser' },
};
const CALL = 'POST /api/agent/authenticate';

let fake: FakeIssuer;
let answers: Answer[];
let bodies: string[];
let cookies: (string | undefined)[];

before(async () => (fake = await FakeIssuer.start()));
after(() => fake.stop());
beforeEach(() => {
  [bodies, cookies] = [[], []];
  fake.asked.length = 0;
  fake.routes['/api/agent/authenticate'] = (request, body) => {
    bodies.push(body);
    cookies.push(request.headers.cookie);
    const answer = answers.shift();
    assert.ok(answer, 'asked too often');
    return answer;
  };
});

const agent = () => createAgent({ issuer: fake.url, agentId: 'agent_1', agentSecret: SECRET, model: 'm' });

/** A page that waits, with another cookie beside its own, and goes on as soon as it is told to. */
function page() {
  const address = `${fake.url}/authorize/req_1`;
  const cookie = { domain: '127.0.0.1', path: '/', httpOnly: true, secure: false };
  const request = {
    request_id: 'req_1',
    client_name: 'Shop\u202e\nIgnore',
    redirect_origin: 'https://shop.example',
  };
  return {
    url: () => (answers.length ? address : 'https://shop.example/callback?code=secret-code'),
    evaluate: async () => JSON.stringify({ address, request: JSON.stringify(request) }),
    isClosed: () => false,
    context: () => ({
      cookies: async () => [
        { ...cookie, name: 'aa_req_0', value: 'another' },
        { ...cookie, name: 'session', value: 'session-of-the-issuer' },
        { ...cookie, name: 'aa_req_1', value: 'cookie-1' },
      ],
    }),
  };
}

const calls = () => fake.asked.filter((line) => line === CALL).length;

test('a call is repeated after 503, a lost connection and 429, and is the same each time', async (t) => {
  answers = [
    { status: 503, json: {} },
    'cut',
    { status: 429, headers: { 'retry-after': '2' }, json: { error: 'slow_down' } },
    DONE,
  ];
  const timers = t.mock.method(globalThis, 'setTimeout');
  const done = await agent().signIn(page(), { expectedOrigin: 'https://shop.example' });
  const waits = timers.mock.calls.map(({ arguments: [, wait] }) => wait);
  assert.ok(waits.includes(2000), `Retry-After is kept: ${waits.join()}`);
  assert.equal(done.binding, 'browser');
  assert.equal(done.clientName, 'Shop  Ignore', 'what a client calls itself is one line');
  assert.equal(calls(), 4);
  assert.equal(new Set(bodies).size, 1);
  assert.deepEqual(JSON.parse(bodies[0] ?? ''), {
    request_id: 'req_1',
    agent_id: 'agent_1',
    agent_secret: SECRET,
    model: 'm',
    expected_origin: 'https://shop.example',
  });
  assert.deepEqual([...new Set(cookies)], ['aa_req_1=cookie-1'], 'its own cookie, and no other');
  assert.ok(!inspect(done).includes('secret'));
});

test('a refusal is asked for once, and said by its name', async () => {
  const refusals: [number, string][] = [
    [400, 'invalid_request'],
    [401, 'invalid_agent'],
    [403, 'access_denied'],
    [403, 'browser_mismatch'],
    [403, 'binding_required'],
    [403, 'origin_mismatch'],
    [404, 'unknown_request'],
    [409, 'request_closed'],
    [410, 'request_expired'],
  ];
  for (const [status, error] of refusals) {
    fake.asked.length = 0;
    answers = [{ status, json: { success: false, error, error_description: `because of ${error}` } }, DONE];
    await assert.rejects(agent().signIn(page()), (told) => {
      assert.ok(told instanceof AgentError);
      assert.equal(told.code, error);
      assert.ok(told.message.includes(`because of ${error}`), told.message);
      return true;
    });
    assert.equal(calls(), 1);
  }
});

test('a redirect is not followed, and an answer that says nothing is no sign-in', async () => {
  const headers = { location: `${fake.url}/elsewhere` };
  const odd: Answer[] = [
    { status: 302, headers, json: {} },
    { status: 307, headers, json: {} },
    // What is no refusal by its status is none by its words.
    ...[200, 302, 307, 308].map((status) => ({ status, headers, json: { error: 'invalid_agent' } })),
    { status: 200, json: {} },
    { status: 200, json: null },
    { status: 500, json: { error: 'constructor' } },
  ];
  for (const answer of odd) {
    answers = [answer, DONE];
    await assert.rejects(agent().signIn(page()), { code: 'unexpected_answer' });
  }
  assert.equal(calls(), odd.length);
  assert.ok(!fake.asked.some((line) => line.includes('elsewhere')));
});

test('a failure of the issuer is not taken for a wrong address', async () => {
  answers = [{ status: 500, json: { error: 'server_error' } }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'unexpected_answer', message: /the issuer failed, with 500/ });
  answers = [{ status: 404, json: {} }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'unexpected_answer', message: /address right/ });
});

test('a guard that is given and says nothing is refused, and nothing is sent', async () => {
  answers = [DONE];
  for (const expectedOrigin of [null, '', 'shop.example', 'https://shop.example/orders', 'com.example.app:/x', 1]) {
    await assert.rejects(agent().signIn(page(), { expectedOrigin } as object), {
      code: 'configuration',
      message: /expectedOrigin must be the origin/,
    });
  }
  for (const expectedClientId of [null, '', 1]) {
    await assert.rejects(agent().signIn(page(), { expectedClientId } as object), {
      code: 'configuration',
      message: /expectedClientId is missing/,
    });
  }
  for (const timeout of [-1, Infinity, NaN, '5']) {
    const options = { timeout } as object;
    await assert.rejects(agent().signIn(page(), options), { code: 'configuration', message: /timeout must/ });
  }
  assert.equal(calls(), 0);
  const options = { expectedOrigin: 'https://shop.example/', timeout: 0 };
  assert.equal((await agent().signIn(page(), options)).binding, 'browser', '0 is no end');
});

test('the browser has gone on when it shows a page of the web, and not of its own or the issuer’s', async (t) => {
  const TIMEOUT = 54_321;
  let end = () => {};
  const { setTimeout: start } = globalThis;
  t.mock.method(globalThis, 'setTimeout', (work: () => void, wait: number) => {
    if (wait === TIMEOUT) end = work;
    return start(work, wait);
  });
  /** A page that shows `address` after the sign-in; by then the deadline is over. */
  const signInAnd = (address: string) => {
    answers = [DONE];
    const waiting = page();
    const gone = () => (end(), address);
    const after = { ...waiting, url: () => (answers.length ? waiting.url() : gone()) };
    return agent().signIn(after, { timeout: TIMEOUT });
  };
  for (const address of ['https://shop.example/callback', 'https://accounts.other.example/', 'http://shop.example/']) {
    assert.equal((await signInAnd(address)).redirectOrigin, 'https://shop.example');
  }
  for (const address of ['chrome-error://chromewebdata/', 'about:blank', `${fake.url}/openapi`]) {
    await assert.rejects(signInAnd(address), (error) => {
      assert.ok(error instanceof AgentError);
      assert.deepEqual([error.code, error.authenticated], ['redirect_failed', true], address);
      return true;
    });
  }
});

test('a second factor is an error with a name of its own', async () => {
  answers = [{ status: 202, json: { success: true, status: 'challenge', challenge: {} } }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'challenge_required' });
});

test('repeating ends: after a few tries, at a long Retry-After, at the deadline, and when it is told to', async (t) => {
  const timers = t.mock.method(globalThis, 'setTimeout');
  const waits = () => timers.mock.calls.filter(({ arguments: [, wait] }) => wait === 9000);
  answers = Array<Answer>(6).fill({ status: 503, json: {} });
  await assert.rejects(agent().signIn(page()), { code: 'unavailable' });
  assert.equal(calls(), 5);

  answers = [{ status: 429, headers: { 'retry-after': '3600' }, json: {} }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'slow_down', retryAfter: 3600, message: /in 3600 s/ });
  assert.equal(calls(), 6);

  answers = [{ status: 429, headers: { 'retry-after': '9' }, json: {} }, DONE];
  await assert.rejects(agent().signIn(page(), { timeout: 8000 }), { code: 'slow_down', retryAfter: 9 });
  assert.equal(calls(), 7);
  assert.equal(waits().length, 0, 'a wait that ends too late is not begun');

  answers = [DONE, DONE];
  await assert.rejects(agent().signIn(page(), { signal: AbortSignal.abort() }), { code: 'aborted' });
  const stop = new AbortController();
  answers = [{ status: 429, headers: { 'retry-after': '9' }, json: {} }, DONE];
  const waiting = agent().signIn(page(), { signal: stop.signal });
  while (answers.length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  await assert.rejects(waiting, { code: 'aborted' });
});

test('what was answered last is the reason at the deadline, and not that the time is up', async (t) => {
  const { setTimeout: start } = globalThis;
  const answer = fake.routes['/api/agent/authenticate'];
  for (const moment of ['while it waits', 'while the next try is not answered'] as const) {
    const stop = new AbortController();
    const end = () => stop.abort(new DOMException('', 'TimeoutError')); // as one that the caller has set
    const timers = t.mock.method(globalThis, 'setTimeout', (work: () => void, wait: number) => {
      if (wait === 1000 && moment === 'while it waits') queueMicrotask(end);
      return start(work, wait);
    });
    let tries = 0;
    fake.routes['/api/agent/authenticate'] = (request, body) => {
      if (++tries === 1) return answer?.(request, body) ?? 'cut';
      end();
      return new Promise(() => {});
    };
    answers = [{ status: 429, headers: { 'retry-after': '1' }, json: { error: 'slow_down' } }, DONE];
    const signingIn = agent().signIn(page(), { signal: stop.signal });
    await assert.rejects(signingIn, { code: 'slow_down', retryAfter: 1 }, moment);
    assert.equal(tries, moment === 'while it waits' ? 1 : 2);
    timers.mock.restore();
  }
});

test('a refusal is told with one full stop', async () => {
  answers = [{ status: 401, json: { error: 'invalid_agent', error_description: 'no such agent.' } }, DONE];
  await assert.rejects(agent().signIn(page()), { message: /: no such agent\. Check/ });
});

test('what a page waits for is told without a sign-in, and why it waits for nothing', async () => {
  answers = [DONE];
  const request = { request_id: 'req_1', client_id: 'client_1', client_name: 'Shop', scope: 'openid\nprofile' };
  const address = `${fake.url}/authorize/req_1`;
  const waiting = { ...page(), evaluate: async () => JSON.stringify({ address, request: JSON.stringify(request) }) };
  assert.deepEqual(await agent().requestOf(waiting), {
    requestId: 'req_1',
    clientId: 'client_1',
    clientName: 'Shop',
    redirectOrigin: '',
    scope: 'openid profile',
  });
  const reasons: [object, string][] = [
    [{ url: () => 'https://evil.example/authorize' }, 'wrong_issuer'],
    [{ url: () => `${fake.url}/openapi` }, 'not_a_waiting_page'],
    [{ isClosed: () => true }, 'page_changed'],
    [{ context: undefined }, 'unsupported_page'],
  ];
  for (const [change, code] of reasons) {
    await assert.rejects(agent().requestOf({ ...waiting, ...change }), { code });
  }
  assert.deepEqual(fake.asked, []);
});

test('a browser that hangs shows no waiting page after 15 seconds, and the program waits for that', async (t) => {
  const hanging = { ...page(), evaluate: () => new Promise<never>(() => {}) };
  answers = [DONE];
  const waits: (number | undefined)[] = [];
  const { setTimeout: start } = globalThis;
  const timers = t.mock.method(globalThis, 'setTimeout', (work: () => void, wait: number) => {
    waits.push(wait);
    const timer = start(work, 1);
    assert.ok(timer.hasRef(), 'the program does not end meanwhile');
    return timer;
  });
  assert.equal(await agent().isWaitingPage(hanging), false);
  await assert.rejects(agent().requestOf(hanging), { code: 'unavailable' });
  await assert.rejects(agent().signIn(hanging), { code: 'unavailable' });
  assert.deepEqual(waits, [15_000, 15_000, 60_000]);
  timers.mock.restore();
});

test('an issuer that is not there is unavailable, and the error shows no secret', async () => {
  const away = createAgent({
    issuer: 'http://127.0.0.1:9',
    agentId: 'agent_1',
    agentSecret: SECRET,
    model: 'm',
  });
  answers = [DONE];
  const there = page();
  const address = 'http://127.0.0.1:9/authorize/req_1';
  const request = JSON.stringify({ request_id: 'req_1' });
  const stand = { ...there, url: () => address, evaluate: async () => JSON.stringify({ address, request }) };
  await assert.rejects(away.signIn(stand), (error) => {
    assert.ok(error instanceof AgentError);
    assert.equal(error.code, 'unavailable');
    assert.ok(!/as_secret|cookie-1/.test(inspect(error, { depth: 9, showHidden: true })));
    return true;
  });
});

test('the secret is in nothing that shows an agent', () => {
  const shown = [
    inspect(agent(), { depth: 9, showHidden: true }),
    JSON.stringify(agent()),
    String(agent()),
    Object.getOwnPropertyNames(agent()).join(),
    JSON.stringify({ ...agent() }),
  ];
  for (const text of shown) assert.ok(!text.includes(SECRET), text);
});
